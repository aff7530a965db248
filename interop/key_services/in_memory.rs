use std::path::Path;

use anyhow::Result;

use crate::branch_keys;
use crate::emulator::Emulator;
use crate::exchange;
use crate::in_memory_server::InMemoryServer;
use crate::matrix::Matrix;
use crate::peer::Peer;

/// The KMS and the DynamoDB of the test kit. They do what no emulator does: key agreement, and branch
/// keys under replicas. All that others do as well is tried too, so that users can rely on the kit.
pub(crate) async fn check(tools: &Path, matrix: Matrix) -> Result<()> {
    let server = InMemoryServer::start().await?;
    let kms = Emulator {
        name: "KMS in memory",
        endpoint: server.endpoint.clone(),
        account: "111122223333",
    };
    let mut peer = Peer::start(tools, &kms.endpoint).await?;
    let mut exchanges = exchange::symmetric(&kms).await?;
    exchanges.extend(exchange::replicas(&kms).await?);
    exchanges.extend(exchange::rsa_keys(&kms).await?);
    exchanges.extend(exchange::key_agreement(&kms).await?);
    exchange::check(&kms, &mut peer, matrix, "KMS keys", &exchanges).await?;
    branch_keys::check(&kms, &mut peer, matrix).await?;
    branch_keys::check_regions(&kms, &mut peer, matrix).await?;
    peer.stop().await
}

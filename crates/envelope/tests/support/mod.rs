//! Options under which every suite is written and read.

use envelope::{AlgorithmSuite, CommitmentPolicy, DecryptOptions, EncryptOptions};

/// Writes this suite, under the policy that allows it.
pub fn sealing(suite: AlgorithmSuite) -> EncryptOptions {
    let policy = match suite.commits() {
        true => CommitmentPolicy::default(),
        false => CommitmentPolicy::ForbidEncryptAllowDecrypt,
    };
    EncryptOptions::default()
        .with_suite(suite)
        .with_policy(policy)
}

/// Reads every suite.
pub fn opening() -> DecryptOptions {
    DecryptOptions::default().with_policy(CommitmentPolicy::RequireEncryptAllowDecrypt)
}

//! Keyrings over a KMS in memory; one message, written and read, and what is said when it does not
//! open.

pub mod branch_keys;
pub mod dynamo_db;

use aws_sdk_kms::types::KeySpec;
use envelope::keyring::Attempt;
use envelope::{
    AlgorithmSuite, CommitmentPolicy, DecryptOptions, EncryptOptions, EncryptedDataKey,
    EncryptionContext, Error, Keyring, MaterialsManager, UnverifiedHeader, decrypt, encrypt,
};
use envelope_aws_kms::test_util::InMemoryKms;
use envelope_aws_kms::{
    Arn, ClientSupplier, Discovery, DiscoveryFilter, MultiRegion, MultiRegionDiscovery, Strict,
};

pub const REGION: &str = "eu-west-1";
pub const OTHER_REGION: &str = "us-east-1";
pub const ACCOUNT: &str = "111122223333";
/// Commits and does not sign.
pub const UNSIGNED: AlgorithmSuite = AlgorithmSuite::AES_256_GCM_HKDF_SHA512_COMMIT_KEY;

pub fn symmetric(kms: &InMemoryKms) -> Arn {
    kms.create_key(REGION, KeySpec::SymmetricDefault).unwrap()
}

pub fn strict(kms: &InMemoryKms, arn: &Arn) -> Strict {
    Strict::new(kms.client(arn.region()), arn.to_string()).unwrap()
}

pub fn multi_region(kms: &InMemoryKms, arn: &Arn) -> MultiRegion {
    MultiRegion::new(kms.client(arn.region()), arn.to_string()).unwrap()
}

pub fn discovery(kms: &InMemoryKms, region: &str) -> Discovery {
    Discovery::new(kms.client(region)).with_filter(filter())
}

pub fn multi_region_discovery(kms: &InMemoryKms, region: &str) -> MultiRegionDiscovery {
    let keyring = MultiRegionDiscovery::new(kms.client(region)).unwrap();
    keyring.with_filter(filter())
}

pub fn filter() -> DiscoveryFilter {
    DiscoveryFilter::new("aws", [ACCOUNT]).unwrap()
}

pub fn supplier(kms: &InMemoryKms) -> ClientSupplier {
    ClientSupplier::from_clients([kms.client(REGION), kms.client(OTHER_REGION)])
}

/// A multi-region key and its replica.
pub fn replicas(kms: &InMemoryKms) -> (Arn, Arn) {
    let spec = KeySpec::SymmetricDefault;
    let primary = kms.create_multi_region_key(REGION, spec).unwrap();
    let replica = kms.replicate(&primary, OTHER_REGION).unwrap();
    (primary, replica)
}

pub fn wrapped(message: &[u8]) -> Vec<EncryptedDataKey> {
    let header = UnverifiedHeader::parse_whole(message, &opening()).unwrap();
    header.claims().encrypted_data_keys().to_vec()
}

pub fn context() -> EncryptionContext {
    EncryptionContext::new([("tenant", "acme"), ("ä", "")]).unwrap()
}

pub fn sealing(suite: AlgorithmSuite) -> EncryptOptions {
    let policy = match suite.commits() {
        true => CommitmentPolicy::default(),
        false => CommitmentPolicy::ForbidEncryptAllowDecrypt,
    };
    EncryptOptions::default()
        .with_suite(suite)
        .with_policy(policy)
        .with_context(context())
}

pub fn opening() -> DecryptOptions {
    DecryptOptions::default().with_policy(CommitmentPolicy::RequireEncryptAllowDecrypt)
}

pub async fn seal(keyring: &dyn Keyring, suite: AlgorithmSuite) -> Vec<u8> {
    encrypt(keyring, b"hello", &sealing(suite)).await.unwrap()
}

pub async fn refused_to_seal(keyring: &dyn Keyring) -> String {
    let sealed = encrypt(keyring, b"hello", &sealing(UNSIGNED)).await;
    sealed.unwrap_err().to_string()
}

pub async fn opens<M: MaterialsManager + ?Sized>(manager: &M, message: &[u8]) {
    let opened = decrypt(manager, message, &opening()).await.unwrap();
    assert_eq!(opened.plaintext, b"hello");
}

pub async fn attempts(keyring: &dyn Keyring, message: &[u8]) -> Vec<Attempt> {
    attempts_with(keyring, message, &opening()).await
}

pub async fn attempts_with(
    keyring: &dyn Keyring,
    message: &[u8],
    options: &DecryptOptions,
) -> Vec<Attempt> {
    match decrypt(keyring, message, options).await {
        Err(Error::NotUnwrapped(report)) => report.attempts().to_vec(),
        other => panic!("{other:?}"),
    }
}

/// The one attempt: whether it failed, rather than was skipped, and why.
pub async fn attempt(keyring: &dyn Keyring, message: &[u8]) -> (bool, String) {
    let attempts = attempts(keyring, message).await;
    assert_eq!(attempts.len(), 1, "{attempts:?}");
    (attempts[0].failed(), attempts[0].reason().to_owned())
}

pub fn skipped(reason: &str) -> (bool, String) {
    (false, reason.to_owned())
}

pub fn failed(reason: impl Into<String>) -> (bool, String) {
    (true, reason.into())
}

//! Headers that AWS wrote under real keys of KMS: their keyrings take them for their own.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    unreachable_pub,
    dead_code,
    reason = "a test stops at the first surprise, and shares helpers with others"
)]

mod support;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use envelope::keyring::{EcdhParties, KeyRequest};
use envelope::{EcCurve, EcPublicKey, EncryptedDataKey, Keyring, RsaPadding, UnverifiedHeader};
use envelope_aws_kms::test_util::InMemoryKms;
use envelope_aws_kms::{
    Arn, Discovery, DiscoveryFilter, Ecdh, MultiRegion, MultiRegionDiscovery, Rsa, Strict,
};
use serde_json::Value;

/// The keyrings that the encrypted data key belongs to, and those of another region.
fn keyrings(kms: &InMemoryKms, key: &EncryptedDataKey) -> Vec<Box<dyn Keyring>> {
    let info = key.provider_info();
    if key.provider_id() == "aws-kms-ecdh" {
        let parties = EcdhParties::parse(info).unwrap();
        let point = |point| EcPublicKey::from_point(EcCurve::P256, point).unwrap();
        let (sender, recipient) = (point(parties.sender), point(parties.recipient));
        let arn = "arn:aws:kms:us-west-2:370957321024:key/1234";
        let client = || kms.client("us-west-2");
        let pairs = [(&sender, &recipient), (&recipient, &sender)];
        let mut found: Vec<Box<dyn Keyring>> = Vec::new();
        for (mine, theirs) in pairs {
            let keyring = Ecdh::between(client(), arn, mine.clone(), theirs.clone());
            found.push(Box::new(keyring.unwrap()));
        }
        found.push(Box::new(Ecdh::discovery(client(), arn, recipient).unwrap()));
        return found;
    }
    let text = std::str::from_utf8(info).unwrap();
    let arn: Arn = text.parse().unwrap();
    assert!(arn.is_key());
    assert_eq!(arn.to_string(), text);
    let client = || kms.client(arn.region());
    if key.provider_id() == "aws-kms-rsa" {
        assert!(arn.is_multi_region());
        let replica = arn.in_region("eu-west-1").to_string();
        return vec![
            Box::new(Rsa::new(client(), text, RsaPadding::OaepSha256).unwrap()),
            Box::new(Rsa::new(client(), replica, RsaPadding::OaepSha256).unwrap()),
        ];
    }
    let filter = || DiscoveryFilter::new("aws", [arn.account()]).unwrap();
    let mut found: Vec<Box<dyn Keyring>> = vec![
        Box::new(Strict::new(client(), text).unwrap()),
        Box::new(MultiRegion::new(client(), text).unwrap()),
        Box::new(Discovery::new(client()).with_filter(filter())),
        Box::new(
            MultiRegionDiscovery::new(client())
                .unwrap()
                .with_filter(filter()),
        ),
    ];
    if arn.is_multi_region() {
        let (elsewhere, replica) = (kms.client("eu-west-1"), arn.in_region("eu-west-1"));
        found.push(Box::new(
            MultiRegion::new(elsewhere.clone(), replica.to_string()).unwrap(),
        ));
        found.push(Box::new(MultiRegionDiscovery::new(elsewhere).unwrap()));
    }
    found
}

#[tokio::test]
async fn published_headers_are_taken_to_kms() {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../envelope/tests/vectors/kms-headers.json"
    );
    let entries: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let entries = entries.as_array().unwrap();
    assert_eq!(entries.len(), 32);
    let mut tried = 0;
    for entry in entries {
        let bytes = STANDARD
            .decode(entry["header_base64"].as_str().unwrap())
            .unwrap();
        let header = UnverifiedHeader::parse_whole(&bytes, &support::opening()).unwrap();
        let claims = header.claims();
        let (suite, context) = (claims.suite(), claims.context());
        let request = KeyRequest { suite, context };
        for key in claims.encrypted_data_keys() {
            let kms = InMemoryKms::new();
            let keyrings = keyrings(&kms, key);
            for keyring in &keyrings {
                // No such key is here, and that is all that is wrong.
                let attempts = keyring.unwrap_key(std::slice::from_ref(key), request).await;
                let attempts = attempts.unwrap_err();
                let reason = attempts[0].reason();
                assert!(
                    attempts[0].failed() && reason.contains("NotFoundException"),
                    "{keyring:?}: {reason}"
                );
                tried += 1;
            }
            assert_eq!(kms.total_calls(), keyrings.len() as u64);
        }
    }
    assert!(tried > 100, "{tried}");
}

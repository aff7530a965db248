//! Keys of several regions: replicas of one key, and keyrings over all of them.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    unreachable_pub,
    dead_code,
    reason = "a test stops at the first surprise, and shares helpers with others"
)]

mod support;

use aws_sdk_kms::config::retry::RetryConfig;
use aws_sdk_kms::config::{BehaviorVersion, Credentials, Region, SharedCredentialsProvider};
use aws_sdk_kms::types::{KeySpec, KeyState};
use aws_types::SdkConfig;
use envelope_aws_kms::test_util::InMemoryKms;
use envelope_aws_kms::{
    ClientSupplier, Discovery, KmsError, MultiRegion, MultiRegionDiscovery, Strict,
};
use support::{
    OTHER_REGION, REGION, UNSIGNED, attempt, discovery, filter, multi_region,
    multi_region_discovery, opens, refused_to_seal, replicas, seal, skipped, strict, supplier,
    symmetric, wrapped,
};

#[tokio::test]
async fn replicas_open_what_the_other_wrote_in_both_directions() {
    let kms = InMemoryKms::new();
    let (here, there) = replicas(&kms);
    for (from, to) in [(&here, &there), (&there, &here)] {
        let message = seal(&multi_region(&kms, from), UNSIGNED).await;
        assert_eq!(
            wrapped(&message)[0].provider_info(),
            from.to_string().as_bytes()
        );
        opens(&multi_region(&kms, to), &message).await;
        opens(&multi_region(&kms, from), &message).await;
        opens(&multi_region_discovery(&kms, to.region()), &message).await;
        // A strict keyring knows one ARN.
        let found = attempt(&strict(&kms, to), &message).await;
        assert_eq!(found, skipped("another key"));
        let found = attempt(&discovery(&kms, to.region()), &message).await;
        assert_eq!(found, skipped("another region"));
    }
}

#[tokio::test]
async fn multi_region_is_for_keys_that_are_replicas() {
    let kms = InMemoryKms::new();
    let (here, there) = replicas(&kms);
    let (another, _) = replicas(&kms);
    let message = seal(&multi_region(&kms, &here), UNSIGNED).await;
    let found = attempt(&multi_region(&kms, &another), &message).await;
    assert_eq!(found, skipped("another key"));
    // Where the key has no replica, KMS says so.
    let region = "ap-south-1";
    let (was_tried, reason) = attempt(&multi_region_discovery(&kms, region), &message).await;
    let asked = here.in_region(region);
    let expected = format!("kms:Decrypt with key {asked} in {region}: NotFoundException");
    assert!(was_tried && reason.starts_with(&expected), "{reason}");
    // An alias is no multi-region key, whatever its name.
    let alias = kms.create_alias("alias/mrk-invoices", &there).unwrap();
    let keyring = MultiRegion::new(kms.client(OTHER_REGION), alias.to_string()).unwrap();
    let (was_tried, reason) = attempt(&keyring, &message).await;
    assert!(
        !was_tried && reason.contains("name the key by its ARN"),
        "{reason}"
    );
    kms.set_key_state(&there, KeyState::Disabled).unwrap();
    let (_, reason) = attempt(&multi_region(&kms, &there), &message).await;
    assert!(reason.contains("DisabledException"), "{reason}");
    opens(&multi_region(&kms, &here), &message).await;
}

#[tokio::test]
async fn keys_of_several_regions_are_one_keyring() {
    let kms = InMemoryKms::new();
    let here = symmetric(&kms);
    let spec = KeySpec::SymmetricDefault;
    let there = kms.create_key(OTHER_REGION, spec).unwrap();
    let alias = kms.create_alias("alias/there", &there).unwrap();
    let keyring = Strict::multi(&supplier(&kms), here.to_string(), [alias.to_string()]).unwrap();
    let message = seal(&keyring, UNSIGNED).await;
    let infos = wrapped(&message).into_iter();
    let infos: Vec<_> = infos.map(|key| key.provider_info().to_vec()).collect();
    assert_eq!(
        infos,
        [
            here.to_string().into_bytes(),
            there.to_string().into_bytes()
        ]
    );
    opens(&keyring, &message).await;
    for key in [&here, &there] {
        opens(&strict(&kms, key), &message).await;
    }
    // A region that is down does not keep the other from opening it.
    kms.set_key_state(&here, KeyState::Disabled).unwrap();
    let both = Strict::multi(&supplier(&kms), here.to_string(), [there.to_string()]).unwrap();
    opens(&both, &message).await;
    let discovering = [OTHER_REGION, REGION];
    opens(
        &Discovery::multi(&supplier(&kms), discovering, &filter()).unwrap(),
        &message,
    )
    .await;
    // All must wrap.
    let text = refused_to_seal(&both).await;
    assert!(text.contains("DisabledException"), "{text}");
}

#[tokio::test]
async fn multi_region_keys_are_one_keyring_if_they_differ() {
    let kms = InMemoryKms::new();
    let (here, there) = replicas(&kms);
    let (other, _) = replicas(&kms);
    let keyring = MultiRegion::multi(&supplier(&kms), there.to_string(), [other.to_string()]);
    let message = seal(&keyring.unwrap(), UNSIGNED).await;
    for key in [&here, &there, &other] {
        opens(&multi_region(&kms, key), &message).await;
    }
    let discovering =
        MultiRegionDiscovery::multi(&supplier(&kms), ["us-east-1"], &filter()).unwrap();
    opens(&discovering, &message).await;
    let twice = MultiRegion::multi(&supplier(&kms), here.to_string(), [there.to_string()]);
    let error = twice.unwrap_err();
    assert!(
        matches!(&error, KmsError::InvalidKeyId { key_id, reason } if *key_id == there.to_string()
            && reason.starts_with("is a replica of another key")),
        "{error:?}"
    );
}

#[tokio::test]
async fn keyrings_of_several_regions_need_them_named() {
    let kms = InMemoryKms::new();
    let key = symmetric(&kms).to_string();
    let none: [&str; 0] = [];
    for error in [
        Strict::multi(&supplier(&kms), &key, ["alias/invoices"]).unwrap_err(),
        MultiRegion::multi(&supplier(&kms), "1234abcd", none).unwrap_err(),
    ] {
        assert!(
            matches!(&error, KmsError::InvalidKeyId { reason, .. } if reason.starts_with("names no region")),
            "{error:?}"
        );
    }
    let elsewhere = key.replace(REGION, "ap-south-1");
    let error = Strict::multi(&supplier(&kms), &key, [elsewhere]).unwrap_err();
    assert!(matches!(&error, KmsError::NoClient { region } if region == "ap-south-1"));
    for error in [
        Discovery::multi(&supplier(&kms), none, &filter()).unwrap_err(),
        MultiRegionDiscovery::multi(&supplier(&kms), none, &filter()).unwrap_err(),
    ] {
        assert!(
            matches!(
                error,
                KmsError::InvalidOption {
                    what: "the list of regions",
                    ..
                }
            ),
            "{error:?}"
        );
    }
    let client = aws_sdk_kms::Client::from_conf(kms.config(REGION).region(None::<Region>).build());
    let error = MultiRegionDiscovery::new(client).unwrap_err();
    assert!(matches!(
        error,
        KmsError::InvalidOption {
            what: "the client",
            ..
        }
    ));
}

#[tokio::test]
async fn clients_are_made_from_one_configuration() {
    let kms = InMemoryKms::new();
    let (here, there) = replicas(&kms);
    let credentials = Credentials::new("id", "secret", None, None, "tests");
    let config = SdkConfig::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .retry_config(RetryConfig::disabled())
        .http_client(kms.clone())
        .build();
    let supplier = ClientSupplier::from_config(&config).with_grant_tokens(["token"]);
    let none: [&str; 0] = [];
    let keyring = MultiRegion::multi(&supplier, there.to_string(), none).unwrap();
    let message = seal(&keyring, UNSIGNED).await;
    opens(&multi_region(&kms, &here), &message).await;
    let some = ClientSupplier::new(move |region| (region == REGION).then(|| kms.client(region)));
    let error = MultiRegionDiscovery::multi(&some, [OTHER_REGION], &filter()).unwrap_err();
    assert!(matches!(&error, KmsError::NoClient { region } if region == OTHER_REGION));
}

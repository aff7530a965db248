//! The hierarchical keyring: which branch key it uses, how long, and at what cost.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    unreachable_pub,
    dead_code,
    reason = "a test stops at the first surprise, and shares helpers with others"
)]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use aws_sdk_dynamodb::config::retry::RetryConfig;
use envelope::keyring::{Attempt, KeyRequest};
use envelope::{
    AlgorithmSuite, DataKey, EncryptedDataKey, EncryptionContext, Error, ErrorKind, Keyring,
    decrypt, encrypt,
};
use envelope_aws_kms::test_util::Fault;
use envelope_aws_kms::{
    BranchKeyCache, BranchKeyIdSupplier, BranchKeyStore, Hierarchical, KmsConfiguration,
};
use support::branch_keys::{ACTIVE, ID, STORE, Services, TABLE, purpose, text, version_type};
use support::{
    REGION, UNSIGNED, attempt, context, failed, opening, opens, refused_to_seal, seal, sealing,
    skipped, strict, wrapped,
};
use tokio::time::Instant;

const LIFETIME: Duration = Duration::from_secs(600);

/// Seconds that tests set.
#[derive(Clone, Default)]
struct Clock(Arc<AtomicU64>);

impl Clock {
    fn set(&self, seconds: u64) {
        self.0.store(seconds, Ordering::Relaxed);
    }

    fn of(&self, keyring: Hierarchical) -> Hierarchical {
        let seconds = Arc::clone(&self.0);
        keyring.with_clock(move || Duration::from_secs(seconds.load(Ordering::Relaxed)))
    }
}

/// A keyring of one branch key, whose time stands still.
fn keyring_of(store: BranchKeyStore, id: &str) -> (Hierarchical, Clock) {
    let clock = Clock::default();
    let supplier = BranchKeyIdSupplier::fixed(id);
    let keyring = Hierarchical::new(store, supplier, LIFETIME).unwrap();
    (clock.of(keyring), clock)
}

async fn started() -> (Services, Hierarchical, Clock) {
    let services = Services::start().await;
    services.create(ID).await;
    services.create("other").await;
    let (keyring, clock) = keyring_of(services.store(), ID);
    (services, keyring, clock)
}

/// Reads of the table and of KMS that the work causes.
async fn cost<T>(services: &Services, work: impl Future<Output = T>) -> (u64, u64) {
    let before = services.calls();
    work.await;
    let after = services.calls();
    (after.0 - before.0, after.1 - before.1)
}

/// A store that tries each request once.
fn impatient(services: &Services) -> BranchKeyStore {
    let dynamo_db = services.dynamo_db.config(REGION);
    let dynamo_db = dynamo_db.retry_config(RetryConfig::disabled()).build();
    let kms = services.kms.config(REGION);
    let kms = kms.retry_config(RetryConfig::disabled()).build();
    let store = BranchKeyStore::new(
        aws_sdk_dynamodb::Client::from_conf(dynamo_db),
        aws_sdk_kms::Client::from_conf(kms),
        TABLE,
        KmsConfiguration::Key(services.key.clone()),
    );
    store.unwrap().with_logical_name(STORE).unwrap()
}

/// The version that the message's one data key is wrapped with.
fn version_of(message: &[u8]) -> String {
    let keys = wrapped(message);
    assert_eq!(keys.len(), 1);
    assert_eq!(keys[0].provider_id(), "aws-kms-hierarchy");
    assert_eq!(keys[0].provider_info(), ID.as_bytes());
    let digits: Vec<String> = keys[0].ciphertext()[28..44]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let groups = [0..4, 4..6, 6..8, 8..10, 10..16].map(|range| digits[range].concat());
    groups.join("-")
}

#[tokio::test]
async fn every_suite_is_written_and_read() {
    let (services, keyring, _) = started().await;
    let version = services.store().active(ID).await.unwrap();
    for suite in AlgorithmSuite::ALL {
        let message = seal(&keyring, suite).await;
        assert_eq!(version_of(&message), version.version());
        opens(&keyring, &message).await;
        // The version alone opens it too.
        opens(version.keyring(), &message).await;
    }
}

#[tokio::test]
async fn older_versions_still_open_and_the_newest_wraps() {
    let (services, keyring, clock) = started().await;
    let first = seal(&keyring, UNSIGNED).await;
    let version = services.store().create_version(ID).await.unwrap();
    // What is kept is used until its lifetime ends.
    let second = seal(&keyring, UNSIGNED).await;
    assert_eq!(version_of(&second), version_of(&first));
    clock.set(600);
    let third = seal(&keyring, UNSIGNED).await;
    assert_eq!(version_of(&third), version);
    assert_ne!(version_of(&third), version_of(&first));
    for message in [&first, &second, &third] {
        opens(&keyring, message).await;
        opens(&keyring_of(services.store(), ID).0, message).await;
    }
}

#[tokio::test]
async fn the_context_chooses_the_branch_key() {
    let (services, fixed, _) = started().await;
    let supplier = BranchKeyIdSupplier::value_of("tenant");
    let keyring = Hierarchical::new(services.store(), supplier, LIFETIME).unwrap();
    let rule = BranchKeyIdSupplier::from_fn(|context| match context.get("tenant") {
        Some("nobody") => Err("nobody has no branch key".to_owned()),
        Some("acme") => Ok("acme".to_owned()),
        _ => Ok("other".to_owned()),
    });
    let by_rule = Hierarchical::new(services.store(), rule, LIFETIME).unwrap();
    let message_of = async |keyring: &Hierarchical, tenant: &str| {
        let context = EncryptionContext::new([("tenant", tenant)]).unwrap();
        let options = sealing(UNSIGNED).with_context(context);
        encrypt(keyring, b"hello", &options).await
    };
    for tenant in ["acme", "other"] {
        let message = message_of(&keyring, tenant).await.unwrap();
        assert_eq!(wrapped(&message)[0].provider_info(), tenant.as_bytes());
        opens(&keyring, &message).await;
        opens(&by_rule, &message).await;
        let message = message_of(&by_rule, tenant).await.unwrap();
        opens(&keyring, &message).await;
    }
    // Another tenant's is not even tried.
    let message = message_of(&keyring, "other").await.unwrap();
    let said = cost(&services, async {
        let said = attempt(&fixed, &message).await;
        assert_eq!(said, skipped("another branch key"));
    });
    assert_eq!(said.await, (0, 0));
    // Whoever moves another tenant's wrapped key into its own context does not open it.
    let (suite, context) = (UNSIGNED, &context());
    let request = KeyRequest { suite, context };
    let attempts = keyring.unwrap_key(&wrapped(&message), request).await;
    assert_eq!(attempts.unwrap_err()[0].reason(), "another branch key");

    let none = "the encryption context has no \"tenant\", which names the branch key";
    let options = sealing(UNSIGNED).with_context(EncryptionContext::default());
    let error = encrypt(&keyring, b"hello", &options).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidRequest);
    assert!(error.to_string().contains(none), "{error}");
    let message = encrypt(&fixed, b"hello", &options).await.unwrap();
    assert_eq!(attempt(&keyring, &message).await, failed(none));
    let error = message_of(&by_rule, "nobody").await.unwrap_err();
    assert!(
        error.to_string().contains("nobody has no branch key"),
        "{error}"
    );
    let error = message_of(&keyring, "unknown").await.unwrap_err();
    let expected = "branch key \"unknown\" has no item \"branch:ACTIVE\" in table table-1";
    assert!(error.to_string().contains(expected), "{error}");
    let error = message_of(&keyring, "").await.unwrap_err();
    let expected = "the branch key id must have 1 to 2048 bytes";
    assert!(error.to_string().contains(expected), "{error}");
}

#[tokio::test]
async fn contexts_and_ids_may_be_any_text() {
    let services = Services::start().await;
    let id = "Mandant Ü 𝄢 | \u{0}/:";
    services.create(id).await;
    let (keyring, _) = keyring_of(services.store(), id);
    let context = EncryptionContext::new([("Schlüssel", "Wert 𝄢"), ("ﾉ", ""), ("", "ü")]);
    let options = sealing(UNSIGNED).with_context(context.unwrap());
    let message = encrypt(&keyring, b"hello", &options).await.unwrap();
    assert_eq!(wrapped(&message)[0].provider_info(), id.as_bytes());
    opens(&keyring, &message).await;
}

#[tokio::test]
async fn what_does_not_open_is_named() {
    let (services, keyring, _) = started().await;
    let message = seal(&strict(&services.kms, &services.key), UNSIGNED).await;
    assert_eq!(
        attempt(&keyring, &message).await,
        skipped("another provider")
    );

    let (suite, own) = (UNSIGNED, &context());
    let request = KeyRequest {
        suite,
        context: own,
    };
    let (_, keys) = keyring.generate_key(request).await.unwrap();
    let sound = keys[0].ciphertext().to_vec();
    assert_eq!(sound.len(), 92);
    let said = async |ciphertext: &[u8], context: &EncryptionContext| {
        let key = EncryptedDataKey::new("aws-kms-hierarchy", ID, ciphertext);
        let request = KeyRequest { suite, context };
        let attempts = keyring.unwrap_key(&[key], request).await.unwrap_err();
        assert_eq!(attempts[0].keyring(), "AWS KMS hierarchy, branch key acme");
        (attempts[0].failed(), attempts[0].reason().to_owned())
    };
    let short = cost(&services, async {
        for length in [0, 16, 28, 43] {
            let said = said(&sound[..length], own).await;
            assert_eq!(said, failed("the wrapped key is too short"));
        }
    });
    assert_eq!(short.await, (0, 0));
    let forged =
        failed("not authentic: another branch key, another encryption context, or tampered");
    for place in [0, 16, 44, 91] {
        let mut altered = sound.clone();
        altered[place] ^= 1;
        assert_eq!(said(&altered, own).await, forged, "byte {place}");
    }
    let other = EncryptionContext::new([("tenant", "acme")]).unwrap();
    assert_eq!(said(&sound, &other).await, forged);
    let length = failed("the wrapped key has the wrong length for the algorithm suite");
    assert_eq!(said(&sound[..91], own).await, length);
    let mut unknown = sound.clone();
    unknown[28..44].copy_from_slice(&[0xab; 16]);
    let unasked = cost(&services, async {
        let said = said(&unknown, own).await;
        let expected = "branch key \"acme\" has no item \
             \"branch:version:abababab-abab-abab-abab-abababababab\" in table table-1; it was \
             deleted, or never made";
        assert_eq!(said, failed(expected));
    });
    assert_eq!(unasked.await, (1, 0));
    let opened = keyring.unwrap_key(&keys, request).await;
    assert_eq!(opened.unwrap().index, 0);
}

#[tokio::test]
async fn a_deleted_version_opens_nothing_once_it_is_forgotten() {
    let (services, keyring, clock) = started().await;
    let message = seal(&keyring, UNSIGNED).await;
    opens(&keyring, &message).await;
    let item_type = version_type(&version_of(&message));
    services
        .dynamo_db
        .remove_item(TABLE, ID, &item_type)
        .unwrap();
    clock.set(589);
    opens(&keyring, &message).await;
    clock.set(600);
    let (was_tried, reason) = attempt(&keyring, &message).await;
    let expected = format!("branch key \"acme\" has no item {item_type:?} in table table-1;");
    assert!(was_tried && reason.starts_with(&expected), "{reason}");
    let error = decrypt(&keyring, &message, &opening()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoKey);
}

#[tokio::test]
async fn an_altered_item_opens_nothing() {
    let (services, keyring, _) = started().await;
    let mut item = services.item(ID, ACTIVE);
    item.insert(
        "create-time".to_owned(),
        text("2026-01-01T00:00:00.000000Z"),
    );
    services.put(item);
    let error = refused_to_seal(&keyring).await;
    let expected = "branch key \"acme\", item \"branch:ACTIVE\": kms:Decrypt with key ";
    assert!(error.contains(expected), "{error}");
    assert!(error.contains("InvalidCiphertextException"), "{error}");
}

#[tokio::test]
async fn ten_thousand_puts_and_gets_are_counted() {
    const OBJECTS: u64 = 10_000;
    let (services, keyring, clock) = started().await;
    let calls = cost(&services, async {
        for _ in 0..OBJECTS {
            let message = seal(&keyring, UNSIGNED).await;
            opens(&keyring, &message).await;
        }
    });
    // The active version, and the same by its name.
    assert_eq!(calls.await, (2, 2));
    // A thousand in each of ten lifetimes.
    let calls = cost(&services, async {
        for index in 0..OBJECTS {
            clock.set(600 * (1 + index / 1000));
            let message = seal(&keyring, UNSIGNED).await;
            opens(&keyring, &message).await;
        }
    });
    assert_eq!(calls.await, (20, 20));
    // A signed message has a public key in its context, which makes each context another one.
    let calls = cost(&services, async {
        for _ in 0..10 {
            let suite = AlgorithmSuite::AES_256_GCM_HKDF_SHA512_COMMIT_KEY_ECDSA_P384;
            opens(&keyring, &seal(&keyring, suite).await).await;
        }
    });
    assert_eq!(calls.await, (0, 0));
    let calls = services.kms.total_calls() - services.kms.calls("Decrypt");
    assert_eq!(calls, 6, "making two branch keys");
}

#[tokio::test(start_paused = true)]
async fn a_thousand_tasks_on_a_cold_cache_are_one_read() {
    const TASKS: usize = 1000;
    let (services, keyring, _) = started().await;
    services.dynamo_db.set_latency(Duration::from_millis(50));
    services.kms.set_latency(Duration::from_millis(50));
    let keyring = Arc::new(keyring);
    let calls = cost(&services, async {
        let writers = (0..TASKS).map(|_| {
            let keyring = Arc::clone(&keyring);
            tokio::spawn(async move { seal(&*keyring, UNSIGNED).await })
        });
        let mut messages = Vec::new();
        for writer in writers.collect::<Vec<_>>() {
            messages.push(writer.await.unwrap());
        }
        assert_eq!(messages.len(), TASKS);
        messages
    });
    assert_eq!(calls.await, (1, 1));
    let message = seal(&*keyring, UNSIGNED).await;
    let calls = cost(&services, async {
        let readers = (0..TASKS).map(|_| {
            let (keyring, message) = (Arc::clone(&keyring), message.clone());
            tokio::spawn(async move { opens(&*keyring, &message).await })
        });
        for reader in readers.collect::<Vec<_>>() {
            reader.await.unwrap();
        }
    });
    assert_eq!(calls.await, (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_thousand_tasks_share_one_failure() {
    const TASKS: usize = 1000;
    let (services, _, _) = started().await;
    let (keyring, _) = keyring_of(impatient(&services), ID);
    let keyring = Arc::new(keyring);
    services.dynamo_db.set_latency(Duration::from_millis(50));
    services.dynamo_db.fail_next(u64::MAX, Fault::Unavailable);
    let calls = cost(&services, async {
        let writers = (0..TASKS).map(|_| {
            let keyring = Arc::clone(&keyring);
            tokio::spawn(async move { refused_to_seal(&*keyring).await })
        });
        for writer in writers.collect::<Vec<_>>() {
            let text = writer.await.unwrap();
            let expected = "dynamodb:GetItem of table table-1 in eu-west-1: the answer has no error \
                 code and cannot be read (request in-memory-";
            assert!(text.contains(expected), "{text}");
        }
    });
    assert_eq!(calls.await, (1, 0));
    // The failure is not kept.
    services.recover();
    seal(&*keyring, UNSIGNED).await;
}

#[tokio::test]
async fn a_clock_that_jumps_costs_reads_and_stops_nothing() {
    let (services, keyring, clock) = started().await;
    clock.set(1_000_000);
    let message = seal(&keyring, UNSIGNED).await;
    opens(&keyring, &message).await;
    for (seconds, calls) in [
        (1_000_589, (0, 0)),
        // Far ahead: both are too old.
        (9_000_000, (2, 2)),
        (9_000_001, (0, 0)),
        // Back: nobody knows how old they are.
        (1_000_000, (2, 2)),
        (1_000_000, (0, 0)),
        (0, (2, 2)),
        (u64::MAX / 2, (2, 2)),
        (u64::MAX / 2, (0, 0)),
        (5, (2, 2)),
        (6, (0, 0)),
    ] {
        clock.set(seconds);
        let cost = cost(&services, async {
            seal(&keyring, UNSIGNED).await;
            opens(&keyring, &message).await;
        });
        assert_eq!(cost.await, calls, "at {seconds}");
    }
}

#[tokio::test]
async fn an_outage_within_the_lifetime_stops_nobody() {
    for outage in ["KMS", "DynamoDB"] {
        let (services, _, _) = started().await;
        let (keyring, clock) = keyring_of(impatient(&services), ID);
        let message = seal(&keyring, UNSIGNED).await;
        opens(&keyring, &message).await;
        match outage {
            "KMS" => services.kms.fail_next(u64::MAX, Fault::InternalError),
            _ => services.dynamo_db.fail_next(u64::MAX, Fault::InternalError),
        }
        let reads = async |seconds: u64| {
            clock.set(seconds);
            let before = services.calls();
            for _ in 0..5 {
                seal(&keyring, UNSIGNED).await;
                opens(&keyring, &message).await;
            }
            services.calls().0 - before.0
        };
        assert_eq!(reads(589).await, 0);
        // In the grace period somebody tries once a second, for each of the two versions, and goes on
        // with what there is.
        assert_eq!(reads(590).await, 2);
        assert_eq!(reads(590).await, 0);
        assert_eq!(reads(591).await, 2);
        assert_eq!(reads(599).await, 2);
        // Not beyond the lifetime: whoever took the permission away must be heard.
        clock.set(600);
        let error = decrypt(&keyring, &message, &opening()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
        let Error::NotUnwrapped(report) = error else {
            panic!("{error}")
        };
        let attempts: &[Attempt] = report.attempts();
        let code = match outage {
            "KMS" => "KMSInternalException",
            _ => "InternalServerError",
        };
        assert!(attempts[0].reason().contains(code), "{attempts:?}");
        assert!(refused_to_seal(&keyring).await.contains(code));
        services.recover();
        seal(&keyring, UNSIGNED).await;
        opens(&keyring, &message).await;
    }
}

#[tokio::test]
async fn a_renewal_within_the_grace_period_starts_a_new_lifetime() {
    let (services, keyring, clock) = started().await;
    seal(&keyring, UNSIGNED).await;
    let version = services.store().create_version(ID).await.unwrap();
    clock.set(589);
    assert_ne!(version_of(&seal(&keyring, UNSIGNED).await), version);
    clock.set(590);
    let renewal = cost(&services, async {
        assert_eq!(version_of(&seal(&keyring, UNSIGNED).await), version);
    });
    assert_eq!(renewal.await, (1, 1));
    for seconds in [591, 600, 1179] {
        clock.set(seconds);
        let calls = cost(&services, seal(&keyring, UNSIGNED)).await;
        assert_eq!(calls, (0, 0), "at {seconds}");
    }
    clock.set(1180);
    assert_eq!(cost(&services, seal(&keyring, UNSIGNED)).await, (1, 1));
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_for_a_renewal_but_the_one_who_does_it() {
    let (services, keyring, clock) = started().await;
    let keyring = Arc::new(keyring);
    seal(&*keyring, UNSIGNED).await;
    services.kms.set_latency(Duration::from_secs(5));
    clock.set(595);
    let start = Instant::now();
    let renewing = Arc::clone(&keyring);
    let renewing = tokio::spawn(async move { seal(&*renewing, UNSIGNED).await });
    // It runs until it waits for KMS.
    tokio::task::yield_now().await;
    assert_eq!(services.dynamo_db.calls("GetItem"), 4);
    let calls = cost(&services, async {
        for _ in 0..1000 {
            seal(&*keyring, UNSIGNED).await;
        }
    });
    assert_eq!(calls.await, (0, 0));
    assert_eq!(start.elapsed(), Duration::ZERO);
    renewing.await.unwrap();
    assert!(start.elapsed() >= Duration::from_secs(5));
    // Without a grace period whoever comes at the end waits.
    let keyring = keyring_of(services.store(), ID).0;
    let keyring = clock.of(keyring.with_grace(Duration::ZERO).unwrap());
    clock.set(0);
    seal(&keyring, UNSIGNED).await;
    clock.set(599);
    assert_eq!(cost(&services, seal(&keyring, UNSIGNED)).await, (0, 0));
    clock.set(600);
    let start = Instant::now();
    assert_eq!(cost(&services, seal(&keyring, UNSIGNED)).await, (1, 1));
    assert!(start.elapsed() >= Duration::from_secs(5));
}

#[tokio::test]
async fn partitions_are_shared_by_their_name_alone() {
    let (services, _, _) = started().await;
    let cache = BranchKeyCache::new(100).unwrap();
    let keyring = |store: BranchKeyStore| {
        let (keyring, _) = keyring_of(store, ID);
        keyring.with_cache(cache.clone())
    };
    let one = keyring(services.store()).with_partition("team");
    assert_eq!(cost(&services, seal(&one, UNSIGNED)).await, (1, 1));
    let same = keyring(services.store()).with_partition("team");
    assert_eq!(cost(&services, seal(&same, UNSIGNED)).await, (0, 0));
    assert_eq!((cache.hits(), cache.misses(), cache.len()), (1, 1, 1));
    let another = keyring(services.store()).with_partition("other team");
    assert_eq!(cost(&services, seal(&another, UNSIGNED)).await, (1, 1));
    // Partitions that nobody named are random.
    for _ in 0..2 {
        let unnamed = keyring(services.store());
        assert_eq!(cost(&services, seal(&unnamed, UNSIGNED)).await, (1, 1));
        assert_eq!(cost(&services, seal(&unnamed, UNSIGNED)).await, (0, 0));
    }
    assert_eq!(cache.len(), 4);
    // A store of another name has other branch keys, whatever their ids.
    let store = services.store().with_logical_name("elsewhere").unwrap();
    store
        .create_key(Some("only there"), &purpose())
        .await
        .unwrap();
    let elsewhere = keyring(store).with_partition("team");
    let error = refused_to_seal(&elsewhere).await;
    assert!(error.contains("InvalidCiphertextException"), "{error}");
}

#[tokio::test]
async fn the_shorter_of_two_lifetimes_counts_for_its_keyring() {
    let (services, _, _) = started().await;
    let cache = BranchKeyCache::new(100).unwrap();
    let clock = Clock::default();
    let keyring = |seconds: u64| {
        let lifetime = Duration::from_secs(seconds);
        let supplier = BranchKeyIdSupplier::fixed(ID);
        let keyring = Hierarchical::new(services.store(), supplier, lifetime).unwrap();
        let keyring = keyring.with_cache(cache.clone()).with_partition("team");
        clock.of(keyring.with_grace(Duration::ZERO).unwrap())
    };
    let (long, short) = (keyring(600), keyring(60));
    seal(&long, UNSIGNED).await;
    clock.set(59);
    assert_eq!(cost(&services, seal(&short, UNSIGNED)).await, (0, 0));
    clock.set(60);
    assert_eq!(cost(&services, seal(&short, UNSIGNED)).await, (1, 1));
    assert_eq!(cost(&services, seal(&long, UNSIGNED)).await, (0, 0));
}

#[tokio::test]
async fn no_more_is_kept_than_the_capacity() {
    let (services, keyring, _) = started().await;
    let cache = BranchKeyCache::new(1).unwrap();
    let keyring = keyring.with_cache(cache.clone());
    let message = seal(&keyring, UNSIGNED).await;
    assert_eq!(cache.len(), 1);
    let calls = cost(&services, async {
        for _ in 0..3 {
            opens(&keyring, &message).await;
            seal(&keyring, UNSIGNED).await;
            assert_eq!(cache.len(), 1);
        }
    });
    // One of the two at most is there; which one is for the cache to choose.
    assert!(calls.await.0 >= 3);
}

#[tokio::test]
async fn a_permission_that_is_taken_away_ends_with_the_cache() {
    let (services, keyring, _) = started().await;
    let cache = BranchKeyCache::new(10).unwrap();
    let keyring = keyring.with_cache(cache.clone());
    let message = seal(&keyring, UNSIGNED).await;
    opens(&keyring, &message).await;
    services.kms.deny("Decrypt");
    opens(&keyring, &message).await;
    cache.clear();
    assert!(cache.is_empty());
    let (was_tried, reason) = attempt(&keyring, &message).await;
    assert!(
        was_tried && reason.contains("allow kms:Decrypt to "),
        "{reason}"
    );
    let error = decrypt(&keyring, &message, &opening()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoKey);
}

#[tokio::test]
async fn lifetimes_and_capacities_have_limits() {
    let (services, _, _) = started().await;
    let new = |lifetime: Duration| {
        let supplier = BranchKeyIdSupplier::fixed(ID);
        Hierarchical::new(services.store(), supplier, lifetime)
    };
    assert_eq!(
        new(Duration::ZERO).unwrap_err().to_string(),
        "the cache's age limit must be above zero"
    );
    // The grace period shrinks with a short lifetime.
    for lifetime in [
        Duration::from_nanos(1),
        Duration::from_secs(5),
        Duration::MAX,
    ] {
        let keyring = new(lifetime).unwrap();
        assert!(keyring.with_grace(lifetime / 2).is_ok());
        let error = new(lifetime).unwrap().with_grace(lifetime).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the cache's grace period must be shorter than its age limit"
        );
    }
    assert_eq!(
        BranchKeyCache::new(0).unwrap_err().to_string(),
        "the cache's capacity must be at least 1"
    );
}

#[tokio::test]
async fn a_data_key_is_wrapped_anew_for_each_message() {
    let (_, keyring, _) = started().await;
    let (suite, context) = (UNSIGNED, &context());
    let request = KeyRequest { suite, context };
    let data_key = DataKey::generate(suite).unwrap();
    let one = keyring.wrap_key(&data_key, request).await.unwrap();
    let two = keyring.wrap_key(&data_key, request).await.unwrap();
    // Salt and initialisation vector are random.
    assert_ne!(one[0].ciphertext()[..28], two[0].ciphertext()[..28]);
    assert_ne!(one[0].ciphertext()[44..], two[0].ciphertext()[44..]);
    for keys in [one, two] {
        let opened = keyring.unwrap_key(&keys, request).await.unwrap();
        assert_eq!(opened.data_key.expose(), data_key.expose());
    }
}

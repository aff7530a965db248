//! How long the hierarchical keyring keeps branch keys, and for whom.
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
use std::time::Duration;

use envelope::{Error, ErrorKind, decrypt};
use envelope_aws_kms::test_util::Fault;
use envelope_aws_kms::{BranchKeyCache, BranchKeyIdSupplier, BranchKeyStore, Hierarchical};
use support::branch_keys::{
    Clock, ID, TABLE, cost, impatient, keyring_of, purpose, started, version_of, version_type,
};
use support::{UNSIGNED, attempt, opening, opens, refused_to_seal, seal};
use tokio::time::Instant;

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

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
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

// Failures are not kept: only a clock that waits for all tasks lets each of them come in time.
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
        let attempts = report.attempts();
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
    let (keyring, clock) = keyring_of(services.store(), ID);
    let keyring = keyring.with_grace(Duration::ZERO).unwrap();
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
    let clock = Clock::default();
    let cache = clock.cache();
    let keyring = |seconds: u64| {
        let lifetime = Duration::from_secs(seconds);
        let supplier = BranchKeyIdSupplier::fixed(ID);
        let keyring = Hierarchical::new(services.store(), supplier, lifetime).unwrap();
        let keyring = keyring.with_cache(cache.clone()).with_partition("team");
        keyring.with_grace(Duration::ZERO).unwrap()
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
    assert_eq!(error.kind(), ErrorKind::InvalidRequest);
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

//! What throttling, outages and slowness do, and how many calls there are.
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

use aws_sdk_kms::Client;
use aws_sdk_kms::config::Builder;
use aws_sdk_kms::config::retry::RetryConfig;
use aws_sdk_kms::config::timeout::TimeoutConfig;
use aws_sdk_kms::types::{KeySpec, KeyState};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use envelope::keyring::KeyRequest;
use envelope::{
    CacheLimits, CachingManager, Keyring, MaterialsCache, RsaPadding, decrypt, encrypt,
};
use envelope_aws_kms::test_util::{Fault, InMemoryKms};
use envelope_aws_kms::{Discovery, Ecdh, Rsa, Strict};
use support::{
    REGION, UNSIGNED, attempt, context, opening, opens, refused_to_seal, seal, sealing, symmetric,
};
use tokio::time::Instant;

const FAULTS: [Fault; 4] = [
    Fault::Throttled,
    Fault::InternalError,
    Fault::Unavailable,
    Fault::ConnectionReset,
];

/// A KMS and a keyring of its one key, over a client that is tuned.
fn tuned(tune: impl FnOnce(Builder) -> Builder) -> (InMemoryKms, Strict) {
    let kms = InMemoryKms::new();
    let arn = symmetric(&kms);
    let client = Client::from_conf(tune(kms.config(REGION)).build());
    (kms, Strict::new(client, arn.to_string()).unwrap())
}

fn patient() -> (InMemoryKms, Strict) {
    tuned(|config| config)
}

fn cached(keyring: Strict, age: Duration) -> (CachingManager, Arc<AtomicU64>) {
    let seconds = Arc::new(AtomicU64::new(0));
    let now = Arc::clone(&seconds);
    let clock = move || Duration::from_secs(now.load(Ordering::Relaxed));
    let cache = MaterialsCache::with_clock(100, clock).unwrap();
    let manager = CachingManager::new(keyring, cache, CacheLimits::new(age));
    (manager.unwrap(), seconds)
}

#[tokio::test(start_paused = true)]
async fn what_passes_is_tried_again() {
    let (kms, keyring) = patient();
    for fault in FAULTS {
        let calls = kms.total_calls();
        kms.fail_next(2, fault);
        let message = seal(&keyring, UNSIGNED).await;
        assert_eq!(kms.total_calls(), calls + 3, "{fault:?}");
        kms.fail_next(2, fault);
        opens(&keyring, &message).await;
        assert_eq!(kms.total_calls(), calls + 6, "{fault:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_never_passes_is_given_up() {
    for (attempts, fault) in [1, 3, 5]
        .into_iter()
        .flat_map(|n| FAULTS.map(|fault| (n, fault)))
    {
        let retries = RetryConfig::standard().with_max_attempts(attempts);
        let (kms, keyring) = tuned(|config| config.retry_config(retries));
        let message = seal(&keyring, UNSIGNED).await;
        let calls = kms.total_calls();
        kms.fail_next(u64::MAX, fault);
        let (was_tried, reason) = attempt(&keyring, &message).await;
        assert!(was_tried);
        assert_eq!(kms.total_calls(), calls + u64::from(attempts), "{fault:?}");
        let expected = match fault {
            Fault::Throttled => "ThrottlingException: too many requests; try again later (request ",
            Fault::InternalError => "KMSInternalException (request ",
            Fault::Unavailable => "the answer has no error code and cannot be read (request ",
            _ => "no answer: ",
        };
        assert!(reason.contains(expected), "{reason}");
        let text = refused_to_seal(&keyring).await;
        assert!(text.contains(expected), "{text}");
        kms.recover();
        opens(&keyring, &message).await;
    }
}

#[tokio::test(start_paused = true)]
async fn asymmetric_keys_are_tried_as_often() {
    let kms = InMemoryKms::new();
    let client = || kms.client(REGION);
    let rsa = kms.create_key(REGION, KeySpec::Rsa2048).unwrap();
    let public_key = Rsa::fetch_public_key(client(), rsa.to_string(), &[]).await;
    let rsa = Rsa::new(client(), rsa.to_string(), RsaPadding::OaepSha256).unwrap();
    let rsa = rsa.with_public_key(public_key.unwrap());
    let curve = kms.create_key(REGION, KeySpec::EccNistP256).unwrap();
    let point = Ecdh::fetch_public_key(client(), curve.to_string(), &[]).await;
    let point = point.unwrap();
    let ecdh = Ecdh::between(client(), curve.to_string(), point.clone(), point).unwrap();
    for (keyring, operation) in [
        (Box::new(rsa) as Box<dyn Keyring>, "Decrypt"),
        (Box::new(ecdh), "DeriveSharedSecret"),
    ] {
        let message = seal(&*keyring, UNSIGNED).await;
        for fault in FAULTS {
            let calls = kms.total_calls();
            kms.fail_next(2, fault);
            opens(&*keyring, &message).await;
            assert_eq!(kms.total_calls(), calls + 3, "{operation} {fault:?}");
            kms.fail_next(u64::MAX, fault);
            let (was_tried, reason) = attempt(&*keyring, &message).await;
            let expected = format!("kms:{operation} with key ");
            assert!(was_tried && reason.starts_with(&expected), "{reason}");
            assert_eq!(kms.total_calls(), calls + 6, "{operation} {fault:?}");
            kms.recover();
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_long_outage_causes_no_storm() {
    let (kms, keyring) = patient();
    let message = seal(&keyring, UNSIGNED).await;
    let calls = kms.total_calls();
    kms.fail_next(u64::MAX, Fault::Unavailable);
    for _ in 0..1000 {
        attempt(&keyring, &message).await;
    }
    // Two retries each would be 3000; the SDK's quota ends that.
    let calls = kms.total_calls() - calls;
    assert!((1000..1100).contains(&calls), "{calls} requests");
}

#[tokio::test(start_paused = true)]
async fn slowness_ends_at_the_time_out() {
    let whole = TimeoutConfig::builder()
        .operation_timeout(Duration::from_secs(5))
        .build();
    let each = TimeoutConfig::builder()
        .operation_attempt_timeout(Duration::from_secs(2))
        .build();
    let read = TimeoutConfig::builder()
        .read_timeout(Duration::from_secs(2))
        .build();
    for (timeouts, requests, reason_text, longest) in [
        (whole, 1, "no answer: the time allowed is over", 5),
        (each, 3, "no answer: the time allowed is over", 60),
        (read, 3, "the read time-out is over", 60),
    ] {
        let (kms, keyring) = tuned(|config| config.timeout_config(timeouts));
        let message = seal(&keyring, UNSIGNED).await;
        let calls = kms.total_calls();
        kms.set_latency(Duration::from_secs(3600));
        let start = Instant::now();
        let (was_tried, reason) = attempt(&keyring, &message).await;
        assert!(was_tried && reason.contains(reason_text), "{reason}");
        assert!(
            start.elapsed() <= Duration::from_secs(longest),
            "{:?}",
            start.elapsed()
        );
        assert_eq!(kms.total_calls(), calls + requests, "{reason}");
        // A latency below the time-out is waited for.
        kms.set_latency(Duration::from_secs(1));
        opens(&keyring, &message).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_thousand_tasks_on_a_cold_cache_are_one_call() {
    const TASKS: usize = 1000;
    let (kms, keyring) = patient();
    kms.set_latency(Duration::from_millis(50));
    let (manager, _) = cached(keyring, Duration::from_secs(600));
    let manager = Arc::new(manager);
    let writers = (0..TASKS).map(|_| {
        let manager = Arc::clone(&manager);
        tokio::spawn(async move { encrypt(&*manager, b"hello", &sealing(UNSIGNED)).await })
    });
    let writers: Vec<_> = writers.collect();
    let mut messages = Vec::new();
    for writer in writers {
        messages.push(writer.await.unwrap().unwrap());
    }
    assert_eq!(kms.total_calls(), 1);
    let readers = messages.into_iter().map(|message| {
        let manager = Arc::clone(&manager);
        tokio::spawn(async move { decrypt(&*manager, &message, &opening()).await })
    });
    let readers: Vec<_> = readers.collect();
    for reader in readers {
        assert_eq!(reader.await.unwrap().unwrap().plaintext, b"hello");
    }
    assert_eq!((kms.calls("GenerateDataKey"), kms.calls("Decrypt")), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_cached_data_key_outlives_an_outage_within_its_lifetime() {
    let (kms, keyring) = patient();
    let message = seal(&keyring, UNSIGNED).await;
    let (manager, seconds) = cached(keyring, Duration::from_secs(600));
    opens(&manager, &message).await;
    kms.fail_next(u64::MAX, Fault::ConnectionReset);
    let calls = kms.total_calls();
    seconds.store(599, Ordering::Relaxed);
    opens(&manager, &message).await;
    assert_eq!(kms.total_calls(), calls);
    // Not beyond it: whoever took the permission away must be heard.
    seconds.store(600, Ordering::Relaxed);
    let error = decrypt(&manager, &message, &opening()).await.unwrap_err();
    assert!(error.to_string().contains("no answer: "), "{error}");
    kms.recover();
    opens(&manager, &message).await;
}

#[tokio::test]
async fn a_clock_that_jumps_costs_a_call_and_no_more() {
    let (kms, keyring) = patient();
    let message = seal(&keyring, UNSIGNED).await;
    let (manager, seconds) = cached(keyring, Duration::from_secs(600));
    seconds.store(1000, Ordering::Relaxed);
    opens(&manager, &message).await;
    // Forward, to the end of time, and back before the key was fetched: its age is not known then.
    for time in [2000, u64::MAX, 1000, 0] {
        let calls = kms.total_calls();
        seconds.store(time, Ordering::Relaxed);
        opens(&manager, &message).await;
        assert_eq!(kms.total_calls(), calls + 1, "{time}");
    }
    // Time goes on from there.
    let calls = kms.total_calls();
    for time in [1, 599] {
        seconds.store(time, Ordering::Relaxed);
        opens(&manager, &message).await;
    }
    assert_eq!(kms.total_calls(), calls);
}

#[tokio::test(start_paused = true)]
async fn no_text_holds_a_secret() {
    let (kms, keyring) = tuned(|config| config.retry_config(RetryConfig::disabled()));
    let (suite, context) = (UNSIGNED, &context());
    let request = KeyRequest { suite, context };
    let (data_key, keys) = keyring.generate_key(request).await.unwrap();
    let secret = data_key.expose();
    let hex: String = secret.iter().map(|byte| format!("{byte:02x}")).collect();
    let secrets = [
        STANDARD.encode(secret),
        hex,
        format!("{secret:?}").replace(['[', ']'], ""),
        STANDARD.encode(keys[0].ciphertext()),
        "acme".to_owned(),
    ];
    let discovery = Discovery::new(kms.client(REGION));
    let mut texts = vec![format!("{keyring:?} {discovery:?} {kms:?} {data_key:?}")];
    for fault in FAULTS {
        kms.fail_next(2, fault);
        let error = keyring.wrap_key(&data_key, request).await.unwrap_err();
        texts.push(format!("{error} {error:?}"));
        let attempts = keyring.unwrap_key(&keys, request).await.unwrap_err();
        texts.push(format!("{} {attempts:?}", attempts[0]));
    }
    let arn = String::from_utf8(keys[0].provider_info().to_vec()).unwrap();
    kms.set_key_state(&arn.parse().unwrap(), KeyState::Disabled)
        .unwrap();
    let error = keyring.wrap_key(&data_key, request).await.unwrap_err();
    texts.push(format!("{error} {error:?}"));
    assert_eq!(texts.len(), 10);
    for text in texts {
        for secret in &secrets {
            assert!(!text.contains(secret), "{text}");
        }
    }
}

//! What is sent, how often, and what of the answers reaches the caller.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    unreachable_pub,
    reason = "a test stops at the first surprise"
)]

mod support;

use std::time::Duration;

use envelope::keyring::KeyRequest;
use envelope::{
    AlgorithmSuite, CommitmentPolicy, DataKey, DecryptOptions, DecryptionRequest, EncryptOptions,
    EncryptedDataKey, EncryptionContext, ErrorKind, Keyring, MaterialsManager,
};
use envelope_vault::{Binding, Error, PROVIDER_ID, Token, Transit, Vault};
use support::{Listener, Reply, TOKEN, value};
use tokio::time::Instant;

const ENCRYPT: &str = "POST /v1/transit/encrypt/objects";
const DECRYPT: &str = "POST /v1/transit/decrypt/objects";
const KEY: &str = "GET /v1/transit/keys/objects";
const LOOK_UP: &str = "GET /v1/auth/token/lookup-self";
const RENEW: &str = "POST /v1/auth/token/renew-self";
const SUITE: AlgorithmSuite = AlgorithmSuite::AES_256_GCM_HKDF_SHA512_COMMIT_KEY;

fn reply(status: u16, body: &str) -> Option<Reply> {
    Some(Reply(status, "", body.to_owned()))
}

/// A data key that is all `A` in base64.
fn data_key() -> DataKey {
    DataKey::from_bytes(vec![0; 32], SUITE).unwrap()
}

const PLAINTEXT: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

async fn wrap(keyring: &Transit) -> Result<Vec<EncryptedDataKey>, String> {
    let context = EncryptionContext::default();
    let request = KeyRequest {
        suite: SUITE,
        context: &context,
    };
    let wrapped = keyring.wrap_key(&data_key(), request).await;
    wrapped.map_err(|error| error.to_string())
}

async fn unwrap(keyring: &Transit, keys: &[EncryptedDataKey]) -> Result<usize, Vec<String>> {
    let context = EncryptionContext::default();
    let request = KeyRequest {
        suite: SUITE,
        context: &context,
    };
    match keyring.unwrap_key(keys, request).await {
        Ok(unwrapped) => Ok(unwrapped.index),
        Err(attempts) => Err(attempts.iter().map(ToString::to_string).collect()),
    }
}

fn wrapped_key() -> EncryptedDataKey {
    EncryptedDataKey::new(
        PROVIDER_ID,
        "transit/objects",
        format!("vault:v1:{PLAINTEXT}"),
    )
}

#[tokio::test]
async fn a_message_names_mount_and_key_and_the_context_is_bound() {
    let listener = Listener::start(|_, _| None).await;
    let keyring = listener.keyring();
    let context = EncryptionContext::new([("tenant", "acme")]).unwrap();
    let options = EncryptOptions::default()
        .with_suite(SUITE)
        .with_context(context);
    let message = envelope::encrypt(&keyring, b"hello", &options)
        .await
        .unwrap();
    let opened = envelope::decrypt(&keyring, &message, &DecryptOptions::default())
        .await
        .unwrap();
    assert_eq!(opened.plaintext, b"hello");
    let lines: Vec<_> = listener.requests().into_iter().map(|r| r.line).collect();
    assert_eq!(lines, [LOOK_UP, KEY, ENCRYPT, DECRYPT]);
    for request in &listener.requests()[2..] {
        assert_eq!(
            value(&request.body, "associated_data"),
            "AAEABnRlbmFudAAEYWNtZQ=="
        );
        assert_eq!(request.header("x-vault-token"), Some(TOKEN));
        assert_eq!(request.header("x-vault-request"), Some("true"));
        assert_eq!(request.header("x-vault-namespace"), None);
    }
    let wrapped = wrap(&keyring).await.unwrap().remove(0);
    assert_eq!(wrapped.provider_id(), "vault-transit");
    assert_eq!(wrapped.provider_info(), b"transit/objects");
    assert_eq!(
        wrapped.ciphertext(),
        format!("vault:v1:{PLAINTEXT}").as_bytes()
    );
}

#[tokio::test]
async fn the_namespace_goes_along_and_stands_in_errors() {
    let listener = Listener::start(|request, _| {
        (request.line == KEY).then(|| Reply(404, "", r#"{"errors":[]}"#.to_owned()))
    })
    .await;
    let vault = listener.builder().namespace("team/a").build().unwrap();
    let keyring = Transit::new(vault, "/transit/", "objects").unwrap();
    let error = keyring.check().await.unwrap_err();
    assert!(matches!(error, Error::NoKey { .. }));
    assert_eq!(error.kind(), ErrorKind::InvalidRequest);
    assert_eq!(
        error.to_string(),
        "transit/keys/objects in namespace team/a: there is no such key (status 404); correct its name, or create it"
    );
    let sent = listener.requests();
    assert_eq!(sent[0].header("x-vault-namespace"), Some("team/a"));
}

#[tokio::test]
async fn passing_failures_are_tried_again() {
    for status in [429, 500, 502, 503, 504] {
        let listener = Listener::start(move |request, nth| {
            let fails = request.line == ENCRYPT && nth < 2;
            fails.then(|| Reply(status, "", r#"{"errors":["busy"]}"#.to_owned()))
        })
        .await;
        wrap(&listener.keyring()).await.unwrap();
        assert_eq!(listener.count(ENCRYPT), 3, "status {status}");
    }
}

#[tokio::test]
async fn lasting_failures_end_after_the_retries_that_were_asked_for() {
    let listener = Listener::start(|request, _| {
        (request.line == ENCRYPT).then(|| Reply(500, "", r#"{"errors":["no disk"]}"#.to_owned()))
    })
    .await;
    let vault = listener.builder().retries(1).build().unwrap();
    let keyring = Transit::new(vault, "transit", "objects").unwrap();
    let error = wrap(&keyring).await.unwrap_err();
    assert_eq!(
        error,
        "Vault transit transit/objects: transit/encrypt/objects: no success (attempts: 2): status 500, \"no disk\"; check the address, the network and the server's health"
    );
    assert_eq!(listener.count(ENCRYPT), 2);
}

#[tokio::test]
async fn refusals_and_sealed_servers_are_asked_once() {
    for (status, text) in [
        (400, "bad request"),
        (403, "permission denied"),
        (404, "not here"),
        (503, "Vault is sealed"),
    ] {
        let listener = Listener::start(move |request, _| {
            let body = format!(r#"{{"errors":["{text}"]}}"#);
            reply(status, &body).filter(|_| request.line == ENCRYPT)
        })
        .await;
        let error = wrap(&listener.keyring()).await.unwrap_err();
        assert!(error.contains(text), "{error}");
        assert_eq!(listener.count(ENCRYPT), 1, "{text}");
    }
}

#[tokio::test]
async fn the_wait_that_the_server_wants_is_kept_or_ends_it() {
    let listener = Listener::start(|request, nth| {
        let fails = request.line == ENCRYPT && nth < 1;
        fails.then(|| Reply(429, "retry-after: 1\r\n", String::new()))
    })
    .await;
    let started = Instant::now();
    wrap(&listener.keyring()).await.unwrap();
    assert!(started.elapsed() >= Duration::from_secs(1));

    let listener = Listener::start(|request, _| {
        (request.line == ENCRYPT).then(|| Reply(429, "retry-after: 60\r\n", String::new()))
    })
    .await;
    let error = wrap(&listener.keyring()).await.unwrap_err();
    assert!(error.contains("(attempts: 1): status 429"), "{error}");
}

#[tokio::test]
async fn nobody_listening_ends_soon_and_says_so() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", free.local_addr().unwrap());
    drop(free);
    let token = Token::new(TOKEN.to_owned()).unwrap();
    let vault = Vault::builder(address).token(token).allow_http();
    let keyring = Transit::new(vault.build().unwrap(), "transit", "objects").unwrap();
    let started = Instant::now();
    let error = keyring.check().await.unwrap_err();
    assert!(started.elapsed() < Duration::from_secs(10));
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    let Error::Unreachable {
        attempts, reason, ..
    } = error
    else {
        panic!("{error}");
    };
    assert_eq!(attempts, 4);
    assert!(reason.contains("Connection refused"), "{reason}");
}

#[tokio::test]
async fn a_server_that_is_silent_is_given_the_configured_time() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", silent.local_addr().unwrap());
    let token = Token::new(TOKEN.to_owned()).unwrap();
    let vault = Vault::builder(address)
        .token(token)
        .allow_http()
        .timeout(Duration::from_millis(300))
        .retries(1);
    let keyring = Transit::new(vault.build().unwrap(), "transit", "objects").unwrap();
    let started = Instant::now();
    let error = keyring.check().await.unwrap_err();
    // The look-up of the token, and the request twice.
    assert!(started.elapsed() >= Duration::from_millis(900));
    assert!(started.elapsed() < Duration::from_secs(5));
    assert!(
        matches!(&error, Error::Unreachable { attempts: 2, .. }),
        "{error}"
    );
}

#[tokio::test]
async fn no_error_repeats_a_secret() {
    let listener = Listener::start(|request, _| {
        let token = request.header("x-vault-token").unwrap();
        let body = request.body.replace('"', " ");
        let transit = request.line.starts_with("POST /v1/transit");
        transit.then(|| Reply(400, "", format!(r#"{{"errors":["{token}","{body}"]}}"#)))
    })
    .await;
    let keyring = listener.keyring();
    let mut texts = vec![wrap(&keyring).await.unwrap_err(), format!("{keyring:?}")];
    texts.extend(unwrap(&keyring, &[wrapped_key()]).await.unwrap_err());
    assert_eq!(listener.count(ENCRYPT) + listener.count(DECRYPT), 2);
    for text in &texts {
        for secret in [TOKEN, PLAINTEXT] {
            assert!(!text.contains(secret), "{text}");
        }
    }
    assert!(texts[0].contains("(withheld, as it repeats a secret)"));
}

#[tokio::test]
async fn a_message_of_very_many_keys_causes_few_requests() {
    let listener = Listener::start(|request, _| {
        let body = r#"{"errors":["cipher: message authentication failed"]}"#;
        (request.line == DECRYPT).then(|| Reply(400, "", body.to_owned()))
    })
    .await;
    let keys = vec![wrapped_key(); 65_535];
    let attempts = unwrap(&listener.keyring(), &keys).await.unwrap_err();
    assert_eq!(listener.count(DECRYPT), 10);
    assert_eq!(attempts.len(), 1000);
    assert_eq!(
        attempts[9],
        "Vault transit transit/objects: failed: transit/decrypt/objects: not authentic (status 400, \"cipher: message authentication failed\"): another key, another encryption context, or tampered"
    );
    assert_eq!(
        attempts[10],
        "Vault transit transit/objects: skipped: ten of this name were tried before"
    );
}

#[tokio::test]
async fn a_failure_that_is_not_the_keys_own_ends_the_search() {
    let listener = Listener::start(|request, _| {
        (request.line == DECRYPT)
            .then(|| Reply(403, "", r#"{"errors":["permission denied"]}"#.to_owned()))
    })
    .await;
    let keys = vec![wrapped_key(); 5];
    let attempts = unwrap(&listener.keyring(), &keys).await.unwrap_err();
    assert_eq!(
        attempts,
        [
            "Vault transit transit/objects: failed: transit/decrypt/objects: permission denied (status 403, \"permission denied\"); the token needs a policy with capability \"update\" on this path"
        ]
    );
    assert_eq!(listener.count(DECRYPT), 1);
}

#[tokio::test]
async fn a_403_that_nobody_explains_is_not_about_one_key() {
    let listener = Listener::start(|request, _| match request.line.as_str() {
        DECRYPT => reply(403, r#"{"errors":["permission denied"]}"#),
        LOOK_UP => reply(503, r#"{"errors":["busy"]}"#),
        _ => None,
    })
    .await;
    let context = EncryptionContext::default();
    let keys = vec![wrapped_key(); 5];
    let request = DecryptionRequest {
        suite: SUITE,
        policy: CommitmentPolicy::default(),
        encrypted_data_keys: &keys,
        context: &context,
        expected_context: &context,
    };
    let error = listener.keyring().decryption_materials(request).await;
    let error = error.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidRequest);
    assert_eq!(listener.count(DECRYPT), 1);
    // Before the first request, and to find the cause.
    assert_eq!(listener.count(LOOK_UP), 2);
    let envelope::Error::NotUnwrapped(report) = error else {
        panic!("{error}")
    };
    let attempts: Vec<_> = report.attempts().iter().map(ToString::to_string).collect();
    assert_eq!(
        attempts,
        [
            "Vault transit transit/objects: failed: transit/decrypt/objects: refused (status 403, \"permission denied\")"
        ]
    );
}

#[tokio::test]
async fn keys_of_others_are_skipped_without_a_request() {
    let listener = Listener::start(|_, _| None).await;
    let keys = [
        EncryptedDataKey::new("aws-kms", "transit/objects", "vault:v1:AAAA"),
        EncryptedDataKey::new(PROVIDER_ID, "transit/object", "vault:v1:AAAA"),
        EncryptedDataKey::new(PROVIDER_ID, "transit/objects2", "vault:v1:AAAA"),
        EncryptedDataKey::new(PROVIDER_ID, "transit/objects", "vault:v1:\"}"),
    ];
    let attempts = unwrap(&listener.keyring(), &keys).await.unwrap_err();
    let reasons: Vec<_> = attempts
        .iter()
        .map(|text| text.strip_prefix("Vault transit transit/objects: skipped: "))
        .collect();
    assert_eq!(
        reasons,
        [
            Some("another provider"),
            Some("another mount or key"),
            Some("another mount or key"),
            Some("the wrapped key has not the form `vault:v1:…`"),
        ]
    );
    assert!(listener.requests().is_empty());
}

#[tokio::test]
async fn answers_that_break_the_interface_are_refused() {
    for (line, body, reason) in [
        (ENCRYPT, "<html>", "is not the JSON that was expected"),
        (
            ENCRYPT,
            r#"{"data":null}"#,
            "is not the JSON that was expected",
        ),
        (
            ENCRYPT,
            r#"{"data":{"ciphertext":"AAAA"}}"#,
            "holds no ciphertext of the form `vault:v1:…`",
        ),
        (
            DECRYPT,
            r#"{"data":{"plaintext":"?"}}"#,
            "holds a plaintext that is not base64",
        ),
        (
            DECRYPT,
            r#"{"data":{"plaintext":"AAAA"}}"#,
            "the unwrapped key has the wrong length for the algorithm suite",
        ),
    ] {
        let listener =
            Listener::start(move |request, _| reply(200, body).filter(|_| request.line == line))
                .await;
        let error = match line {
            ENCRYPT => wrap(&listener.keyring()).await.unwrap_err(),
            _ => unwrap(&listener.keyring(), &[wrapped_key()])
                .await
                .unwrap_err()[0]
                .clone(),
        };
        assert!(error.contains(reason), "{error}");
    }
}

#[tokio::test]
async fn another_kind_of_server_is_told_from_a_missing_key() {
    for (body, is_vault) in [(r#"{"errors":[]}"#, true), ("<html>", false), ("", false)] {
        let listener =
            Listener::start(move |request, _| reply(404, body).filter(|_| request.line == KEY))
                .await;
        let error = listener.keyring().check().await.unwrap_err();
        assert_eq!(matches!(error, Error::NoKey { .. }), is_vault, "{error}");
        let not_valid = matches!(error, Error::AnswerNotValid { .. });
        assert_eq!(not_valid, !is_vault, "{error}");
    }
}

#[tokio::test]
async fn an_answer_that_is_too_long_is_cut() {
    let listener = Listener::start(|request, _| {
        (request.line == ENCRYPT).then(|| Reply(200, "", "a".repeat(2 << 20)))
    })
    .await;
    let error = wrap(&listener.keyring()).await.unwrap_err();
    assert!(
        error.contains("(attempts: 1): the answer is too long"),
        "{error}"
    );
}

#[tokio::test]
async fn keys_that_do_not_fit_the_binding_never_wrap() {
    for (binding, data, reason) in [
        (
            Binding::DerivedKey,
            r#""type":"aes256-gcm96","derived":false"#,
            "the key is not derived",
        ),
        (
            Binding::AssociatedData,
            r#""type":"aes256-gcm96","derived":true"#,
            "the key is derived",
        ),
        (
            Binding::AssociatedData,
            r#""type":"rsa-4096","derived":false"#,
            "the key is of type \"rsa-4096\"",
        ),
    ] {
        let body = format!(r#"{{"data":{{{data}}}}}"#);
        let listener =
            Listener::start(move |request, _| reply(200, &body).filter(|_| request.line == KEY))
                .await;
        let keyring = listener.keyring().with_binding(binding);
        let error = keyring.check().await.unwrap_err();
        assert!(
            matches!(&error, Error::KeyUnfit { reason: found, .. } if found.contains(reason)),
            "{error}"
        );
        assert!(wrap(&keyring).await.unwrap_err().contains(reason));
        unwrap(&keyring, &[wrapped_key()]).await.unwrap_err();
        assert_eq!(listener.count(ENCRYPT) + listener.count(DECRYPT), 0);
    }
}

#[tokio::test]
async fn a_token_is_renewed_by_use_and_only_once() {
    let listener = Listener::start(|request, _| match request.line.as_str() {
        LOOK_UP => reply(200, r#"{"data":{"ttl":2,"renewable":true}}"#),
        RENEW => reply(200, r#"{"auth":{"lease_duration":3600,"renewable":true}}"#),
        _ => None,
    })
    .await;
    let keyring = listener.keyring();
    wrap(&keyring).await.unwrap();
    assert_eq!(listener.count(RENEW), 0);
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    for _ in 0..5 {
        wrap(&keyring).await.unwrap();
    }
    assert_eq!((listener.count(LOOK_UP), listener.count(RENEW)), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_tasks_look_up_one_token_once() {
    let listener = Listener::start(|_, _| None).await;
    let keyring = listener.keyring();
    let tasks: Vec<_> = (0..1000)
        .map(|_| {
            let keyring = keyring.clone();
            tokio::spawn(async move { wrap(&keyring).await })
        })
        .collect();
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    assert_eq!(listener.count(LOOK_UP), 1);
    assert_eq!(listener.count(ENCRYPT), 1000);
}

#[tokio::test]
async fn a_refused_token_is_read_again_once_and_a_new_one_used() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "hvs.old").unwrap();
    let listener = Listener::start(|request, _| {
        (request.header("x-vault-token") == Some("hvs.old"))
            .then(|| Reply(403, "", r#"{"errors":["permission denied"]}"#.to_owned()))
    })
    .await;
    let vault = Vault::builder(listener.url())
        .allow_http()
        .token_file(file.path())
        .build()
        .unwrap();
    let keyring = Transit::new(vault, "transit", "objects").unwrap();
    // The file still holds the refused one.
    let error = keyring.check().await.unwrap_err();
    assert!(matches!(error, Error::TokenRefused { .. }), "{error}");
    assert_eq!(listener.count(KEY), 1);
    std::fs::write(file.path(), "hvs.new\n").unwrap();
    keyring.check().await.unwrap();
    assert_eq!(listener.count(KEY), 3);
    let last = listener.requests().pop().unwrap();
    assert_eq!(last.header("x-vault-token"), Some("hvs.new"));
}

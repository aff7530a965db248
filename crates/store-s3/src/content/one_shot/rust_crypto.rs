use aes_gcm::aead::consts::U12;
use aes_gcm::aead::inout::InOutBuf;
use aes_gcm::{AeadInOut, Aes128Gcm, Aes256Gcm, AesGcm, KeyInit, Nonce, Tag, aes::Aes192};

use super::Refused;
use crate::content::gcm::{GcmKey, TAG_LENGTH};
use crate::content::keys::IV_LENGTH;

/// Encrypts `plaintext` into `ciphertext`, which has the same length, and returns the tag.
pub(in crate::content) fn seal(
    key: &GcmKey,
    plaintext: &[u8],
    ciphertext: &mut [u8],
) -> Result<[u8; TAG_LENGTH], Refused> {
    AeadKey::new(key)?.seal(*key.iv(), key.aad(), plaintext, ciphertext)
}

/// Decrypts `object`, a ciphertext and its tag, in place. On failure nothing in it may be used.
pub(in crate::content) fn open(key: &GcmKey, object: &mut Vec<u8>) -> Result<(), Refused> {
    let iv = Nonce::from(*key.iv());
    let (ciphertext, tag) = object.split_last_chunk_mut::<TAG_LENGTH>().ok_or(Refused)?;
    let tag = Tag::from(*tag);
    let length = ciphertext.len();
    let buffer = InOutBuf::from(ciphertext);
    match AeadKey::new(key)? {
        AeadKey::Aes128(keyed) => keyed.decrypt_inout_detached(&iv, key.aad(), buffer, &tag),
        AeadKey::Aes192(keyed) => keyed.decrypt_inout_detached(&iv, key.aad(), buffer, &tag),
        AeadKey::Aes256(keyed) => keyed.decrypt_inout_detached(&iv, key.aad(), buffer, &tag),
    }
    .map_err(|_| Refused)?;
    object.truncate(length);
    Ok(())
}

/// Tags of additional data alone, under one key and initialisation vector.
pub(in crate::content) struct Mac {
    key: AeadKey,
    iv: [u8; IV_LENGTH],
}

impl Mac {
    pub(in crate::content) fn new(key: &GcmKey, iv: [u8; IV_LENGTH]) -> Result<Self, Refused> {
        let key = AeadKey::new(key)?;
        Ok(Self { key, iv })
    }

    pub(in crate::content) fn tag(&self, data: &[u8]) -> Result<[u8; TAG_LENGTH], Refused> {
        self.key.seal(self.iv, data, &[], &mut [])
    }
}

/// The key schedules are boxed so that moving one leaves no copy.
enum AeadKey {
    Aes128(Box<Aes128Gcm>),
    Aes192(Box<AesGcm<Aes192, U12>>),
    Aes256(Box<Aes256Gcm>),
}

impl AeadKey {
    fn new(key: &GcmKey) -> Result<Self, Refused> {
        fn keyed<C: KeyInit>(key: &[u8]) -> Result<Box<C>, Refused> {
            C::new_from_slice(key).map(Box::new).map_err(|_| Refused)
        }
        let key = key.expose();
        match key.len() {
            16 => keyed(key).map(Self::Aes128),
            24 => keyed(key).map(Self::Aes192),
            32 => keyed(key).map(Self::Aes256),
            _ => Err(Refused),
        }
    }
    fn seal(
        &self,
        iv: [u8; IV_LENGTH],
        aad: &[u8],
        plaintext: &[u8],
        ciphertext: &mut [u8],
    ) -> Result<[u8; TAG_LENGTH], Refused> {
        let iv = Nonce::from(iv);
        let buffer = InOutBuf::new(plaintext, ciphertext).map_err(|_| Refused)?;
        let tag = match self {
            Self::Aes128(key) => key.encrypt_inout_detached(&iv, aad, buffer),
            Self::Aes192(key) => key.encrypt_inout_detached(&iv, aad, buffer),
            Self::Aes256(key) => key.encrypt_inout_detached(&iv, aad, buffer),
        };
        tag.map(Into::into).map_err(|_| Refused)
    }
}

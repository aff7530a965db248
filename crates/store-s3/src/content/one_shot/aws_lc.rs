use aws_lc_rs::aead::{AES_128_GCM, AES_192_GCM, AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};

use super::Refused;
use crate::content::gcm::{GcmKey, TAG_LENGTH};
use crate::content::keys::IV_LENGTH;

/// Encrypts `plaintext` into `ciphertext`, which has the same length, and returns the tag.
pub(in crate::content) fn seal(
    key: &GcmKey,
    plaintext: &[u8],
    ciphertext: &mut [u8],
) -> Result<[u8; TAG_LENGTH], Refused> {
    let mut tag = [0; TAG_LENGTH];
    keyed(key)?
        .seal_out_of_place_scatter(
            iv(key),
            Aad::from(key.aad()),
            plaintext,
            ciphertext,
            &[],
            &mut tag,
        )
        .map_err(|_| Refused)?;
    Ok(tag)
}

/// Decrypts `object`, a ciphertext and its tag, in place. On failure nothing in it may be used.
pub(in crate::content) fn open(key: &GcmKey, object: &mut Vec<u8>) -> Result<(), Refused> {
    let length = keyed(key)?
        .open_in_place(iv(key), Aad::from(key.aad()), object)
        .map_err(|_| Refused)?
        .len();
    object.truncate(length);
    Ok(())
}

/// Tags of additional data alone, under one key and initialisation vector.
pub(in crate::content) struct Mac {
    key: LessSafeKey,
    iv: [u8; IV_LENGTH],
}

impl Mac {
    pub(in crate::content) fn new(key: &GcmKey, iv: [u8; IV_LENGTH]) -> Result<Self, Refused> {
        let key = keyed(key)?;
        Ok(Self { key, iv })
    }

    pub(in crate::content) fn tag(&self, data: &[u8]) -> Result<[u8; TAG_LENGTH], Refused> {
        let mut tag = [0; TAG_LENGTH];
        let iv = Nonce::assume_unique_for_key(self.iv);
        self.key
            .seal_out_of_place_scatter(iv, Aad::from(data), &[], &mut [], &[], &mut tag)
            .map_err(|_| Refused)?;
        Ok(tag)
    }
}

fn keyed(key: &GcmKey) -> Result<LessSafeKey, Refused> {
    let algorithm = match key.expose().len() {
        16 => &AES_128_GCM,
        24 => &AES_192_GCM,
        32 => &AES_256_GCM,
        _ => return Err(Refused),
    };
    let key = UnboundKey::new(algorithm, key.expose()).map_err(|_| Refused)?;
    Ok(LessSafeKey::new(key))
}

fn iv(key: &GcmKey) -> Nonce {
    Nonce::assume_unique_for_key(*key.iv())
}

//! How old S3 Encryption Clients wrapped data keys with AES: RFC 3394, and before that AES-ECB.

use aes::cipher::block_padding::Pkcs7;
use aes::cipher::consts::U16;
use aes::cipher::{BlockCipherDecrypt, BlockModeDecrypt, KeyInit};
use aes::{Aes128, Aes192, Aes256};
use aes_kw::AesKw;
use zeroize::Zeroizing;

/// RFC 3394 with the default IV. None of what another key wrapped.
pub(super) fn unwrap_rfc_3394(key: &[u8], wrapped: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    match key.len() {
        16 => unwrap::<Aes128>(key, wrapped),
        24 => unwrap::<Aes192>(key, wrapped),
        32 => unwrap::<Aes256>(key, wrapped),
        _ => None,
    }
}

fn unwrap<C>(key: &[u8], wrapped: &[u8]) -> Option<Zeroizing<Vec<u8>>>
where
    C: BlockCipherDecrypt<BlockSize = U16> + KeyInit,
{
    let mut output = Zeroizing::new(vec![0; wrapped.len().checked_sub(aes_kw::IV_LEN)?]);
    let cipher = AesKw::<C>::new_from_slice(key).ok()?;
    cipher.unwrap_key(wrapped, &mut output).ok()?;
    Some(output)
}

/// AES-ECB with PKCS#7 padding. Nothing is authenticated: another key's wrap nearly always has bad
/// padding, and that is all there is to notice it by.
pub(super) fn open_ecb(key: &[u8], wrapped: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    match key.len() {
        16 => decrypt::<Aes128>(key, wrapped),
        24 => decrypt::<Aes192>(key, wrapped),
        32 => decrypt::<Aes256>(key, wrapped),
        _ => None,
    }
}

fn decrypt<C>(key: &[u8], wrapped: &[u8]) -> Option<Zeroizing<Vec<u8>>>
where
    C: BlockCipherDecrypt<BlockSize = U16> + KeyInit,
{
    let mut output = Zeroizing::new(wrapped.to_vec());
    let cipher = ecb::Decryptor::<C>::new_from_slice(key).ok()?;
    let length = cipher.decrypt_padded::<Pkcs7>(&mut output).ok()?.len();
    output.truncate(length);
    Some(output)
}

/// AES-ECB with PKCS#7 padding, as the first clients wrote it.
#[cfg(feature = "legacy-v1-write")]
pub(super) fn seal_ecb(key: &[u8], data_key: &[u8]) -> Option<Vec<u8>> {
    match key.len() {
        16 => encrypt::<Aes128>(key, data_key),
        24 => encrypt::<Aes192>(key, data_key),
        32 => encrypt::<Aes256>(key, data_key),
        _ => None,
    }
}

#[cfg(feature = "legacy-v1-write")]
fn encrypt<C>(key: &[u8], data_key: &[u8]) -> Option<Vec<u8>>
where
    C: aes::cipher::BlockCipherEncrypt<BlockSize = U16> + KeyInit,
{
    use aes::cipher::BlockModeEncrypt;

    let mut output = vec![0; (data_key.len() / 16 + 1) * 16];
    let cipher = ecb::Encryptor::<C>::new_from_slice(key).ok()?;
    cipher
        .encrypt_padded_b2b::<Pkcs7>(data_key, &mut output)
        .ok()?;
    Some(output)
}

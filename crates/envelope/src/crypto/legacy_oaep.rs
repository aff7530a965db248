//! OAEP with SHA-256 and MGF1 with SHA-1: what Java means by `OAEPWithSHA-256AndMGF1Padding`. AWS-LC's
//! safe interface has no such pair of hashes, so with either backend this comes from RustCrypto.

use rand::rngs::SysRng;
use rsa::Oaep;
use sha1::Sha1;
use sha2::Sha256;
use zeroize::Zeroizing;

use super::Refused;

/// The randomness blinds the operation.
pub(super) fn decrypt(
    key: &rsa::PrivateKey,
    ciphertext: &[u8],
) -> Result<Zeroizing<Vec<u8>>, Refused> {
    let padding = Oaep::<Sha256, Sha1>::new_with_mgf_hash();
    key.decrypt_blinded(&mut SysRng, padding, ciphertext)
        .map(Zeroizing::new)
        .map_err(|_| Refused)
}

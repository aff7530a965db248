//! Reads public keys on curves.

use std::path::Path;

use envelope::{EcCurve, EcPublicKey};

use super::secret_file::read_public;

/// The key in the file, which has to be on this curve. `field` names it in errors.
pub(super) fn read_public_key(
    field: &str,
    keyring_file: &Path,
    path: &Path,
    curve: EcCurve,
) -> Result<EcPublicKey, String> {
    let pem = read_public(field, keyring_file, path)?;
    let key = EcPublicKey::from_pem(&pem)
        .map_err(|error| format!("field {field:?}: {}: {error}", path.display()))?;
    check_curve(field, path, &key, curve)?;
    Ok(key)
}

pub(super) fn check_curve(
    field: &str,
    path: &Path,
    key: &EcPublicKey,
    curve: EcCurve,
) -> Result<(), String> {
    if key.curve() == curve {
        return Ok(());
    }
    Err(format!(
        "field {field:?}: {} is a key on {}, and \"curve\" says {curve}",
        path.display(),
        key.curve()
    ))
}

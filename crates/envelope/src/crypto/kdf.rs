use hkdf::Hkdf;
use sha2::Sha512;
use subtle::ConstantTimeEq;

use crate::error::{Error, Result};
use crate::secret::{DataKey, DerivedKey};

/// Length of a key commitment in bytes.
pub(crate) const COMMITMENT_LENGTH: usize = 32;

/// What HKDF-SHA512 (RFC 5869) derives for one message of format version 2.
pub(crate) struct MessageKeys {
    /// Keys the cipher of header and body.
    pub(crate) content_key: DerivedKey,
    /// Stands in the header and ties it to this data key.
    pub(crate) commitment: [u8; COMMITMENT_LENGTH],
}

impl MessageKeys {
    /// Derives both outputs from one HKDF-Extract with the message id as salt (specification,
    /// "Algorithm Suites", key derivation and commitment).
    pub(crate) fn derive(data_key: &DataKey, suite_id: u16, message_id: &[u8]) -> Result<Self> {
        let (_, hkdf) = Hkdf::<Sha512>::extract(Some(message_id), data_key.expose());
        let mut commitment = [0; COMMITMENT_LENGTH];
        let mut expanded = hkdf.expand(b"COMMITKEY", &mut commitment);
        let content_key = DerivedKey::fill_with(data_key.expose().len(), |key| {
            let info = [&suite_id.to_be_bytes(), b"DERIVEKEY".as_slice()];
            expanded = expanded.and(hkdf.expand_multi_info(&info, key));
        });
        expanded.map_err(|_| Error::SealFailed)?;
        Ok(Self {
            content_key,
            commitment,
        })
    }

    /// Compares the derived commitment with the header's in constant time.
    pub(crate) fn check_commitment(&self, in_header: &[u8; COMMITMENT_LENGTH]) -> Result<()> {
        if bool::from(self.commitment.ct_eq(in_header)) {
            return Ok(());
        }
        Err(Error::CommitmentMismatch)
    }
}

/// A data key wrapped by one wrapping key, as it stands in a message header.
///
/// Source: AWS Encryption SDK message format, "Encrypted Data Key Entries". Each of the three
/// fields holds at most 65 535 bytes; writing a message checks that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncryptedDataKey {
    provider_id: String,
    provider_info: Vec<u8>,
    ciphertext: Vec<u8>,
}

impl EncryptedDataKey {
    /// Joins the three fields.
    #[must_use]
    pub fn new(
        provider_id: impl Into<String>,
        provider_info: impl Into<Vec<u8>>,
        ciphertext: impl Into<Vec<u8>>,
    ) -> Self {
        Self {
            provider_id: provider_id.into(),
            provider_info: provider_info.into(),
            ciphertext: ciphertext.into(),
        }
    }

    /// Which kind of key service wrapped it; the key namespace for raw keys.
    #[must_use]
    pub fn provider_id(&self) -> &str {
        &self.provider_id
    }

    /// Which key of that provider, in the provider's own encoding.
    #[must_use]
    pub fn provider_info(&self) -> &[u8] {
        &self.provider_info
    }

    /// The wrapped data key.
    #[must_use]
    pub fn ciphertext(&self) -> &[u8] {
        &self.ciphertext
    }

    /// Length in a header in bytes: three fields, each behind its 16-bit length.
    pub(crate) fn length(&self) -> usize {
        6 + self.provider_id.len() + self.provider_info.len() + self.ciphertext.len()
    }

    /// The provider info as far as a person can read it: its text up to the first control
    /// character or invalid byte. Raw AES appends binary fields to the key name. Where there is no
    /// text, as for ECDH, it is the hexadecimal form of the whole.
    #[must_use]
    pub fn key_name(&self) -> String {
        let text = match std::str::from_utf8(&self.provider_info) {
            Ok(text) => text,
            Err(error) => {
                let valid = self.provider_info.get(..error.valid_up_to());
                valid
                    .and_then(|bytes| std::str::from_utf8(bytes).ok())
                    .unwrap_or_default()
            }
        };
        let name: String = text.chars().take_while(|c| !c.is_control()).collect();
        if !name.is_empty() {
            return name;
        }
        let bytes = self.provider_info.iter();
        bytes.map(|byte| format!("{byte:02x}")).collect()
    }
}

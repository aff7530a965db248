use std::fmt;

/// A call of KMS, for errors.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct KmsCall {
    /// KMS's name of the operation.
    pub operation: &'static str,
    /// The key as it was configured. None where KMS finds it in the ciphertext.
    pub key_id: Option<String>,
    /// The client's region, if it has one.
    pub region: Option<String>,
}

impl KmsCall {
    /// The permission that the call needs, as `kms:Decrypt`.
    #[must_use]
    pub fn permission(&self) -> String {
        match self.operation {
            // There are two, for the keys before and after, and no third with the bare name.
            "ReEncrypt" => "kms:ReEncrypt*".to_owned(),
            operation => format!("kms:{operation}"),
        }
    }
}

/// Writes `kms:Decrypt with key alias/invoices in eu-west-1`.
impl fmt::Display for KmsCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "kms:{}", self.operation)?;
        match &self.key_id {
            Some(key_id) => write!(f, " with key {key_id}")?,
            None => f.write_str(" with the ciphertext's own key")?,
        }
        match &self.region {
            Some(region) => write!(f, " in {region}"),
            None => Ok(()),
        }
    }
}

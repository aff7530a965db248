use std::collections::BTreeSet;

use crate::arn::Arn;
use crate::kms_error::KmsError;

/// Whose keys a discovery keyring may use.
///
/// Whoever wrote a message chose its keys. Without a filter that may be a key of theirs, in their
/// account, which then learns when their message is read. Source: AWS Encryption SDK specification,
/// "AWS KMS Discovery Keyring", discovery filter.
#[derive(Debug, Clone)]
pub struct DiscoveryFilter {
    partition: String,
    accounts: BTreeSet<String>,
}

impl DiscoveryFilter {
    /// Keys of these accounts in this partition, as `aws` or `aws-cn`.
    ///
    /// # Errors
    /// [`KmsError::InvalidOption`] for an empty partition, for no account and for an empty one.
    pub fn new<A: Into<String>>(
        partition: impl Into<String>,
        accounts: impl IntoIterator<Item = A>,
    ) -> Result<Self, KmsError> {
        let partition = partition.into();
        let accounts: BTreeSet<String> = accounts.into_iter().map(Into::into).collect();
        if partition.is_empty() || accounts.is_empty() || accounts.contains("") {
            return Err(KmsError::InvalidOption {
                what: "the discovery filter",
                reason: "needs a partition, as aws, and at least one account, none of them empty",
            });
        }
        Ok(Self {
            partition,
            accounts,
        })
    }

    /// Why the key may not be used.
    pub(crate) fn check(&self, arn: &Arn) -> Result<(), &'static str> {
        if arn.partition() != self.partition {
            return Err("its partition is outside the discovery filter");
        }
        if !self.accounts.contains(arn.account()) {
            return Err("its account is outside the discovery filter");
        }
        Ok(())
    }
}

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use envelope::EncryptionContext;

/// Which branch key a message's data key is wrapped with. Source: AWS Encryption SDK specification,
/// "AWS KMS Hierarchical Keyring", branch key id supplier.
///
/// ```
/// use envelope_aws_kms::BranchKeyIdSupplier;
///
/// let one_for_all = BranchKeyIdSupplier::fixed("acme");
/// let per_tenant = BranchKeyIdSupplier::value_of("tenant");
/// let by_rule = BranchKeyIdSupplier::from_fn(|context| {
///     let tenant = context.get("tenant").ok_or("the encryption context names no tenant")?;
///     Ok::<_, &str>(format!("branch-{tenant}"))
/// });
/// ```
#[derive(Clone)]
pub struct BranchKeyIdSupplier(Choice);

#[derive(Clone)]
enum Choice {
    Fixed(String),
    ValueOf(String),
    Function(Arc<IdOfContext>),
}

type IdOfContext = dyn Fn(&EncryptionContext) -> Result<String, Cow<'static, str>> + Send + Sync;

impl BranchKeyIdSupplier {
    /// The same branch key for all messages.
    #[must_use]
    pub fn fixed(id: impl Into<String>) -> Self {
        Self(Choice::Fixed(id.into()))
    }

    /// The branch key whose id stands in the encryption context under this key. Messages whose context
    /// has no such key are neither written nor read.
    #[must_use]
    pub fn value_of(context_key: impl Into<String>) -> Self {
        Self(Choice::ValueOf(context_key.into()))
    }

    /// The branch key that a function chooses by the whole encryption context, or why it chooses none.
    /// It must choose the same for the same context as long as messages are to be read. On reading, the
    /// context is what the message claims: nothing is verified yet.
    #[must_use]
    pub fn from_fn<E: Into<Cow<'static, str>>>(
        id: impl Fn(&EncryptionContext) -> Result<String, E> + Send + Sync + 'static,
    ) -> Self {
        let id = move |context: &EncryptionContext| id(context).map_err(Into::into);
        Self(Choice::Function(Arc::new(id)))
    }

    /// The branch key's id for this encryption context.
    pub(crate) fn id<'a>(
        &'a self,
        context: &'a EncryptionContext,
    ) -> Result<Cow<'a, str>, Cow<'static, str>> {
        match &self.0 {
            Choice::Fixed(id) => Ok(id.into()),
            Choice::ValueOf(key) => context.get(key).map(Cow::Borrowed).ok_or_else(|| {
                format!("the encryption context has no {key:?}, which names the branch key").into()
            }),
            Choice::Function(id) => id(context).map(Cow::Owned),
        }
    }
}

impl fmt::Display for BranchKeyIdSupplier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Choice::Fixed(id) => write!(f, "branch key {id}"),
            Choice::ValueOf(key) => write!(f, "the branch key that {key:?} names"),
            Choice::Function(_) => f.write_str("the branch key of the encryption context"),
        }
    }
}

impl fmt::Debug for BranchKeyIdSupplier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BranchKeyIdSupplier({self})")
    }
}

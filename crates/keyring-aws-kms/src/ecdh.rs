use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use aws_sdk_kms::Client;
use envelope::keyring::{Attempt, EcdhParties, KeyRequest, KeyringError, Unwrapped};
use envelope::{DataKey, EcPublicKey, EncryptedDataKey, Error, Keyring};

use crate::arn::{Arn, key_arn};
use crate::kms_error::KmsError;
use crate::one_by_one::{OneByOne, Refusal, first_to_open};
use crate::service::Service;

const PROVIDER_ID: &str = "aws-kms-ecdh";
/// The same scheme with the private key at hand: either side opens the other's messages.
const RAW_PROVIDER_ID: &str = "raw-ecdh";

/// Wraps data keys under a key that two parties agree on, with the private key of one in KMS.
///
/// The other side may be such a keyring too, or a [`RawEcdh`](envelope::RawEcdh). Source: AWS
/// Encryption SDK specification, "AWS KMS ECDH Keyring".
///
/// ```no_run
/// use aws_sdk_kms::Client;
/// use envelope::{EcPublicKey, EncryptOptions, encrypt};
/// use envelope_aws_kms::Ecdh;
///
/// # async fn example(client: Client, their_pem: &str) -> Result<(), Box<dyn std::error::Error>> {
/// let arn = "arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";
/// let mine = Ecdh::fetch_public_key(client.clone(), arn, &[]).await?;
/// let theirs = EcPublicKey::from_pem(their_pem)?;
/// let keyring = Ecdh::between(client, arn, mine, theirs)?;
/// let message = encrypt(&keyring, b"hello", &EncryptOptions::default()).await?;
/// # Ok(())
/// # }
/// ```
pub struct Ecdh {
    service: Service,
    arn: Arn,
    mine: EcPublicKey,
    /// None in discovery.
    theirs: Option<EcPublicKey>,
    description: Arc<str>,
}

impl Ecdh {
    /// Encrypts to the other party, and decrypts what either sent to the other ("static"). `mine` is
    /// the public half of the KMS key.
    ///
    /// # Errors
    /// [`KmsError::InvalidKeyId`] for what is not the ARN of a key; [`KmsError::Key`] when the keys
    /// are on different curves.
    pub fn between(
        client: Client,
        key_id: impl AsRef<str>,
        mine: EcPublicKey,
        theirs: EcPublicKey,
    ) -> Result<Self, KmsError> {
        if theirs.curve() != mine.curve() {
            return Err(KmsError::Key(Error::KeyNotValid {
                reason: "is on another curve than the key of KMS",
            }));
        }
        Self::new(client, key_id.as_ref(), mine, Some(theirs))
    }

    /// Decrypts what anybody encrypted to the KMS key ("discovery"). It encrypts nothing. `mine` is
    /// the public half of the KMS key.
    ///
    /// # Errors
    /// [`KmsError::InvalidKeyId`] for what is not the ARN of a key.
    pub fn discovery(
        client: Client,
        key_id: impl AsRef<str>,
        mine: EcPublicKey,
    ) -> Result<Self, KmsError> {
        Self::new(client, key_id.as_ref(), mine, None)
    }

    fn new(
        client: Client,
        key_id: &str,
        mine: EcPublicKey,
        theirs: Option<EcPublicKey>,
    ) -> Result<Self, KmsError> {
        let arn = key_arn(key_id)?;
        let scheme = if theirs.is_some() {
            "static"
        } else {
            "discovery"
        };
        Ok(Self {
            description: format!("AWS KMS ECDH {scheme} {arn}").into(),
            service: Service::new(client),
            arn,
            mine,
            theirs,
        })
    }

    /// Sends these with every call: tokens of grants that are not in force everywhere yet.
    #[must_use]
    pub fn with_grant_tokens<T: Into<String>>(self, tokens: impl IntoIterator<Item = T>) -> Self {
        let service = self.service.with_grant_tokens(tokens);
        Self { service, ..self }
    }

    /// Asks KMS for the public half of a key, with these grant tokens. Keep it: it never changes.
    ///
    /// # Errors
    /// [`KmsError`]; [`KmsError::Key`] when it is no key on a curve of NIST.
    pub async fn fetch_public_key(
        client: Client,
        key_id: impl AsRef<str>,
        grant_tokens: &[String],
    ) -> Result<EcPublicKey, KmsError> {
        let arn = key_arn(key_id.as_ref())?;
        let service = Service::new(client).with_grant_tokens(grant_tokens);
        let der = service.public_key(&arn).await?;
        Ok(EcPublicKey::from_der(&der)?)
    }

    /// The other point, or why the key is not for this keyring.
    fn peer(&self, parties: EcdhParties<'_>) -> Result<EcPublicKey, &'static str> {
        let me = self.mine.to_bytes();
        let Some(theirs) = &self.theirs else {
            if parties.recipient != me {
                return Err("to another key");
            }
            return EcPublicKey::from_point(self.mine.curve(), parties.sender)
                .map_err(|_| "the sender's key is no point on the curve");
        };
        let (them, found) = (theirs.to_bytes(), (parties.sender, parties.recipient));
        if found != (me, them) && found != (them, me) {
            return Err("between other keys");
        }
        Ok(theirs.clone())
    }
}

#[async_trait]
impl OneByOne for Ecdh {
    fn description(&self) -> &Arc<str> {
        &self.description
    }

    async fn open(
        &self,
        key: &EncryptedDataKey,
        request: KeyRequest<'_>,
    ) -> Result<DataKey, Refusal> {
        if ![PROVIDER_ID, RAW_PROVIDER_ID].contains(&key.provider_id()) {
            return Err(Refusal::Skipped("another provider".into()));
        }
        let parties = EcdhParties::parse(key.provider_info()).unwrap_or_default();
        let peer = self.peer(parties);
        let peer = peer.map_err(|reason| Refusal::Skipped(reason.into()))?;
        let der = peer.to_der().map_err(KmsError::from)?;
        let shared = self.service.shared_secret(&self.arn, der).await?;
        parties
            .unwrap(peer.curve(), &shared, key.ciphertext(), request)
            .map_err(|reason| Refusal::Failed(reason.into()))
    }
}

#[async_trait]
impl Keyring for Ecdh {
    async fn wrap_key(
        &self,
        data_key: &DataKey,
        request: KeyRequest<'_>,
    ) -> Result<Vec<EncryptedDataKey>, KeyringError> {
        let theirs = self.theirs.as_ref().ok_or_else(|| {
            KeyringError::misconfigured(
                self.description.to_string(),
                "a discovery keyring encrypts nothing; name the recipient",
            )
        })?;
        let failed = |error: KmsError| error.of_keyring(&self.description);
        let parties = EcdhParties {
            sender: self.mine.to_bytes(),
            recipient: theirs.to_bytes(),
        };
        let der = theirs.to_der().map_err(|error| failed(error.into()))?;
        let shared = self.service.shared_secret(&self.arn, der).await;
        let ciphertext = parties
            .wrap(theirs.curve(), &shared.map_err(failed)?, data_key, request)
            .map_err(|error| failed(error.into()))?;
        Ok(vec![EncryptedDataKey::new(
            PROVIDER_ID,
            parties.provider_info(),
            ciphertext,
        )])
    }

    async fn unwrap_key(
        &self,
        keys: &[EncryptedDataKey],
        request: KeyRequest<'_>,
    ) -> Result<Unwrapped, Vec<Attempt>> {
        first_to_open(self, keys, request).await
    }
}

impl fmt::Debug for Ecdh {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ecdh({})", self.description)
    }
}

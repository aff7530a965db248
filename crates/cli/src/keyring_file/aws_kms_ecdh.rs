use std::path::PathBuf;

use async_trait::async_trait;
use aws_sdk_kms::Client;
use envelope::keyring::{Attempt, KeyRequest, KeyringError, Unwrapped};
use envelope::{DataKey, EcCurve, EcPublicKey, EncryptedDataKey, Error, Keyring};
use envelope_aws_kms::{Arn, Ecdh, KmsError};
use serde::Deserialize;
use tokio::sync::OnceCell;

use super::ec_public_pem::read_public_key;
use super::fields::Fields;
use super::on_aws::OnAws;
use super::opened_key::OpenedKey;
use super::opening::Opening;

/// `type = "aws-kms-ecdh"`
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct AwsKmsEcdhEntry {
    key_id: String,
    scheme: Scheme,
    curve: String,
    public_key_file: Option<PathBuf>,
    peer_public_key_file: Option<PathBuf>,
    /// Names the entry in errors; the message format has no place for it.
    #[serde(default, rename = "name")]
    _name: Option<String>,
}

#[derive(Deserialize, Clone, Copy)]
#[serde(rename_all = "kebab-case")]
enum Scheme {
    Static,
    Discovery,
}

const DECRYPTS_ONLY: &str =
    "scheme \"discovery\" opens what anybody encrypted to the key, and encrypts nothing";

#[async_trait]
impl Fields for OnAws<AwsKmsEcdhEntry> {
    async fn open(self: Box<Self>, opening: &mut Opening<'_>) -> Result<OpenedKey, String> {
        let Self { aws, entry } = *self;
        let curve = entry.curve.parse();
        let curve: EcCurve = curve.map_err(|error| format!("field \"curve\": {error}"))?;
        let read = |field, path: Option<PathBuf>| {
            path.map(|path| read_public_key(field, opening.file, &path, curve))
                .transpose()
        };
        let mine = read("public-key-file", entry.public_key_file)?;
        let theirs = read("peer-public-key-file", entry.peer_public_key_file)?;
        match (entry.scheme, &theirs) {
            (Scheme::Static, None) => {
                return Err("scheme \"static\" needs \"peer-public-key-file\"".to_owned());
            }
            (Scheme::Discovery, Some(_)) => {
                return Err("scheme \"discovery\" takes no \"peer-public-key-file\"".to_owned());
            }
            _ => {}
        }
        let refused = |error: KmsError| format!("field \"key-id\": {error}");
        let arn: Arn = entry.key_id.parse().map_err(refused)?;
        if !arn.is_key() {
            return Err("field \"key-id\": is an alias; give the ARN of its key".to_owned());
        }
        let config = opening.aws(&aws, Some(arn.region())).await?;
        let parties = Parties {
            client: Client::new(&config),
            key_id: entry.key_id,
            grant_tokens: aws.grant_tokens,
            curve,
            theirs,
        };
        let name = parties.key_id.clone();
        let opened = match mine {
            Some(mine) => OpenedKey::new(name, parties.keyring(mine).map_err(refused)?),
            None => OpenedKey::new(
                name,
                FetchingEcdh {
                    parties,
                    keyring: OnceCell::new(),
                },
            ),
        };
        Ok(match entry.scheme {
            Scheme::Static => opened,
            Scheme::Discovery => opened.decrypting_only(DECRYPTS_ONLY),
        })
    }
}

/// All but the public half of the key of KMS.
#[derive(Debug)]
struct Parties {
    client: Client,
    key_id: String,
    grant_tokens: Vec<String>,
    curve: EcCurve,
    /// None in discovery.
    theirs: Option<EcPublicKey>,
}

impl Parties {
    fn keyring(&self, mine: EcPublicKey) -> Result<Ecdh, KmsError> {
        let client = self.client.clone();
        let keyring = match &self.theirs {
            Some(theirs) => Ecdh::between(client, &self.key_id, mine, theirs.clone()),
            None => Ecdh::discovery(client, &self.key_id, mine),
        };
        Ok(keyring?.with_grant_tokens(&self.grant_tokens))
    }
}

/// Asks KMS for the public half of its key when that is first needed.
#[derive(Debug)]
struct FetchingEcdh {
    parties: Parties,
    keyring: OnceCell<Ecdh>,
}

impl FetchingEcdh {
    async fn keyring(&self) -> Result<&Ecdh, KmsError> {
        let parties = &self.parties;
        let fetch = async || {
            let mine = Ecdh::fetch_public_key(
                parties.client.clone(),
                &parties.key_id,
                &parties.grant_tokens,
            )
            .await?;
            if mine.curve() != parties.curve {
                return Err(KmsError::Key(Error::KeyNotValid {
                    reason: "is on another curve than \"curve\" says",
                }));
            }
            parties.keyring(mine)
        };
        self.keyring.get_or_try_init(fetch).await
    }

    fn description(&self) -> String {
        format!("AWS KMS ECDH {}", self.parties.key_id)
    }
}

/// What the scheme writes: with the private key in KMS, and with one at hand.
const PROVIDER_IDS: [&str; 2] = ["aws-kms-ecdh", "raw-ecdh"];

#[async_trait]
impl Keyring for FetchingEcdh {
    async fn wrap_key(
        &self,
        data_key: &DataKey,
        request: KeyRequest<'_>,
    ) -> Result<Vec<EncryptedDataKey>, KeyringError> {
        let keyring = self.keyring().await;
        let keyring = keyring.map_err(|error| {
            KeyringError::of_kind(error.kind(), self.description(), error.to_string())
        })?;
        keyring.wrap_key(data_key, request).await
    }

    async fn unwrap_key(
        &self,
        keys: &[EncryptedDataKey],
        request: KeyRequest<'_>,
    ) -> Result<Unwrapped, Vec<Attempt>> {
        // A message for others costs no call.
        let first = keys
            .iter()
            .position(|key| PROVIDER_IDS.contains(&key.provider_id()));
        let Some(first) = first else {
            return Err(vec![Attempt::skipped(
                0,
                self.description(),
                "another provider",
            )]);
        };
        match self.keyring().await {
            Ok(keyring) => keyring.unwrap_key(keys, request).await,
            Err(error) => {
                let (kind, reason) = (error.kind(), error.to_string());
                Err(vec![Attempt::of_kind(
                    kind,
                    first,
                    self.description(),
                    reason,
                )])
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_kms::types::KeySpec;
    use envelope::{AlgorithmSuite, EncryptionContext};
    use envelope_aws_kms::test_util::InMemoryKms;

    use super::*;

    const SUITE: AlgorithmSuite = AlgorithmSuite::AES_256_GCM_HKDF_SHA512_COMMIT_KEY;

    fn fetching(
        kms: &InMemoryKms,
        key: &Arn,
        curve: EcCurve,
        theirs: Option<EcPublicKey>,
    ) -> FetchingEcdh {
        FetchingEcdh {
            parties: Parties {
                client: kms.client("eu-west-1"),
                key_id: key.to_string(),
                grant_tokens: Vec::new(),
                curve,
                theirs,
            },
            keyring: OnceCell::new(),
        }
    }

    #[tokio::test]
    async fn the_public_key_is_asked_for_once_and_must_be_on_the_curve() {
        let kms = InMemoryKms::new();
        let key = || kms.create_key("eu-west-1", KeySpec::EccNistP256).unwrap();
        let (mine, theirs) = (key(), key());
        let client = kms.client("eu-west-1");
        let their_point = Ecdh::fetch_public_key(client, theirs.to_string(), &[]).await;
        let their_point = their_point.unwrap();
        let context = &EncryptionContext::default();
        let request = KeyRequest {
            suite: SUITE,
            context,
        };
        let data_key = DataKey::generate(SUITE).unwrap();
        let sender = fetching(&kms, &mine, EcCurve::P256, Some(their_point.clone()));
        let recipient = fetching(&kms, &theirs, EcCurve::P256, None);
        let calls = kms.calls("GetPublicKey");
        for _ in 0..3 {
            let keys = sender.wrap_key(&data_key, request).await.unwrap();
            for keyring in [&sender, &recipient] {
                let opened = keyring.unwrap_key(&keys, request).await.unwrap();
                assert_eq!(opened.data_key.expose(), data_key.expose());
            }
        }
        assert_eq!(kms.calls("GetPublicKey"), calls + 2);

        let error = recipient.wrap_key(&data_key, request).await.unwrap_err();
        assert!(error.to_string().contains("name the recipient"), "{error}");
        let wrong = fetching(&kms, &mine, EcCurve::P384, Some(their_point));
        let error = wrong.wrap_key(&data_key, request).await.unwrap_err();
        assert!(error.to_string().contains("another curve"), "{error}");
        // What is another provider's costs no call.
        let calls = kms.total_calls();
        let foreign = [EncryptedDataKey::new("aws-kms", "x", [0; 32].to_vec())];
        let unused = fetching(&kms, &mine, EcCurve::P256, None);
        let attempts = unused.unwrap_key(&foreign, request).await.unwrap_err();
        assert_eq!(attempts[0].reason(), "another provider");
        assert_eq!(kms.total_calls(), calls);
    }
}

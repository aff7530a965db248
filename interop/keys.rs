use anyhow::Result;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use envelope::{
    EcCurve, EcPrivateKey, EcPublicKey, MaterialsManager, Multi, RawAes, RawEcdh, RawRsa,
    RequiredEncryptionContext, RsaPadding, RsaPrivateKey, RsaPublicKey, WrappingKey,
};
use serde_json::{Value, json};

use crate::peer::PeerKind;

/// New keys for one run, each as the peers read it.
pub(crate) struct Keys {
    aes: Vec<Vec<u8>>,
    rsa: Pem,
    ec: Vec<(EcCurve, [Pem; 2])>,
}

/// A private and a public key as text.
#[derive(Clone)]
pub(crate) struct Pem {
    private: String,
    public: String,
}

/// One way to wrap data keys, and what the peer is told of it.
#[derive(Clone)]
pub(crate) enum KeyDescription {
    Aes(Vec<u8>),
    Rsa(RsaPadding, Pem),
    StaticEcdh(EcCurve, [Pem; 2]),
    EphemeralEcdh(EcCurve, [Pem; 2]),
    Multi(Vec<KeyDescription>),
}

impl Keys {
    pub(crate) fn generate() -> Result<Self> {
        let aes = [128, 192, 256].map(WrappingKey::generate_bits);
        let rsa = RsaPrivateKey::generate(2048)?;
        let pair = |curve| -> Result<Pem> {
            let key = EcPrivateKey::generate(curve)?;
            Ok(Pem {
                private: key.to_pem()?.to_string(),
                public: key.public_key_pem()?,
            })
        };
        Ok(Self {
            aes: aes
                .into_iter()
                .map(|key| Ok(key?.expose().to_vec()))
                .collect::<Result<_>>()?,
            rsa: Pem {
                private: rsa.to_pem()?.to_string(),
                public: rsa.public_key_pem()?,
            },
            ec: EcCurve::ALL
                .into_iter()
                .map(|curve| Ok((curve, [pair(curve)?, pair(curve)?])))
                .collect::<Result<_>>()?,
        })
    }

    /// Every keyring that the peer has.
    pub(crate) fn descriptions(&self, peer: PeerKind) -> Vec<KeyDescription> {
        let aes = self.aes.iter().cloned().map(KeyDescription::Aes);
        let rsa = RsaPadding::ALL.map(|padding| KeyDescription::Rsa(padding, self.rsa.clone()));
        let mut all: Vec<_> = aes.chain(rsa).collect();
        if peer.has_ecdh_and_required_context() {
            for (curve, pairs) in &self.ec {
                all.push(KeyDescription::StaticEcdh(*curve, pairs.clone()));
                all.push(KeyDescription::EphemeralEcdh(*curve, pairs.clone()));
            }
        }
        let both = self.strongest_aes().into_iter().chain(rsa_child(&self.rsa));
        all.push(KeyDescription::Multi(both.collect()));
        all
    }

    /// The AES key of 256 bits.
    pub(crate) fn strongest_aes(&self) -> Option<KeyDescription> {
        self.aes.last().cloned().map(KeyDescription::Aes)
    }
}

fn rsa_child(pem: &Pem) -> Option<KeyDescription> {
    Some(KeyDescription::Rsa(RsaPadding::OaepSha256, pem.clone()))
}

impl KeyDescription {
    pub(crate) fn label(&self) -> String {
        match self {
            Self::Aes(key) => format!("raw-aes {}", key.len() * 8),
            Self::Rsa(padding, _) => format!("raw-rsa {padding}"),
            Self::StaticEcdh(curve, _) => format!("raw-ecdh static {curve}"),
            Self::EphemeralEcdh(curve, _) => format!("raw-ecdh ephemeral {curve}"),
            Self::Multi(_) => "multi".to_owned(),
        }
    }

    pub(crate) fn to_json(&self) -> Value {
        let pem = |pem: &Pem| json!({ "private": pem.private, "public": pem.public });
        let ecdh = |scheme: &str, curve: &EcCurve, [sender, recipient]: &[Pem; 2]| {
            json!({
                "type": "raw-ecdh", "scheme": scheme, "curve": curve.name(),
                "sender": pem(sender), "recipient": pem(recipient),
            })
        };
        match self {
            Self::Aes(key) => json!({
                "type": "raw-aes", "namespace": "interop", "name": "aes",
                "key": STANDARD.encode(key),
            }),
            Self::Rsa(padding, pem) => json!({
                "type": "raw-rsa", "namespace": "interop", "name": "rsa",
                "padding": padding.to_string(), "private": pem.private, "public": pem.public,
            }),
            Self::StaticEcdh(curve, pairs) => ecdh("static", curve, pairs),
            Self::EphemeralEcdh(curve, pairs) => ecdh("ephemeral", curve, pairs),
            Self::Multi(keyrings) => {
                let keyrings: Vec<_> = keyrings.iter().map(Self::to_json).collect();
                json!({ "type": "multi", "keyrings": keyrings })
            }
        }
    }

    /// Our own keyring for one direction, with a manager for required context around it.
    pub(crate) fn open(
        &self,
        writing: bool,
        required: &[&str],
    ) -> Result<Box<dyn MaterialsManager>> {
        let keyring = self.keyring(writing)?;
        if required.is_empty() {
            return Ok(Box::new(keyring));
        }
        let keys = required.iter().copied();
        Ok(Box::new(RequiredEncryptionContext::new(keyring, keys)?))
    }

    fn keyring(&self, writing: bool) -> Result<std::sync::Arc<dyn envelope::Keyring>> {
        use std::sync::Arc;
        Ok(match self {
            Self::Aes(key) => {
                let key = WrappingKey::from_bytes(&mut key.clone())?;
                Arc::new(RawAes::new("interop", "aes", key)?)
            }
            Self::Rsa(padding, pem) => {
                let keyring = RawRsa::new("interop", "rsa", *padding)?;
                Arc::new(match writing {
                    true => keyring.with_public_key(RsaPublicKey::from_pem(&pem.public)?),
                    false => keyring.with_private_key(RsaPrivateKey::from_pem(&pem.private, None)?),
                })
            }
            Self::StaticEcdh(_, [sender, recipient]) => {
                let (mine, theirs) = if writing {
                    (sender, recipient)
                } else {
                    (recipient, sender)
                };
                let mine = EcPrivateKey::from_pem(&mine.private, None)?;
                Arc::new(RawEcdh::between(
                    mine,
                    EcPublicKey::from_pem(&theirs.public)?,
                )?)
            }
            Self::EphemeralEcdh(_, [_, recipient]) => Arc::new(match writing {
                true => RawEcdh::ephemeral_to(EcPublicKey::from_pem(&recipient.public)?),
                false => RawEcdh::discovery(EcPrivateKey::from_pem(&recipient.private, None)?),
            }),
            Self::Multi(keyrings) => {
                let mut keyrings = keyrings.iter();
                let generator = keyrings.next().map(|key| key.keyring(writing));
                let generator =
                    generator.ok_or(anyhow::anyhow!("a multi keyring of nothing"))??;
                let mut multi = Multi::generate_with(generator);
                for child in keyrings {
                    multi = multi.and(child.keyring(writing)?);
                }
                Arc::new(multi)
            }
        })
    }
}

use anyhow::{Context, Result};
use aws_sdk_kms::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_kms::{Client, Config};
use envelope::{CommitmentPolicy, EncryptionContext, RsaPrivateKey, RsaPublicKey, WrappingKey};
use envelope_aws_kms::KmsKey;
use envelope_s3::keyring::{Aes, Keys as Keyrings, Kms, MaterialDescription, Rsa};
use envelope_s3::{InstructionSuffix, Rotation, S3ec};
use envelope_store::{EncryptedStore, MetadataLimit};
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::path::Path;
use object_store::{
    Extensions, GetOptions, GetRange, ObjectStore, PutMultipartOptions, PutOptions,
};

use crate::form::{Form, Format, Wrap};
use crate::keys::Keys;
use crate::moto::{Moto, REGION};
use crate::moto_server::{KEY_ID, SECRET};
use crate::object::{Object, Opened, PART_SIZE, Pairs, Reading, pairs, plaintext};
use crate::rotation::SECOND_SUFFIX;

/// Our own client.
pub(crate) struct Ours {
    pub(crate) writes: Vec<Form>,
    pub(crate) reads: Vec<Form>,
    bucket: AmazonS3Builder,
    kms: KmsKey,
    aes: Vec<u8>,
    other_aes: Vec<u8>,
    rsa: RsaPem,
    other_rsa: RsaPem,
}

struct RsaPem {
    private: String,
    public: String,
}

impl Ours {
    pub(crate) fn new(moto: &Moto, keys: &Keys) -> Result<Self> {
        let config = Config::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .credentials_provider(Credentials::new(KEY_ID, SECRET, None, None, "interop"))
            .region(Region::new(REGION))
            .endpoint_url(&moto.endpoint)
            .http_client(aws_smithy_http_client::Builder::new().build_http());
        let forms = |formats: &[Format], wraps: &[Wrap]| {
            let mut forms = Vec::new();
            for format in formats {
                for wrap in wraps {
                    forms.extend([false, true].map(|instruction_file| Form {
                        format: *format,
                        wrap: *wrap,
                        instruction_file,
                    }));
                }
            }
            forms
        };
        let raw = [Wrap::Aes, Wrap::Rsa];
        let all = [Wrap::Kms, Wrap::Aes, Wrap::Rsa];
        let writes = [
            forms(&[Format::V1], &raw),
            forms(&[Format::V2, Format::V3], &all),
        ]
        .concat();
        Ok(Self {
            reads: [writes.clone(), forms(&[Format::V2Cbc], &[Wrap::Kms])].concat(),
            writes,
            bucket: moto.builder(),
            kms: KmsKey::new(Client::from_conf(config.build()), &keys.kms_key_id)?,
            aes: keys.aes.clone(),
            other_aes: WrappingKey::generate_bits(256)?.expose().to_vec(),
            rsa: RsaPem::of(&RsaPrivateKey::from_pem(&keys.rsa_pem, None)?)?,
            other_rsa: RsaPem::of(&RsaPrivateKey::generate(2048)?)?,
        })
    }

    pub(crate) async fn write(&self, object: &Object) -> Result<()> {
        let form = object.form;
        let format = writer(form.format)?;
        let format = match form.instruction_file {
            true => format.instruction_files(),
            false => format,
        };
        let keyring = match (form.format, form.wrap) {
            (Format::V1, Wrap::Aes) => {
                let keyring = aes(&self.aes, &object.pairs)?;
                Keyrings::new(keyring.wrapping_for_v1_without_integrity())
            }
            (Format::V1, Wrap::Rsa) => {
                let keyring = self.rsa.keyring(&object.pairs)?;
                Keyrings::new(keyring.wrapping_for_v1_without_integrity())
            }
            (_, wrap) => self.keyring(wrap, &object.pairs)?,
        };
        let store = self.store(format, keyring)?;
        let location = Path::from(object.key.as_str());
        let extensions = extensions(form.wrap, &object.pairs)?;
        let body = plaintext(object.length);
        if !object.multipart {
            let options = PutOptions {
                extensions,
                ..PutOptions::default()
            };
            store.put_opts(&location, body.into(), options).await?;
            return Ok(());
        }
        let options = PutMultipartOptions {
            extensions,
            ..PutMultipartOptions::default()
        };
        let mut upload = store.put_multipart_opts(&location, options).await?;
        for part in body.chunks(PART_SIZE) {
            upload.put_part(part.to_vec().into()).await?;
        }
        upload.complete().await?;
        Ok(())
    }

    /// Reads an object. The inner error is a refusal.
    pub(crate) async fn read(&self, reading: &Reading) -> Result<Result<Opened, String>> {
        let keyring = match (reading.wrap, reading.pairs.is_empty()) {
            (Wrap::Kms, _) | (_, true) => self.keyring(reading.wrap, &reading.pairs)?,
            // Beside the right key is a main key that is another.
            (Wrap::Aes, false) => {
                Keyrings::new(aes(&self.other_aes, &others())?).and(aes(&self.aes, &reading.pairs)?)
            }
            (Wrap::Rsa, false) => Keyrings::new(self.other_rsa.keyring(&others())?)
                .and(self.rsa.keyring(&reading.pairs)?),
        };
        let store = self.store(reader(reading.committed_only, reading.legacy), keyring)?;
        let mut extensions = extensions(reading.wrap, &reading.pairs)?;
        if let Some(suffix) = reading.suffix {
            extensions.insert(InstructionSuffix::new(suffix));
        }
        let mut options = GetOptions::new().with_extensions(extensions);
        if let Some(range) = &reading.range {
            let range = range.start.try_into()?..range.end.try_into()?;
            options.range = Some(GetRange::Bounded(range));
        }
        let location = Path::from(reading.key.as_str());
        let bytes = async { store.get_opts(&location, options).await?.bytes().await };
        Ok(match bytes.await {
            Ok(bytes) => Ok(Opened::of(&bytes)),
            Err(refusal) => Err(format!("{:#}", anyhow::Error::from(refusal))),
        })
    }

    /// Wraps the data key of an object anew: the instruction file that opens with one reading gives
    /// one that opens with the other.
    pub(crate) async fn rewrap(&self, from: &Reading, to: &Reading) -> Result<()> {
        let format = S3ec::v3()
            .policy(CommitmentPolicy::RequireEncryptAllowDecrypt)
            .further_suffix(SECOND_SUFFIX);
        let store = self.store(format, self.keyring(from.wrap, &from.pairs)?)?;
        let mut extensions = extensions(from.wrap, &from.pairs)?;
        if let Some(suffix) = to.suffix {
            extensions.insert(Rotation::new().to_suffix(suffix));
        }
        let to = self.keyring(to.wrap, &to.pairs)?;
        let location = Path::from(from.key.as_str());
        store.rewrap_opts(&location, &to, extensions).await?;
        Ok(())
    }

    fn store(
        &self,
        format: S3ec,
        keyring: Keyrings,
    ) -> Result<EncryptedStore<MetadataLimit<AmazonS3>>> {
        let bucket = envelope_s3::open(self.bucket.clone())?;
        Ok(EncryptedStore::builder(bucket)
            .format(format)
            .build(keyring))
    }

    fn keyring(&self, wrap: Wrap, pairs: &Pairs) -> Result<Keyrings> {
        Ok(match wrap {
            Wrap::Kms => Keyrings::new(Kms::new(self.kms.clone())),
            Wrap::Aes => Keyrings::new(aes(&self.aes, pairs)?),
            Wrap::Rsa => Keyrings::new(self.rsa.keyring(pairs)?),
        })
    }
}

impl RsaPem {
    fn of(key: &RsaPrivateKey) -> Result<Self> {
        Ok(Self {
            private: key.to_pem()?.to_string(),
            public: key.public_key_pem()?,
        })
    }

    fn keyring(&self, pairs: &Pairs) -> Result<Rsa> {
        let public_key = RsaPublicKey::from_pem(&self.public)?;
        let private_key = RsaPrivateKey::from_pem(&self.private, None)?;
        Ok(Rsa::new(public_key, private_key).described(MaterialDescription::new(pairs.clone())))
    }
}

fn aes(key: &[u8], pairs: &Pairs) -> Result<Aes> {
    let key = WrappingKey::from_bytes(&mut key.to_vec())?;
    Ok(Aes::new(key).described(MaterialDescription::new(pairs.clone())))
}

/// The description of a key that no object has.
fn others() -> Pairs {
    pairs([("key", "of nobody")])
}

fn writer(format: Format) -> Result<S3ec> {
    Ok(match format {
        Format::V1 => S3ec::legacy_v1(),
        Format::V2Cbc => return None.context("we never write V2 with CBC"),
        Format::V2 => S3ec::v2(),
        Format::V3 => S3ec::v3(),
    })
}

fn reader(committed_only: bool, legacy: bool) -> S3ec {
    let format = match committed_only {
        true => S3ec::v3(),
        false => S3ec::v3().policy(CommitmentPolicy::RequireEncryptAllowDecrypt),
    };
    match legacy {
        true => format
            .danger()
            .read_legacy_wraps()
            .danger()
            .read_legacy_unauthenticated(),
        false => format,
    }
}

fn extensions(wrap: Wrap, pairs: &Pairs) -> Result<Extensions> {
    let mut extensions = Extensions::new();
    if wrap == Wrap::Kms {
        extensions.insert(EncryptionContext::new(pairs.clone())?);
    }
    Ok(extensions)
}

use anyhow::{Result, bail, ensure};
use object_store::aws::AmazonS3;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutOptions};

use crate::object::{Object, Reading, pairs};
use crate::party::{JAVA, OURS, PYTHON, Party, RUBY, named};

/// Something that must not open, and a part of what each party says of it.
struct Refusal {
    what: &'static str,
    reading: Reading,
    says: &'static [(&'static str, &'static str)],
}

/// What no party may open: this tells that the exchange sees a difference when there is one.
///
/// # Errors
/// When a party opens it, or refuses it for another reason.
pub(crate) async fn refusals(parties: &mut [Party], store: &AmazonS3) -> Result<()> {
    let refusals = refusals_of(parties, store).await?;
    for party in parties {
        let mut count = 0;
        for refusal in &refusals {
            let name = party.name();
            let Some((_, text)) = refusal.says.iter().find(|(who, _)| *who == name) else {
                continue;
            };
            match party.read(&refusal.reading).await? {
                Ok(_) => bail!("{name} opens {}", refusal.what),
                Err(error) => ensure!(
                    error.contains(text),
                    "{name} says of {}: {error}",
                    refusal.what
                ),
            }
            count += 1;
        }
        ensure!(count > 0, "{} refuses nothing", party.name());
        println!("{}: {count} bad reads refused", party.name());
    }
    Ok(())
}

async fn refusals_of(parties: &mut [Party], store: &AmazonS3) -> Result<Vec<Refusal>> {
    let uncommitted = written(parties, JAVA, "v2 kms metadata").await?;
    let described = written(parties, JAVA, "v2 rsa metadata").await?;
    let legacy = written(parties, RUBY, "v2-cbc kms metadata").await?;
    let changed = flip_a_bit(store, &uncommitted.key).await?;
    let other = pairs([("number", "2")]);
    Ok(vec![
        Refusal {
            what: "an object under another context",
            reading: Reading {
                pairs: other.clone(),
                ..uncommitted.reading()
            },
            says: &[
                (OURS, "the object's encryption context is not the one given"),
                (JAVA, "Provided encryption context does not match"),
                (PYTHON, "Provided encryption context does not match"),
                (RUBY, "does not match the provided encryption context"),
            ],
        },
        Refusal {
            what: "an object under another description",
            reading: Reading {
                pairs: other,
                ..described.reading()
            },
            says: &[
                (
                    OURS,
                    "the object has another material description than this key",
                ),
                (JAVA, "Unable to RSA-OAEP-SHA1 unwrap"),
                (RUBY, "OpenSSL::PKey::RSAError"),
            ],
        },
        Refusal {
            what: "a changed object",
            reading: Reading {
                key: changed,
                ..uncommitted.reading()
            },
            says: &[
                (OURS, "the object's body is not authentic"),
                (JAVA, "AEADBadTagException"),
                (PYTHON, "Failed to decrypt Object"),
                (RUBY, "OpenSSL::Cipher::CipherError"),
            ],
        },
        Refusal {
            what: "an object without commitment",
            reading: Reading {
                committed_only: true,
                ..uncommitted.reading()
            },
            says: &[
                (OURS, "forbids decrypting under suite 0072"),
                (JAVA, "Commitment policy violation"),
                (PYTHON, "cannot decrypt non-key-committing object"),
            ],
        },
        Refusal {
            what: "a legacy object",
            reading: Reading {
                legacy: false,
                ..legacy.reading()
            },
            says: &[
                (OURS, "allow it by read_legacy_unauthenticated"),
                (JAVA, "Enable legacy unauthenticated modes"),
                (PYTHON, "Enable legacy wrapping algorithms"),
                (RUBY, "LegacyDecryptionError"),
            ],
        },
    ])
}

async fn written(parties: &mut [Party], writer: &str, form: &str) -> Result<Object> {
    let mut object = Object {
        key: format!("refused/{}", form.replace(' ', "/")),
        form: form.parse()?,
        pairs: pairs([("number", "1")]),
        length: 100,
        multipart: false,
    };
    if object.form.format.is_legacy() {
        object.pairs.clear();
    }
    named(parties, writer)?.write(&object).await?;
    Ok(object)
}

/// A copy of the object with another body.
async fn flip_a_bit(store: &AmazonS3, key: &str) -> Result<String> {
    let object = store.get(&Path::from(key)).await?;
    let options = PutOptions::from(object.attributes.clone());
    let mut body = object.bytes().await?.to_vec();
    if let Some(byte) = body.first_mut() {
        *byte ^= 1;
    }
    let copy = format!("{key}/changed");
    store
        .put_opts(&Path::from(copy.as_str()), body.into(), options)
        .await?;
    Ok(copy)
}

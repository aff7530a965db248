//! The same on objects of the Amazon S3 Encryption Client, in memory: what an upload stores, what a
//! download checks, and what it refuses.

use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};
use envelope::{CommitmentPolicy, WrappingKey};
use envelope_s3::S3ec;
use envelope_s3::keyring::{Aes, Keys, MaterialDescription};
use envelope_store::{EncryptedStore, Opened};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{Attribute, Attributes, ObjectStore, ObjectStoreExt, PutOptions};

const CONTENT: &str = "invoice 4711: 41,50";

/// Keys of two years. New objects are written with the first.
struct Demonstration {
    bucket: Arc<InMemory>,
    keys: Arc<Keys>,
}

pub(crate) async fn demonstrate() -> Result<()> {
    let described = |year| MaterialDescription::new([("year", year)]);
    let new = Aes::new(WrappingKey::generate()?).described(described("2026"));
    let old = Aes::new(WrappingKey::generate()?).described(described("2025"));
    let demonstration = Demonstration {
        bucket: Arc::new(InMemory::new()),
        keys: Arc::new(Keys::new(new).and(old)),
    };
    demonstration.upload().await?;
    demonstration.download().await?;
    demonstration.instruction_file().await?;
    demonstration.change_one_bit().await?;
    demonstration.range().await?;
    demonstration.legacy().await
}

impl Demonstration {
    fn store(&self, format: S3ec) -> EncryptedStore<Arc<InMemory>> {
        EncryptedStore::builder(Arc::clone(&self.bucket))
            .format(format)
            .build(Arc::clone(&self.keys))
    }

    async fn upload(&self) -> Result<()> {
        let path = Path::from("invoices/4711");
        let own = (Attribute::Metadata("department".into()), "sales");
        let options = PutOptions::from(Attributes::from_iter([own]));
        self.store(S3ec::v3())
            .put_opts(&path, CONTENT.into(), options)
            .await?;

        println!("10. upload as the S3 Encryption Client does, format V3, into memory:");
        println!("    a. make a data key and a message id, and derive from both the key of the");
        println!("       content and a commitment to it");
        println!("    b. wrap the data key under the key that is described as year 2026");
        println!("    c. encrypt the content with AES-GCM: one ciphertext, its tag at the end");
        println!("    d. put both. What is stored as metadata:");
        self.show_metadata(&path).await?;
        let body = self.bucket.get(&path).await?.bytes().await?;
        ensure!(
            body.len() == CONTENT.len() + 16,
            "the body is the content and a tag"
        );
        ensure!(
            !body
                .windows(8)
                .any(|part| CONTENT.as_bytes().starts_with(part)),
            "the body holds plaintext"
        );
        println!(
            "       and as body: {} bytes for {}, ciphertext: {}…",
            body.len(),
            CONTENT.len(),
            hex(body.get(..8).unwrap_or_default())
        );
        Ok(())
    }

    /// Everything here is readable without a key, and none of it is verified.
    async fn show_metadata(&self, path: &Path) -> Result<()> {
        let stored = self.bucket.get(path).await?.attributes;
        let mut pairs: Vec<_> = stored
            .iter()
            .filter_map(|(name, value)| match name {
                Attribute::Metadata(name) => Some((name.to_string(), value.to_string())),
                _ => None,
            })
            .collect();
        pairs.sort();
        for (name, value) in pairs {
            println!("       {name:<11} {value:<32} {}", meaning(&name));
        }
        Ok(())
    }

    async fn download(&self) -> Result<()> {
        let path = Path::from("invoices/4711");
        let read = self.store(S3ec::v3()).get(&path).await?;
        let opened = read.extensions.get::<Opened>().cloned();
        let opened = opened.context("a read tells what opened the object")?;
        ensure!(opened.is_verified(), "the object is not authenticated");
        let shown = read.attributes.len();
        ensure!(
            shown == 1 && read.bytes().await? == CONTENT,
            "the object came back changed"
        );
        println!(
            "11. download: metadata tells the format ({}),",
            opened.format()
        );
        println!(
            "    the material description picks the key ({}),",
            opened.key().key_name()
        );
        println!("    that unwraps the data key, which is compared with the commitment;");
        println!("    the tag at the end verifies, and only then is the content handed out");
        Ok(())
    }

    async fn instruction_file(&self) -> Result<()> {
        let path = Path::from("invoices/4712");
        let store = self.store(S3ec::v3().instruction_files());
        store.put(&path, CONTENT.into()).await?;
        println!("12. the same with an instruction file. On the object:");
        self.show_metadata(&path).await?;
        let file = Path::from(format!("{path}.instruction"));
        let content = self.bucket.get(&file).await?.bytes().await?;
        println!("    and in {file}, which listings hide:");
        println!("       {}", String::from_utf8_lossy(&content));
        // Readers need no setting for it.
        let read = self.store(S3ec::v3()).get(&path).await?;
        ensure!(
            read.bytes().await? == CONTENT,
            "the object came back changed"
        );
        Ok(())
    }

    async fn change_one_bit(&self) -> Result<()> {
        let path = Path::from("invoices/4711");
        let stored = self.bucket.get(&path).await?;
        let options = PutOptions::from(stored.attributes.clone());
        let mut body = stored.bytes().await?.to_vec();
        if let Some(byte) = body.first_mut() {
            *byte ^= 1;
        }
        let changed = Path::from("invoices/changed");
        self.bucket.put_opts(&changed, body.into(), options).await?;
        let read = async {
            let read = self.store(S3ec::v3()).get(&changed).await?;
            read.bytes().await
        };
        refused("13. flip one bit", "a changed object was read", read.await)
    }

    async fn range(&self) -> Result<()> {
        let path = Path::from("invoices/4711");
        let read = self.store(S3ec::v3()).get_range(&path, 0..7).await;
        refused("14. read a part", "a part was read", read)?;
        let willing = S3ec::v3().danger().read_legacy_unauthenticated();
        let read = self.store(willing).get_range(&path, 0..7).await?;
        ensure!(
            read == CONTENT.as_bytes().get(..7).unwrap_or_default(),
            "not the part"
        );
        println!("    with danger().read_legacy_unauthenticated() it is read, unverified");
        Ok(())
    }

    /// An object in format V1, under a key of its time.
    async fn legacy(&self) -> Result<()> {
        let path = Path::from("invoices/0001");
        let keyring = || -> Result<Aes> {
            let mut key = [7; 32];
            Ok(Aes::new(WrappingKey::from_bytes(&mut key)?))
        };
        let writer = EncryptedStore::builder(Arc::clone(&self.bucket))
            .format(S3ec::legacy_v1())
            .build(keyring()?.wrapping_for_v1_without_integrity());
        writer.put(&path, CONTENT.into()).await?;

        let reader = |format| -> Result<_> {
            let store = EncryptedStore::builder(Arc::clone(&self.bucket)).format(format);
            Ok(store.build(keyring()?))
        };
        let read = reader(S3ec::v3())?.get(&path).await;
        refused("15. read format V1", "V1 was read", read)?;
        let tolerant = S3ec::v3().policy(CommitmentPolicy::RequireEncryptAllowDecrypt);
        let read = reader(tolerant.clone())?.get(&path).await;
        refused("    under another policy", "V1 was read", read)?;
        let tolerant = tolerant.danger().read_legacy_unauthenticated();
        let read = reader(tolerant.clone())?.get(&path).await;
        refused("    with one switch", "V1 was read", read)?;
        let tolerant = tolerant.danger().read_legacy_wraps();
        let read = reader(tolerant)?.get(&path).await?;
        let opened = read.extensions.get::<Opened>().cloned();
        let opened = opened.context("a read tells what opened the object")?;
        ensure!(
            !opened.is_verified() && read.bytes().await? == CONTENT,
            "format V1 came back changed, or as authenticated"
        );
        println!("    with both it is read, and marked as not authenticated");
        Ok(())
    }
}

fn refused<T>(what: &str, otherwise: &str, read: object_store::Result<T>) -> Result<()> {
    match read {
        Ok(_) => bail!("{otherwise}"),
        Err(error) => {
            println!("{what}: refused: {error}");
            Ok(())
        }
    }
}

fn meaning(name: &str) -> &'static str {
    match name {
        "x-amz-c" => "the suite, 0x0073",
        "x-amz-3" => "the encrypted data key",
        "x-amz-w" => "how it is wrapped: AES-GCM",
        "x-amz-d" => "the commitment to the data key",
        "x-amz-i" => "the message id",
        "x-amz-m" => "the material description",
        _ => "the caller's own",
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

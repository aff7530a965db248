//! An object as it lies in a bucket.

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use envelope::MaterialsManager;
use envelope_s3::{InstructionSuffix, S3ec};
use envelope_store::EncryptedStore;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    Attribute, Attributes, GetOptions, ObjectStore, ObjectStoreExt, PutOptions, Result,
};
use serde_json::Value;

use super::{GOLDEN, context_of, path, text};

/// All that is stored of one object, to be changed and put into a store.
#[derive(Debug, Clone, Default)]
pub struct StoredObject {
    pub body: Vec<u8>,
    pub metadata: BTreeMap<String, String>,
    /// Content of its instruction file.
    pub file: Option<Vec<u8>>,
    /// What the file's name ends with.
    pub suffix: Option<String>,
    /// What its reader must wish for.
    pub options: GetOptions,
}

impl StoredObject {
    /// One that another client wrote.
    pub fn golden(id: &str) -> Self {
        let objects = GOLDEN["objects"].as_array().unwrap();
        let entry = objects.iter().find(|entry| entry["id"] == id);
        Self::of_entry(entry.unwrap_or_else(|| panic!("no golden object {id}")))
    }

    pub fn of_entry(entry: &Value) -> Self {
        let mut options = GetOptions::new();
        let context = context_of(&entry["encryption_context"]);
        if !context.is_empty() {
            options.extensions.insert(context);
        }
        let suffix = entry["instruction_suffix"].as_str().map(str::to_owned);
        if let Some(suffix) = suffix.clone() {
            options.extensions.insert(InstructionSuffix::new(suffix));
        }
        Self {
            body: BASE64_STANDARD
                .decode(text(&entry["ciphertext_b64"]))
                .unwrap(),
            metadata: pairs(&entry["metadata"]),
            file: entry["instruction_json"].as_str().map(Vec::from),
            suffix,
            options,
        }
    }

    /// One that this format writes.
    pub async fn written(
        format: S3ec,
        keys: impl MaterialsManager + 'static,
        plaintext: &[u8],
    ) -> Self {
        let inner = Arc::new(InMemory::new());
        let store = EncryptedStore::builder(Arc::clone(&inner))
            .format(format)
            .build(keys);
        store.put(&path(), plaintext.to_vec().into()).await.unwrap();
        Self::stored(&inner).await
    }

    /// The object that is stored.
    pub async fn stored(inner: &InMemory) -> Self {
        let result = inner.get(&path()).await.unwrap();
        let metadata = user_metadata(&result.attributes);
        let body = result.bytes().await.unwrap().to_vec();
        let file = match inner.get(&super::file_path()).await {
            Ok(file) => Some(file.bytes().await.unwrap().to_vec()),
            Err(object_store::Error::NotFound { .. }) => None,
            Err(error) => panic!("{error}"),
        };
        Self {
            body,
            metadata,
            file,
            ..Self::default()
        }
    }

    /// A store that holds it.
    pub async fn put(&self) -> Arc<InMemory> {
        let inner = Arc::new(InMemory::new());
        self.put_into(&inner).await;
        inner
    }

    pub async fn put_into(&self, inner: &InMemory) {
        let pairs = self.metadata.iter();
        let attributes: Attributes = pairs
            .map(|(name, value)| (Attribute::Metadata(name.clone().into()), value.clone()))
            .collect();
        let options = PutOptions::from(attributes);
        let body = self.body.clone().into();
        inner.put_opts(&path(), body, options).await.unwrap();
        if let Some(file) = &self.file {
            let suffix = self.suffix.as_deref().unwrap_or(".instruction");
            let location = Path::from(format!("{}{suffix}", path()));
            inner.put(&location, file.clone().into()).await.unwrap();
        }
    }

    /// What a reader of this format gets.
    pub async fn read(
        &self,
        format: S3ec,
        keys: impl MaterialsManager + 'static,
    ) -> Result<Vec<u8>> {
        let inner = self.put().await;
        let store = EncryptedStore::builder(inner).format(format).build(keys);
        let result = store.get_opts(&path(), self.options.clone()).await?;
        Ok(result.bytes().await?.to_vec())
    }

    /// The value of this pair, wherever it is.
    pub fn value(&self, name: &str) -> String {
        if let Some(value) = self.metadata.get(name) {
            return value.clone();
        }
        text(&self.file_json()[name]).to_owned()
    }

    pub fn file_json(&self) -> Value {
        serde_json::from_slice(self.file.as_ref().unwrap()).unwrap()
    }

    /// The same with another instruction file.
    pub fn with_file_json(mut self, change: impl FnOnce(&mut Value)) -> Self {
        let mut json = self.file_json();
        change(&mut json);
        self.file = Some(json.to_string().into_bytes());
        self
    }

    /// The same with another value of this pair.
    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.metadata.insert(name.to_owned(), value.into());
        self
    }

    pub fn without(mut self, name: &str) -> Self {
        let removed = self.metadata.remove(name);
        assert!(removed.is_some(), "there is no {name}");
        self
    }
}

pub fn pairs(value: &Value) -> BTreeMap<String, String> {
    let pairs = value.as_object().unwrap().iter();
    pairs
        .map(|(name, value)| (name.clone(), text(value).to_owned()))
        .collect()
}

pub fn user_metadata(attributes: &Attributes) -> BTreeMap<String, String> {
    let pairs = attributes.iter().filter_map(|(name, value)| match name {
        Attribute::Metadata(name) => Some((name.to_string(), value.to_string())),
        _ => None,
    });
    pairs.collect()
}

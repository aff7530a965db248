//! No two tags that our API can produce share key and nonce.
//!
//! A header's tag is computed under the key of its frames and the nonce zero. Two headers, or two
//! frames, under one key and one nonce would give that key's authentication away, and whoever holds
//! both versions could forge. So every way to make a version of an object is tried, and all tags of
//! all versions are compared.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    unreachable_pub,
    dead_code,
    reason = "a test stops at the first surprise, and shares helpers with others"
)]

mod support;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use envelope::keyring::{Attempt, KeyRequest, Keyring, KeyringError, Unwrapped};
use envelope::{
    CacheLimits, CachingManager, DataKey, DecryptOptions, EncryptedDataKey, EncryptionContext,
    FrameScan, MaterialsCache, MaterialsManager, RawAes, RequiredEncryptionContext,
    UnverifiedHeader, WrappingKey,
};
use envelope_store::{EncryptedStore, Framed, INSTRUCTION_FILE_PROVIDER_ID};
use futures::TryStreamExt;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{Extensions, ObjectStore, ObjectStoreExt, PutMultipartOptions, PutOptions};

const FRAME: usize = 50;
const HEADER: usize = 400;
const PART: usize = 300;

fn encrypted(
    inner: &Arc<InMemory>,
    manager: impl MaterialsManager + 'static,
) -> EncryptedStore<Arc<InMemory>> {
    EncryptedStore::builder(Arc::clone(inner))
        .format(format())
        .part_length(PART)
        .build(manager)
}

fn format() -> Framed {
    Framed::new().frame_length(50).header_length(HEADER)
}

/// A keyring that tells which data key it wrapped.
#[derive(Debug, Clone)]
struct Telling {
    inner: Arc<RawAes>,
    /// Data keys by their wrapped form.
    data_keys: Arc<Mutex<HashMap<Vec<u8>, Vec<u8>>>>,
}

impl Telling {
    fn new(name: &str, data_keys: &Arc<Mutex<HashMap<Vec<u8>, Vec<u8>>>>) -> Self {
        let wrapping_key = WrappingKey::generate().unwrap();
        Self {
            inner: Arc::new(RawAes::new("acme", name, wrapping_key).unwrap()),
            data_keys: Arc::clone(data_keys),
        }
    }
}

#[async_trait]
impl Keyring for Telling {
    async fn wrap_key(
        &self,
        data_key: &DataKey,
        request: KeyRequest<'_>,
    ) -> Result<Vec<EncryptedDataKey>, KeyringError> {
        let wrapped = self.inner.wrap_key(data_key, request).await?;
        let mut data_keys = self.data_keys.lock().unwrap();
        for key in &wrapped {
            let known = data_keys.insert(key.ciphertext().to_vec(), data_key.expose().to_vec());
            assert!(known.is_none());
        }
        Ok(wrapped)
    }

    async fn unwrap_key(
        &self,
        keys: &[EncryptedDataKey],
        request: KeyRequest<'_>,
    ) -> Result<Unwrapped, Vec<Attempt>> {
        self.inner.unwrap_key(keys, request).await
    }
}

/// What a derived key follows from.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct KeyIdentity {
    data_key: Vec<u8>,
    suite: u16,
    message_id: Vec<u8>,
}

type Nonce = [u8; 12];

/// A key and a nonce that two different texts were sealed under.
#[derive(Debug, PartialEq, Eq)]
struct Reused(KeyIdentity, Nonce);

/// All that was sealed under any key and nonce, its tag included.
#[derive(Debug, Default)]
struct Tags(HashMap<(KeyIdentity, Nonce), Vec<u8>>);

impl Tags {
    fn insert_one(&mut self, key: &KeyIdentity, nonce: Nonce, sealed: &[u8]) -> Result<(), Reused> {
        let known = self
            .0
            .entry((key.clone(), nonce))
            .or_insert_with(|| sealed.to_vec());
        match known == sealed {
            true => Ok(()),
            false => Err(Reused(key.clone(), nonce)),
        }
    }

    /// Takes the header's tag and each frame's. The data key is that of this message.
    fn insert(&mut self, message: &[u8], data_key: &[u8]) -> Result<(), Reused> {
        let header = UnverifiedHeader::parse_whole(message, &DecryptOptions::default()).unwrap();
        let claims = header.claims();
        assert_eq!(claims.version(), 2, "another version states its own nonce");
        let key = KeyIdentity {
            data_key: data_key.to_vec(),
            suite: claims.suite().id(),
            message_id: claims.message_id().to_vec(),
        };
        let (header, mut body) = message.split_at(header.length());
        self.insert_one(&key, [0; 12], header)?;
        let mut frames = claims.frames();
        loop {
            let (length, nonce_at, is_final) = match frames.scan(body).unwrap() {
                FrameScan::Regular { length } => (length, 4, false),
                FrameScan::Final { length, .. } => (length, 8, true),
                FrameScan::Incomplete(length) => panic!("a frame needs {length} bytes"),
            };
            let (frame, rest) = body.split_at(usize::try_from(length).unwrap());
            let nonce = frame[nonce_at..nonce_at + 12].try_into().unwrap();
            self.insert_one(&key, nonce, frame)?;
            body = rest;
            if is_final {
                assert!(body.is_empty());
                return Ok(());
            }
        }
    }

    fn keys(&self) -> usize {
        let headers = self.0.keys().filter(|(_, nonce)| *nonce == [0; 12]);
        headers.count()
    }
}

/// A bucket, all that it ever held, and the data keys of it.
#[derive(Debug, Default)]
struct History {
    inner: Arc<InMemory>,
    data_keys: Arc<Mutex<HashMap<Vec<u8>, Vec<u8>>>>,
    tags: Tags,
    /// All that wrapped anything.
    keyrings: Vec<Telling>,
    /// Messages sealed under each data key.
    messages: HashMap<Vec<u8>, usize>,
}

impl History {
    fn keyring(&mut self, name: &str) -> Telling {
        let keyring = Telling::new(name, &self.data_keys);
        self.keyrings.push(keyring.clone());
        keyring
    }

    /// The data key of a message whose keys are in its header.
    fn data_key(&self, message: &[u8]) -> Option<Vec<u8>> {
        let header = UnverifiedHeader::parse_whole(message, &DecryptOptions::default()).unwrap();
        let data_keys = self.data_keys.lock().unwrap();
        let mut wrapped = header.claims().encrypted_data_keys().iter();
        let found = wrapped.find_map(|key| data_keys.get(key.ciphertext()));
        found.cloned()
    }

    /// The data key of an object whose keys are in its instruction file.
    async fn data_key_behind_file(&self, location: &Path, message: &[u8]) -> Vec<u8> {
        let options = DecryptOptions::default();
        let header = UnverifiedHeader::parse_whole(message, &options).unwrap();
        let keys = header.claims().encrypted_data_keys();
        let id = keys[0].key_name();
        let file = Path::from(format!("{location}.{id}.instruction"));
        let file = self.inner.get(&file).await.unwrap().bytes().await.unwrap();
        let mut opened = self.keyrings.iter().filter_map(|keyring| {
            futures::executor::block_on(envelope::decrypt(keyring, &file, &options)).ok()
        });
        let wrapping_key = WrappingKey::from_bytes(&mut opened.next().unwrap().plaintext).unwrap();
        let keyring = RawAes::new(INSTRUCTION_FILE_PROVIDER_ID, id, wrapping_key).unwrap();
        let request = KeyRequest {
            suite: header.claims().suite(),
            context: header.claims().context(),
        };
        let unwrapped = keyring.unwrap_key(keys, request).await.unwrap();
        unwrapped.data_key.expose().to_vec()
    }

    /// Takes every object as it is now.
    async fn take(&mut self) {
        let objects: Vec<_> = self.inner.list(None).try_collect().await.unwrap();
        for meta in objects {
            let message = self.inner.get(&meta.location).await.unwrap();
            let message = message.bytes().await.unwrap();
            let data_key = match self.data_key(&message) {
                Some(data_key) => data_key,
                None => self.data_key_behind_file(&meta.location, &message).await,
            };
            let known = self.tags.keys();
            self.tags.insert(&message, &data_key).unwrap();
            *self.messages.entry(data_key).or_default() += self.tags.keys() - known;
        }
    }
}

fn context() -> Extensions {
    let mut extensions = Extensions::new();
    extensions.insert(EncryptionContext::new([("tenant", "acme")]).unwrap());
    extensions
}

async fn put(store: &dyn ObjectStore, location: &Path, text: &[u8]) {
    let options = PutOptions {
        extensions: context(),
        ..PutOptions::default()
    };
    let put = store.put_opts(location, text.to_vec().into(), options);
    put.await.unwrap();
}

async fn upload(store: &dyn ObjectStore, location: &Path, text: &[u8], piece: usize) {
    let options = PutMultipartOptions {
        extensions: context(),
        ..PutMultipartOptions::default()
    };
    let upload = store.put_multipart_opts(location, options);
    let mut upload = upload.await.unwrap();
    for piece in text.chunks(piece) {
        upload.put_part(piece.to_vec().into()).await.unwrap();
    }
    upload.complete().await.unwrap();
}

/// Makes versions in every way that there is, and takes each.
async fn make_versions(
    history: &mut History,
    store: &EncryptedStore<Arc<InMemory>>,
    others: &[&dyn MaterialsManager],
) {
    let (a, b, c) = (Path::from("a"), Path::from("b"), Path::from("c"));
    // No frame, some and a part of one, full ones, and several parts.
    for length in [0, 3, 2 * FRAME, 20 * FRAME + 7] {
        let text = vec![7; length];
        for _ in 0..2 {
            put(store, &a, &text).await;
            history.take().await;
            for piece in [1000, FRAME, 13] {
                upload(store, &a, &text, piece).await;
                history.take().await;
            }
            store.copy(&a, &b).await.unwrap();
            history.take().await;
            store.rename(&b, &c).await.unwrap();
            history.take().await;
            for other in others {
                store.reencrypt(&c, *other).await.unwrap();
                history.take().await;
            }
            put(store, &a, &vec![8; length]).await;
            history.take().await;
        }
        store.delete(&c).await.unwrap();
    }
}

fn caching(keyring: Telling, cache: &MaterialsCache) -> CachingManager {
    let limits = CacheLimits::new(Duration::from_secs(3600));
    CachingManager::new(keyring, cache.clone(), limits).unwrap()
}

#[tokio::test]
async fn no_two_versions_share_key_and_nonce() {
    let mut history = History::default();
    let keyring = history.keyring("one");
    let store = encrypted(&history.inner, keyring.clone());
    let (rotated, foreign) = (history.keyring("one"), history.keyring("two"));
    // An object that was re-encrypted under other keys is put again before it is read.
    make_versions(&mut history, &store, &[&keyring, &rotated]).await;
    let store = encrypted(&history.inner, foreign.clone());
    make_versions(&mut history, &store, &[&foreign]).await;
    // Without a cache each message has a data key of its own.
    assert!(history.messages.values().all(|messages| *messages == 1));
}

#[tokio::test]
async fn a_data_key_that_is_used_again_seals_under_other_keys() {
    let mut history = History::default();
    let cache = MaterialsCache::new(10).unwrap();
    let keyring = history.keyring("one");
    let store = encrypted(&history.inner, caching(keyring.clone(), &cache));
    let same = caching(keyring, &cache);
    make_versions(&mut history, &store, &[&same, &same]).await;
    let most = history.messages.values().max().unwrap();
    assert!(*most > 10, "the cache served {most} messages");
}

#[tokio::test]
async fn a_context_that_is_not_stored_changes_no_nonce() {
    let mut history = History::default();
    let requiring =
        |keyring: &Telling| RequiredEncryptionContext::new(keyring.clone(), ["tenant"]).unwrap();
    let keyring = history.keyring("one");
    let store = encrypted(&history.inner, requiring(&keyring));
    let a = Path::from("a");
    for length in [0, 3, 20 * FRAME] {
        for piece in [FRAME, 13] {
            put(&store, &a, &vec![7; length]).await;
            history.take().await;
            upload(&store, &a, &vec![7; length], piece).await;
            history.take().await;
        }
    }
}

#[tokio::test]
async fn a_rewrapped_instruction_file_shares_nothing_with_the_old_one() {
    let mut history = History::default();
    let keyring = history.keyring("one");
    let rotated = history.keyring("two");
    let with_files = |keyring: &Telling| {
        EncryptedStore::builder(Arc::clone(&history.inner))
            .format(format().with_instruction_files())
            .part_length(PART)
            .build(keyring.clone())
    };
    let (store, after) = (with_files(&keyring), with_files(&rotated));
    make_versions(&mut history, &store, &[&keyring]).await;
    let a = Path::from("a");
    for _ in 0..3 {
        for (store, to) in [(&store, &rotated), (&after, &keyring)] {
            store.rewrap(&a, to).await.unwrap();
            history.take().await;
        }
    }
    assert!(history.messages.values().all(|messages| *messages == 1));
}

/// One message with its data key.
async fn one() -> (History, Telling, Vec<u8>) {
    let mut history = History::default();
    let keyring = history.keyring("one");
    let store = encrypted(&history.inner, keyring.clone());
    put(&store, &"a".into(), &[7; 3 * FRAME]).await;
    let message = history.inner.get(&"a".into()).await.unwrap();
    let message = message.bytes().await.unwrap().to_vec();
    (history, keyring, message)
}

#[tokio::test]
async fn a_header_wrapped_anew_is_found() {
    let (mut history, keyring, message) = one().await;
    let data_key = history.data_key(&message).unwrap();
    history.tags.insert(&message, &data_key).unwrap();
    // The same message again is nothing new.
    history.tags.insert(&message, &data_key).unwrap();

    // What a careless rotation would do: other wrapped keys, the same message id and data key.
    let header = UnverifiedHeader::parse_whole(&message, &DecryptOptions::default()).unwrap();
    let claims = header.claims();
    let request = KeyRequest {
        suite: claims.suite(),
        context: claims.context(),
    };
    let secret = DataKey::from_bytes(data_key.clone(), claims.suite()).unwrap();
    let [anew] = &keyring.wrap_key(&secret, request).await.unwrap()[..] else {
        panic!("one keyring wraps once");
    };
    let old = claims.encrypted_data_keys()[0].ciphertext();
    let at = message.windows(old.len()).position(|bytes| bytes == old);
    let at = at.unwrap();
    let mut forged = message.clone();
    forged[at..at + old.len()].copy_from_slice(anew.ciphertext());
    assert_eq!(history.data_key(&forged).as_ref(), Some(&data_key));

    let key = KeyIdentity {
        data_key: data_key.clone(),
        suite: claims.suite().id(),
        message_id: claims.message_id().to_vec(),
    };
    let found = history.tags.insert(&forged, &data_key);
    assert_eq!(found, Err(Reused(key, [0; 12])));
}

#[tokio::test]
async fn a_frame_sealed_twice_is_found() {
    let (mut history, _, message) = one().await;
    let data_key = history.data_key(&message).unwrap();
    history.tags.insert(&message, &data_key).unwrap();
    let sealed_frame = FRAME + 32;
    for frame in 0..3 {
        // A byte of its content.
        let mut forged = message.clone();
        forged[HEADER + frame * sealed_frame + 30] ^= 1;
        let Err(Reused(_, nonce)) = history.tags.insert(&forged, &data_key) else {
            panic!("frame {frame} was not found");
        };
        assert_eq!(usize::from(nonce[11]), frame + 1);
    }
    // Under another data key it is another key.
    history.tags.insert(&message, &[0; 32]).unwrap();
}

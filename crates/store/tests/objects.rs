//! What goes in, what is bound, and what is refused.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    unreachable_pub,
    dead_code,
    reason = "a test stops at the first surprise, and shares helpers with others"
)]

mod support;

use std::sync::Arc;

use envelope::{EncryptionContext, RawAes, RequiredEncryptionContext, WrappingKey};
use envelope_store::{EncryptedStore, Error, Framed, ListedSizes, Opened};
use futures::TryStreamExt;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    Attribute, Attributes, Extensions, GetOptions, ObjectStore, ObjectStoreExt, PutMode,
    PutMultipartOptions, PutOptions,
};
use support::{keyring, put_now};

fn context(pairs: &[(&str, &str)]) -> EncryptionContext {
    EncryptionContext::new(pairs.iter().copied()).unwrap()
}

fn with(context: &EncryptionContext) -> Extensions {
    let mut extensions = Extensions::new();
    extensions.insert(context.clone());
    extensions
}

fn path() -> Path {
    Path::from("a/object")
}

/// Our own error inside one of `object_store`'s.
fn cause(error: &object_store::Error) -> &Error {
    let mut source: &(dyn std::error::Error + 'static) = error;
    loop {
        if let Some(found) = source.downcast_ref::<Error>() {
            return found;
        }
        source = source.source().unwrap();
    }
}

fn envelope_error(error: &object_store::Error) -> &envelope::Error {
    match cause(error) {
        Error::Envelope { source, .. } | Error::Foreign { source, .. } => source,
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn contexts_of_store_and_request_are_bound_and_demanded() {
    let inner = Arc::new(InMemory::new());
    let build = |context: EncryptionContext| {
        EncryptedStore::builder(Arc::clone(&inner))
            .context(context)
            .build(keyring())
    };
    let store = build(context(&[("tenant", "acme")]));
    let invoice = context(&[("kind", "invoice")]);
    let options = PutOptions {
        extensions: with(&invoice),
        ..PutOptions::default()
    };
    store
        .put_opts(&path(), "text".into(), options)
        .await
        .unwrap();

    for range in [None, Some((1..3).into())] {
        let get = |store: &EncryptedStore<Arc<InMemory>>, extensions| {
            let options = GetOptions {
                extensions,
                range: range.clone(),
                ..GetOptions::default()
            };
            let store = store.clone();
            async move { store.get_opts(&path(), options).await }
        };
        for extensions in [Extensions::new(), with(&invoice)] {
            let result = get(&store, extensions).await.unwrap();
            let opened = result.extensions.get::<Opened>().unwrap();
            assert_eq!(
                *opened.context(),
                context(&[("tenant", "acme"), ("kind", "invoice")])
            );
            assert!(opened.suite().commits() && !opened.suite().is_signed());
            assert_eq!(opened.format(), "framed");
            assert_eq!(
                (opened.key().provider_id(), &*opened.key().key_name()),
                ("acme", "test")
            );
        }
        // The cached header was opened under other pairs; these are not taken from it.
        let wrong = get(&store, with(&context(&[("kind", "letter")])))
            .await
            .unwrap_err();
        assert!(matches!(
            envelope_error(&wrong),
            envelope::Error::ContextMismatch { .. }
        ));
        let other = build(context(&[("tenant", "other")]));
        let wrong = get(&other, Extensions::new()).await.unwrap_err();
        assert!(matches!(
            envelope_error(&wrong),
            envelope::Error::ContextMismatch { .. }
        ));
    }
}

#[tokio::test]
async fn what_a_manager_demands_is_demanded_of_every_read() {
    let inner = Arc::new(InMemory::new());
    let requiring = RequiredEncryptionContext::new(keyring(), ["patient"]).unwrap();
    let store = EncryptedStore::new(Arc::clone(&inner), requiring);
    let patient = context(&[("patient", "1024")]);
    let options = PutOptions {
        extensions: with(&patient),
        ..PutOptions::default()
    };
    store
        .put_opts(&path(), "text".into(), options)
        .await
        .unwrap();
    let read = |extensions| {
        let options = GetOptions {
            extensions,
            range: Some((0..2).into()),
            ..GetOptions::default()
        };
        let store = store.clone();
        async move { store.get_opts(&path(), options).await }
    };
    // Before and after the header is remembered of those who know the pair.
    for _ in 0..2 {
        let error = read(Extensions::new()).await.unwrap_err();
        assert!(matches!(
            envelope_error(&error),
            envelope::Error::RequiredContextKeyMissing { key } if key == "patient"
        ));
        assert!(store.get_ranges(&path(), &[0..1, 1..2]).await.is_err());
        assert_eq!(
            read(with(&patient)).await.unwrap().bytes().await.unwrap(),
            "te"
        );
    }
}

#[tokio::test]
async fn a_request_cannot_contradict_the_store() {
    let store = EncryptedStore::builder(InMemory::new())
        .context(context(&[("tenant", "acme")]))
        .build(keyring());
    let options = PutOptions {
        extensions: with(&context(&[("tenant", "other")])),
        ..PutOptions::default()
    };
    let error = store
        .put_opts(&path(), "text".into(), options)
        .await
        .unwrap_err();
    assert!(matches!(cause(&error), Error::ContextConflict { key, .. } if key == "tenant"));
}

#[tokio::test]
async fn frames_of_any_length_that_is_written_are_read() {
    let store = EncryptedStore::builder(InMemory::new())
        .format(Framed::new().frame_length(17 << 20))
        .build(keyring());
    let plaintext = vec![7; 18 << 20];
    store.put(&path(), plaintext.clone().into()).await.unwrap();
    assert_eq!(
        store.get(&path()).await.unwrap().bytes().await.unwrap(),
        plaintext
    );
    assert_eq!(store.get_range(&path(), 5..7).await.unwrap(), [7, 7][..]);
}

#[tokio::test]
async fn an_object_that_is_deleted_while_it_is_listed_is_left_out() {
    let spy = support::Spy::new().before_get(|inner, count| {
        if count == 0 {
            futures::executor::block_on(inner.delete(&Path::from("b"))).unwrap();
        }
    });
    let sizes = ListedSizes::LookedUp { concurrency: 1 };
    let store = EncryptedStore::builder(spy)
        .listed_sizes(sizes)
        .build(keyring());
    for name in ["a", "b", "c"] {
        store.put(&Path::from(name), "text".into()).await.unwrap();
    }
    let listed: Vec<_> = store.list(None).try_collect().await.unwrap();
    let names: Vec<_> = listed.iter().map(|meta| meta.location.as_ref()).collect();
    assert_eq!(names, ["a", "c"]);
}

#[tokio::test]
async fn a_bound_path_finds_swapped_objects() {
    let inner = Arc::new(InMemory::new());
    let store = EncryptedStore::builder(Arc::clone(&inner))
        .bind_paths()
        .build(keyring());
    let (a, b) = (Path::from("a"), Path::from("b"));
    store.put(&a, "one".into()).await.unwrap();
    store.put(&b, "two".into()).await.unwrap();
    assert_eq!(store.get(&a).await.unwrap().bytes().await.unwrap(), "one");
    let refused = store.copy(&a, &b).await.unwrap_err();
    assert!(matches!(cause(&refused), Error::PathsAreBound { .. }));
    assert!(matches!(refused, object_store::Error::NotSupported { .. }));
    assert!(store.rename(&a, &b).await.is_err());
    // The operator swaps them all the same.
    inner.copy(&a, &b).await.unwrap();
    let error = store.get(&b).await.unwrap_err();
    assert!(
        matches!(envelope_error(&error), envelope::Error::ContextMismatch { key } if key == "object-path")
    );
}

#[tokio::test]
async fn attributes_and_modes_pass_and_ciphertext_claims_no_encoding() {
    let inner = Arc::new(InMemory::new());
    let store = EncryptedStore::new(Arc::clone(&inner), keyring());
    let attributes = Attributes::from_iter([
        (Attribute::ContentType, "text/csv"),
        (Attribute::ContentEncoding, "gzip"),
        (Attribute::Metadata("owner".into()), "me"),
    ]);
    let options = PutOptions {
        attributes: attributes.clone(),
        ..PutOptions::default()
    };
    store
        .put_opts(&path(), "text".into(), options)
        .await
        .unwrap();
    let multipart = PutMultipartOptions {
        attributes: attributes.clone(),
        ..PutMultipartOptions::default()
    };
    let other = Path::from("b");
    let mut upload = store.put_multipart_opts(&other, multipart).await.unwrap();
    upload.put_part("text".into()).await.unwrap();
    upload.complete().await.unwrap();
    for location in [path(), other] {
        let stored = inner.get(&location).await.unwrap();
        assert_eq!(stored.attributes.get(&Attribute::ContentEncoding), None);
        assert_eq!(store.get(&location).await.unwrap().attributes, attributes);
        let head = store
            .get_opts(&location, GetOptions::new().with_head(true))
            .await
            .unwrap();
        assert_eq!(head.attributes, attributes);
        let range = GetOptions::new().with_range(Some(0..2));
        let ranged = store.get_opts(&location, range).await.unwrap();
        assert_eq!(ranged.attributes, attributes);
    }
    let create = store
        .put_opts(&path(), "new".into(), PutMode::Create.into())
        .await;
    assert!(matches!(
        create,
        Err(object_store::Error::AlreadyExists { .. })
    ));
    assert_eq!(
        store.get(&path()).await.unwrap().bytes().await.unwrap(),
        "text"
    );
}

#[tokio::test]
async fn empty_objects_and_odd_names_work() {
    let store = EncryptedStore::new(InMemory::new(), keyring());
    for name in ["x", "a b", "ü/🗼", "%2F", "a+b=c&d", "..x", "CON"] {
        let location = Path::from(name);
        store.put(&location, "".into()).await.unwrap();
        assert_eq!(store.head(&location).await.unwrap().size, 0);
        assert!(
            store
                .get(&location)
                .await
                .unwrap()
                .bytes()
                .await
                .unwrap()
                .is_empty()
        );
        let suffix = GetOptions::new().with_range(Some(object_store::GetRange::Suffix(5)));
        let read = store.get_opts(&location, suffix).await.unwrap();
        assert_eq!((read.range.clone(), read.meta.size), (0..0, 0));
        assert!(read.bytes().await.unwrap().is_empty());
        assert!(store.get_range(&location, 0..1).await.is_err());
    }
    let listed: Vec<_> = store.list(None).try_collect().await.unwrap();
    assert_eq!(listed.len(), 7);
}

#[tokio::test]
async fn what_is_not_ours_is_refused_by_name() {
    let inner = Arc::new(InMemory::new());
    let store = EncryptedStore::new(Arc::clone(&inner), keyring());
    for bytes in [&b""[..], b"\x02\x04", b"a plaintext", &[b'x'; 5000]] {
        put_now(&inner, &path(), bytes.to_vec());
        let errors = [
            store.get(&path()).await.map(drop).unwrap_err(),
            store.get_range(&path(), 0..1).await.map(drop).unwrap_err(),
            store.head(&path()).await.map(drop).unwrap_err(),
        ];
        for error in errors {
            let text = error.to_string();
            assert!(text.contains("a/object"), "{text}");
            assert!(matches!(
                envelope_error(&error),
                envelope::Error::Truncated { .. } | envelope::Error::UnsupportedVersion { .. }
            ));
        }
    }
    // A length that no object of this store has.
    put_now(&inner, &path(), vec![0; 100]);
    let listed: Result<Vec<_>, _> = store.list(None).try_collect().await;
    let error = listed.unwrap_err();
    assert!(matches!(
        envelope_error(&error),
        envelope::Error::ImpossibleLength { length: 100 }
    ));
    let missing = store.get(&Path::from("missing")).await.unwrap_err();
    assert!(matches!(missing, object_store::Error::NotFound { .. }));
}

#[tokio::test]
async fn a_missing_key_is_a_missing_permission() {
    let inner = Arc::new(InMemory::new());
    let store = EncryptedStore::new(Arc::clone(&inner), keyring());
    store.put(&path(), "text".into()).await.unwrap();
    let stranger = RawAes::new("acme", "other", WrappingKey::generate().unwrap()).unwrap();
    let stranger = EncryptedStore::new(inner, stranger);
    for error in [
        stranger.get(&path()).await.map(drop).unwrap_err(),
        stranger
            .get_range(&path(), 0..1)
            .await
            .map(drop)
            .unwrap_err(),
    ] {
        assert!(matches!(
            &error,
            object_store::Error::PermissionDenied { .. }
        ));
        assert!(matches!(
            envelope_error(&error),
            envelope::Error::NotUnwrapped(_)
        ));
    }
    // Sizes need no key.
    assert_eq!(stranger.head(&path()).await.unwrap().size, 4);
}

#[tokio::test]
async fn a_header_that_does_not_fit_is_refused_before_anything_is_sent() {
    let inner = Arc::new(InMemory::new());
    let store = EncryptedStore::builder(Arc::clone(&inner))
        .format(Framed::new().header_length(150))
        .build(keyring());
    let error = store.put(&path(), "text".into()).await.unwrap_err();
    assert!(matches!(
        envelope_error(&error),
        envelope::Error::HeaderDoesNotFit { wanted: 150, .. }
    ));
    assert!(store.put_multipart(&path()).await.is_err());
    let listed: Vec<_> = inner.list(None).try_collect().await.unwrap();
    assert!(listed.is_empty());
}

#[tokio::test]
async fn an_object_gets_other_keys_and_keeps_the_rest() {
    let other = || {
        let key = WrappingKey::from_bytes(&mut [8; 32]).unwrap();
        RawAes::new("acme", "other", key).unwrap()
    };
    // At once, and in parts.
    for length in [0, 900, 20_000] {
        let inner = Arc::new(InMemory::new());
        let build = || EncryptedStore::builder(Arc::clone(&inner)).part_length(5000);
        let (store, rotated) = (build().build(keyring()), build().build(other()));
        let options = PutOptions {
            attributes: Attributes::from_iter([(Attribute::ContentEncoding, "gzip")]),
            extensions: with(&context(&[("kind", "invoice")])),
            ..PutOptions::default()
        };
        let plaintext = vec![7; length];
        store
            .put_opts(&path(), plaintext.clone().into(), options)
            .await
            .unwrap();
        let before = inner.get(&path()).await.unwrap().bytes().await.unwrap();
        store.reencrypt(&path(), &other()).await.unwrap();

        let old = store.get(&path()).await.unwrap_err();
        assert!(matches!(old, object_store::Error::PermissionDenied { .. }));
        let read = rotated.get(&path()).await.unwrap();
        let opened = read.extensions.get::<Opened>().unwrap();
        assert_eq!(*opened.context(), context(&[("kind", "invoice")]));
        assert_eq!(read.attributes.len(), 1);
        assert_eq!(
            read.attributes
                .get(&Attribute::ContentEncoding)
                .unwrap()
                .as_ref(),
            "gzip"
        );
        assert_eq!(read.bytes().await.unwrap(), plaintext);
        // Another message altogether: no tag shares key and nonce with the old one's.
        let after = inner.get(&path()).await.unwrap().bytes().await.unwrap();
        let ids = [&before, &after].map(|message| {
            let options = envelope::DecryptOptions::default();
            let header = envelope::UnverifiedHeader::parse_whole(message, &options).unwrap();
            header.claims().message_id().to_vec()
        });
        assert_ne!(ids[0], ids[1]);
    }
}

#[tokio::test]
async fn inspecting_needs_no_key() {
    let inner = Arc::new(InMemory::new());
    let store = EncryptedStore::new(Arc::clone(&inner), keyring());
    store.put(&path(), "text".into()).await.unwrap();
    let key = WrappingKey::generate().unwrap();
    let stranger = EncryptedStore::new(inner, RawAes::new("a", "b", key).unwrap());
    let claims = stranger.inspect(&path()).await.unwrap();
    assert_eq!(claims.format, "framed");
    assert_eq!(claims.plaintext_length, Some(4));
    assert_eq!(
        claims.header_length,
        envelope_store::DEFAULT_HEADER_LENGTH as u64
    );
    assert_eq!(
        claims.frame_length,
        Some(envelope_store::DEFAULT_FRAME_LENGTH)
    );
    let keys = claims.encrypted_data_keys;
    assert_eq!(keys[0].key_name(), "test");
    assert_eq!(keys[1].provider_id(), envelope::PADDING_PROVIDER_ID);
    assert!(stranger.inspect(&Path::from("missing")).await.is_err());
}

#[tokio::test]
async fn an_object_that_changed_meanwhile_is_not_replaced() {
    let inner = Arc::new(InMemory::new());
    let writer = EncryptedStore::new(Arc::clone(&inner), keyring());
    writer.put(&path(), "old".into()).await.unwrap();
    /// Overwrites the object while new keys are made for it.
    struct Overwriting(EncryptedStore<Arc<InMemory>>);

    #[async_trait::async_trait]
    impl envelope::MaterialsManager for Overwriting {
        async fn encryption_materials(
            &self,
            request: envelope::EncryptionRequest<'_>,
        ) -> envelope::Result<envelope::EncryptionMaterials> {
            self.0.put(&path(), "new".into()).await.unwrap();
            keyring().encryption_materials(request).await
        }

        async fn decryption_materials(
            &self,
            request: envelope::DecryptionRequest<'_>,
        ) -> envelope::Result<envelope::DecryptionMaterials> {
            keyring().decryption_materials(request).await
        }
    }

    let store = EncryptedStore::new(Arc::clone(&inner), keyring());
    let error = store
        .reencrypt(&path(), &Overwriting(writer.clone()))
        .await
        .unwrap_err();
    assert!(matches!(error, object_store::Error::Precondition { .. }));
    assert_eq!(
        writer.get(&path()).await.unwrap().bytes().await.unwrap(),
        "new"
    );
}

/// Files are read in pieces of 1 MiB, which frames and headers do not divide.
#[tokio::test]
async fn long_files_are_read_in_pieces_and_never_cut_short() {
    let folder = tempfile::tempdir().unwrap();
    let inner = object_store::local::LocalFileSystem::new_with_prefix(folder.path()).unwrap();
    let store = EncryptedStore::builder(inner)
        .format(Framed::new().frame_length(100_000))
        .build(keyring());
    let content: Vec<u8> = (0..3_500_000_u32).map(|i| i.to_le_bytes()[1]).collect();
    store.put(&path(), content.clone().into()).await.unwrap();

    let whole = store.get(&path()).await.unwrap();
    let pieces: Vec<_> = whole.into_stream().try_collect().await.unwrap();
    assert!(pieces.len() < 20, "{} pieces", pieces.len());
    assert!(pieces.concat() == content);
    for range in [0..3_500_000, 99_999..2_200_001, 3_499_999..3_500_000] {
        let read = store.get_range(&path(), range.clone()).await.unwrap();
        let range = usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap();
        assert!(read == content[range]);
    }

    // The file is shortened while it is read: an error, whatever was released before it.
    let opened = store.get(&path()).await.unwrap();
    let file = folder.path().join("a/object");
    let file = std::fs::File::options().write(true).open(file).unwrap();
    file.set_len(2_000_000).unwrap();
    let mut released = 0;
    let mut body = opened.into_stream();
    let error = loop {
        match body.try_next().await {
            Ok(Some(bytes)) => released += bytes.len(),
            Ok(None) => panic!("a shortened file was taken for the whole"),
            Err(error) => break error,
        }
    };
    assert!(released < 2_000_000, "{error}");
}

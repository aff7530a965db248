//! `object_store`'s own suite, over a plain and an encrypted store, so that differences are ours.

use std::fmt;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use anyhow::{Result, anyhow, bail};
use envelope::{RawAes, WrappingKey};
use envelope_store::conformance::{self, Backend};
use envelope_store::{EncryptedStore, Framed};
use futures::FutureExt;
use object_store::ObjectStore;
use object_store::integration::{
    copy_if_not_exists, copy_rename_nonexistent_object, get_nonexistent_object, get_opts,
    list_paginated, list_uses_directories_correctly, list_with_delimiter,
    list_with_offset_exclusivity, multipart, multipart_out_of_order,
    multipart_put_part_out_of_order, multipart_race_condition, multipart_with_opts,
    put_get_attributes, put_get_delete_list, put_opts, rename_and_copy, response_extensions,
    stream_get,
};
use object_store::list::PaginatedListStore;
use object_store::multipart::MultipartStore;
use tokio::time::Instant;

use crate::client_offsets::ClientOffsets;
use crate::odd_names;

/// Functions that a server cannot do, each with its reason.
pub(crate) type LeftOut = &'static [(&'static str, &'static str)];

/// The buckets that a server has.
pub(crate) const BUCKETS: [&str; 4] = ["plain", "encrypted", "files", "bare"];

/// Checks of one store of one server. Each prints a line.
pub(crate) struct Suite {
    pub(crate) server: &'static str,
    pub(crate) left_out: LeftOut,
    /// Why the server's listings from an offset are not used, and a client compares instead.
    pub(crate) client_offsets: Option<&'static str>,
    /// Which of two multipart uploads to one path wins: the last one, or the only one that may
    /// complete.
    pub(crate) last_writer_wins: bool,
}

/// Whether a store is the server's own or ours over it.
#[derive(Debug, Clone, Copy)]
pub(crate) enum View {
    Plain,
    Encrypted,
    /// Encrypted, with keys in instruction files.
    InstructionFiles,
    /// In the format of the S3 Encryption Client.
    S3ec,
    /// The same, with keys in instruction files.
    S3ecInstructionFiles,
}

impl fmt::Display for View {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Plain => "plain",
            Self::Encrypted => "encrypted",
            Self::InstructionFiles => "encrypted, instruction files",
            Self::S3ec => "s3ec",
            Self::S3ecInstructionFiles => "s3ec, instruction files",
        })
    }
}

impl Suite {
    /// Runs everything, each part over an empty bucket of its own: `open` is the client's store, and
    /// `open_ours` what users put an encrypted one over.
    pub(crate) async fn run<P, S>(
        &self,
        open: impl Fn(&str) -> Result<P>,
        open_ours: impl Fn(&str) -> Result<S>,
    ) -> Result<()>
    where
        P: ObjectStore + MultipartStore + PaginatedListStore,
        S: ObjectStore,
    {
        let [plain, encrypted, files, bare] = BUCKETS;
        if let Some(reason) = self.client_offsets {
            println!(
                "{}: offsets of listings LEFT TO THE CLIENT: {reason}",
                self.server
            );
        }
        self.every_store(View::Plain, &self.listing(open(plain)?))
            .await?;
        self.plain_alone(&open(bare)?).await?;
        let inner = self.listing(open_ours(encrypted)?);
        let store = EncryptedStore::new(Arc::clone(&inner), keyring()?);
        self.every_store(View::Encrypted, &store).await?;
        let store = EncryptedStore::builder(self.listing(open_ours(files)?))
            .format(Framed::new().with_instruction_files())
            .build(keyring()?);
        self.every_store(View::InstructionFiles, &store).await?;
        let conformance = async {
            conformance::check(inner, &"conformance".into(), Backend::default()).await?;
            Ok(String::new())
        };
        self.check(View::Encrypted, "conformance", conformance)
            .await
    }

    pub(crate) fn listing(&self, store: impl ObjectStore) -> Arc<dyn ObjectStore> {
        match self.client_offsets {
            Some(_) => Arc::new(ClientOffsets(store)),
            None => Arc::new(store),
        }
    }

    /// In the order of `object_store`'s own tests: some leave objects that others remove.
    pub(crate) async fn every_store(&self, view: View, store: &dyn ObjectStore) -> Result<()> {
        let wins = self.last_writer_wins;
        let not_found = async {
            let error = get_nonexistent_object(store, None).await.err();
            let found = matches!(error, Some(object_store::Error::NotFound { .. }));
            assert!(found, "not NotFound but {error:?}");
        };
        self.pass(view, "put_get_delete_list", put_get_delete_list(store))
            .await?;
        self.pass(view, "get_opts", get_opts(store)).await?;
        let listed = list_uses_directories_correctly(store);
        self.pass(view, "list_uses_directories_correctly", listed)
            .await?;
        self.pass(view, "list_with_delimiter", list_with_delimiter(store))
            .await?;
        let listed = list_with_offset_exclusivity(store);
        self.pass(view, "list_with_offset_exclusivity", listed)
            .await?;
        self.pass(view, "rename_and_copy", rename_and_copy(store))
            .await?;
        self.pass(view, "copy_if_not_exists", copy_if_not_exists(store))
            .await?;
        let copied = copy_rename_nonexistent_object(store);
        self.pass(view, "copy_rename_nonexistent_object", copied)
            .await?;
        self.pass(view, "stream_get", stream_get(store)).await?;
        self.pass(view, "put_opts", put_opts(store, true)).await?;
        let raced = multipart_race_condition(store, wins);
        self.pass(view, "multipart_race_condition", raced).await?;
        let uploaded = multipart_out_of_order(store);
        self.pass(view, "multipart_out_of_order", uploaded).await?;
        self.pass(view, "get_nonexistent_object", not_found).await?;
        self.pass(view, "put_get_attributes", put_get_attributes(store))
            .await?;
        let extended = response_extensions(store, true);
        self.pass(view, "response_extensions", extended).await?;
        let named = odd_names::check(store, &odd_names::NAMES);
        self.check(view, "odd names", named).await?;
        let named = odd_names::check(store, &odd_names::BACKSLASH);
        self.check(view, "bare backslash", named).await
    }

    /// These need traits that hand out upload ids and page tokens. An encrypted store has neither:
    /// its parts are cut from frames that are numbered in the order of the calls.
    async fn plain_alone<S>(&self, store: &S) -> Result<()>
    where
        S: ObjectStore + MultipartStore + PaginatedListStore,
    {
        let view = View::Plain;
        self.pass(view, "list_paginated", list_paginated(store, store))
            .await?;
        self.pass(view, "multipart", multipart(store, store))
            .await?;
        let uploaded = multipart_with_opts(store, store);
        self.pass(view, "multipart_with_opts", uploaded).await?;
        let uploaded = multipart_put_part_out_of_order(store, store);
        self.pass(view, "multipart_put_part_out_of_order", uploaded)
            .await
    }

    /// Runs one check that panics when it fails, unless the server cannot do it.
    async fn pass(&self, view: View, name: &str, check: impl Future<Output = ()>) -> Result<()> {
        let checked = async {
            let panicked = AssertUnwindSafe(check).catch_unwind().await.is_err();
            match panicked {
                true => bail!("it panicked; the place is above"),
                false => Ok(String::new()),
            }
        };
        self.check(view, name, checked).await
    }

    /// Runs one check, unless the server cannot do it. What it says goes behind its line.
    pub(crate) async fn check(
        &self,
        view: View,
        name: &str,
        check: impl Future<Output = Result<String>>,
    ) -> Result<()> {
        let server = self.server;
        if let Some((_, reason)) = self.left_out.iter().find(|(left_out, _)| *left_out == name) {
            println!("{server}, {view}: {name} LEFT OUT: {reason}");
            return Ok(());
        }
        let started = Instant::now();
        let said = check
            .await
            .map_err(|error| anyhow!("{server}, {view}: {name}: {error:#}"))?;
        let seconds = started.elapsed().as_secs_f64();
        let line = format!("{server}, {view}: {name} {seconds:.1} s {said}");
        println!("{}", line.trim_end());
        Ok(())
    }
}

/// Keys that nobody else has.
pub(crate) fn keyring() -> Result<RawAes> {
    Ok(RawAes::new("interop", "stores", WrappingKey::generate()?)?)
}

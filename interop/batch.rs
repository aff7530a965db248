use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use envelope::{
    AlgorithmSuite, CommitmentPolicy, DecryptOptions, EncryptOptions, EncryptionContext, blocking,
};
use serde_json::json;

use crate::keys::{KeyDescription, Keys};
use crate::peer::PeerKind;

const MIB: usize = 1 << 20;
const FRAME_LENGTHS: [u32; 5] = [1, 16, 4096, 65_537, 1 << 20];
/// The one frame length that every peer writes and that is quick.
const USUAL_FRAME_LENGTH: u32 = 4096;

/// Messages of one suite under one keyring.
#[derive(Clone)]
pub(crate) struct Batch {
    suite: AlgorithmSuite,
    keyring: KeyDescription,
    required: Vec<&'static str>,
    cases: Vec<Case>,
}

#[derive(Clone)]
struct Case {
    frame_length: u32,
    context: BTreeMap<String, String>,
    length: usize,
}

/// None, ASCII, beyond ASCII, beyond the basic plane, and many pairs.
fn contexts() -> Vec<BTreeMap<String, String>> {
    let context = |pairs: &[(&str, &str)]| {
        let pairs = pairs.iter();
        pairs
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect()
    };
    vec![
        BTreeMap::new(),
        // In byte order, not in that of a locale.
        context(&[("tenant", "acme"), ("Kind", "invoice"), ("a", "1")]),
        context(&[("straße", "東京"), ("kind", "Übung = ½")]),
        // U+FF5E comes before U+1D122 in UTF-8 and after its surrogates in UTF-16.
        context(&[("\u{1D122}", "clef"), ("\u{FF5E}", "tilde"), ("some", "🗼")]),
        (0..100)
            .map(|n| (format!("key {n}"), format!("value {n}")))
            .collect(),
    ]
}

/// All lengths at all frame lengths with the contexts in turn, then all contexts at the usual one.
/// 2^20 frames are a message of their own, below.
fn cases() -> Vec<Case> {
    let contexts = contexts();
    let mut turn = contexts.iter().cycle();
    let mut cases = Vec::new();
    for frame_length in FRAME_LENGTHS {
        let frame = frame_length as usize;
        for length in [0, 1, frame - 1, frame, frame + 1, 3 * frame, MIB] {
            if length == MIB && frame < USUAL_FRAME_LENGTH as usize {
                continue;
            }
            let context = turn.next().cloned().unwrap_or_default();
            cases.push(Case {
                frame_length,
                context,
                length,
            });
        }
    }
    cases.extend(contexts.into_iter().map(|context| Case {
        frame_length: USUAL_FRAME_LENGTH,
        context,
        length: 10_000,
    }));
    cases
}

/// Every suite with every keyring that the peer has; then many frames, and required contexts.
pub(crate) fn batches(peer: PeerKind, keys: &Keys) -> Result<Vec<Batch>> {
    let mut batches = Vec::new();
    let aes = keys.strongest_aes().context("there is an AES key")?;
    for suite in AlgorithmSuite::ALL {
        for keyring in keys.descriptions(peer) {
            batches.push(Batch {
                suite,
                keyring,
                required: Vec::new(),
                cases: cases(),
            });
        }
        // 65 536 frames.
        batches.push(Batch::of_one(suite, aes.clone(), 16, MIB));
        if peer.has_ecdh_and_required_context() {
            let contexts = contexts()
                .into_iter()
                .filter(|pairs| pairs.contains_key("tenant"));
            batches.push(Batch {
                suite,
                keyring: aes.clone(),
                required: vec!["Kind", "tenant"],
                cases: contexts
                    .map(|context| Case {
                        frame_length: USUAL_FRAME_LENGTH,
                        context,
                        length: 10_000,
                    })
                    .collect(),
            });
        }
    }
    // 1 048 576 frames, once with and once without a signature.
    for suite in [
        AlgorithmSuite::AES_256_GCM_HKDF_SHA512_COMMIT_KEY,
        AlgorithmSuite::AES_256_GCM_HKDF_SHA512_COMMIT_KEY_ECDSA_P384,
    ] {
        batches.push(Batch::of_one(suite, aes.clone(), 1, MIB));
    }
    Ok(batches)
}

impl Batch {
    fn of_one(
        suite: AlgorithmSuite,
        keyring: KeyDescription,
        frame_length: u32,
        length: usize,
    ) -> Self {
        Self {
            suite,
            keyring,
            required: Vec::new(),
            cases: vec![Case {
                frame_length,
                context: BTreeMap::new(),
                length,
            }],
        }
    }

    pub(crate) fn label(&self) -> String {
        format!("suite {:04x}, {}", self.suite.id(), self.keyring.label())
    }

    pub(crate) fn len(&self) -> usize {
        self.cases.len()
    }

    /// Those of the messages that the peer can write.
    pub(crate) fn written_by(&self, peer: PeerKind) -> Self {
        let mut batch = self.clone();
        batch
            .cases
            .retain(|case| peer.writes_frame_length(case.frame_length));
        batch
    }

    /// What the peer needs to know.
    pub(crate) fn describe(&self, folder: &Path) -> Result<()> {
        let cases: Vec<_> = self
            .cases
            .iter()
            .enumerate()
            .map(|(id, case)| {
                json!({
                    "id": id, "frame_length": case.frame_length,
                    "context": case.context, "length": case.length,
                })
            })
            .collect();
        let description = json!({
            "suite": format!("{:04x}", self.suite.id()),
            "keyring": self.keyring.to_json(),
            "required_context_keys": self.required,
            "cases": cases,
        });
        fs::write(folder.join("batch.json"), description.to_string())?;
        Ok(())
    }

    pub(crate) fn encrypt(&self, folder: &Path) -> Result<()> {
        let policy = match self.suite.commits() {
            true => CommitmentPolicy::RequireEncryptAllowDecrypt,
            false => CommitmentPolicy::ForbidEncryptAllowDecrypt,
        };
        let manager = self.keyring.open(true, &self.required)?;
        for (id, case) in self.cases.iter().enumerate() {
            let options = EncryptOptions::default()
                .with_suite(self.suite)
                .with_policy(policy)
                .with_frame_length(case.frame_length)
                .with_context(EncryptionContext::new(case.context.clone())?);
            let message = blocking::encrypt(&manager, &plaintext(case.length), &options)?;
            fs::write(message_path(folder, id), message)?;
        }
        Ok(())
    }

    pub(crate) fn decrypt(&self, folder: &Path) -> Result<()> {
        let manager = self.keyring.open(false, &self.required)?;
        for (id, case) in self.cases.iter().enumerate() {
            let message = fs::read(message_path(folder, id))?;
            let context = EncryptionContext::new(case.context.clone())?;
            let options = DecryptOptions::default()
                .with_policy(CommitmentPolicy::RequireEncryptAllowDecrypt)
                .expect_context(context);
            let opened = blocking::decrypt(&manager, &message, &options)
                .with_context(|| format!("case {id}"))?;
            ensure!(
                opened.plaintext == plaintext(case.length),
                "case {id}: another plaintext"
            );
            ensure!(opened.suite == self.suite, "case {id}: another suite");
            let pairs = opened.context.iter();
            let pairs = pairs.filter(|(key, _)| *key != "aws-crypto-public-key");
            let expected = case.context.iter().map(|(k, v)| (k.as_str(), v.as_str()));
            ensure!(pairs.eq(expected), "case {id}: another context");
        }
        Ok(())
    }
}

fn message_path(folder: &Path, id: usize) -> PathBuf {
    folder.join(format!("{id}.message"))
}

fn plaintext(length: usize) -> Vec<u8> {
    (0..=250_u8).cycle().take(length).collect()
}

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use envelope::{
    AlgorithmSuite, CommitmentPolicy, DecryptOptions, EncryptOptions, EncryptionContext, blocking,
};
use serde_json::json;

use crate::keys::{KeyDescription, Keys};
use crate::matrix::Matrix;
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
    /// Pads our headers to this length in bytes; no peer does that.
    header_length: Option<usize>,
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

/// At the edges of a frame.
fn lengths(frame_length: u32) -> [usize; 6] {
    let frame = frame_length as usize;
    [0, 1, frame - 1, frame, frame + 1, 3 * frame]
}

/// All lengths at the usual frame length, with contexts in turn.
fn usual_cases() -> Vec<Case> {
    cases([USUAL_FRAME_LENGTH], &contexts())
}

/// All lengths at all frame lengths with these contexts in turn. 1 MiB in short frames is a message of
/// its own, below.
fn all_lengths(contexts: &[BTreeMap<String, String>]) -> Vec<Case> {
    let mut cases = cases(FRAME_LENGTHS, contexts);
    let long = FRAME_LENGTHS.into_iter();
    let long = long.filter(|frame_length| *frame_length >= USUAL_FRAME_LENGTH);
    let contexts = contexts.iter().cycle();
    cases.extend(long.zip(contexts).map(|(frame_length, context)| Case {
        frame_length,
        context: context.clone(),
        length: MIB,
    }));
    cases
}

fn cases(
    frame_lengths: impl IntoIterator<Item = u32>,
    contexts: &[BTreeMap<String, String>],
) -> Vec<Case> {
    let frame_lengths = frame_lengths.into_iter();
    let lengths = frame_lengths.flat_map(|frame| lengths(frame).map(|length| (frame, length)));
    let cases = lengths.zip(contexts.iter().cycle());
    cases
        .map(|((frame_length, length), context)| Case {
            frame_length,
            context: context.clone(),
            length,
        })
        .collect()
}

/// All lengths at all frame lengths with all contexts.
fn every_case() -> Vec<Case> {
    let contexts = contexts().into_iter();
    contexts
        .flat_map(|context| all_lengths(&[context]))
        .collect()
}

/// All contexts at the usual frame length.
fn context_cases() -> Vec<Case> {
    let contexts = contexts().into_iter();
    contexts
        .map(|context| Case {
            frame_length: USUAL_FRAME_LENGTH,
            context,
            length: 10_000,
        })
        .collect()
}

/// Every suite with every keyring that the peer has, then with all that one keyring can be asked.
///
/// How a message is cut into frames does not depend on its keyring, so that one keyring is enough for all
/// frame lengths. A context is bound to the wrapped keys and stands in the header, whatever the lengths, so
/// that contexts can take turns.
pub(crate) fn batches(peer: PeerKind, keys: &Keys, matrix: Matrix) -> Result<Vec<Batch>> {
    let mut batches = Vec::new();
    let full = matrix == Matrix::Full;
    let aes = keys.strongest_aes().context("there is an AES key")?;
    for suite in AlgorithmSuite::ALL {
        let batch = |keyring: &KeyDescription, cases| Batch {
            suite,
            keyring: keyring.clone(),
            required: Vec::new(),
            header_length: None,
            cases,
        };
        for keyring in keys.descriptions(peer) {
            let mut cases = usual_cases();
            if full {
                cases.extend(all_lengths(&contexts()));
                cases.extend(context_cases());
            }
            batches.push(batch(&keyring, cases));
        }
        let lengths = match full {
            true => every_case(),
            false => all_lengths(&contexts()),
        };
        batches.push(batch(&aes, lengths));
        batches.push(Batch {
            header_length: Some(6000),
            ..batch(&aes, context_cases())
        });
        if peer.has_ecdh_and_required_context() {
            let mut cases = context_cases();
            cases.retain(|case| case.context.contains_key("tenant"));
            batches.push(Batch {
                required: vec!["Kind", "tenant"],
                ..batch(&aes, cases)
            });
        }
        // 65 536 frames: their numbers need three bytes. Once without and once with a signature.
        if full || suite.commits() {
            batches.push(batch(&aes, vec![Case::of_frames(16)]));
        }
        // 1 048 576 frames.
        if full && suite.commits() {
            batches.push(batch(&aes, vec![Case::of_frames(1)]));
        }
    }
    Ok(batches)
}

impl Case {
    /// 1 MiB in frames of this length.
    fn of_frames(frame_length: u32) -> Self {
        Self {
            frame_length,
            context: BTreeMap::new(),
            length: MIB,
        }
    }
}

impl Batch {
    pub(crate) fn label(&self) -> String {
        format!("suite {:04x}, {}", self.suite.id(), self.keyring.label())
    }

    pub(crate) fn len(&self) -> usize {
        self.cases.len()
    }

    /// Those of the messages that the peer can write.
    pub(crate) fn written_by(&self, peer: PeerKind) -> Self {
        let mut batch = self.clone();
        let padded = batch.header_length.is_some();
        batch
            .cases
            .retain(|case| !padded && peer.writes_frame_length(case.frame_length));
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
            let mut options = EncryptOptions::default()
                .with_suite(self.suite)
                .with_policy(policy)
                .with_frame_length(case.frame_length)
                .with_context(EncryptionContext::new(case.context.clone())?);
            if let Some(length) = self.header_length {
                options = options.with_header_length(length);
            }
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

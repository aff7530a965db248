use std::path::Path;

use envelope::keyring::KeyRequest;
use envelope::{
    AlgorithmSuite, CommitmentPolicy, DataKey, DecryptionRequest, EncryptedDataKey,
    EncryptionContext, EncryptionMaterials, EncryptionRequest, Keyring, MaterialsManager,
};
use futures::future::join_all;
use serde_json::{Value, json};
use subtle::ConstantTimeEq;

use super::trial::Trial;
use crate::args::keys::KeysCheck;
use crate::error::Error;
use crate::interrupt;
use crate::keyring_file::{self, ListedKey, OpenedKey};
use crate::output::Output;

/// RSA keys of KMS serve no suite with a signature, and every key serves this one.
const SUITE: AlgorithmSuite = AlgorithmSuite::AES_256_GCM_HKDF_SHA512_COMMIT_KEY;

/// Tries each key of the keyring file by itself, and says what it can do.
pub(crate) async fn run(
    command: &KeysCheck,
    keyring: Option<&Path>,
    output: &Output,
) -> Result<(), Error> {
    let context = command.context.load()?;
    let keys = keyring_file::load_each(keyring).await?;
    // The key that all of them wrap. It protects nothing.
    let sample = DataKey::generate(SUITE).map_err(|error| Error::envelope("keys check", error))?;
    let check = Check {
        request: KeyRequest {
            suite: SUITE,
            context: &context,
        },
        sample: &sample,
    };
    let reports = interrupt::or(check.all(&keys)).await?;
    let failed = reports.iter().filter(|report| report.failed()).count();
    let listed: Vec<_> = reports
        .iter()
        .enumerate()
        .map(|(index, report)| report.json(index + 1))
        .collect();
    let json = json!({ "command": "keys check", "keys": listed, "failed": failed });
    output.result(&json, &table(&reports))?;
    match failed {
        0 => Ok(()),
        failed => Err(Error::Keys {
            failed,
            total: reports.len(),
        }),
    }
}

/// What is tried.
#[derive(Clone, Copy)]
struct Check<'a> {
    request: KeyRequest<'a>,
    sample: &'a DataKey,
}

/// What a key wrapped, and what it was asked to.
#[derive(Default)]
struct Wrapped {
    generated: Option<EncryptionMaterials>,
    sample: Vec<EncryptedDataKey>,
}

impl Check<'_> {
    async fn all<'a>(self, keys: &'a [ListedKey]) -> Vec<Report<'a>> {
        let encrypted = join_all(keys.iter().map(|listed| self.encrypt(&listed.key))).await;
        let decrypted = keys.iter().zip(&encrypted).map(|(listed, (_, _, own))| {
            let all = encrypted.iter().flat_map(|(_, _, wrapped)| &wrapped.sample);
            self.decrypt(&listed.key, own, all.cloned().collect())
        });
        let decrypted = join_all(decrypted).await;
        let reports = keys.iter().zip(encrypted).zip(decrypted);
        let reports = reports.map(|((listed, (generate, encrypt, _)), decrypt)| Report {
            listed,
            trials: [
                ("generate", generate),
                ("encrypt", encrypt),
                ("decrypt", decrypt),
            ],
        });
        reports.collect()
    }

    /// Has a data key made, and another one wrapped.
    async fn encrypt(self, key: &OpenedKey) -> (Trial, Trial, Wrapped) {
        if let Some(why) = key.no_encryption {
            let no = Trial::NotApplicable(why);
            return (no.clone(), no, Wrapped::default());
        }
        let request = EncryptionRequest {
            suite: Some(SUITE),
            policy: CommitmentPolicy::default(),
            context: self.request.context,
            plaintext_length: None,
        };
        let keyring: &dyn Keyring = &*key.framed;
        let generated = keyring.encryption_materials(request).await;
        let wrapped = keyring.wrap_data_key(self.sample, self.request).await;
        (
            Trial::of(&generated),
            Trial::of(&wrapped),
            Wrapped {
                generated: generated.ok(),
                sample: wrapped.unwrap_or_default(),
            },
        )
    }

    /// Opens what the key wrapped, or else what any of the others did.
    async fn decrypt(self, key: &OpenedKey, own: &Wrapped, others: Vec<EncryptedDataKey>) -> Trial {
        if let Some(why) = key.no_decryption {
            return Trial::NotApplicable(why);
        }
        let (expected, wrapped) = match own {
            Wrapped { sample, .. } if !sample.is_empty() => (self.sample, &sample[..]),
            Wrapped {
                generated: Some(generated),
                ..
            } => (generated.data_key(), generated.encrypted_data_keys()),
            _ => (self.sample, &others[..]),
        };
        let request = DecryptionRequest {
            suite: SUITE,
            policy: CommitmentPolicy::default(),
            encrypted_data_keys: wrapped,
            context: self.request.context,
            expected_context: &EncryptionContext::default(),
        };
        match key.framed.decryption_materials(request).await {
            Ok(opened) if same(opened.data_key(), expected) => Trial::Done,
            Ok(_) => Trial::Failed("it opens to another data key than was wrapped".to_owned()),
            Err(envelope::Error::NotUnwrapped(report))
                if !report.attempts().iter().any(|attempt| attempt.failed()) =>
            {
                Trial::Untried("no key of the file wrapped anything that it takes for its own")
            }
            Err(error) => Trial::of::<()>(&Err(error)),
        }
    }
}

fn same(one: &DataKey, other: &DataKey) -> bool {
    one.expose().ct_eq(other.expose()).into()
}

/// What one key can do.
struct Report<'a> {
    listed: &'a ListedKey,
    trials: [(&'static str, Trial); 3],
}

impl Report<'_> {
    fn failed(&self) -> bool {
        self.trials.iter().any(|(_, trial)| trial.failed())
    }

    fn json(&self, number: usize) -> Value {
        let [generate, encrypt, decrypt] = self.trials.each_ref().map(|(_, trial)| trial.json());
        json!({
            "number": number,
            "type": self.listed.kind,
            "name": self.listed.key.name,
            "generate": generate,
            "encrypt": encrypt,
            "decrypt": decrypt,
        })
    }

    /// Why not, with the things of one reason on one line.
    fn reasons(&self, number: usize) -> String {
        let mut lines = String::new();
        for (index, (_, trial)) in self.trials.iter().enumerate() {
            let Some(reason) = trial.reason() else {
                continue;
            };
            let is_same = |(_, other): &&(&str, Trial)| other == trial;
            if self.trials.iter().take(index).any(|other| is_same(&other)) {
                continue;
            }
            let names: Vec<_> = self
                .trials
                .iter()
                .filter(is_same)
                .map(|(name, _)| *name)
                .collect();
            let names = names.join(", ");
            let word = trial.word();
            lines.push_str(&format!("key {number}: {names}: {word}: {reason}\n"));
        }
        lines
    }
}

/// One line for each key, and below it why not.
fn table(reports: &[Report<'_>]) -> String {
    let heading = ["#", "type", "generate", "encrypt", "decrypt", "name"].map(str::to_owned);
    let rows = reports.iter().enumerate().map(|(index, report)| {
        let [generate, encrypt, decrypt] = report.trials.each_ref().map(|(_, trial)| trial.word());
        let number = (index + 1).to_string();
        let cells = [
            &*number,
            report.listed.kind,
            generate,
            encrypt,
            decrypt,
            &report.listed.key.name,
        ];
        cells.map(str::to_owned)
    });
    let rows: Vec<[String; 6]> = std::iter::once(heading).chain(rows).collect();
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths = [0, 1, 2, 3, 4].map(width);
    let mut text = String::new();
    for [number, kind, generate, encrypt, decrypt, name] in &rows {
        let [a, b, c, d, e] = widths;
        text.push_str(&format!(
            "{number:>a$}  {kind:b$}  {generate:c$}  {encrypt:d$}  {decrypt:e$}  {name}\n"
        ));
    }
    let reasons: String = reports
        .iter()
        .enumerate()
        .map(|(index, report)| report.reasons(index + 1))
        .collect();
    if !reasons.is_empty() {
        text.push('\n');
        text.push_str(&reasons);
    }
    text
}

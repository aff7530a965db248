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

/// What a key made and wrapped, and what it wrapped of the sample.
#[derive(Default)]
struct Wrapped {
    generated: Option<EncryptionMaterials>,
    sample: Vec<EncryptedDataKey>,
}

/// A data key, and what it is wrapped as.
type Proof<'a> = (&'a DataKey, &'a [EncryptedDataKey]);

impl Wrapped {
    fn proofs<'a>(&'a self, sample: &'a DataKey) -> impl Iterator<Item = Proof<'a>> {
        let generated = self.generated.as_ref();
        let generated = generated.map(|made| (made.data_key(), made.encrypted_data_keys()));
        let sample = (!self.sample.is_empty()).then_some((sample, &*self.sample));
        generated.into_iter().chain(sample)
    }
}

impl Check<'_> {
    async fn all<'a>(self, keys: &'a [ListedKey]) -> Vec<Report<'a>> {
        let encrypted = join_all(keys.iter().map(|listed| self.encrypt(&listed.key))).await;
        let decrypted = keys.iter().zip(&encrypted).map(|(listed, (_, _, own))| {
            let own: Vec<Proof<'_>> = own.proofs(self.sample).collect();
            let proofs = match own.is_empty() {
                false => own,
                true => {
                    let all = encrypted.iter();
                    all.flat_map(|(_, _, wrapped)| wrapped.proofs(self.sample))
                        .collect()
                }
            };
            self.decrypt(&listed.key, proofs)
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

    /// Opens each: what the key wrapped itself, or else what any of the others did. It is `ok` only if
    /// it opens all that it takes for its own.
    async fn decrypt(self, key: &OpenedKey, proofs: Vec<Proof<'_>>) -> Trial {
        if let Some(why) = key.no_decryption {
            return Trial::NotApplicable(why);
        }
        let mut trial =
            Trial::Untried("no key of the file wrapped anything that it takes for its own");
        for proof in proofs {
            match self.open(key, proof).await {
                failed @ Trial::Failed(_) => return failed,
                Trial::Done => trial = Trial::Done,
                _ => {}
            }
        }
        trial
    }

    async fn open(self, key: &OpenedKey, (expected, wrapped): Proof<'_>) -> Trial {
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
                Trial::Untried("it takes this for another key's")
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
            // A name could hold what a terminal obeys.
            &report.listed.key.name.escape_debug().to_string(),
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use aws_sdk_kms::types::KeySpec;
    use envelope_aws_kms::test_util::InMemoryKms;
    use envelope_aws_kms::{Discovery, Strict};

    use super::*;

    const REGION: &str = "eu-west-1";

    fn listed(keyring: impl Keyring + 'static, no_encryption: Option<&'static str>) -> ListedKey {
        ListedKey {
            label: "key".to_owned(),
            kind: "aws-kms",
            key: OpenedKey {
                framed: Arc::new(keyring),
                s3ec: None,
                branch_keys: None,
                name: "name".to_owned(),
                no_encryption,
                no_decryption: None,
            },
        }
    }

    fn discovery(kms: &InMemoryKms) -> ListedKey {
        listed(Discovery::new(kms.client(REGION)), Some("it only decrypts"))
    }

    fn strict(kms: &InMemoryKms) -> ListedKey {
        let arn = kms.create_key(REGION, KeySpec::SymmetricDefault).unwrap();
        listed(
            Strict::new(kms.client(REGION), arn.to_string()).unwrap(),
            None,
        )
    }

    async fn words(keys: &[ListedKey]) -> Vec<[&'static str; 3]> {
        let context = EncryptionContext::new([("tenant", "acme")]).unwrap();
        let sample = DataKey::generate(SUITE).unwrap();
        let request = KeyRequest {
            suite: SUITE,
            context: &context,
        };
        let check = Check {
            request,
            sample: &sample,
        };
        let reports = check.all(keys).await;
        let words = |report: &Report<'_>| report.trials.each_ref().map(|(_, trial)| trial.word());
        reports.iter().map(words).collect()
    }

    #[tokio::test]
    async fn what_a_key_made_is_opened_as_well_as_what_it_wrapped() {
        let kms = InMemoryKms::new();
        let keys = [strict(&kms), discovery(&kms)];
        let all = [["ok", "ok", "ok"], ["n/a", "n/a", "ok"]];
        assert_eq!(words(&keys).await, all);
        assert_eq!(kms.calls("Decrypt"), 4);
        kms.deny("Encrypt");
        let made = [["ok", "no", "ok"], ["n/a", "n/a", "ok"]];
        assert_eq!(words(&keys).await, made);
        kms.recover();
        kms.deny("GenerateDataKey");
        let wrapped = [["no", "ok", "ok"], ["n/a", "n/a", "ok"]];
        assert_eq!(words(&keys).await, wrapped);
        kms.deny("Decrypt");
        let nothing = [["no", "ok", "no"], ["n/a", "n/a", "no"]];
        assert_eq!(words(&keys).await, nothing);
    }

    #[tokio::test]
    async fn nothing_to_open_is_no_success() {
        let (kms, elsewhere) = (InMemoryKms::new(), InMemoryKms::new());
        assert_eq!(words(&[discovery(&kms)]).await, [["n/a", "n/a", "untried"]]);
        // One key may be opened with and the other is not there: that is not all of them.
        let keys = [strict(&kms), strict(&elsewhere), discovery(&kms)];
        let last = words(&keys).await.pop().unwrap();
        assert_eq!(last, ["n/a", "n/a", "no"]);
    }
}

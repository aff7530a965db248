use anyhow::{Context, Result, anyhow, ensure};
use aws_sdk_kms::types::KeySpec;
use envelope::{AlgorithmSuite, EncryptionContext, Error, ErrorKind, RsaPadding};

use crate::check::{check as one, refused};
use crate::emulator::{Emulator, OTHER_REGION, REGION};
use crate::key_description::{AgreementKey, KeyDescription};
use crate::matrix::Matrix;
use crate::messages::{UNSIGNED, not_opened, opening, opens, seal};
use crate::peer::Peer;

/// A keyring that writes, and those that read what it wrote.
pub(crate) struct Exchange {
    pub(crate) writer: KeyDescription,
    pub(crate) readers: Vec<KeyDescription>,
}

impl Exchange {
    /// Reads with what it writes with, too.
    pub(crate) fn new(
        description: impl Fn() -> KeyDescription,
        others: impl IntoIterator<Item = KeyDescription>,
    ) -> Self {
        Self {
            writer: description(),
            readers: std::iter::once(description()).chain(others).collect(),
        }
    }
}

/// What every KMS can: symmetric keys of two regions.
pub(crate) async fn symmetric(kms: &Emulator) -> Result<Vec<Exchange>> {
    use KeyDescription::{
        Discovery, DiscoveryMulti, Multi, MultiRegion, MultiRegionDiscovery,
        MultiRegionDiscoveryMulti, MultiRegionMulti, Strict,
    };
    let here = kms.symmetric_key(REGION).await?;
    let there = kms.symmetric_key(OTHER_REGION).await?;
    let both = [here.clone(), there.clone()];
    // The region of the generator comes last.
    let regions = [OTHER_REGION, REGION];
    Ok(vec![
        Exchange::new(
            || Strict(here.clone()),
            [
                MultiRegion(here.clone()),
                Multi([there.clone(), here.clone()]),
                Discovery(REGION),
                MultiRegionDiscovery(REGION),
                DiscoveryMulti(regions),
            ],
        ),
        Exchange::new(
            || Multi(both.clone()),
            [
                Strict(here.clone()),
                Strict(there.clone()),
                DiscoveryMulti(regions),
                MultiRegionDiscovery(OTHER_REGION),
            ],
        ),
        Exchange::new(
            || MultiRegionMulti(both.clone()),
            [
                MultiRegion(here.clone()),
                Strict(there.clone()),
                Discovery(OTHER_REGION),
                MultiRegionDiscoveryMulti([REGION, OTHER_REGION]),
            ],
        ),
    ])
}

/// Replicas, each of which opens what the other wrote.
pub(crate) async fn replicas(kms: &Emulator) -> Result<Vec<Exchange>> {
    let (primary, replica) = kms.replicated_key().await?;
    let directions = [
        (&primary, &replica, OTHER_REGION),
        (&replica, &primary, REGION),
    ];
    let exchanges = directions.map(|(from, to, there)| {
        Exchange::new(
            || KeyDescription::MultiRegion(from.clone()),
            [
                KeyDescription::MultiRegion(to.clone()),
                KeyDescription::MultiRegionDiscovery(there),
                KeyDescription::MultiRegionDiscoveryMulti([OTHER_REGION, REGION]),
            ],
        )
    });
    let mut exchanges = Vec::from(exchanges);
    // Beside a key of one region, and read as any other key in its own region.
    let other = kms.symmetric_key(OTHER_REGION).await?;
    exchanges.push(Exchange::new(
        || KeyDescription::MultiRegionMulti([primary.clone(), other.clone()]),
        [
            KeyDescription::Strict(primary.clone()),
            KeyDescription::Strict(other.clone()),
            KeyDescription::MultiRegion(replica.clone()),
            KeyDescription::Discovery(REGION),
        ],
    ));
    Ok(exchanges)
}

/// Two lengths with both paddings.
pub(crate) async fn rsa_keys(kms: &Emulator) -> Result<Vec<Exchange>> {
    let mut exchanges = Vec::new();
    for spec in [KeySpec::Rsa2048, KeySpec::Rsa4096] {
        let key = kms.key(REGION, spec, false).await?;
        let public_key = kms.public_key(&key).await?;
        for padding in [RsaPadding::OaepSha1, RsaPadding::OaepSha256] {
            let description = || KeyDescription::Rsa {
                key: key.clone(),
                padding,
                public_key: public_key.clone(),
            };
            exchanges.push(Exchange::new(description, []));
        }
    }
    Ok(exchanges)
}

/// Two parties for each curve, whose private keys are in KMS: each is sender, and each opens with what
/// it writes with; the recipient opens from any sender, too.
pub(crate) async fn key_agreement(kms: &Emulator) -> Result<Vec<Exchange>> {
    let mut exchanges = Vec::new();
    for (spec, curve) in [
        (KeySpec::EccNistP256, "ECC_NIST_P256"),
        (KeySpec::EccNistP384, "ECC_NIST_P384"),
        (KeySpec::EccNistP521, "ECC_NIST_P521"),
    ] {
        let [one, other] = [
            AgreementKey::create(kms, spec.clone(), curve).await?,
            AgreementKey::create(kms, spec, curve).await?,
        ];
        for (mine, theirs) in [(&one, &other), (&other, &one)] {
            exchanges.push(Exchange::new(
                || KeyDescription::Ecdh {
                    mine: mine.clone(),
                    theirs: theirs.clone(),
                },
                [
                    KeyDescription::Ecdh {
                        mine: theirs.clone(),
                        theirs: mine.clone(),
                    },
                    KeyDescription::EcdhDiscovery(theirs.clone()),
                ],
            ));
        }
    }
    Ok(exchanges)
}

/// None, beyond ASCII, and several pairs.
pub(crate) fn contexts() -> Result<[EncryptionContext; 3]> {
    Ok([
        EncryptionContext::default(),
        EncryptionContext::new([("straße", "東京"), ("\u{1D122}", "\u{FF5E}"), ("leer", "")])?,
        EncryptionContext::new([("tenant", "acme"), ("Kind", "invoice"), ("a", "1")])?,
    ])
}

/// Under every suite, each message of ours is read by us and by Python, and each of Python's by us;
/// and both refuse to read one under another context.
pub(crate) async fn check(
    kms: &Emulator,
    peer: &mut Peer,
    matrix: Matrix,
    what: &str,
    exchanges: &[Exchange],
) -> Result<()> {
    let name = |check: &str| format!("{what}: {check}");
    let cases = cases(exchanges, matrix)?;
    one(kms.name, &name("round trips"), async {
        let counts = round_trips(kms, &cases).await?;
        Ok(counts.to_string())
    })
    .await?;
    one(kms.name, &name("Python reads ours"), async {
        let counts = peer_reads(kms, peer, &cases).await?;
        Ok(counts.to_string())
    })
    .await?;
    one(kms.name, &name("we read Python's"), async {
        let counts = peer_writes(kms, peer, &cases).await?;
        Ok(counts.to_string())
    })
    .await?;
    one(kms.name, &name("another context, both sides"), async {
        let refusals = other_contexts(kms, peer, exchanges).await?;
        Ok(format!("{refusals} refusals"))
    })
    .await
}

/// What was done.
#[derive(Default)]
struct Counts {
    messages: usize,
    readings: usize,
}

impl std::fmt::Display for Counts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} messages, {} readings", self.messages, self.readings)
    }
}

/// A message under each suite that the exchange serves.
struct Case<'a> {
    exchange: &'a Exchange,
    suite: AlgorithmSuite,
    context: EncryptionContext,
}

/// Each exchange with every suite that it serves, with contexts in turn or with all of them.
fn cases(exchanges: &[Exchange], matrix: Matrix) -> Result<Vec<Case<'_>>> {
    let contexts = contexts()?;
    let mut turn = contexts.iter().cycle();
    let contexts_of_each = match matrix {
        Matrix::Cells => 1,
        Matrix::Full => contexts.len(),
    };
    let mut cases = Vec::new();
    for exchange in exchanges {
        let suites = AlgorithmSuite::ALL.into_iter();
        for suite in suites.filter(|suite| exchange.writer.serves(*suite)) {
            for context in turn.by_ref().take(contexts_of_each) {
                cases.push(Case {
                    exchange,
                    suite,
                    context: context.clone(),
                });
            }
        }
    }
    Ok(cases)
}

async fn round_trips(kms: &Emulator, cases: &[Case<'_>]) -> Result<Counts> {
    let mut counts = Counts::default();
    for case in cases {
        let message = ours(kms, case).await?;
        counts.messages += 1;
        counts.readings += our_readers(kms, case, &message).await?;
    }
    Ok(counts)
}

async fn ours(kms: &Emulator, case: &Case<'_>) -> Result<Vec<u8>> {
    let keyring = case.exchange.writer.keyring(kms)?;
    Ok(seal(&*keyring, case.suite, &case.context).await?)
}

/// Each of our readers opens the message. How many there are.
async fn our_readers(kms: &Emulator, case: &Case<'_>, message: &[u8]) -> Result<usize> {
    let suite = case.suite;
    for reader in &case.exchange.readers {
        let keyring = reader.keyring(kms)?;
        let opened = opens(&*keyring, message, suite, &case.context).await;
        opened.with_context(|| format!("{suite}, {keyring:?}"))?;
    }
    Ok(case.exchange.readers.len())
}

async fn peer_reads(kms: &Emulator, peer: &mut Peer, cases: &[Case<'_>]) -> Result<Counts> {
    let mut counts = Counts::default();
    for case in cases {
        let suite = case.suite;
        let message = ours(kms, case).await?;
        counts.messages += 1;
        for reader in &case.exchange.readers {
            let reader = reader.to_json(kms)?;
            let opened = peer.opens(&reader, &message, suite, &case.context).await?;
            opened.map_err(|refusal| anyhow!("{suite}, {reader}: {refusal}"))?;
            counts.readings += 1;
        }
    }
    Ok(counts)
}

async fn peer_writes(kms: &Emulator, peer: &mut Peer, cases: &[Case<'_>]) -> Result<Counts> {
    let mut counts = Counts::default();
    for case in cases {
        let suite = case.suite;
        let writer = case.exchange.writer.to_json(kms)?;
        let message = peer.seal(&writer, suite, &case.context).await?;
        let message = message.map_err(|refusal| anyhow!("{suite}, {writer}: {refusal}"))?;
        counts.messages += 1;
        counts.readings += our_readers(kms, case, &message).await?;
    }
    Ok(counts)
}

/// A stored pair with another value is found out before KMS is asked, a pair that is not stored only
/// by what unwraps.
async fn other_contexts(kms: &Emulator, peer: &mut Peer, exchanges: &[Exchange]) -> Result<usize> {
    let written = EncryptionContext::new([("tenant", "acme")])?;
    let wrong = EncryptionContext::new([("tenant", "other")])?;
    let additional = EncryptionContext::new([("tenant", "acme"), ("kind", "invoice")])?;
    let mut refusals = 0;
    for exchange in exchanges {
        let keyring = exchange.writer.keyring(kms)?;
        let description = exchange.writer.to_json(kms)?;
        let ours = seal(&*keyring, UNSIGNED, &written).await?;
        let theirs = peer.seal(&description, UNSIGNED, &written).await?;
        let theirs = theirs.map_err(anyhow::Error::msg)?;
        for message in [ours, theirs] {
            let options = opening().expect_context(wrong.clone());
            let error = envelope::decrypt(&*keyring, &message, &options).await.err();
            ensure!(
                matches!(&error, Some(Error::ContextMismatch { key }) if key == "tenant"),
                "{error:?}"
            );
            let options = opening().expect_context(additional.clone());
            let part = match exchange.writer {
                KeyDescription::Rsa { .. } => "wrapped under another encryption context",
                KeyDescription::Hierarchical { .. } => "another encryption context, or tampered",
                KeyDescription::Ecdh { .. } => "the key commitment differs",
                _ => "InvalidCiphertextException: wrapped under another encryption context",
            };
            let kind = ErrorKind::NotAuthentic;
            not_opened(&*keyring, &message, &options, kind, &["failed", part]).await?;
            let answer = peer.opens(&description, &message, UNSIGNED, &wrong).await?;
            refused(answer, &["does not match reproduced encryption context"])?;
            let answer = peer
                .opens(&description, &message, UNSIGNED, &additional)
                .await?;
            let part = match exchange.writer {
                KeyDescription::Rsa { .. } => "context digest does not match",
                KeyDescription::Hierarchical { .. } => "AwsCryptographicPrimitives",
                KeyDescription::Ecdh { .. } => "ommitment",
                // Of an error of KMS it says no more.
                _ => "ComAmazonawsKms",
            };
            refused(answer, &[part])?;
            refusals += 4;
        }
    }
    Ok(refusals)
}

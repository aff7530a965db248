//! The command line as typed.

pub(crate) mod keys;
pub(crate) mod objects;
pub(crate) mod s3ec;

use std::fmt;
use std::path::PathBuf;

use clap::builder::{OsStringValueParser, TypedValueParser};
use clap::{ArgAction, Parser, Subcommand, ValueEnum};
use envelope::{
    AlgorithmSuite, CommitmentPolicy, DecryptOptions, EcCurve, EncryptionContext, MaterialsManager,
    RequiredEncryptionContext,
};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};

use self::keys::KeysCommand;
use self::objects::{Cat, Cp, Ls, Reencrypt, Rewrap, Rm, StoreArgs};
use self::s3ec::SuffixArgs;
use crate::error::Error;
use crate::location::Location;
use crate::place::Place;

/// Encrypt data before it leaves this machine, in messages that any AWS Encryption SDK opens.
#[derive(Debug, Parser)]
#[command(name = "envelope", version, arg_required_else_help = true)]
#[command(
    after_help = "Exit codes: 0 done; 1 finished, some objects or keys failed; 2 usage or configuration; 3 no key of the keyring \
    opens it; 4 not authentic: tampered, truncated, wrong context, policy violation; 5 the store, \
    the disk or a key service failed; 130 interrupted."
)]
pub(crate) struct Args {
    /// The keyring file: which keys encrypt and decrypt
    #[arg(long, global = true, env = "ENVELOPE_KEYRING", value_name = "FILE")]
    pub(crate) keyring: Option<PathBuf>,
    /// How results and errors are printed
    #[arg(long, global = true, value_enum, default_value_t = OutputFormat::Text)]
    pub(crate) output: OutputFormat,
    /// No progress bar
    #[arg(short, long, global = true)]
    pub(crate) quiet: bool,
    /// Say what was done, on standard error
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub(crate) verbose: u8,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum OutputFormat {
    Text,
    Json,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make a key, readable by its owner only; never overwrites
    Keygen(Keygen),
    /// Try the keys of a keyring file; make and version branch keys
    Keys(KeysCommand),
    /// Encrypt SRC into one message at DST
    Encrypt(Encrypt),
    /// Decrypt the message at SRC to DST
    Decrypt(Decrypt),
    /// Show what a message or an object says about itself; needs no key and verifies nothing
    Inspect(Inspect),
    /// List objects with the sizes of their plaintext; needs no key and verifies nothing
    Ls(Ls),
    /// Write an object to standard output, each frame, or all of an object of the S3 Encryption Client,
    /// as soon as it verified
    Cat(Cat),
    /// Copy between URLs (encrypted) and local files (plaintext)
    Cp(Cp),
    /// Remove an object and its instruction file; needs no key
    Rm(Rm),
    /// Give an object with an instruction file other keys, and leave the object as it is
    Rewrap(Rewrap),
    /// Encrypt an object anew under other keys, in another format if asked
    Reencrypt(Reencrypt),
}

#[derive(Debug, Parser)]
pub(crate) struct Keygen {
    #[command(subcommand)]
    pub(crate) kind: KeygenKind,
}

#[derive(Debug, Subcommand)]
pub(crate) enum KeygenKind {
    /// A random AES key
    Aes {
        /// Length of the key: 128, 192 or 256
        #[arg(long, default_value_t = 256)]
        bits: usize,
        /// The file to create
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// An RSA key: the private key as PKCS#8, the public key beside it as FILE.pub.pem
    Rsa {
        /// Length of the key: 2048, 3072, 4096 or 8192
        #[arg(long, default_value_t = 4096)]
        bits: usize,
        /// The file to create
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// An elliptic-curve key: the private key as PKCS#8, the public key beside it as FILE.pub.pem
    Ec {
        /// The curve: p256, p384 or p521
        #[arg(long)]
        curve: EcCurve,
        /// The file to create
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
}

#[derive(Debug, Parser)]
pub(crate) struct Encrypt {
    /// What to encrypt: a path, or - for standard input
    #[arg(value_name = "SRC", value_parser = OsStringValueParser::new().try_map(Place::parse))]
    pub(crate) source: Place,
    /// Where the message goes: a path, or - for standard output
    #[arg(value_name = "DST", value_parser = OsStringValueParser::new().try_map(Place::parse))]
    pub(crate) target: Place,
    #[command(flatten)]
    pub(crate) context: ContextArgs,
    #[command(flatten)]
    pub(crate) required: RequiredContextArgs,
    /// Algorithm suite, by hex id or name [default: the policy's]
    #[arg(long)]
    pub(crate) suite: Option<AlgorithmSuite>,
    /// Plaintext bytes in each frame
    #[arg(long, value_name = "BYTES", default_value_t = envelope::DEFAULT_FRAME_LENGTH)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) frame_length: u32,
    #[command(flatten)]
    pub(crate) rules: RuleArgs,
}

#[derive(Debug, Parser)]
pub(crate) struct Decrypt {
    /// The message: a path, or - for standard input
    #[arg(value_name = "SRC", value_parser = OsStringValueParser::new().try_map(Place::parse))]
    pub(crate) source: Place,
    /// Where the plaintext goes: a path, or - for standard output
    #[arg(value_name = "DST", value_parser = OsStringValueParser::new().try_map(Place::parse))]
    pub(crate) target: Place,
    #[command(flatten)]
    pub(crate) context: ContextArgs,
    /// Write each frame to standard output as soon as it verified, before the end of the message
    /// and its signature did; on failure, discard what was written
    #[arg(long)]
    pub(crate) stream: bool,
    /// Refuse signed messages
    #[arg(long)]
    pub(crate) fail_on_signed: bool,
    /// Read messages of the AWS Encryption SDK for .NET 4.0.0 too, whose headers are faulty
    #[arg(long = "net-4-0-0-retry")]
    pub(crate) net_4_0_0_retry: bool,
    #[command(flatten)]
    pub(crate) reading: ReadingArgs,
    #[command(flatten)]
    pub(crate) rules: RuleArgs,
}

#[derive(Debug, Parser)]
pub(crate) struct Inspect {
    /// Refuse longer headers; a header is held in memory
    #[arg(long, value_name = "BYTES", default_value_t = envelope::DEFAULT_MAXIMUM_HEADER_LENGTH)]
    pub(crate) max_header_length: usize,
    /// A message: a path, or - for standard input; or an object: a URL
    #[arg(value_name = "SRC", value_parser = OsStringValueParser::new().try_map(Location::parse))]
    pub(crate) source: Location,
    #[command(flatten)]
    pub(crate) suffix: SuffixArgs,
    #[command(flatten)]
    pub(crate) store: StoreArgs,
}

/// The rules of both directions.
#[derive(Debug, Parser)]
pub(crate) struct RuleArgs {
    /// Which suites are allowed, by key commitment: forbid-encrypt-allow-decrypt,
    /// require-encrypt-allow-decrypt or require-encrypt-require-decrypt
    #[arg(long, value_name = "POLICY", default_value_t)]
    pub(crate) commitment_policy: CommitmentPolicy,
    /// Refuse messages with more encrypted data keys
    #[arg(long, value_name = "N")]
    pub(crate) max_encrypted_data_keys: Option<usize>,
}

/// What is read, of messages and of objects.
#[derive(Debug, Parser)]
pub(crate) struct ReadingArgs {
    /// Refuse longer frames; a frame is held in memory until it verified
    #[arg(long, value_name = "BYTES", default_value_t = envelope::DEFAULT_MAXIMUM_FRAME_LENGTH)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..))]
    max_frame_length: u64,
    /// Refuse longer headers; a header is held in memory until it verified
    #[arg(long, value_name = "BYTES", default_value_t = envelope::DEFAULT_MAXIMUM_HEADER_LENGTH)]
    max_header_length: usize,
}

impl ReadingArgs {
    pub(crate) fn options(&self, rules: &RuleArgs) -> DecryptOptions {
        let options = DecryptOptions::default()
            .with_policy(rules.commitment_policy)
            .with_maximum_frame_length(self.max_frame_length)
            .with_maximum_header_length(self.max_header_length);
        match rules.max_encrypted_data_keys {
            Some(maximum) => options.with_maximum_encrypted_data_keys(maximum),
            None => options,
        }
    }
}

/// What is bound and not stored.
#[derive(Debug, Parser)]
pub(crate) struct RequiredContextArgs {
    /// Bind this key's pair of the context without storing it: whoever reads must know the pair.
    /// Repeatable
    #[arg(long, value_name = "KEY")]
    required_context_key: Vec<String>,
}

impl RequiredContextArgs {
    pub(crate) fn is_empty(&self) -> bool {
        self.required_context_key.is_empty()
    }

    /// The manager that does so.
    pub(crate) fn requiring(
        &self,
        manager: Box<dyn MaterialsManager>,
    ) -> Result<Box<dyn MaterialsManager>, Error> {
        if self.required_context_key.is_empty() {
            return Ok(manager);
        }
        let keys = self.required_context_key.iter().map(String::as_str);
        let requiring = RequiredEncryptionContext::new(manager, keys);
        let requiring =
            requiring.map_err(|error| Error::envelope("--required-context-key", error))?;
        Ok(Box::new(requiring))
    }
}

#[derive(Debug, Parser)]
pub(crate) struct ContextArgs {
    /// A pair of the encryption context: bound to the message when encrypting, demanded when
    /// decrypting. Repeatable; split at the first =
    #[arg(long, value_name = "KEY=VALUE", value_parser = pair)]
    context: Vec<(String, String)>,
    /// More pairs, from a JSON object of strings
    #[arg(long, value_name = "FILE")]
    context_file: Option<PathBuf>,
}

impl ContextArgs {
    /// All pairs given.
    pub(crate) fn load(&self) -> Result<EncryptionContext, Error> {
        let mut pairs = Vec::new();
        if let Some(path) = &self.context_file {
            let fault = |what: String| Error::Usage(format!("{}: {what}", path.display()));
            let text = std::fs::read_to_string(path)
                .map_err(|error| fault(format!("cannot read the context file: {error}")))?;
            let Pairs(found) = serde_json::from_str(&text).map_err(|error| {
                fault(format!(
                    "the context file must be a JSON object of strings: {error}"
                ))
            })?;
            pairs = found;
        }
        pairs.extend_from_slice(&self.context);
        pairs.sort();
        if let Some([(key, _), _]) = pairs.array_windows().find(|[(a, _), (b, _)]| a == b) {
            return Err(Error::Usage(format!(
                "the context key {key:?} is given twice; give it once"
            )));
        }
        EncryptionContext::new(pairs).map_err(|error| Error::envelope("--context", error))
    }
}

/// The pairs of a JSON object as they stand: a map would lose those that stand twice.
struct Pairs(Vec<(String, String)>);

impl<'de> Deserialize<'de> for Pairs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(PairsVisitor)
    }
}

struct PairsVisitor;

impl<'de> Visitor<'de> for PairsVisitor {
    type Value = Pairs;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of strings")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Pairs, M::Error> {
        let mut pairs = Vec::new();
        while let Some(pair) = map.next_entry()? {
            pairs.push(pair);
        }
        Ok(Pairs(pairs))
    }
}

fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) => Ok((key.to_owned(), value.to_owned())),
        None => Err("must be KEY=VALUE".to_owned()),
    }
}

//! The arguments of commands on objects.

use std::ffi::OsString;
use std::path::PathBuf;

use bytesize::ByteSize;
use clap::builder::{OsStringValueParser, TypedValueParser};
use clap::{Parser, ValueEnum};
use envelope::{AlgorithmSuite, CommitmentPolicy, EncryptOptions};
use envelope_s3::S3ec;
use envelope_store::{DEFAULT_PART_LENGTH, Framed};
use object_store::{Attribute, AttributeValue, Attributes, GetRange};
use url::Url;

use super::s3ec::{S3ecArgs, SuffixArgs, new_suffix, of_policy};
use super::{ContextArgs, ReadingArgs, RequiredContextArgs, RuleArgs, pair};
use crate::error::Error;
use crate::formats::{Family, Formats};
use crate::location::{self, Location, Opened, StoreOptions};

#[derive(Debug, Parser)]
pub(crate) struct Ls {
    /// What is listed: s3://bucket/prefix, gs://…, az://…, file:///…
    #[arg(value_name = "URL", value_parser = url)]
    pub(crate) url: Url,
    /// List everything below, not one level
    #[arg(short, long)]
    pub(crate) recursive: bool,
    /// Compute sizes from the lengths of objects instead of asking each for its header. Right only
    /// where all of them have the format that --format names, with the default frame and header
    /// lengths
    #[arg(long)]
    pub(crate) computed_sizes: bool,
    /// The format of all objects, for --computed-sizes
    #[arg(long, value_enum, default_value_t = FormatName::Framed, requires = "computed_sizes")]
    pub(crate) format: FormatName,
    #[command(flatten)]
    pub(crate) suffix: SuffixArgs,
    #[command(flatten)]
    pub(crate) store: StoreArgs,
}

#[derive(Debug, Parser)]
pub(crate) struct Cat {
    /// The object
    #[arg(value_name = "URL", value_parser = url)]
    pub(crate) url: Url,
    /// Only these bytes of the plaintext: A-B (both included), A- or -N (the last N)
    #[arg(long, value_name = "RANGE", value_parser = range, allow_hyphen_values = true)]
    pub(crate) range: Option<GetRange>,
    #[command(flatten)]
    pub(crate) context: ContextArgs,
    #[command(flatten)]
    pub(crate) reading: ReadingArgs,
    #[command(flatten)]
    pub(crate) s3ec: S3ecArgs,
    #[command(flatten)]
    pub(crate) suffix: SuffixArgs,
    #[command(flatten)]
    pub(crate) rules: RuleArgs,
    #[command(flatten)]
    pub(crate) store: StoreArgs,
}

#[derive(Debug, Parser)]
pub(crate) struct Cp {
    /// What is copied: a URL (decrypted), a local path (plaintext), or - for standard input
    #[arg(value_name = "SRC", value_parser = OsStringValueParser::new().try_map(Location::parse))]
    pub(crate) source: Location,
    /// Where to: a URL (encrypted), a local path (plaintext), or - for standard output. Behind a
    /// final slash the source's name is added
    #[arg(value_name = "DST", value_parser = OsStringValueParser::new().try_map(Location::parse))]
    pub(crate) target: Location,
    /// Copy everything below SRC to below DST
    #[arg(short, long)]
    pub(crate) recursive: bool,
    /// SRC is a URL of plaintext
    #[arg(long)]
    pub(crate) plain_source: bool,
    /// DST is a URL that gets plaintext
    #[arg(long)]
    pub(crate) plain_destination: bool,
    /// Objects that are copied at once
    #[arg(long, value_name = "N", default_value_t = 4)]
    #[arg(value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) jobs: u16,
    #[command(flatten)]
    pub(crate) context: ContextArgs,
    #[command(flatten)]
    pub(crate) reading: ReadingArgs,
    #[command(flatten)]
    pub(crate) s3ec: S3ecArgs,
    #[command(flatten)]
    pub(crate) suffix: SuffixArgs,
    #[command(flatten)]
    pub(crate) format: FormatArgs,
    /// A pair of the new object's own metadata. Repeatable
    #[arg(long, value_name = "KEY=VALUE", value_parser = pair)]
    metadata: Vec<(String, String)>,
    #[command(flatten)]
    pub(crate) parts: PartArgs,
    #[command(flatten)]
    pub(crate) rules: RuleArgs,
    #[command(flatten)]
    pub(crate) store: StoreArgs,
}

#[derive(Debug, Parser)]
pub(crate) struct Rm {
    /// The object; its instruction file goes with it
    #[arg(value_name = "URL", value_parser = url)]
    pub(crate) url: Url,
    /// Remove everything below
    #[arg(short, long)]
    pub(crate) recursive: bool,
    #[command(flatten)]
    pub(crate) suffix: SuffixArgs,
    #[command(flatten)]
    pub(crate) store: StoreArgs,
}

#[derive(Debug, Parser)]
pub(crate) struct Rewrap {
    /// The object; its keys must be in an instruction file
    #[arg(value_name = "URL", value_parser = url)]
    pub(crate) url: Url,
    /// The keyring file with the new keys
    #[arg(long, value_name = "FILE")]
    pub(crate) to: PathBuf,
    /// Leave the instruction file as it is and write another one with this suffix, such as .partner,
    /// for somebody who has other keys. S3 Encryption Client objects only
    #[arg(long, value_name = "SUFFIX", value_parser = new_suffix)]
    pub(crate) suffix: Option<String>,
    /// Fail if the old keys open the new instruction file. S3 Encryption Client objects only
    #[arg(long)]
    pub(crate) enforce_rotation: bool,
    #[command(flatten)]
    pub(crate) context: ContextArgs,
    #[command(flatten)]
    pub(crate) required: RequiredContextArgs,
    #[command(flatten)]
    pub(crate) reading: ReadingArgs,
    /// Rewrap objects of old S3 Encryption Clients whose data key is bound to nothing
    #[arg(long)]
    pub(crate) allow_legacy_wrapping: bool,
    #[command(flatten)]
    pub(crate) read_suffix: SuffixArgs,
    #[command(flatten)]
    pub(crate) rules: RuleArgs,
    #[command(flatten)]
    pub(crate) store: StoreArgs,
}

#[derive(Debug, Parser)]
pub(crate) struct Reencrypt {
    /// The object
    #[arg(value_name = "URL", value_parser = url)]
    pub(crate) url: Url,
    /// The keyring file with the new keys
    #[arg(long, value_name = "FILE")]
    pub(crate) to: PathBuf,
    #[command(flatten)]
    pub(crate) context: ContextArgs,
    #[command(flatten)]
    pub(crate) reading: ReadingArgs,
    #[command(flatten)]
    pub(crate) s3ec: S3ecArgs,
    #[command(flatten)]
    pub(crate) read_suffix: SuffixArgs,
    #[command(flatten)]
    pub(crate) format: FormatArgs,
    #[command(flatten)]
    pub(crate) parts: PartArgs,
    #[command(flatten)]
    pub(crate) rules: RuleArgs,
    #[command(flatten)]
    pub(crate) store: StoreArgs,
}

/// How a store is reached. What is not named comes from the environment: `AWS_*`, `GOOGLE_*`,
/// `AZURE_*`.
#[derive(Debug, Parser)]
pub(crate) struct StoreArgs {
    /// A setting of the store, by object_store's name for it, such as endpoint=https://…. Repeatable
    #[arg(long = "store-option", value_name = "KEY=VALUE", value_parser = pair)]
    options: Vec<(String, String)>,
}

impl StoreArgs {
    pub(crate) fn options(&self) -> StoreOptions<'_> {
        StoreOptions(&self.options)
    }

    /// Opens the one store of a command.
    pub(crate) fn open(&self, url: &Url) -> Result<Opened, Error> {
        self.options().check(&[url])?;
        location::open(url, self.options())
    }
}

/// How new objects are written.
#[derive(Debug, Parser)]
pub(crate) struct FormatArgs {
    /// Layout of new objects; reading finds it by itself
    #[arg(long, value_enum, default_value_t = FormatName::Framed)]
    format: FormatName,
    /// Write the keys of S3 Encryption Client objects into instruction files
    #[arg(long)]
    instruction_file: bool,
    #[command(flatten)]
    pub(crate) required: RequiredContextArgs,
    /// Algorithm suite of framed objects, by hex id or name; it must be unsigned [default: 0478]
    #[arg(long)]
    suite: Option<AlgorithmSuite>,
    /// Plaintext bytes in each frame [default: 65536]
    #[arg(long, value_name = "BYTES", value_parser = clap::value_parser!(u32).range(1..))]
    frame_length: Option<u32>,
    /// Pad headers of framed objects to this many bytes; 0 does not pad them [default: 1024]
    #[arg(long, value_name = "BYTES")]
    header_length: Option<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum FormatName {
    /// A message of the AWS Encryption SDK, its keys in its header
    Framed,
    /// The same, its keys in an instruction file beside it
    FramedInstruction,
    /// As the S3 Encryption Client writes, with key commitment; its keys in its metadata
    #[value(name = "s3ec-v3")]
    S3ecV3,
    /// The same without key commitment, for readers that know no other
    #[value(name = "s3ec-v2")]
    S3ecV2,
}

impl FormatName {
    pub(crate) fn family(self) -> Family {
        match self {
            Self::Framed | Self::FramedInstruction => Family::Framed,
            Self::S3ecV3 | Self::S3ecV2 => Family::S3ec,
        }
    }

    /// The policy that allows to write it, when `policy` does not.
    fn needed_policy(self, policy: CommitmentPolicy) -> Option<CommitmentPolicy> {
        let forbids = policy == CommitmentPolicy::ForbidEncryptAllowDecrypt;
        match self {
            Self::S3ecV3 if forbids => Some(CommitmentPolicy::RequireEncryptAllowDecrypt),
            Self::S3ecV2 if !forbids => Some(CommitmentPolicy::ForbidEncryptAllowDecrypt),
            _ => None,
        }
    }
}

impl FormatArgs {
    pub(crate) fn family(&self) -> Family {
        self.format.family()
    }

    /// The format as it was asked for.
    pub(crate) fn name(&self) -> Option<String> {
        let value = self.format.to_possible_value()?;
        Some(value.get_name().to_owned())
    }

    /// Every format, of which the one that was asked for is written.
    ///
    /// # Errors
    /// For options that this format does not have, and when the policy forbids it.
    pub(crate) fn formats(
        &self,
        reading: &ReadingArgs,
        s3ec: &S3ecArgs,
        rules: &RuleArgs,
    ) -> Result<Formats, Error> {
        self.check_options()?;
        let policy = rules.commitment_policy;
        if let Some(needed) = self.format.needed_policy(policy) {
            let suite = match self.format {
                FormatName::S3ecV2 => S3ec::v2().suite(),
                _ => S3ec::v3().suite(),
            };
            return Err(Error::envelope(
                format!("--format needs --commitment-policy {needed}"),
                envelope::Error::PolicyForbidsEncrypt { policy, suite },
            ));
        }
        let mut s3ec = s3ec.reading(of_policy(policy));
        if self.instruction_file {
            s3ec = s3ec.instruction_files();
        }
        Ok(Formats {
            framed: self.framed(rules)?.reading(reading.options(rules)),
            s3ec,
            writes: self.family(),
        })
    }

    fn check_options(&self) -> Result<(), Error> {
        let foreign = match self.family() {
            Family::Framed if self.instruction_file => {
                return Err(Error::Usage(
                    "--instruction-file is for s3ec-v3 and s3ec-v2; use --format framed-instruction"
                        .to_owned(),
                ));
            }
            Family::Framed => None,
            Family::S3ec if self.suite.is_some() => Some("--suite"),
            Family::S3ec if self.frame_length.is_some() => Some("--frame-length"),
            Family::S3ec if self.header_length.is_some() => Some("--header-length"),
            Family::S3ec if !self.required.is_empty() => Some("--required-context-key"),
            Family::S3ec => None,
        };
        match foreign {
            None => Ok(()),
            Some(option) => Err(Error::Usage(format!(
                "objects of the S3 Encryption Client have no {option}; leave it out, or write \
                framed objects"
            ))),
        }
    }

    fn framed(&self, rules: &RuleArgs) -> Result<Framed, Error> {
        let mut format = Framed::new();
        if let Some(length) = self.frame_length {
            format = format.frame_length(length);
        }
        format = match self.header_length {
            None => format,
            Some(0) => format.unpadded_headers(),
            Some(length) => format.header_length(length),
        };
        if self.format == FormatName::FramedInstruction {
            format = format.with_instruction_files();
        }
        if let Some(suite) = self.suite {
            let options = EncryptOptions::default()
                .with_policy(rules.commitment_policy)
                .with_suite(suite);
            // Says whether the policy allows it.
            let request = options.request();
            request.map_err(|error| Error::envelope("--suite", error))?;
            format = format.suite(suite);
        }
        Ok(match rules.max_encrypted_data_keys {
            Some(maximum) => format.maximum_encrypted_data_keys(maximum),
            None => format,
        })
    }
}

/// How large objects are sent.
#[derive(Debug, Parser)]
pub(crate) struct PartArgs {
    /// Length of the parts of large uploads, such as 64MiB [default: 8MiB, or what the object's
    /// length takes]
    #[arg(long, value_name = "BYTES", value_parser = part_size)]
    part_size: Option<usize>,
}

/// Most parts that an upload to S3 has.
const PARTS: u64 = 10_000;

impl PartArgs {
    /// Length in bytes of the parts of an object that is `longest` bytes long.
    pub(crate) fn length(&self, longest: u64) -> usize {
        // A tenth more than the plaintext: frames, and what a source did not tell.
        let needed = longest.saturating_add(longest / 10) / PARTS;
        let needed = usize::try_from(needed).unwrap_or(DEFAULT_PART_LENGTH);
        self.part_size.unwrap_or(needed.max(DEFAULT_PART_LENGTH))
    }
}

impl Cp {
    /// The metadata that was asked for.
    pub(crate) fn attributes(&self) -> Attributes {
        let pairs = self.metadata.iter().cloned();
        pairs
            .map(|(key, value)| (Attribute::Metadata(key.into()), AttributeValue::from(value)))
            .collect()
    }
}

fn url(text: &str) -> Result<Url, String> {
    match Location::parse(OsString::from(text))? {
        Location::Url(url) => Ok(url),
        Location::Standard | Location::Local(_) => Err(format!(
            "{text} is not a URL; give one such as s3://bucket/name or file:///folder/name"
        )),
    }
}

/// Shorter parts only cost requests, and most stores refuse them.
fn part_size(text: &str) -> Result<usize, String> {
    let size: ByteSize = text.parse()?;
    usize::try_from(size.as_u64())
        .ok()
        .filter(|size| *size >= 1 << 20)
        .ok_or_else(|| format!("{text} is too little or too much; give 1MiB or more"))
}

fn range(text: &str) -> Result<GetRange, String> {
    let wrong = || format!("{text:?} is no range; give A-B, A- or -N in bytes");
    let number = |text: &str| text.parse::<u64>().map_err(|_| wrong());
    match text.split_once('-').ok_or_else(wrong)? {
        ("", last) => Ok(GetRange::Suffix(number(last)?)),
        (first, "") => Ok(GetRange::Offset(number(first)?)),
        (first, last) => {
            let (first, last) = (number(first)?, number(last)?);
            let end = last.checked_add(1).filter(|end| first < *end);
            Ok(GetRange::Bounded(first..end.ok_or_else(wrong)?))
        }
    }
}

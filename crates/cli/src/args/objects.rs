//! The arguments of commands on objects.

use std::ffi::OsString;

use bytesize::ByteSize;
use clap::builder::{OsStringValueParser, TypedValueParser};
use clap::{Parser, ValueEnum};
use envelope::{AlgorithmSuite, EncryptOptions};
use envelope_store::{DEFAULT_FRAME_LENGTH, DEFAULT_HEADER_LENGTH, Framed};
use object_store::{Attribute, AttributeValue, Attributes, GetRange};
use url::Url;

use super::{ContextArgs, ReadingArgs, RequiredContextArgs, RuleArgs, pair};
use crate::error::Error;
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
    /// where all of them have the default frame and header lengths
    #[arg(long)]
    pub(crate) computed_sizes: bool,
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
    pub(crate) writing: WritingArgs,
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
pub(crate) struct WritingArgs {
    /// Where the keys of new objects are; reading finds them by itself
    #[arg(long, value_enum, default_value_t = FormatName::Framed)]
    format: FormatName,
    #[command(flatten)]
    pub(crate) required: RequiredContextArgs,
    /// Algorithm suite, by hex id or name; it must be unsigned [default: 0478]
    #[arg(long)]
    suite: Option<AlgorithmSuite>,
    /// Plaintext bytes in each frame
    #[arg(long, value_name = "BYTES", default_value_t = DEFAULT_FRAME_LENGTH)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..))]
    frame_length: u32,
    /// Pad headers to this many bytes; 0 does not pad them
    #[arg(long, value_name = "BYTES", default_value_t = DEFAULT_HEADER_LENGTH)]
    header_length: usize,
    /// A pair of the new object's own metadata. Repeatable
    #[arg(long, value_name = "KEY=VALUE", value_parser = pair)]
    metadata: Vec<(String, String)>,
    /// Length of the parts of large uploads, such as 64MiB [default: 8MiB, or what the object's
    /// length takes]
    #[arg(long, value_name = "BYTES", value_parser = part_size)]
    pub(crate) part_size: Option<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum FormatName {
    /// In the object's header
    Framed,
    /// In an instruction file beside the object
    FramedInstruction,
}

impl WritingArgs {
    pub(crate) fn format(&self, rules: &RuleArgs) -> Result<Framed, Error> {
        let mut format = Framed::new().frame_length(self.frame_length);
        format = match self.header_length {
            0 => format.unpadded_headers(),
            length => format.header_length(length),
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

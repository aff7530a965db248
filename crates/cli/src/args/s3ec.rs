//! How objects of the S3 Encryption Client are read.

use bytesize::ByteSize;
use clap::Parser;
use envelope::CommitmentPolicy;
use envelope_s3::{InstructionSuffix, S3ec};
use envelope_store::{Longer, Waiting};
use object_store::Extensions;

/// Switches for objects that are less safe to read, and where others wait until they verified.
#[derive(Debug, Parser)]
pub(crate) struct S3ecArgs {
    /// Read objects of old S3 Encryption Clients whose data key is bound to nothing: wrapped by kms,
    /// AESWrap, RSA-OAEP with SHA-256, or as in format V1
    #[arg(long)]
    allow_legacy_wrapping: bool,
    /// Read what nothing authenticates: objects of old S3 Encryption Clients in AES-CBC, and ranges of
    /// any object of an S3 Encryption Client
    #[arg(long)]
    allow_legacy_unauthenticated: bool,
    /// Release plaintext of S3 Encryption Client objects before their end verified; on failure,
    /// discard what was written
    #[arg(long)]
    delayed_authentication: bool,
    /// S3 Encryption Client objects up to this length wait in memory until they verified, longer ones
    /// in a temporary file, encrypted as they are [default: 64MiB]
    #[arg(long, value_name = "BYTES", value_parser = byte_size)]
    #[arg(conflicts_with = "delayed_authentication")]
    wait_in_memory: Option<u64>,
    /// Refuse S3 Encryption Client objects that are too long to wait in memory
    #[arg(long, conflicts_with = "delayed_authentication")]
    refuse_longer: bool,
}

impl S3ecArgs {
    /// The format, read as the switches say.
    pub(crate) fn reading(&self, format: S3ec) -> S3ec {
        let mut format = legacy_wrapping(format, self.allow_legacy_wrapping);
        if self.allow_legacy_unauthenticated {
            format = format.danger().read_legacy_unauthenticated();
        }
        if self.delayed_authentication {
            return format.danger().delayed_authentication();
        }
        let Waiting { in_memory, longer } = Waiting::default();
        format.waiting(Waiting {
            in_memory: self.wait_in_memory.unwrap_or(in_memory),
            longer: match self.refuse_longer {
                true => Longer::Refused,
                false => longer,
            },
        })
    }
}

/// The format, with the switch for wraps that bind a data key to nothing.
pub(crate) fn legacy_wrapping(format: S3ec, allowed: bool) -> S3ec {
    match allowed {
        true => format.danger().read_legacy_wraps(),
        false => format,
    }
}

/// The format that this policy allows to be written, and which reads under it.
pub(crate) fn of_policy(policy: CommitmentPolicy) -> S3ec {
    match policy {
        CommitmentPolicy::ForbidEncryptAllowDecrypt => S3ec::v2(),
        CommitmentPolicy::RequireEncryptAllowDecrypt
        | CommitmentPolicy::RequireEncryptRequireDecrypt => S3ec::v3().policy(policy),
    }
}

/// Which instruction files of the S3 Encryption Client are meant.
#[derive(Debug, Parser)]
pub(crate) struct SuffixArgs {
    /// The keys of S3 Encryption Client objects are in instruction files with this suffix
    /// [default: .instruction]
    #[arg(long, value_name = "SUFFIX", value_parser = suffix)]
    instruction_suffix: Option<String>,
}

impl SuffixArgs {
    /// The format, which knows that such files are no objects.
    pub(crate) fn known_to(&self, format: S3ec) -> S3ec {
        match &self.instruction_suffix {
            Some(suffix) => format.further_suffix(suffix),
            None => format,
        }
    }

    /// The wish of a request.
    pub(crate) fn extensions(&self) -> Extensions {
        let mut extensions = Extensions::new();
        if let Some(suffix) = &self.instruction_suffix {
            extensions.insert(InstructionSuffix::new(suffix));
        }
        extensions
    }
}

/// Behind the name of an object it must name another one beside it.
fn suffix(text: &str) -> Result<String, String> {
    match text.is_empty() || text.contains('/') {
        true => Err("must be the end of a name, such as .partner".to_owned()),
        false => Ok(text.to_owned()),
    }
}

/// As [`suffix`], where a forgotten dot would make another object's name.
pub(crate) fn new_suffix(text: &str) -> Result<String, String> {
    match text.starts_with('.') {
        true => suffix(text),
        false => Err("must begin with a dot, such as .partner".to_owned()),
    }
}

fn byte_size(text: &str) -> Result<u64, String> {
    text.parse().map(|ByteSize(size)| size)
}

use std::fmt;
use std::str::FromStr;

use anyhow::{Context, Error, Result, bail};

/// How an object is stored, named as in `v2 kms metadata`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Form {
    pub(crate) format: Format,
    pub(crate) wrap: Wrap,
    /// Whether the envelope is in an instruction file, instead of the object's metadata.
    pub(crate) instruction_file: bool,
}

/// The layout of the envelope, and the content's cipher where a layout has two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    V1,
    /// The second layout with the first one's cipher: what version 1 clients write with KMS.
    V2Cbc,
    V2,
    V3,
}

/// The key that wraps the data key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wrap {
    Kms,
    Aes,
    Rsa,
}

impl Format {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::V1 => "v1",
            Self::V2Cbc => "v2-cbc",
            Self::V2 => "v2",
            Self::V3 => "v3",
        }
    }

    /// Whether only legacy options open it.
    pub(crate) fn is_legacy(self) -> bool {
        matches!(self, Self::V1 | Self::V2Cbc)
    }
}

impl Wrap {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Kms => "kms",
            Self::Aes => "aes",
            Self::Rsa => "rsa",
        }
    }
}

impl fmt::Display for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = if self.instruction_file {
            "file"
        } else {
            "metadata"
        };
        write!(f, "{} {} {place}", self.format.name(), self.wrap.name())
    }
}

impl FromStr for Form {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let mut words = text.split(' ');
        let mut word = || words.next().with_context(|| format!("no form {text:?}"));
        Ok(Self {
            format: match word()? {
                "v1" => Format::V1,
                "v2-cbc" => Format::V2Cbc,
                "v2" => Format::V2,
                "v3" => Format::V3,
                other => bail!("no format {other:?}"),
            },
            wrap: match word()? {
                "kms" => Wrap::Kms,
                "aes" => Wrap::Aes,
                "rsa" => Wrap::Rsa,
                other => bail!("no wrap {other:?}"),
            },
            instruction_file: match word()? {
                "metadata" => false,
                "file" => true,
                other => bail!("no place {other:?}"),
            },
        })
    }
}

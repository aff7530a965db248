use std::ffi::OsString;
use std::fmt;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use envelope_fs::PendingFile;
use url::Url;

use crate::error::Error;

/// Where bytes come from or go to: standard input or output, or a file.
#[derive(Debug, Clone)]
pub(crate) enum Place {
    Standard,
    Path(PathBuf),
}

impl Place {
    /// As typed: a path need not be text, a URL is.
    pub(crate) fn parse(argument: OsString) -> Result<Self, String> {
        if argument == "-" {
            return Ok(Self::Standard);
        }
        let Some(text) = argument.to_str().filter(|text| text.contains("://")) else {
            return Ok(Self::Path(argument.into()));
        };
        let url = Url::parse(text).map_err(|error| format!("not a URL: {error}"))?;
        match url.scheme() {
            "file" => url
                .to_file_path()
                .map(Self::Path)
                .map_err(|()| "a file URL needs an absolute path: file:///…".to_owned()),
            scheme => Err(format!(
                "{scheme} is not supported here; give a path, a file URL or -, or use the command cp"
            )),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Standard => f.write_str("-"),
            Self::Path(path) => path.display().fmt(f),
        }
    }
}

impl Place {
    pub(crate) fn path(&self) -> Option<&Path> {
        match self {
            Self::Standard => None,
            Self::Path(path) => Some(path),
        }
    }
}

/// What is read.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) name: String,
    pub(crate) reader: Reader,
    /// Length in bytes of a regular file.
    pub(crate) length: Option<u64>,
}

#[derive(Debug)]
pub(crate) enum Reader {
    File(File),
    Standard(io::StdinLock<'static>),
}

impl Source {
    /// Opens the place; refuses the file that `target` is.
    pub(crate) fn open(place: &Place, target: Option<&Path>) -> Result<Self, Error> {
        let name = match place {
            Place::Standard => "standard input".to_owned(),
            Place::Path(path) => path.display().to_string(),
        };
        let Some(path) = place.path() else {
            return Ok(Self {
                name,
                reader: Reader::Standard(io::stdin().lock()),
                length: None,
            });
        };
        let file = envelope_fs::open_source(path, target)?;
        let length = file
            .metadata()
            .ok()
            .filter(std::fs::Metadata::is_file)
            .map(|metadata| metadata.len());
        Ok(Self {
            name,
            reader: Reader::File(file),
            length,
        })
    }
}

impl Read for Reader {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::File(file) => file.read(bytes),
            Self::Standard(input) => input.read(bytes),
        }
    }
}

/// Only files can be read again.
impl Seek for Reader {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        match self {
            Self::File(file) => file.seek(to),
            Self::Standard(_) => Err(io::ErrorKind::NotSeekable.into()),
        }
    }
}

/// What is written: a file that appears only when all went well, or standard output.
#[derive(Debug)]
pub(crate) enum Target {
    File(PendingFile),
    Standard(io::StdoutLock<'static>),
}

impl Target {
    pub(crate) fn create(place: &Place) -> Result<Self, Error> {
        Ok(match place.path() {
            None => Self::Standard(io::stdout().lock()),
            Some(path) => Self::File(PendingFile::create(path)?),
        })
    }

    /// Puts a file in its place.
    pub(crate) fn commit(self) -> Result<(), Error> {
        match self {
            Self::File(file) => Ok(file.commit()?),
            Self::Standard(_) => Ok(()),
        }
    }

    /// As errors call it.
    pub(crate) fn name(place: &Place) -> String {
        match place {
            Place::Standard => "standard output".to_owned(),
            Place::Path(path) => path.display().to_string(),
        }
    }
}

impl Write for Target {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::File(file) => file.write(bytes),
            Self::Standard(output) => output.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::File(file) => file.flush(),
            Self::Standard(output) => output.flush(),
        }
    }
}

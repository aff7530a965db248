use std::path;

use envelope_s3::Rotation;
use envelope_store::Framed;
use object_store::path::Path;
use serde_json::json;

use crate::args::objects::Rewrap;
use crate::args::s3ec::{legacy_wrapping, of_policy};
use crate::error::Error;
use crate::formats::{Family, Formats};
use crate::interrupt;
use crate::keyring_file;
use crate::output::Output;

/// Writes an object's instruction file anew, under other keys.
pub(crate) async fn run(
    command: &Rewrap,
    keyring: Option<&path::Path>,
    output: &Output,
) -> Result<(), Error> {
    let opened = command.store.open(&command.url)?;
    let keys = keyring_file::load(keyring).await?;
    let to = keyring_file::load(Some(&command.to)).await?;
    let policy = command.rules.commitment_policy;
    let mut s3ec = legacy_wrapping(of_policy(policy), command.allow_legacy_wrapping);
    if let Some(suffix) = &command.suffix {
        s3ec = s3ec.further_suffix(suffix);
    }
    let formats = Formats {
        framed: Framed::new().reading(command.reading.options(&command.rules)),
        s3ec: command.read_suffix.known_to(s3ec),
        writes: Family::Framed,
    };
    let (builder, keys) = formats.over(opened.store.clone(), keys);
    let store = builder.context(command.context.load()?).build(keys);
    let failed = |source| Error::store(command.url.as_str(), source);
    let path = &opened.path;
    let mut wishes = command.read_suffix.extensions();
    let claims = interrupt::or(store.inspect_opts(path, wishes.clone())).await?;
    let claims = claims.map_err(failed)?;
    let to = match claims.format.starts_with("s3ec") {
        true => {
            opened.check_s3ec(&command.url)?;
            command.check_s3ec_options()?;
            to.check_writes_s3ec()?;
            to.s3ec
        }
        false => {
            command.check_framed_options()?;
            command.required.requiring(to.framed)?
        }
    };
    let mut file = claims.instruction_file.map(|file| file.to_string());
    let mut rotation = Rotation::new();
    if let Some(suffix) = &command.suffix {
        rotation = rotation.to_suffix(suffix);
        let at = Path::parse(format!("{path}{suffix}"));
        let at = at.map_err(|error| Error::Usage(format!("--suffix: {error}")))?;
        file = Some(at.to_string());
    }
    if command.enforce_rotation {
        rotation = rotation.enforced();
    }
    wishes.insert(rotation);
    let rewrapped = interrupt::or(store.rewrap_opts(path, &*to, wishes)).await?;
    rewrapped.map_err(failed)?;
    let report = json!({
        "command": "rewrap",
        "object": command.url.as_str(),
        "format": claims.format,
        "instruction_file": file,
    });
    output.summary(false, &report)
}

impl Rewrap {
    fn check_framed_options(&self) -> Result<(), Error> {
        match self.suffix.is_some() || self.enforce_rotation {
            false => Ok(()),
            true => Err(Error::Usage(format!(
                "{}: a framed object has one instruction file, of its own name; leave --suffix and \
                --enforce-rotation out",
                self.url
            ))),
        }
    }

    fn check_s3ec_options(&self) -> Result<(), Error> {
        match self.required.is_empty() {
            true => Ok(()),
            false => Err(Error::Usage(format!(
                "{}: an object of the S3 Encryption Client stores all of its context; leave \
                --required-context-key out",
                self.url
            ))),
        }
    }
}

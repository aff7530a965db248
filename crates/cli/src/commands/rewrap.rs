use std::path;

use envelope_s3::Rotation;
use envelope_store::Framed;
use object_store::path::Path;
use object_store::{DynObjectStore, ObjectStoreExt};
use serde_json::{Map, Value, json};

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
    let keys = keyring_file::load(keyring)?;
    let to = keyring_file::load(Some(&command.to))?;
    let policy = command.rules.commitment_policy;
    let s3ec = legacy_wrapping(of_policy(policy), command.allow_legacy_wrapping);
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
        check_replaceable(&opened.store, &at).await?;
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

/// Longest instruction file, in bytes.
const LONGEST_FILE: u64 = 1 << 20;

/// What has the name of the new instruction file must be one: it may be somebody's object.
async fn check_replaceable(store: &DynObjectStore, file: &Path) -> Result<(), Error> {
    let failed = |source| Error::store(file.as_ref(), source);
    let found = match interrupt::or(store.get(file)).await? {
        Err(object_store::Error::NotFound { .. }) => return Ok(()),
        found => found.map_err(failed)?,
    };
    let mut content = None;
    if found.meta.size <= LONGEST_FILE {
        let bytes = interrupt::or(found.bytes()).await?.map_err(failed)?;
        content = serde_json::from_slice::<Map<String, Value>>(&bytes).ok();
    }
    match content.is_some_and(|content| content.keys().any(|key| key.starts_with("x-amz-"))) {
        true => Ok(()),
        false => Err(Error::Usage(format!(
            "{file} is there already and is no instruction file; choose another --suffix"
        ))),
    }
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

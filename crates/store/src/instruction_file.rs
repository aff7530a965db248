//! Keys beside an object: a second message, whose plaintext is the key that wraps the object's data
//! key (`docs/formats.md`). It can be written anew, because it shares no key with the object.

use bytes::Bytes;
use envelope::{
    CommitmentPolicy, DecryptOptions, Decrypted, EncryptOptions, EncryptedDataKey,
    EncryptionContext, Error, MaterialsManager, RawAes, Result, UnverifiedHeader, WrappingKey,
    random_id,
};
use object_store::path::Path;

/// Provider id of an object's encrypted data key when its keys are in an instruction file.
pub const INSTRUCTION_FILE_PROVIDER_ID: &str = "envelope-instruction-file";

/// Key of the pair of the context that tells an instruction file from an object, and one from another.
/// Its value is the id. Objects never have it: otherwise one of 32 bytes could stand for a key.
pub const INSTRUCTION_FILE_CONTEXT_KEY: &str = "envelope-instruction-file";

/// Length of the object wrapping key in bytes.
const KEY_LENGTH: usize = 32;
/// Hexadecimal digits of an id.
const ID_LENGTH: usize = 32;
const EXTENSION: &str = ".instruction";

/// The random id that an object's header gives its instruction file. A header never names the file
/// of another write, so files can be written first and dropped last.
#[derive(Debug, Clone)]
pub(crate) struct InstructionFileName(String);

impl InstructionFileName {
    /// The id in a header, if its keys are in an instruction file.
    pub(crate) fn in_header(keys: &[EncryptedDataKey]) -> Option<Self> {
        let key = keys
            .iter()
            .find(|key| key.provider_id() == INSTRUCTION_FILE_PROVIDER_ID)?;
        let id = key.key_name();
        // It becomes part of a path, and anyone could have written it.
        is_id(&id).then_some(Self(id))
    }

    /// Where the file of the object at this place is.
    pub(crate) fn at(&self, location: &Path) -> Path {
        let text = format!("{location}.{}{EXTENSION}", self.0);
        // Parsed, as the location is encoded already; what is appended keeps it legal.
        Path::parse(&text).unwrap_or_else(|_| Path::from(text))
    }

    /// The context of this file: the object's, and the pair that says which file it is.
    fn bind(&self, context: &EncryptionContext) -> Result<EncryptionContext> {
        let pair = (INSTRUCTION_FILE_CONTEXT_KEY, &*self.0);
        EncryptionContext::new(context.iter().chain([pair]))
    }

    /// The object that a file at this place would belong to.
    pub(crate) fn object_of(location: &Path) -> Option<Path> {
        let (object, id) = location
            .as_ref()
            .strip_suffix(EXTENSION)?
            .rsplit_once('.')?;
        let named = !object.is_empty() && !object.ends_with('/');
        Path::parse(object).ok().filter(|_| named && is_id(id))
    }
}

fn is_id(text: &str) -> bool {
    text.len() == ID_LENGTH && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

/// The key that wraps one object's data key, and what its instruction file is bound to.
pub(crate) struct ObjectKey {
    pub(crate) keyring: RawAes,
    pub(crate) context: EncryptionContext,
    /// What the caller's keys unwrapped.
    pub(crate) opened: EncryptedDataKey,
}

/// A key for a new object.
pub(crate) struct NewObjectKey {
    pub(crate) keyring: RawAes,
    /// The part of the context that headers may show.
    pub(crate) stored_context: EncryptionContext,
    pub(crate) name: InstructionFileName,
    /// The message that holds the key.
    pub(crate) instruction_file: Bytes,
}

impl NewObjectKey {
    /// A new key, encrypted under the caller's and bound to its file's id.
    pub(crate) async fn generate(
        manager: &dyn MaterialsManager,
        context: &EncryptionContext,
        sealing: impl Fn(EncryptionContext) -> EncryptOptions,
    ) -> Result<Self> {
        let key = WrappingKey::generate()?;
        let name = InstructionFileName(random_id()?);
        let options = sealing(name.bind(context)?);
        let file = envelope::encrypt(manager, key.expose(), &options).await?;
        let any =
            DecryptOptions::default().with_policy(CommitmentPolicy::ForbidEncryptAllowDecrypt);
        let header = UnverifiedHeader::parse_whole(&file, &any)?;
        Ok(Self {
            keyring: RawAes::new(INSTRUCTION_FILE_PROVIDER_ID, &*name.0, key)?,
            stored_context: unbind(header.claims().context())?,
            name,
            instruction_file: file.into(),
        })
    }
}

impl ObjectKey {
    /// The key in an instruction file.
    pub(crate) async fn open(
        manager: &dyn MaterialsManager,
        name: &InstructionFileName,
        file: &[u8],
        expected: &EncryptionContext,
        options: DecryptOptions,
    ) -> Result<Self> {
        let (key, context, opened) = open(manager, name, file, expected, options).await?;
        Ok(Self {
            keyring: RawAes::new(INSTRUCTION_FILE_PROVIDER_ID, &*name.0, key)?,
            context: unbind(&context)?,
            opened,
        })
    }

    /// The same key under keys of `to`: a new message, with a data key and an id of its own.
    pub(crate) async fn rewrap(
        managers: (&dyn MaterialsManager, &dyn MaterialsManager),
        name: &InstructionFileName,
        file: &[u8],
        expected: &EncryptionContext,
        options: DecryptOptions,
        sealing: impl Fn(EncryptionContext) -> EncryptOptions,
    ) -> Result<Bytes> {
        let (from, to) = managers;
        let (key, context, _) = open(from, name, file, expected, options).await?;
        let sealing = sealing(context.without_reserved());
        let file = envelope::encrypt(to, key.expose(), &sealing).await?;
        Ok(file.into())
    }
}

async fn open(
    manager: &dyn MaterialsManager,
    name: &InstructionFileName,
    file: &[u8],
    expected: &EncryptionContext,
    options: DecryptOptions,
) -> Result<(WrappingKey, EncryptionContext, EncryptedDataKey)> {
    let options = options.expect_context(name.bind(expected)?);
    let Decrypted {
        mut plaintext,
        context,
        key: opened,
        ..
    } = envelope::decrypt(manager, file, &options).await?;
    let length = plaintext.len();
    let key = WrappingKey::from_bytes(&mut plaintext)?;
    if length != KEY_LENGTH {
        return Err(Error::KeyLength {
            length,
            legal: "32 bytes, the key in an instruction file",
        });
    }
    Ok((key, context, opened))
}

/// The context without the pair that instruction files have.
fn unbind(context: &EncryptionContext) -> Result<EncryptionContext> {
    let context = context.without_reserved();
    let pairs = context.iter();
    EncryptionContext::new(pairs.filter(|(key, _)| *key != INSTRUCTION_FILE_CONTEXT_KEY))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_tells_its_object() {
        let name = InstructionFileName(random_id().unwrap());
        for object in [
            "a",
            "a/b.txt",
            "a/.b",
            "100% of ä?.txt",
            "x#1~/y z",
            "a.instruction",
        ] {
            let object = Path::from(object);
            let file = name.at(&object);
            assert_eq!(InstructionFileName::object_of(&file), Some(object));
        }
        let id = &name.0;
        for other in [
            format!(".{id}.instruction"),
            format!("a/.{id}.instruction"),
            format!("a.{id}"),
            format!("a.{}.instruction", &id[1..]),
            format!("a.{}.instruction", id.to_uppercase()),
            format!("a.0{id}.instruction"),
        ] {
            let other = Path::from(other);
            assert_eq!(InstructionFileName::object_of(&other), None, "{other}");
        }
    }
}

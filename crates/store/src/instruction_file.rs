//! Keys beside an object: a second message, whose plaintext is the key that wraps the object's data
//! key (`docs/formats.md`). It can be written anew, because it shares no key with the object.

use bytes::Bytes;
use envelope::{
    CommitmentPolicy, DecryptOptions, Decrypted, EncryptOptions, EncryptedDataKey,
    EncryptionContext, Error, MaterialsManager, RawAes, Result, UnverifiedHeader, WrappingKey,
};
use object_store::path::Path;

/// Provider id of an object's encrypted data key when its keys are in an instruction file.
pub const INSTRUCTION_FILE_PROVIDER_ID: &str = "envelope-instruction-file";

/// Length of the object wrapping key in bytes.
const KEY_LENGTH: usize = 32;
/// Length of the id in bytes.
const ID_LENGTH: usize = 16;
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

    pub(crate) fn is_name(location: &Path) -> bool {
        let id = location
            .filename()
            .and_then(|name| name.strip_suffix(EXTENSION))
            .and_then(|name| name.rsplit_once('.'));
        id.is_some_and(|(name, id)| !name.is_empty() && is_id(id))
    }
}

fn is_id(text: &str) -> bool {
    text.len() == 2 * ID_LENGTH && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
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
    /// A new key, encrypted under the caller's.
    pub(crate) async fn generate(
        manager: &dyn MaterialsManager,
        options: &EncryptOptions,
    ) -> Result<Self> {
        let key = WrappingKey::generate()?;
        let file = envelope::encrypt(manager, key.expose(), options).await?;
        let any =
            DecryptOptions::default().with_policy(CommitmentPolicy::ForbidEncryptAllowDecrypt);
        let header = UnverifiedHeader::parse_whole(&file, &any)?;
        let claims = header.claims();
        let id = claims.message_id().iter().take(ID_LENGTH);
        let name = InstructionFileName(id.map(|byte| format!("{byte:02x}")).collect());
        Ok(Self {
            keyring: RawAes::new(INSTRUCTION_FILE_PROVIDER_ID, &*name.0, key)?,
            stored_context: claims.context().without_reserved(),
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
        options: &DecryptOptions,
    ) -> Result<Self> {
        let (key, context, opened) = open(manager, file, options).await?;
        Ok(Self {
            keyring: RawAes::new(INSTRUCTION_FILE_PROVIDER_ID, &*name.0, key)?,
            context,
            opened,
        })
    }

    /// The same key under keys of `to`: a new message, with a data key and an id of its own.
    pub(crate) async fn rewrap(
        manager: &dyn MaterialsManager,
        to: &dyn MaterialsManager,
        file: &[u8],
        options: &DecryptOptions,
        sealing: impl Fn(EncryptionContext) -> EncryptOptions,
    ) -> Result<Bytes> {
        let (key, context, _) = open(manager, file, options).await?;
        let sealing = sealing(context.without_reserved());
        let file = envelope::encrypt(to, key.expose(), &sealing).await?;
        Ok(file.into())
    }
}

async fn open(
    manager: &dyn MaterialsManager,
    file: &[u8],
    options: &DecryptOptions,
) -> Result<(WrappingKey, EncryptionContext, EncryptedDataKey)> {
    let Decrypted {
        mut plaintext,
        context,
        key: opened,
        ..
    } = envelope::decrypt(manager, file, options).await?;
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

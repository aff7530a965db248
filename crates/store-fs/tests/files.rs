//! Files appear whole or not at all.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use envelope::{
    AlgorithmSuite, DecryptOptions, EncryptOptions, EncryptionContext, Error as EnvelopeError,
    RawAes, WrappingKey,
};
use envelope_fs::{Error, PendingFile, Result, decrypt_file, encrypt_file};
use futures::executor::block_on;
use tempfile::TempDir;

struct Folder {
    folder: TempDir,
    keyring: RawAes,
}

impl Folder {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            keyring: RawAes::new("acme", "test", WrappingKey::generate().unwrap()).unwrap(),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn with(&self, name: &str, content: &[u8]) -> PathBuf {
        fs::write(self.path(name), content).unwrap();
        self.path(name)
    }

    fn encrypt(&self, source: &Path, target: &Path) -> Result<()> {
        let options = EncryptOptions::default().with_frame_length(100);
        block_on(encrypt_file(&self.keyring, source, target, &options))
    }

    fn decrypt(&self, source: &Path, target: &Path) -> Result<EncryptionContext> {
        let options = DecryptOptions::default();
        block_on(decrypt_file(&self.keyring, source, target, &options))
    }

    fn names(&self) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(self.folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

#[test]
fn a_file_comes_back_as_it_was() {
    for suite in AlgorithmSuite::ALL
        .into_iter()
        .filter(|suite| suite.commits())
    {
        let folder = Folder::new();
        let plain = folder.with("plain", &[7; 1000]);
        let (sealed, copy) = (folder.path("sealed"), folder.path("copy"));
        let context = EncryptionContext::new([("kind", "test")]).unwrap();
        let options = EncryptOptions::default()
            .with_suite(suite)
            .with_context(context);
        block_on(encrypt_file(&folder.keyring, &plain, &sealed, &options)).unwrap();
        let found = folder.decrypt(&sealed, &copy).unwrap();
        assert_eq!(found.get("kind"), Some("test"));
        assert_eq!(fs::read(&copy).unwrap(), [7; 1000]);
        assert_eq!(fs::read(&plain).unwrap(), [7; 1000]);
        assert_eq!(folder.names(), ["copy", "plain", "sealed"]);
    }
}

#[cfg(unix)]
#[test]
fn both_files_are_private() {
    use std::os::unix::fs::PermissionsExt;
    let folder = Folder::new();
    let plain = folder.with("plain", b"content");
    let (sealed, copy) = (folder.with("sealed", b"old"), folder.path("copy"));
    fs::set_permissions(&sealed, fs::Permissions::from_mode(0o644)).unwrap();
    folder.encrypt(&plain, &sealed).unwrap();
    folder.decrypt(&sealed, &copy).unwrap();
    for path in [sealed, copy] {
        let mode = fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}

#[test]
fn nothing_appears_unless_everything_verified() {
    let folder = Folder::new();
    let plain = folder.with("plain", &[7; 1000]);
    let sealed = folder.path("sealed");
    folder.encrypt(&plain, &sealed).unwrap();
    let message = fs::read(&sealed).unwrap();
    let target = folder.with("target", b"old content");

    let last = message.len() - 1;
    let mut changed = message.clone();
    changed[last] ^= 1;
    folder.with("sealed", &changed);
    let error = folder.decrypt(&sealed, &target).unwrap_err();
    assert!(matches!(
        error,
        Error::Envelope { path, source: EnvelopeError::SignatureNotValid } if path == sealed
    ));

    folder.with("sealed", &message[..last]);
    let error = folder.decrypt(&sealed, &target).unwrap_err();
    assert!(matches!(
        error,
        Error::Envelope { source: EnvelopeError::Truncated { offset, .. }, .. } if offset == last as u64
    ));

    folder.with("sealed", b"");
    let error = folder.decrypt(&sealed, &folder.path("new")).unwrap_err();
    assert!(matches!(
        error,
        Error::Envelope {
            source: EnvelopeError::Truncated { offset: 0, .. },
            ..
        }
    ));
    assert_eq!(fs::read(&target).unwrap(), b"old content");
    assert_eq!(folder.names(), ["plain", "sealed", "target"]);
}

#[test]
fn a_leftover_is_replaced_and_a_file_in_use_is_not() {
    let folder = Folder::new();
    let plain = folder.with("plain", b"content");
    let sealed = folder.path("sealed");
    let temporary = folder.with(".sealed.envelope-tmp", b"left by a killed process");
    folder.encrypt(&plain, &sealed).unwrap();
    assert_eq!(folder.names(), ["plain", "sealed"]);

    let mut pending = PendingFile::create(&sealed).unwrap();
    pending.write_all(b"half").unwrap();
    let error = folder.encrypt(&plain, &sealed).unwrap_err();
    assert!(
        matches!(error, Error::InUse { target, temporary: held } if (&target, &held) == (&sealed, &temporary))
    );
    drop(pending);
    assert_eq!(folder.names(), ["plain", "sealed"]);
    folder.decrypt(&sealed, &folder.path("copy")).unwrap();
}

#[test]
fn many_writers_of_one_target_leave_one_whole_file() {
    let folder = Folder::new();
    let sealed = folder.path("sealed");
    let contents: Vec<_> = (0..4_u8).map(|byte| [byte; 5000]).collect();
    std::thread::scope(|scope| {
        for content in &contents {
            scope.spawn(|| {
                for _ in 0..50 {
                    let mut pending = match PendingFile::create(&sealed) {
                        Err(Error::InUse { .. }) => continue,
                        created => created.unwrap(),
                    };
                    for piece in content.chunks(500) {
                        pending.write_all(piece).unwrap();
                    }
                    pending.commit().unwrap();
                }
            });
        }
    });
    let written = fs::read(&sealed).unwrap();
    assert!(contents.iter().any(|content| written == content));
    assert_eq!(folder.names(), ["sealed"]);
}

#[test]
fn what_is_no_file_is_refused() {
    let folder = Folder::new();
    let plain = folder.with("plain", b"content");
    let directory = folder.path("directory");
    fs::create_dir(&directory).unwrap();
    for (source, target) in [(&directory, &plain), (&plain, &directory)] {
        let error = folder.encrypt(source, target).unwrap_err();
        assert!(matches!(error, Error::NotAFile { path } if path == directory));
    }
    let error = folder.encrypt(&plain, &plain).unwrap_err();
    assert!(matches!(error, Error::SameFile { path } if path == plain));
    let missing = folder.path("missing");
    let error = folder.encrypt(&missing, &folder.path("new")).unwrap_err();
    assert!(matches!(error, Error::Io { action: "open", path, .. } if path == missing));
    let unreachable = missing.join("sealed");
    let error = folder.encrypt(&plain, &unreachable).unwrap_err();
    assert!(matches!(error, Error::Io { action: "create", path, .. } if path == unreachable));
    assert_eq!(folder.names(), ["directory", "plain"]);
    assert_eq!(fs::read(&plain).unwrap(), b"content");
}

#[cfg(unix)]
#[test]
fn a_link_is_followed_and_a_device_is_refused() {
    let folder = Folder::new();
    let plain = folder.with("plain", b"content");
    let sealed = folder.with("sealed", b"old");
    let link = folder.path("link");
    std::os::unix::fs::symlink("sealed", &link).unwrap();
    folder.encrypt(&plain, &link).unwrap();
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    folder.decrypt(&sealed, &folder.path("copy")).unwrap();
    let null = Path::new("/dev/null");
    let error = folder.encrypt(&plain, null).unwrap_err();
    assert!(matches!(error, Error::NotAFile { path } if path == null));
}

#[test]
fn names_as_long_as_the_file_system_allows_work() {
    let folder = Folder::new();
    let plain = folder.with("plain", b"content");
    let name = "n".repeat(255);
    folder.encrypt(&plain, &folder.path(&name)).unwrap();
    assert_eq!(folder.names(), [&name, "plain"]);
}

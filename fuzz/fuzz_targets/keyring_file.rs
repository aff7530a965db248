//! Whatever a keyring file holds, it is read or refused in words.
#![no_main]

use envelope_cli::KeyringFile;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    match KeyringFile::parse(text) {
        Ok(file) => assert!(!format!("{file:?}").is_empty()),
        Err(fault) => assert!(!fault.trim().is_empty()),
    }
});

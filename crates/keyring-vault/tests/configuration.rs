//! What is refused before anything is sent.
#![allow(
    clippy::unwrap_used,
    unreachable_pub,
    reason = "a test stops at the first surprise"
)]

use envelope_vault::{Error, Token, Transit, Vault, VaultBuilder};

fn builder(address: &str) -> VaultBuilder {
    let token = Token::new("hvs.secret".to_owned()).unwrap();
    Vault::builder(address).token(token)
}

#[test]
fn plain_http_has_to_be_allowed_by_name() {
    for address in ["http://127.0.0.1:8200", "HTTP://vault.example.com"] {
        let error = builder(address).build().unwrap_err();
        assert!(matches!(error, Error::PlainHttp { .. }), "{error}");
        builder(address).allow_http().build().unwrap();
    }
    builder("https://vault.example.com:8200").build().unwrap();
}

#[test]
fn addresses_are_urls_of_http_without_more() {
    for (address, wrong) in [
        ("", "is not a URL"),
        ("vault.example.com", "is not a URL"),
        ("ftp://vault.example.com", "begins with neither"),
        ("https://me:password@vault.example.com", "holds a user name"),
        ("https://vault.example.com/?a=b", "holds a query"),
        ("https://vault.example.com/#a", "holds a query"),
    ] {
        let error = builder(address).build().unwrap_err();
        assert!(
            matches!(error, Error::NotAnAddress { reason } if reason.starts_with(wrong)),
            "{address:?}: {error}"
        );
        assert!(!error.to_string().contains("password@"));
    }
}

#[test]
fn a_token_is_needed_and_its_file_is_read_at_once() {
    let address = "https://vault.example.com";
    let error = Vault::builder(address).build().unwrap_err();
    assert!(matches!(error, Error::NoToken));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("token");
    let error = Vault::builder(address)
        .token_file(&path)
        .build()
        .unwrap_err();
    assert!(matches!(
        error,
        Error::TokenFile { path: found, source }
            if found == path && source.kind() == std::io::ErrorKind::NotFound
    ));
    std::fs::write(&path, "\n").unwrap();
    let error = Vault::builder(address)
        .token_file(&path)
        .build()
        .unwrap_err();
    assert!(matches!(error, Error::TokenNotValid));
}

#[test]
fn certificates_have_to_be_some() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ca.pem");
    let text = |builder: VaultBuilder| builder.build().unwrap_err().to_string();
    let missing = text(builder("https://vault.example.com").ca_file(&path));
    assert!(missing.contains("No such file"), "{missing}");
    std::fs::write(&path, "no certificate").unwrap();
    let none = text(builder("https://vault.example.com").ca_file(&path));
    assert!(none.contains("there are none in it"), "{none}");
}

#[test]
fn names_are_checked() {
    let vault = builder("https://vault.example.com").build().unwrap();
    Transit::new(vault.clone(), "team/transit", "objects-1").unwrap();
    for (mount, key, wrong) in [
        ("", "objects", "the mount"),
        ("transit/../sys", "objects", "the mount"),
        ("transit", "a/b", "the key"),
        ("transit", "", "the key"),
    ] {
        let error = Transit::new(vault.clone(), mount, key).unwrap_err();
        assert!(
            matches!(error, Error::NotAName { what, .. } if what == wrong),
            "{mount:?} {key:?}: {error}"
        );
    }
    let error = builder("https://vault.example.com")
        .namespace("a\nb")
        .build()
        .unwrap_err();
    assert!(matches!(
        error,
        Error::NotAName {
            what: "the namespace",
            ..
        }
    ));
}

#[test]
fn no_debug_text_holds_the_token() {
    let builder = builder("https://vault.example.com");
    let text = format!("{builder:?}");
    let vault = builder.build().unwrap();
    let keyring = Transit::new(vault.clone(), "transit", "objects").unwrap();
    let text = format!("{text} {vault:?} {keyring:?}");
    assert!(text.contains("vault.example.com"));
    assert!(!text.contains("secret"), "{text}");
}

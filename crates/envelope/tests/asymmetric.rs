//! RSA and elliptic-curve keys: what they open, and what is refused.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    unreachable_pub,
    dead_code,
    reason = "a test stops at the first surprise, and shares helpers with others"
)]

mod support;

use std::sync::{Arc, LazyLock};

use envelope::{
    AlgorithmSuite, BranchKey, EcCurve, EcPrivateKey, EcPublicKey, EncryptionContext, Error,
    ErrorKind, Keyring, NotUnwrapped, RawEcdh, RawRsa, RsaPadding, RsaPrivateKey, RsaPublicKey,
    UnverifiedHeader, WrappingKey, blocking,
};

/// PEM of a private and a public RSA key. Making one takes a while.
static RSA: LazyLock<[(String, String); 2]> = LazyLock::new(|| {
    [2048, 3072].map(|bits| {
        let key = RsaPrivateKey::generate(bits).unwrap();
        (
            key.to_pem().unwrap().to_string(),
            key.public_key_pem().unwrap(),
        )
    })
});

fn public_rsa() -> RsaPublicKey {
    RsaPublicKey::from_pem(&RSA[0].1).unwrap()
}

fn private_rsa(which: usize) -> RsaPrivateKey {
    RsaPrivateKey::from_pem(&RSA[which].0, None).unwrap()
}

fn rsa(padding: RsaPadding) -> RawRsa {
    RawRsa::new("acme", "rsa", padding).unwrap()
}

fn seal(keyring: &dyn Keyring, suite: AlgorithmSuite) -> Result<Vec<u8>, Error> {
    let context = EncryptionContext::new([("tenant", "acme")]).unwrap();
    let options = support::sealing(suite).with_context(context);
    blocking::encrypt(keyring, b"hello", &options)
}

fn opens(keyring: &dyn Keyring, message: &[u8]) {
    let opened = blocking::decrypt(keyring, message, &support::opening()).unwrap();
    assert_eq!(opened.plaintext, b"hello");
}

fn report(keyring: &dyn Keyring, message: &[u8]) -> NotUnwrapped {
    match blocking::decrypt(keyring, message, &support::opening()) {
        Err(Error::NotUnwrapped(report)) => *report,
        other => panic!("{other:?}"),
    }
}

/// The one attempt of a report: whether it failed or was skipped, and why.
fn attempt(keyring: &dyn Keyring, message: &[u8]) -> (bool, String) {
    let report = report(keyring, message);
    let [attempt] = report.attempts() else {
        panic!("{report}");
    };
    (attempt.failed(), attempt.reason().to_owned())
}

const DEFAULT: AlgorithmSuite = AlgorithmSuite::AES_256_GCM_HKDF_SHA512_COMMIT_KEY_ECDSA_P384;

#[test]
fn rsa_opens_with_every_padding_and_suite() {
    for padding in RsaPadding::ALL {
        assert_eq!(padding.to_string().parse::<RsaPadding>().unwrap(), padding);
        let writer = rsa(padding).with_public_key(public_rsa());
        let reader = rsa(padding).with_private_key(private_rsa(0));
        for suite in AlgorithmSuite::ALL {
            opens(&reader, &seal(&writer, suite).unwrap());
        }
    }
}

#[test]
fn each_half_of_an_rsa_key_does_its_own_work() {
    let reader = rsa(RsaPadding::OaepSha256).with_private_key(private_rsa(0));
    let error = seal(&reader, DEFAULT).unwrap_err();
    assert!(error.to_string().contains("no public key"), "{error}");
    assert_eq!(error.kind(), ErrorKind::InvalidRequest);
    let writer = rsa(RsaPadding::OaepSha256).with_public_key(public_rsa());
    let message = seal(&writer, DEFAULT).unwrap();
    assert_eq!(
        attempt(&writer, &message),
        (false, "the keyring has no private key".to_owned())
    );
}

/// The message with another wrapped key of the same length.
fn replace_wrapped_key(message: &[u8], wrapped: &[u8]) -> Vec<u8> {
    let header = UnverifiedHeader::parse_whole(message, &support::opening()).unwrap();
    let old = header.claims().encrypted_data_keys()[0].ciphertext();
    let at = message
        .windows(old.len())
        .position(|bytes| bytes == old)
        .unwrap();
    let mut changed = message.to_vec();
    changed[at..at + old.len()].copy_from_slice(wrapped);
    changed
}

#[test]
fn whatever_rsa_cannot_open_looks_the_same() {
    // Wrapped keys that are right under the key and wrong for the message: of another message,
    // and of a suite whose data keys are shorter.
    let wrapped = |keyring: &RawRsa, suite| {
        let message = seal(keyring, suite).unwrap();
        let header = UnverifiedHeader::parse_whole(&message, &support::opening()).unwrap();
        header.claims().encrypted_data_keys()[0]
            .ciphertext()
            .to_vec()
    };
    for padding in RsaPadding::ALL {
        let writer = rsa(padding).with_public_key(public_rsa());
        let message = seal(&writer, DEFAULT).unwrap();
        let ours = wrapped(&writer, DEFAULT);
        let mut damaged = [(); 3].map(|()| ours.clone());
        for (bytes, index) in damaged.iter_mut().zip([0, 100, 255]) {
            bytes[index] ^= 1;
        }
        let short = wrapped(&writer, AlgorithmSuite::AES_128_GCM_IV12_TAG16_NO_KDF);
        let unopened = damaged.iter().chain([&short]);
        let reader = rsa(padding).with_private_key(private_rsa(0));
        let other = rsa(padding).with_private_key(private_rsa(1));
        let open = |reader: &RawRsa, message: &[u8]| {
            blocking::decrypt(reader, message, &support::opening()).unwrap_err()
        };
        let mut errors: Vec<_> = unopened
            .map(|wrapped| open(&reader, &replace_wrapped_key(&message, wrapped)))
            .collect();
        errors.push(open(&other, &message));
        for error in &errors {
            match error {
                Error::NotUnwrapped(report) if padding != RsaPadding::Pkcs1 => assert_eq!(
                    report.attempts()[0].reason(),
                    "does not open: another private key, another padding, or tampered"
                ),
                // As for a wrong key that is well padded.
                Error::CommitmentMismatch if padding == RsaPadding::Pkcs1 => {}
                other => panic!("{padding}: {other:?}"),
            }
        }
        let wrong = open(&reader, &replace_wrapped_key(&message, &ours));
        assert!(matches!(wrong, Error::CommitmentMismatch));
    }
    let writer = rsa(RsaPadding::OaepSha1).with_public_key(public_rsa());
    let message = seal(&writer, DEFAULT).unwrap();
    let reader = rsa(RsaPadding::OaepSha256).with_private_key(private_rsa(0));
    assert!(attempt(&reader, &message).0);
    let other_name = RawRsa::new("acme", "rs", RsaPadding::OaepSha1).unwrap();
    let other_name = other_name.with_private_key(private_rsa(0));
    assert_eq!(
        attempt(&other_name, &message),
        (false, "another key name".to_owned())
    );
    assert!(matches!(
        RawRsa::new("aws-kms", "key", RsaPadding::Pkcs1),
        Err(Error::InvalidOption {
            what: "the key namespace",
            ..
        })
    ));
}

#[test]
fn static_ecdh_opens_in_either_role() {
    for curve in EcCurve::ALL {
        assert_eq!(curve.name().parse::<EcCurve>().unwrap(), curve);
        let [ours, theirs, others] = [(); 3].map(|()| {
            let key = EcPrivateKey::generate(curve).unwrap();
            key.to_pem().unwrap()
        });
        let private = |pem: &str| EcPrivateKey::from_pem(pem, None).unwrap();
        let public = |pem: &str| private(pem).public_key().clone();
        let writer = RawEcdh::between(private(&ours), public(&theirs)).unwrap();
        let reader = RawEcdh::between(private(&theirs), public(&ours)).unwrap();
        let stranger = RawEcdh::between(private(&others), public(&ours)).unwrap();
        for suite in AlgorithmSuite::ALL {
            let message = seal(&writer, suite).unwrap();
            opens(&reader, &message);
            opens(&writer, &message);
            // The recipient needs not know who wrote; the sender is no recipient.
            opens(&RawEcdh::discovery(private(&theirs)), &message);
            let discovering = RawEcdh::discovery(private(&ours));
            assert_eq!(
                attempt(&discovering, &message),
                (false, "to another key".to_owned())
            );
            assert_eq!(
                attempt(&stranger, &message),
                (false, "between other keys".to_owned())
            );
        }
    }
}

#[test]
fn ephemeral_ecdh_encrypts_and_discovery_decrypts() {
    for curve in EcCurve::ALL {
        let theirs = EcPrivateKey::generate(curve).unwrap();
        let writer = RawEcdh::ephemeral_to(theirs.public_key().clone());
        let message = seal(&writer, DEFAULT).unwrap();
        let reason = "an ephemeral keyring decrypts nothing".to_owned();
        assert_eq!(attempt(&writer, &message), (false, reason));
        let again = seal(&writer, DEFAULT).unwrap();
        let reader = RawEcdh::discovery(theirs);
        opens(&reader, &message);
        opens(&reader, &again);
        let error = seal(&reader, DEFAULT).unwrap_err();
        assert!(error.to_string().contains("encrypts nothing"), "{error}");
        assert_eq!(error.kind(), ErrorKind::InvalidRequest);
        // Each message has a sender of its own.
        let sender = |message: &[u8]| {
            let header = UnverifiedHeader::parse_whole(message, &support::opening()).unwrap();
            header.claims().encrypted_data_keys()[0]
                .provider_info()
                .to_vec()
        };
        assert_ne!(sender(&message), sender(&again));
    }
}

#[test]
fn public_keys_are_read_and_written_as_der() {
    for curve in EcCurve::ALL {
        let (mine, theirs) = (
            EcPrivateKey::generate(curve).unwrap(),
            EcPrivateKey::generate(curve).unwrap(),
        );
        let der = mine.public_key().to_der().unwrap();
        assert_eq!(&EcPublicKey::from_der(&der).unwrap(), mine.public_key());
        // The whole point, of two coordinates.
        let coordinate = mine.public_key().to_bytes().len() - 1;
        assert_eq!(der[der.len() - 2 * coordinate - 1], 4);
        let secret = mine.shared_secret(theirs.public_key()).unwrap();
        assert_eq!(secret, theirs.shared_secret(mine.public_key()).unwrap());
        assert_eq!(secret.len(), coordinate);
        let other = EcCurve::ALL.into_iter().find(|other| *other != curve);
        let other = EcPrivateKey::generate(other.unwrap()).unwrap();
        assert!(matches!(
            mine.shared_secret(other.public_key()),
            Err(Error::KeyNotValid { reason }) if reason.contains("another curve")
        ));
        assert!(matches!(
            RsaPublicKey::from_der(&der),
            Err(Error::KeyNotValid { reason }) if reason.contains("no RSA key")
        ));
    }
    let der = private_rsa(0).public_key_der().unwrap();
    let wrapped = RsaPublicKey::from_der(&der)
        .unwrap()
        .encrypt(RsaPadding::OaepSha256, b"a data key")
        .unwrap();
    let opened = private_rsa(0).decrypt(RsaPadding::OaepSha256, &wrapped);
    assert_eq!(*opened.unwrap(), b"a data key");
    for no_der in [&der[..10], b"", b"-----BEGIN PUBLIC KEY-----"] {
        assert!(matches!(
            RsaPublicKey::from_der(no_der),
            Err(Error::KeyNotValid { .. })
        ));
        assert!(matches!(
            EcPublicKey::from_der(no_der),
            Err(Error::KeyNotValid { .. })
        ));
    }
}

#[test]
fn every_field_of_an_agreed_key_counts() {
    let theirs = EcPrivateKey::generate(EcCurve::P256).unwrap();
    let writer = RawEcdh::ephemeral_to(theirs.public_key().clone());
    let reader = RawEcdh::discovery(theirs);
    let message = seal(&writer, DEFAULT).unwrap();
    let header = UnverifiedHeader::parse_whole(&message, &support::opening()).unwrap();
    let key = &header.claims().encrypted_data_keys()[0];
    let find = |field: &[u8]| {
        message
            .windows(field.len())
            .position(|b| b == field)
            .unwrap()
    };
    let (info, ciphertext) = (find(key.provider_info()), find(key.ciphertext()));
    let reason = |index: usize| {
        let mut changed = message.clone();
        changed[index] ^= 1;
        attempt(&reader, &changed)
    };
    let failed = |text: &str| (true, text.to_owned());
    let skipped = |text: &str| (false, text.to_owned());
    // Version, a length, the recipient.
    for index in [0, 4, 20] {
        assert_eq!(reason(info + index), skipped("to another key"));
    }
    let committed =
        "the key commitment differs: another key, another encryption context, or tampered";
    // Salt, commitment, wrapped key, tag.
    for index in [0, 31, 32, 63] {
        assert_eq!(reason(ciphertext + index), failed(committed));
    }
    for index in [64, 96, 111] {
        assert_eq!(
            reason(ciphertext + index),
            failed("not authentic: tampered")
        );
    }
    // Another point, or none at all.
    let sender = info + 1 + 4 + 33 + 4;
    let mut parity = message.clone();
    parity[sender] ^= 1;
    assert_eq!(attempt(&reader, &parity), failed(committed));
    let mut infinity = message.clone();
    infinity[sender..sender + 33].fill(0);
    let no_point = "the sender's key is no point on the curve";
    assert_eq!(attempt(&reader, &infinity), skipped(no_point));
}

#[test]
fn curves_do_not_mix() {
    let key = |curve| EcPrivateKey::generate(curve).unwrap();
    let other = key(EcCurve::P384).public_key().clone();
    assert!(matches!(
        RawEcdh::between(key(EcCurve::P256), other.clone()),
        Err(Error::KeyNotValid { reason }) if reason.contains("another curve")
    ));
    let message = seal(&RawEcdh::ephemeral_to(other), DEFAULT).unwrap();
    let reader = RawEcdh::discovery(key(EcCurve::P256));
    assert_eq!(
        attempt(&reader, &message),
        (false, "to another key".to_owned())
    );
}

#[test]
fn a_branch_key_opens_its_own_version_only() {
    let branch = |id: &str, version, key: u8| {
        let key = WrappingKey::from_bytes(&mut [key; 32]).unwrap();
        BranchKey::new(id, [version; 16], key).unwrap()
    };
    for suite in AlgorithmSuite::ALL {
        let message = seal(&branch("a", 1, 1), suite).unwrap();
        opens(&branch("a", 1, 1), &message);
        let skipped = |reason: &str| (false, reason.to_owned());
        let of = |keyring| attempt(&keyring, &message);
        assert_eq!(of(branch("b", 1, 1)), skipped("another branch key"));
        assert_eq!(
            of(branch("a", 2, 1)),
            skipped("another version of the branch key")
        );
        assert!(of(branch("a", 1, 2)).0);
    }
    let short = WrappingKey::generate_bits(128).unwrap();
    assert!(matches!(
        BranchKey::new("a", [0; 16], short),
        Err(Error::KeyLength { length: 16, .. })
    ));
}

#[test]
fn no_bit_of_any_keyrings_message_can_be_flipped() {
    let ec = EcPrivateKey::generate(EcCurve::P256).unwrap();
    let to_us = RawEcdh::ephemeral_to(ec.public_key().clone());
    let branch = WrappingKey::generate().unwrap();
    let branch = Arc::new(BranchKey::new("branch", [1; 16], branch).unwrap());
    let rsa = rsa(RsaPadding::OaepSha256)
        .with_public_key(public_rsa())
        .with_private_key(private_rsa(0));
    let rsa = Arc::new(rsa);
    let pairs: [(Arc<dyn Keyring>, Arc<dyn Keyring>); 3] = [
        (Arc::new(to_us), Arc::new(RawEcdh::discovery(ec))),
        (branch.clone(), branch),
        (rsa.clone(), rsa),
    ];
    for (writer, reader) in pairs {
        let suite = AlgorithmSuite::AES_256_GCM_HKDF_SHA512_COMMIT_KEY;
        let message = seal(&*writer, suite).unwrap();
        opens(&*reader, &message);
        for bit in 0..message.len() * 8 {
            let mut changed = message.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            let error = blocking::decrypt(&*reader, &changed, &support::opening()).unwrap_err();
            let kind = error.kind();
            let refused = matches!(kind, ErrorKind::NotAuthentic | ErrorKind::NoKey);
            assert!(refused, "{reader:?}, bit {bit}: {error}");
        }
    }
}

/// The reason why a key is refused.
fn refused<T: std::fmt::Debug>(result: Result<T, Error>) -> &'static str {
    match result {
        Err(error @ Error::KeyNotValid { reason }) => {
            assert_eq!(error.kind(), ErrorKind::InvalidRequest);
            reason
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn pem_of_the_wrong_kind_says_which_is_right() {
    let ec = EcPrivateKey::generate(EcCurve::P256).unwrap();
    let (ec_private, ec_public) = (ec.to_pem().unwrap(), ec.public_key_pem().unwrap());
    let (rsa_private, rsa_public) = &RSA[0];
    for text in [
        "",
        "no PEM",
        "-----BEGIN PUBLIC KEY-----\n!\n-----END PUBLIC KEY-----\n",
    ] {
        assert_eq!(refused(RsaPublicKey::from_pem(text)), "is not PEM");
        assert_eq!(refused(EcPrivateKey::from_pem(text, None)), "is not PEM");
    }
    let kind = "is PEM of another kind";
    assert!(refused(RsaPublicKey::from_pem(rsa_private)).starts_with(kind));
    assert!(refused(RsaPrivateKey::from_pem(rsa_public, None)).starts_with(kind));
    let pkcs1 = rsa_private.replace("PRIVATE KEY", "RSA PRIVATE KEY");
    let reason = refused(RsaPrivateKey::from_pem(&pkcs1, None));
    assert!(reason.contains("openssl pkcs8 -topk8"), "{reason}");
    assert_eq!(refused(RsaPublicKey::from_pem(&ec_public)), "is no RSA key");
    assert_eq!(
        refused(RsaPrivateKey::from_pem(&ec_private, None)),
        "is no RSA key"
    );
    assert_eq!(
        refused(EcPublicKey::from_pem(rsa_public)),
        "is no elliptic-curve key"
    );
    assert_eq!(
        refused(EcPrivateKey::from_pem(rsa_private, None)),
        "is no elliptic-curve key"
    );
    assert_eq!(
        refused(EcPublicKey::from_pem(SECP256K1)),
        "is on another curve than P-256, P-384 and P-521"
    );
    assert_eq!(
        refused(EcPublicKey::from_pem(OFF_THE_CURVE)),
        "is no point on its curve"
    );
}

#[test]
fn an_encrypted_key_needs_its_passphrase() {
    for (passphrase, reason) in [
        (None, "is encrypted; give its passphrase"),
        (
            Some(&b"wrong"[..]),
            "does not open: another passphrase, or an encryption that is not supported",
        ),
    ] {
        assert_eq!(
            refused(EcPrivateKey::from_pem(ENCRYPTED, passphrase)),
            reason
        );
    }
    let key = EcPrivateKey::from_pem(ENCRYPTED, Some(b"correct horse")).unwrap();
    assert_eq!(key.public_key().curve(), EcCurve::P256);
    // A passphrase that is not needed is not used.
    let pem = key.to_pem().unwrap();
    let again = EcPrivateKey::from_pem(&pem, Some(b"ignored")).unwrap();
    assert_eq!(again.public_key(), key.public_key());
}

#[test]
fn short_rsa_keys_are_refused() {
    let reason = "is no RSA key of 2048 to 8192 bits";
    assert_eq!(refused(RsaPublicKey::from_pem(RSA_1024)), reason);
    assert!(matches!(
        RsaPrivateKey::generate(1024),
        Err(Error::InvalidOption {
            what: "the length of an RSA key",
            ..
        })
    ));
}

#[test]
fn no_private_key_is_printed() {
    let ec = EcPrivateKey::generate(EcCurve::P521).unwrap();
    assert_eq!(format!("{ec:?}"), "EcPrivateKey(p521, redacted)");
    assert_eq!(format!("{:?}", private_rsa(0)), "RsaPrivateKey(redacted)");
    let keyring = rsa(RsaPadding::Pkcs1).with_private_key(private_rsa(0));
    assert!(format!("{keyring:?}").contains("RsaPrivateKey(redacted)"));
    let keyring = RawEcdh::discovery(ec);
    assert_eq!(format!("{keyring:?}"), "RawEcdh(raw ECDH discovery p521)");
}

// Throw-away keys, made with OpenSSL 3.0 for this test.
const ENCRYPTED: &str = "\
-----BEGIN ENCRYPTED PRIVATE KEY-----
MIHsMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAgRvXij8lkIswICCAAw
DAYIKoZIhvcNAgkFADAdBglghkgBZQMEASoEEKjV7XMil3eSK9qvCGjMyZQEgZC/
amu8QItc5yIGLeIng9xcVjw2Vhdw4PpopO5rRKYflHx7lntKBeU/AQewrKWCFNw9
9NgT3iJw1zcuXXt3uBj5IGgdDrdogYzd5sDtQTZw7LnB8oNYePwTtwIxM2JKw3AX
bmx+8Xzub9omdfKZ2PFfwPnEMGgdUKNbc5zKwXzBc7A63a6qLCC91TPDrjXeykQ=
-----END ENCRYPTED PRIVATE KEY-----
";

const SECP256K1: &str = "\
-----BEGIN PUBLIC KEY-----
MFYwEAYHKoZIzj0CAQYFK4EEAAoDQgAEfx4lnwQ/KaEQbRqE7pTp/gcwcDZSjBAh
EGRcbCAfLGOuxrSQpiLYfr7SvnCmnxpsFs1FfXKtI12Nmh9p5GvNWA==
-----END PUBLIC KEY-----
";

const RSA_1024: &str = "\
-----BEGIN PUBLIC KEY-----
MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQC4CV1f6+/fDi02+yuvi/dDBLHX
sVE+AVSP4s7DR+uFottj6YiKGnSPDfagUowzrc0scoQm1eBq7SEjUZun2HhZV58i
/qM+MO/gPzku8zQWfsnBsOgIR1OS1BPzqAvAwNTUSS3VubojOv6UQpEdxX1DMfxT
c5D7k/Kxu+Il72ELRQIDAQAB
-----END PUBLIC KEY-----
";

const OFF_THE_CURVE: &str = "\
-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEAQEBAQEBAQEBAQEBAQEBAQEBAQEB
AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQ==
-----END PUBLIC KEY-----
";

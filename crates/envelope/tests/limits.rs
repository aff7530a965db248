//! Bounds hold, before memory is spent and after an error.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

use std::io::{Read, Write};

use envelope::io::{TransformReader, TransformWriter, into_envelope_error};
use envelope::{
    AlgorithmSuite, DecryptOptions, Decryptor, EncryptOptions, EncryptionContext, Encryptor, Error,
    ErrorKind, HeaderReader, MaterialsManager, Multi, OutputBuffer, PADDING_PROVIDER_ID, RawAes,
    Result, UnverifiedHeader, WrappingKey, blocking,
};
use futures::executor::block_on;

const UNSIGNED: AlgorithmSuite = AlgorithmSuite::AES_256_GCM_HKDF_SHA512_COMMIT_KEY;

fn keyring() -> RawAes {
    RawAes::new("acme", "test", WrappingKey::generate().unwrap()).unwrap()
}

fn unsigned() -> EncryptOptions {
    EncryptOptions::default().with_suite(UNSIGNED)
}

fn encryptor(keyring: &RawAes, options: &EncryptOptions) -> Encryptor {
    let request = options.request().unwrap();
    let materials = block_on(keyring.encryption_materials(request)).unwrap();
    Encryptor::new(materials, options).unwrap()
}

fn verify(keyring: &RawAes, header: UnverifiedHeader) -> Result<Decryptor> {
    let materials = block_on(keyring.decryption_materials(header.request())).unwrap();
    header.verify(materials)
}

fn open(keyring: &RawAes, message: &[u8], options: &DecryptOptions) -> Result<Vec<u8>> {
    blocking::decrypt(keyring, message, options).map(|opened| opened.plaintext)
}

/// A header up to its list of keys, which claims to hold `count` of them.
fn header_claiming_keys(count: u16) -> Vec<u8> {
    let context_length = [0; 2];
    [
        &[0x02, 0x04, 0x78],
        [0; 32].as_slice(),
        &context_length,
        &count.to_be_bytes(),
    ]
    .concat()
}

#[test]
fn a_million_frames_need_little_memory_and_stack() {
    const CHUNK: usize = 1_000;
    const STACK: usize = 512 << 10;
    /// A regular frame of one byte.
    const FRAME: usize = 33;
    let work = || {
        let keyring = keyring();
        let mut encryptor = encryptor(&keyring, &unsigned().with_frame_length(1));
        let mut header = Some(HeaderReader::new(DecryptOptions::default()));
        let mut decryptor: Option<Decryptor> = None;
        let (mut sealed, mut opened) = (OutputBuffer::new(), OutputBuffer::new());
        let (mut largest, mut total) = (0, 0_usize);
        for chunk in 0..1_000_u32 {
            let plaintext = [chunk.to_be_bytes()[3]; CHUNK];
            encryptor.update(&plaintext, &mut sealed).unwrap();
            if let Some(decryptor) = &mut decryptor {
                decryptor.update(sealed.as_slice(), &mut opened).unwrap();
            } else {
                let reader = header.as_mut().unwrap();
                let (header, body) = reader.feed(sealed.as_slice()).unwrap().unwrap();
                let mut verified = verify(&keyring, header).unwrap();
                verified.update(&body, &mut opened).unwrap();
                decryptor = Some(verified);
            }
            total += opened.len();
            largest = largest.max(sealed.len());
            assert_eq!(opened.as_slice().last(), plaintext.last());
            sealed.clear();
            opened.clear();
        }
        encryptor.finish(&mut sealed).unwrap();
        let mut decryptor = decryptor.unwrap();
        decryptor.update(sealed.as_slice(), &mut opened).unwrap();
        decryptor.finish(&mut opened).unwrap();
        assert_eq!(total + opened.len(), 1_000_000);
        assert!(largest < CHUNK * FRAME + 1_000, "{largest} bytes at once");
    };
    let thread = std::thread::Builder::new().stack_size(STACK);
    thread.spawn(work).unwrap().join().unwrap();
}

#[test]
fn zero_is_no_frame_length_and_no_maximum() {
    let keyring = keyring();
    for options in [
        unsigned().with_frame_length(0),
        unsigned().with_maximum_encrypted_data_keys(0),
    ] {
        let error = blocking::encrypt(&keyring, b"", &options).unwrap_err();
        assert!(matches!(error, Error::InvalidOption { .. }), "{error}");
        assert_eq!(error.kind(), ErrorKind::InvalidRequest);
    }
    let message = blocking::encrypt(&keyring, b"", &unsigned()).unwrap();
    let opening = DecryptOptions::default().with_maximum_encrypted_data_keys(0);
    let error = open(&keyring, &message, &opening).unwrap_err();
    assert!(matches!(error, Error::InvalidOption { .. }), "{error}");
}

#[test]
fn a_message_with_frame_length_zero_is_malformed() {
    let keyring = keyring();
    let mut message = blocking::encrypt(&keyring, b"", &unsigned()).unwrap();
    let header = UnverifiedHeader::parse_whole(&message, &DecryptOptions::default()).unwrap();
    // The commitment and the tag follow the frame length.
    let at = header.length() - 16 - 32 - 4;
    message[at..at + 4].fill(0);
    let error = open(&keyring, &message, &DecryptOptions::default()).unwrap_err();
    assert!(
        matches!(error, Error::Malformed { field: "the frame length", offset, .. } if offset == at as u64),
        "{error}"
    );
}

#[test]
fn more_data_keys_than_allowed_are_refused_both_ways() {
    let three = Multi::generate_with(keyring())
        .and(keyring())
        .and(keyring());
    let sealing = |maximum| unsigned().with_maximum_encrypted_data_keys(maximum);
    assert!(matches!(
        blocking::encrypt(&three, b"", &sealing(2)),
        Err(Error::TooManyEncryptedDataKeys {
            count: 3,
            maximum: 2
        })
    ));
    let message = blocking::encrypt(&three, b"", &sealing(3)).unwrap();
    let opening = |maximum| DecryptOptions::default().with_maximum_encrypted_data_keys(maximum);
    assert!(matches!(
        blocking::decrypt(&three, &message, &opening(2)),
        Err(Error::TooManyEncryptedDataKeys {
            count: 3,
            maximum: 2
        })
    ));
    assert!(blocking::decrypt(&three, &message, &opening(3)).is_ok());
}

#[test]
fn the_number_of_data_keys_is_checked_before_they_are_there() {
    let header = header_claiming_keys(u16::MAX);
    let any = DecryptOptions::default();
    assert!(UnverifiedHeader::parse(&header, &any).unwrap().is_none());
    assert!(matches!(
        UnverifiedHeader::parse_whole(&header, &any),
        Err(Error::Truncated { offset: 39, .. })
    ));
    assert!(matches!(
        UnverifiedHeader::parse(&header, &any.with_maximum_encrypted_data_keys(5)),
        Err(Error::TooManyEncryptedDataKeys {
            count: 65_535,
            maximum: 5
        })
    ));
    assert!(matches!(
        UnverifiedHeader::parse(&header_claiming_keys(0), &DecryptOptions::default()),
        Err(Error::Malformed { .. })
    ));
}

#[test]
fn a_header_may_be_as_long_as_allowed_and_no_longer() {
    let keyring = keyring();
    let context = EncryptionContext::new([("long", "x".repeat(5_000))]).unwrap();
    let message = blocking::encrypt(&keyring, b"hi", &unsigned().with_context(context)).unwrap();
    let header = UnverifiedHeader::parse_whole(&message, &DecryptOptions::default()).unwrap();
    let allowed = |length| DecryptOptions::default().with_maximum_header_length(length);
    assert_eq!(
        open(&keyring, &message, &allowed(header.length())).unwrap(),
        b"hi"
    );
    let maximum = header.length() - 1;
    let error = open(&keyring, &message, &allowed(maximum)).unwrap_err();
    assert!(
        matches!(error, Error::HeaderTooLong { maximum: m } if m == maximum),
        "{error}"
    );
    assert_eq!(error.kind(), ErrorKind::NotAuthentic);
}

#[test]
fn a_header_without_end_stops_at_the_maximum() {
    let mut reader =
        HeaderReader::new(DecryptOptions::default().with_maximum_header_length(10_000));
    let mut fed = reader
        .feed(&header_claiming_keys(u16::MAX))
        .unwrap()
        .map(|_| ());
    let mut total = 0;
    // Zeroes are empty keys.
    let error = loop {
        assert!(fed.is_none() && total < 50_000);
        total += 100;
        match reader.feed(&[0; 100]) {
            Ok(found) => fed = found.map(|_| ()),
            Err(error) => break error,
        }
    };
    assert!(
        matches!(error, Error::HeaderTooLong { maximum: 10_000 }),
        "{error}"
    );
}

#[test]
fn the_longest_frame_length_opens_when_the_frame_is_short() {
    let keyring = keyring();
    let options = unsigned().with_frame_length(u32::MAX);
    let message = blocking::encrypt(&keyring, b"short", &options).unwrap();
    assert!(message.len() < 1_000);
    assert_eq!(
        open(&keyring, &message, &DecryptOptions::default()).unwrap(),
        b"short"
    );
}

#[test]
fn a_frame_above_the_maximum_is_refused_from_its_first_bytes() {
    let keyring = keyring();
    let options = unsigned().with_frame_length(1_000);
    let message = blocking::encrypt(&keyring, &[1; 2_500], &options).unwrap();
    let with_maximum = |maximum| DecryptOptions::default().with_maximum_frame_length(maximum);
    assert!(open(&keyring, &message, &with_maximum(1_000)).is_ok());

    let header = UnverifiedHeader::parse_whole(&message, &with_maximum(999)).unwrap();
    let body = header.length();
    let mut decryptor = verify(&keyring, header).unwrap();
    let mut output = OutputBuffer::new();
    assert!(matches!(
        decryptor.update(&message[body..body + 4], &mut output),
        Err(Error::FrameTooLong {
            length: 1_000,
            maximum: 999
        })
    ));
    assert!(output.is_empty());

    let message = blocking::encrypt(&keyring, &[1; 500], &options).unwrap();
    let header = UnverifiedHeader::parse_whole(&message, &with_maximum(499)).unwrap();
    let body = header.length();
    let mut decryptor = verify(&keyring, header).unwrap();
    assert!(matches!(
        decryptor.update(&message[body..body + 24], &mut output),
        Err(Error::FrameTooLong {
            length: 500,
            maximum: 499
        })
    ));
}

#[test]
fn a_plaintext_longer_than_announced_is_refused() {
    let keyring = keyring();
    let options = unsigned().with_plaintext_length_bound(4);
    assert!(blocking::encrypt(&keyring, b"four", &options).is_ok());
    assert!(blocking::encrypt(&keyring, b"", &options).is_ok());
    let mut encryptor = encryptor(&keyring, &options);
    let mut output = OutputBuffer::new();
    encryptor.update(b"four", &mut output).unwrap();
    encryptor.update(b"", &mut output).unwrap();
    let error = encryptor.update(b"!", &mut output).unwrap_err();
    assert!(
        matches!(error, Error::PlaintextTooLong { bound: 4 }),
        "{error}"
    );
    assert_eq!(error.kind(), ErrorKind::InvalidRequest);
    assert!(matches!(
        encryptor.update(b"", &mut output),
        Err(Error::AlreadyFailed)
    ));
    assert!(matches!(
        encryptor.finish(&mut output),
        Err(Error::AlreadyFailed)
    ));
}

#[test]
fn a_signed_message_streams_only_when_allowed_by_name() {
    let keyring = keyring();
    let message = blocking::encrypt(&keyring, b"signed", &EncryptOptions::default()).unwrap();
    let parse = |options| UnverifiedHeader::parse_whole(&message, &options);
    let default = DecryptOptions::default;
    assert!(matches!(
        verify(&keyring, parse(default()).unwrap()),
        Err(Error::SignatureNotYetVerified { .. })
    ));
    let allowed = parse(default().allow_unverified_signature()).unwrap();
    assert!(verify(&keyring, allowed).is_ok());
    assert!(matches!(
        parse(default().fail_on_signed()),
        Err(Error::SignedMessage { .. })
    ));
    let both = default().fail_on_signed().allow_unverified_signature();
    assert!(matches!(parse(both), Err(Error::SignedMessage { .. })));
    let unsigned = blocking::encrypt(&keyring, b"plain", &unsigned()).unwrap();
    assert_eq!(
        open(&keyring, &unsigned, &default().fail_on_signed()).unwrap(),
        b"plain"
    );
}

#[test]
fn the_final_frame_of_a_signed_message_waits_for_the_signature() {
    let keyring = keyring();
    let sealing = EncryptOptions::default().with_frame_length(4);
    let message = blocking::encrypt(&keyring, b"signed", &sealing).unwrap();
    let options = DecryptOptions::default().allow_unverified_signature();
    let read = |message: &[u8]| {
        let header = UnverifiedHeader::parse_whole(message, &options).unwrap();
        let (length, mut output) = (header.length(), OutputBuffer::new());
        let mut decryptor = verify(&keyring, header).unwrap();
        let (all_but_one, one) = message[length..].split_at(message.len() - length - 1);
        decryptor.update(all_but_one, &mut output).unwrap();
        assert_eq!(output.as_slice(), b"sign");
        let end = decryptor.update(one, &mut output);
        (end, output.into_vec())
    };
    let (end, plaintext) = read(&message);
    end.unwrap();
    assert_eq!(plaintext, b"signed");
    let mut forged = message.clone();
    *forged.last_mut().unwrap() ^= 1;
    let (end, plaintext) = read(&forged);
    assert!(matches!(end, Err(Error::SignatureNotValid)));
    assert_eq!(plaintext, b"sign");
}

#[test]
fn a_decryptor_that_failed_stays_failed() {
    let keyring = keyring();
    let message = blocking::encrypt(&keyring, b"message", &unsigned()).unwrap();
    let header = UnverifiedHeader::parse_whole(&message, &DecryptOptions::default()).unwrap();
    let body = &message[header.length()..];
    let mut changed = body.to_vec();
    changed[30] ^= 1;
    let mut decryptor = verify(&keyring, header).unwrap();
    let mut output = OutputBuffer::new();
    assert!(matches!(
        decryptor.update(&changed, &mut output),
        Err(Error::FrameNotAuthentic { sequence: 1 })
    ));
    assert!(matches!(
        decryptor.update(body, &mut output),
        Err(Error::AlreadyFailed)
    ));
    assert!(output.is_empty());
    assert!(matches!(
        decryptor.finish(&mut output),
        Err(Error::AlreadyFailed)
    ));
}

#[test]
fn a_reader_that_failed_never_reports_the_end() {
    let keyring = keyring();
    let options = unsigned().with_frame_length(4);
    let message = blocking::encrypt(&keyring, b"some plaintext", &options).unwrap();
    let body = |message: &[u8]| {
        let header = UnverifiedHeader::parse_whole(message, &DecryptOptions::default()).unwrap();
        let length = header.length();
        (verify(&keyring, header).unwrap(), length)
    };
    let mut tampered = message.clone();
    *tampered.last_mut().unwrap() ^= 1;
    let truncated = &message[..message.len() - 1];
    let trailing = [message.as_slice(), b"!"].concat();
    for (damaged, wanted) in [
        (
            tampered.as_slice(),
            "frame 4 is not authentic; the message was tampered with",
        ),
        (
            truncated,
            "the message is truncated: it ends inside a frame at byte",
        ),
        (&trailing, "bytes follow the end of the message"),
    ] {
        let (decryptor, length) = body(damaged);
        let mut reader = TransformReader::new(&damaged[length..], decryptor);
        let mut opened = Vec::new();
        let error = reader.read_to_end(&mut opened).unwrap_err();
        let error = into_envelope_error(error).unwrap();
        assert!(error.to_string().starts_with(wanted), "{error}");
        for _ in 0..3 {
            let error = into_envelope_error(reader.read(&mut [0; 8]).unwrap_err()).unwrap();
            assert!(matches!(error, Error::AlreadyFailed));
        }
    }
}

#[test]
fn a_writer_that_failed_does_not_finish() {
    let keyring = keyring();
    let options = unsigned().with_plaintext_length_bound(4);
    let mut writer = TransformWriter::new(Vec::new(), encryptor(&keyring, &options));
    let error = into_envelope_error(writer.write_all(b"fives").unwrap_err()).unwrap();
    assert!(matches!(error, Error::PlaintextTooLong { bound: 4 }));
    let error = into_envelope_error(writer.finish().unwrap_err()).unwrap();
    assert!(matches!(error, Error::AlreadyFailed));
}

#[test]
fn a_header_is_padded_to_exactly_the_length_wanted() {
    let keyring = keyring();
    let natural = blocking::encrypt(&keyring, b"text", &unsigned()).unwrap();
    let length = |message: &[u8]| {
        let header = UnverifiedHeader::parse_whole(message, &DecryptOptions::default()).unwrap();
        let keys = header.claims().encrypted_data_keys();
        let padded = keys.last().unwrap().provider_id() == PADDING_PROVIDER_ID;
        (header.length(), padded)
    };
    let (shortest, _) = length(&natural);
    let seal = |wanted| {
        let options = unsigned().with_header_length(wanted);
        blocking::encrypt(&keyring, b"text", &options)
    };
    // Six bytes for the lengths of an entry, sixteen for its provider id, seven for its info, and
    // one at least for its ciphertext.
    const LEAST: usize = 30;
    for (wanted, padded) in [
        (0, false),
        (LEAST, true),
        (LEAST + 1, true),
        (800, true),
        (LEAST + 65_534, true),
    ] {
        let message = seal(shortest + wanted).unwrap();
        assert_eq!(length(&message), (shortest + wanted, padded));
        let opened = open(&keyring, &message, &DecryptOptions::default()).unwrap();
        assert_eq!(opened, b"text");
    }
    for wanted in [
        0,
        shortest - 1,
        shortest + 1,
        shortest + LEAST - 1,
        shortest + LEAST + 65_535,
    ] {
        assert!(matches!(
            seal(wanted),
            Err(Error::HeaderDoesNotFit { length, padding: LEAST, wanted: found })
                if (length, found) == (shortest, wanted)
        ));
    }
}

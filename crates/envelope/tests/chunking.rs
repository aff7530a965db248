//! How input is cut into chunks never changes what comes out.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    unreachable_pub,
    reason = "a test stops at the first surprise, and shares helpers with others"
)]

mod support;

use std::io::{self, Read, Write};

use envelope::io::{
    CopyError, TransformReader, TransformWriter, copy, into_envelope_error, read_header,
};
use envelope::{
    AlgorithmSuite, DecryptOptions, Decryptor, EncryptOptions, Encryptor, Error, HeaderReader,
    MaterialsManager, OutputBuffer, RawAes, UnverifiedHeader, WrappingKey, blocking,
};
use futures::executor::block_on;
use proptest::prelude::*;

fn keyring() -> RawAes {
    RawAes::new("acme", "test", WrappingKey::generate().unwrap()).unwrap()
}

/// Cuts into pieces of these sizes in turn. Empty pieces are pieces too.
fn pieces<'a>(mut bytes: &'a [u8], sizes: &[usize]) -> Vec<&'a [u8]> {
    let mut pieces = Vec::new();
    for size in sizes.iter().copied().chain([7]).cycle() {
        let (piece, rest) = bytes.split_at(size.min(bytes.len()));
        pieces.push(piece);
        bytes = rest;
        if bytes.is_empty() {
            break;
        }
    }
    pieces
}

fn encryptor(keyring: &RawAes, options: &EncryptOptions) -> Encryptor {
    let request = options.request().unwrap();
    let materials = block_on(keyring.encryption_materials(request)).unwrap();
    Encryptor::new(materials, options).unwrap()
}

fn verify(keyring: &RawAes, header: UnverifiedHeader) -> Decryptor {
    let materials = block_on(keyring.decryption_materials(header.request())).unwrap();
    header.verify(materials).unwrap()
}

fn sealing(suite: AlgorithmSuite, frame_length: u32) -> EncryptOptions {
    support::sealing(suite).with_frame_length(frame_length)
}

fn opening() -> DecryptOptions {
    support::opening().allow_unverified_signature()
}

fn suites() -> impl Strategy<Value = AlgorithmSuite> {
    prop::sample::select(AlgorithmSuite::ALL.to_vec())
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 0..300)
}

fn sizes() -> impl Strategy<Value = Vec<usize>> {
    prop::collection::vec(0..60_usize, 0..6)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_message_sealed_in_pieces_opens_whole(
        plaintext in bytes(), sizes in sizes(), suite in suites(), frame_length in 1_u32..100,
    ) {
        let keyring = keyring();
        let options = sealing(suite, frame_length);
        let mut encryptor = encryptor(&keyring, &options);
        let mut message = OutputBuffer::new();
        for piece in pieces(&plaintext, &sizes) {
            encryptor.update(piece, &mut message).unwrap();
        }
        encryptor.finish(&mut message).unwrap();
        let message = message.into_vec();
        let header = UnverifiedHeader::parse_whole(&message, &opening()).unwrap();
        if let Ok(layout) = header.claims().layout() {
            let length = layout.ciphertext_len(plaintext.len() as u64).unwrap();
            prop_assert_eq!(length, message.len() as u64);
        }
        let opened = blocking::decrypt(&keyring, &message, &opening()).unwrap();
        prop_assert_eq!(opened.plaintext, plaintext);
    }

    #[test]
    fn a_message_opens_in_any_pieces(
        plaintext in bytes(), sizes in sizes(), suite in suites(), frame_length in 1_u32..100,
    ) {
        let keyring = keyring();
        let message =
            blocking::encrypt(&keyring, &plaintext, &sealing(suite, frame_length)).unwrap();
        let mut output = OutputBuffer::new();
        let mut reader = Some(HeaderReader::new(opening()));
        let mut decryptor = None;
        for piece in pieces(&message, &sizes) {
            match (&mut decryptor, &mut reader) {
                (None, Some(header)) => {
                    if let Some((header, body)) = header.feed(piece).unwrap() {
                        let mut opened = verify(&keyring, header);
                        opened.update(&body, &mut output).unwrap();
                        decryptor = Some(opened);
                    }
                }
                (Some(decryptor), _) => decryptor.update(piece, &mut output).unwrap(),
                (None, None) => unreachable!(),
            }
        }
        let decryptor = decryptor.unwrap_or_else(|| {
            let (header, body) = reader.take().unwrap().finish().unwrap();
            let mut opened = verify(&keyring, header);
            opened.update(&body, &mut output).unwrap();
            opened
        });
        decryptor.finish(&mut output).unwrap();
        prop_assert_eq!(output.as_slice(), plaintext);
    }

    #[test]
    fn readers_and_writers_pass_tiny_chunks(
        plaintext in bytes(), step in 1..9_usize, suite in suites(), frame_length in 1_u32..100,
    ) {
        let keyring = keyring();
        let options = sealing(suite, frame_length);
        let mut writer = TransformWriter::new(Vec::new(), encryptor(&keyring, &options));
        for piece in plaintext.chunks(step) {
            writer.write_all(piece).unwrap();
        }
        let written = writer.finish().unwrap();
        let mut read = Vec::new();
        TransformReader::new(Trickle::new(&plaintext, step), encryptor(&keyring, &options))
            .read_to_end(&mut read)
            .unwrap();
        for message in [written, read] {
            let (header, body) = read_header(Trickle::new(&message, step), &opening()).unwrap();
            let mut reader = TransformReader::new(body, verify(&keyring, header));
            let mut opened = Vec::new();
            let mut byte = [0];
            while reader.read(&mut byte).unwrap() > 0 {
                opened.extend_from_slice(&byte);
            }
            prop_assert!(reader.transform().is_none());
            prop_assert_eq!(&opened, &plaintext);

            let (header, mut body) = read_header(message.as_slice(), &opening()).unwrap();
            let mut writer = TransformWriter::new(Vec::new(), verify(&keyring, header));
            io::copy(&mut body, &mut writer).unwrap();
            prop_assert_eq!(&writer.finish().unwrap(), &plaintext);

            let (header, mut body) = read_header(message.as_slice(), &opening()).unwrap();
            let mut trickle = Trickle::new(&message[header.length()..], step);
            let decryptor = verify(&keyring, header);
            let (mut first, mut second) = (Vec::new(), Vec::new());
            copy(&mut trickle, decryptor.clone(), &mut first).unwrap();
            copy(&mut body, decryptor, &mut second).unwrap();
            prop_assert_eq!(&first, &plaintext);
            prop_assert_eq!(&second, &plaintext);
        }
    }
}

/// Takes so many bytes and no more.
struct Small(usize);

impl Write for Small {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let length = self.0.min(bytes.len());
        self.0 -= length;
        Ok(length)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Gives some bytes and then fails.
struct Broken<'a>(&'a [u8]);

impl Read for Broken<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.0.read(buffer)? {
            0 => Err(io::ErrorKind::ConnectionReset.into()),
            length => Ok(length),
        }
    }
}

#[test]
fn frames_before_a_damaged_one_are_released_however_they_are_cut() {
    let keyring = keyring();
    let suite = AlgorithmSuite::AES_256_GCM_HKDF_SHA512_COMMIT_KEY;
    let message = blocking::encrypt(&keyring, &[7; 25], &sealing(suite, 10)).unwrap();
    let mut damaged = message.clone();
    *damaged.last_mut().unwrap() ^= 1;
    for step in [1, 7, 1000] {
        let (header, body) = read_header(Trickle::new(&damaged, step), &opening()).unwrap();
        let mut reader = TransformReader::new(body, verify(&keyring, header));
        let mut read = Vec::new();
        let error = reader.read_to_end(&mut read).unwrap_err();
        assert!(matches!(
            into_envelope_error(error),
            Ok(Error::FrameNotAuthentic { sequence: 3 })
        ));
        assert_eq!(read, [7; 20]);
        assert!(reader.read(&mut [0]).is_err());

        let (header, mut body) = read_header(Trickle::new(&damaged, step), &opening()).unwrap();
        let mut copied = Vec::new();
        copy(&mut body, verify(&keyring, header), &mut copied).unwrap_err();
        assert_eq!(copied, [7; 20]);
    }
}

#[test]
fn a_writer_is_not_written_to_after_its_inner_writer_failed() {
    let keyring = keyring();
    let encryptor = encryptor(&keyring, &EncryptOptions::default());
    let mut writer = TransformWriter::new(Small(100), encryptor);
    assert!(writer.write_all(&[7; 10_000]).is_err());
    let again = writer.write(&[7]).unwrap_err();
    assert!(matches!(
        into_envelope_error(again),
        Ok(Error::AlreadyFailed)
    ));
    let end = writer.finish().map(drop).unwrap_err();
    assert!(matches!(into_envelope_error(end), Ok(Error::AlreadyFailed)));
}

#[test]
fn base64_is_recognised_however_it_is_cut() {
    for text in [&b"AYAAFJ"[..], b"AgR4AAAA", b"AgV4AAAA"] {
        for step in [1, 2, 3, 100] {
            let read = read_header(Trickle::new(text, step), &opening());
            assert!(matches!(read, Err(CopyError::Envelope(Error::Base64Input))));
        }
    }
    for text in [&b"A"[..], b"Ag", b"AgR"] {
        let read = read_header(text, &opening());
        assert!(matches!(
            read,
            Err(CopyError::Envelope(Error::Truncated { .. }))
        ));
    }
    let read = read_header(&b"AgS4"[..], &opening());
    assert!(matches!(
        read,
        Err(CopyError::Envelope(Error::UnsupportedVersion {
            version: b'A'
        }))
    ));
}

#[test]
fn a_copy_tells_which_side_failed() {
    let (keyring, options) = (keyring(), EncryptOptions::default());
    let plaintext = [7; 10_000];
    let sealing = || encryptor(&keyring, &options);
    let full = copy(&mut plaintext.as_slice(), sealing(), &mut Small(100));
    assert!(
        matches!(full, Err(CopyError::Write(error)) if error.kind() == io::ErrorKind::WriteZero)
    );
    let broken = copy(&mut Broken(&plaintext), sealing(), &mut io::sink());
    assert!(
        matches!(broken, Err(CopyError::Read(error)) if error.kind() == io::ErrorKind::ConnectionReset)
    );
    let message = blocking::encrypt(&keyring, &plaintext, &options).unwrap();
    let header = UnverifiedHeader::parse_whole(&message, &opening()).unwrap();
    let mut body = &message[header.length()..message.len() - 1];
    let short = copy(&mut body, verify(&keyring, header), &mut io::sink());
    assert!(matches!(
        short,
        Err(CopyError::Envelope(Error::Truncated { .. }))
    ));
    let read = read_header(Broken(&message[..10]), &opening());
    assert!(matches!(read, Err(CopyError::Read(_))));
}

/// Reads a few bytes at a time, and is interrupted before each.
struct Trickle<'a> {
    bytes: &'a [u8],
    step: usize,
    interrupted: bool,
}

impl<'a> Trickle<'a> {
    fn new(bytes: &'a [u8], step: usize) -> Self {
        Self {
            bytes,
            step,
            interrupted: false,
        }
    }
}

impl Read for Trickle<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.interrupted = !self.interrupted;
        if self.interrupted {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let length = self.step.min(buffer.len());
        let (buffer, _) = buffer.split_at_mut(length);
        self.bytes.read(buffer)
    }
}

#[test]
fn a_large_write_is_passed_on_whole() {
    let keyring = keyring();
    let plaintext = vec![9; 200_000];
    let options = EncryptOptions::default();
    let mut writer = TransformWriter::new(Vec::new(), encryptor(&keyring, &options));
    writer.write_all(&plaintext).unwrap();
    let message = writer.finish().unwrap();
    let (header, body) = read_header(message.as_slice(), &opening()).unwrap();
    let mut opened = Vec::new();
    TransformReader::new(body, verify(&keyring, header))
        .read_to_end(&mut opened)
        .unwrap();
    assert_eq!(opened, plaintext);
}

#[cfg(feature = "stream")]
mod streams {
    use bytes::Bytes;
    use envelope::ErrorKind;
    use envelope::stream::{self, StreamError};
    use futures::{StreamExt, TryStreamExt};

    use super::*;

    type Item = Result<Bytes, io::Error>;

    fn items(bytes: &[u8], sizes: &[usize]) -> impl futures::Stream<Item = Item> + Unpin + use<> {
        let items: Vec<Item> = pieces(bytes, sizes)
            .into_iter()
            .map(|piece| Ok(Bytes::copy_from_slice(piece)))
            .collect();
        futures::stream::iter(items)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn streams_pass_tiny_chunks(
            plaintext in bytes(), sizes in sizes(), suite in suites(), frame_length in 1_u32..100,
        ) {
            let keyring = keyring();
            let opened: Vec<Bytes> = block_on(async {
                let options = sealing(suite, frame_length);
                let message = stream::encrypt(&keyring, items(&plaintext, &sizes), &options)
                    .await
                    .unwrap();
                let message = message.try_collect::<Vec<_>>().await.unwrap().concat();
                let opened = stream::decrypt(&keyring, items(&message, &sizes), &opening())
                    .await
                    .unwrap();
                opened.try_collect().await.unwrap()
            });
            prop_assert!(opened.iter().all(|item| !item.is_empty()));
            prop_assert_eq!(opened.concat(), plaintext);
        }
    }

    #[test]
    fn frames_before_a_damaged_one_are_released() {
        let keyring = keyring();
        let suite = AlgorithmSuite::AES_256_GCM_HKDF_SHA512_COMMIT_KEY;
        let message = blocking::encrypt(&keyring, &[7; 25], &sealing(suite, 10)).unwrap();
        let mut damaged = message.clone();
        *damaged.last_mut().unwrap() ^= 1;
        for size in [1, 30, 1000] {
            let input = items(&damaged, &[size]);
            let opened = block_on(stream::decrypt(&keyring, input, &opening())).unwrap();
            let results: Vec<_> = block_on(opened.collect());
            let (last, released) = results.split_last().unwrap();
            assert!(matches!(
                last,
                Err(StreamError::Envelope(Error::FrameNotAuthentic {
                    sequence: 3
                }))
            ));
            let released = released.iter().map(|item| item.as_ref().unwrap().to_vec());
            assert_eq!(released.collect::<Vec<_>>().concat(), [7; 20]);
        }
    }

    #[test]
    fn a_stream_that_ends_early_ends_in_an_error() {
        let keyring = keyring();
        let options = sealing(AlgorithmSuite::AES_256_GCM_HKDF_SHA512_COMMIT_KEY, 10);
        let message = blocking::encrypt(&keyring, &[1; 25], &options).unwrap();
        let cut = message.split_last().unwrap().1;
        block_on(async {
            let opened = stream::decrypt(&keyring, items(cut, &[50]), &opening()).await;
            let items: Vec<_> = opened.unwrap().collect().await;
            let (last, whole) = items.split_last().unwrap();
            assert!(whole.iter().all(Result::is_ok));
            assert!(matches!(
                last,
                Err(StreamError::Envelope(error @ Error::Truncated { .. }))
                    if error.kind() == ErrorKind::NotAuthentic
            ));
        });
    }

    #[test]
    fn an_error_of_the_input_stream_is_passed_on() {
        let keyring = keyring();
        let options = EncryptOptions::default();
        let items: [Item; 2] = [Ok(Bytes::from("some")), Err(io::Error::other("gone"))];
        block_on(async {
            let input = futures::stream::iter(items);
            let message = stream::encrypt(&keyring, input, &options).await.unwrap();
            let items: Vec<_> = message.collect().await;
            assert!(matches!(items.last(), Some(Err(StreamError::Input(_)))));
        });
    }
}

//! Messages beside the bare cipher and the bare hash, on the same buffers, in the same run.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a benchmark stops at the first surprise"
)]

use benches::{Bare, TAG};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use envelope::{
    AlgorithmSuite, DecryptOptions, EncryptOptions, Encryptor, MaterialsManager, OutputBuffer,
    RawAes, UnverifiedHeader, WrappingKey, blocking,
};
use futures::executor::block_on;
use sha2::{Digest, Sha384};

const UNSIGNED: AlgorithmSuite = AlgorithmSuite::AES_256_GCM_HKDF_SHA512_COMMIT_KEY;
const SIGNED: AlgorithmSuite = AlgorithmSuite::AES_256_GCM_HKDF_SHA512_COMMIT_KEY_ECDSA_P384;
/// Plaintext of a long message in bytes.
const LONG: usize = 8 << 20;

fn keyring() -> RawAes {
    RawAes::new("acme", "bench", WrappingKey::generate().unwrap()).unwrap()
}

fn sealing(suite: AlgorithmSuite, frame: usize) -> EncryptOptions {
    EncryptOptions::default()
        .with_suite(suite)
        .with_frame_length(u32::try_from(frame).unwrap())
}

/// Everything that a message costs: keys, header, frames, footer.
fn encrypt(keyring: &RawAes, options: &EncryptOptions, plain: &[u8], output: &mut OutputBuffer) {
    output.clear();
    let materials = block_on(keyring.encryption_materials(options.request().unwrap())).unwrap();
    let mut encryptor = Encryptor::new(materials, options).unwrap();
    encryptor.update(plain, output).unwrap();
    encryptor.finish(output).unwrap();
}

fn decrypt(keyring: &RawAes, options: &DecryptOptions, message: &[u8], output: &mut OutputBuffer) {
    output.clear();
    let header = UnverifiedHeader::parse_whole(message, options).unwrap();
    let body = &message[header.length()..];
    let materials = block_on(keyring.decryption_materials(header.request())).unwrap();
    let mut decryptor = header.verify(materials).unwrap();
    decryptor.update(body, output).unwrap();
    decryptor.finish(output).unwrap();
}

fn long_messages(criterion: &mut Criterion) {
    let (keyring, bare) = (keyring(), Bare::new().unwrap());
    let opening = DecryptOptions::default();
    let plaintext = vec![7; LONG];
    for frame in [4 << 10, 64 << 10, 1 << 20] {
        let sealing = sealing(UNSIGNED, frame);
        let mut group = criterion.benchmark_group(format!("{} KiB frames", frame >> 10));
        group.throughput(Throughput::Bytes(LONG as u64));

        let mut sealed = vec![0; LONG + LONG / frame * TAG];
        group.bench_function("bare cipher seals", |bencher| {
            bencher.iter(|| bare.seal(&plaintext, frame, &mut sealed).unwrap());
        });
        let mut message = OutputBuffer::new();
        group.bench_function("encrypt", |bencher| {
            bencher.iter(|| encrypt(&keyring, &sealing, &plaintext, &mut message));
        });
        let mut opened = vec![0; LONG];
        group.bench_function("bare cipher opens", |bencher| {
            bencher.iter(|| bare.open(&sealed, frame, &mut opened).unwrap());
        });
        let mut output = OutputBuffer::new();
        group.bench_function("decrypt", |bencher| {
            bencher.iter(|| decrypt(&keyring, &opening, message.as_slice(), &mut output));
        });
        group.finish();
    }
}

fn short_messages(criterion: &mut Criterion) {
    let keyring = keyring();
    let (sealing, opening) = (sealing(UNSIGNED, 4096), DecryptOptions::default());
    let plaintext = [7; 1024];
    let mut group = criterion.benchmark_group("1 KiB messages");
    group.throughput(Throughput::Elements(1));
    group.bench_function("encrypt", |bencher| {
        bencher.iter(|| blocking::encrypt(&keyring, &plaintext, &sealing).unwrap());
    });
    let message = blocking::encrypt(&keyring, &plaintext, &sealing).unwrap();
    group.bench_function("decrypt", |bencher| {
        bencher.iter(|| blocking::decrypt(&keyring, &message, &opening).unwrap());
    });
    group.finish();
}

fn signed_messages(criterion: &mut Criterion) {
    let keyring = keyring();
    let sealing = sealing(SIGNED, 64 << 10);
    let opening = DecryptOptions::default().allow_unverified_signature();
    let plaintext = vec![7; LONG];
    let mut group = criterion.benchmark_group("signed, 64 KiB frames");
    group.throughput(Throughput::Bytes(LONG as u64));
    group.bench_function("bare SHA-384", |bencher| {
        bencher.iter(|| Sha384::digest(&plaintext));
    });
    let mut message = OutputBuffer::new();
    group.bench_function("encrypt", |bencher| {
        bencher.iter(|| encrypt(&keyring, &sealing, &plaintext, &mut message));
    });
    let mut output = OutputBuffer::new();
    group.bench_function("decrypt", |bencher| {
        bencher.iter(|| decrypt(&keyring, &opening, message.as_slice(), &mut output));
    });
    group.finish();
}

criterion_group!(benches, long_messages, short_messages, signed_messages);
criterion_main!(benches);

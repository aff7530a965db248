//! What keys cost: each keyring's unwrapping, and short messages with and without a cache.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "a benchmark stops at the first surprise"
)]

use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use envelope::keyring::KeyRequest;
use envelope::{
    AlgorithmSuite, BranchKey, CacheLimits, CachingManager, CommitmentPolicy, DecryptOptions,
    EcCurve, EcPrivateKey, EncryptOptions, EncryptionContext, Keyring, MaterialsCache,
    MaterialsManager, RawAes, RawEcdh, RawRsa, RsaPadding, RsaPrivateKey, RsaPublicKey,
    WrappingKey, blocking,
};
use futures::executor::block_on;

fn aes() -> RawAes {
    RawAes::new("acme", "bench", WrappingKey::generate().unwrap()).unwrap()
}

fn rsa(padding: RsaPadding, bits: usize) -> RawRsa {
    let key = RsaPrivateKey::generate(bits).unwrap();
    let public = RsaPublicKey::from_pem(&key.public_key_pem().unwrap()).unwrap();
    RawRsa::new("acme", "bench", padding)
        .unwrap()
        .with_public_key(public)
        .with_private_key(key)
}

fn ecdh(curve: EcCurve) -> RawEcdh {
    let theirs = EcPrivateKey::generate(curve).unwrap().public_key().clone();
    RawEcdh::between(EcPrivateKey::generate(curve).unwrap(), theirs).unwrap()
}

fn keyrings(criterion: &mut Criterion) {
    let branch_key = BranchKey::new("branch", [7; 16], WrappingKey::generate().unwrap());
    let keyrings: [(&str, Box<dyn Keyring>); 9] = [
        ("raw AES", Box::new(aes())),
        ("branch key", Box::new(branch_key.unwrap())),
        ("RSA 2048, PKCS#1", Box::new(rsa(RsaPadding::Pkcs1, 2048))),
        (
            "RSA 2048, OAEP",
            Box::new(rsa(RsaPadding::OaepSha256, 2048)),
        ),
        (
            "RSA 3072, OAEP",
            Box::new(rsa(RsaPadding::OaepSha256, 3072)),
        ),
        (
            "RSA 4096, OAEP",
            Box::new(rsa(RsaPadding::OaepSha256, 4096)),
        ),
        ("ECDH P-256", Box::new(ecdh(EcCurve::P256))),
        ("ECDH P-384", Box::new(ecdh(EcCurve::P384))),
        ("ECDH P-521", Box::new(ecdh(EcCurve::P521))),
    ];
    let context = EncryptionContext::new([("tenant", "acme")]).unwrap();
    let request = KeyRequest {
        suite: AlgorithmSuite::AES_256_GCM_HKDF_SHA512_COMMIT_KEY,
        context: &context,
    };
    for (name, keyring) in keyrings {
        let mut group = criterion.benchmark_group(name);
        group.bench_function("generate", |bencher| {
            bencher.iter(|| block_on(keyring.generate_key(request)).unwrap());
        });
        let (_, keys) = block_on(keyring.generate_key(request)).unwrap();
        group.bench_function("unwrap", |bencher| {
            bencher.iter(|| block_on(keyring.unwrap_key(&keys, request)).unwrap());
        });
        group.finish();
    }
}

fn short_messages(criterion: &mut Criterion) {
    let cached = |keyring: Box<dyn MaterialsManager>| -> Box<dyn MaterialsManager> {
        let limits = CacheLimits::new(Duration::from_secs(600));
        let cache = MaterialsCache::new(100).unwrap();
        Box::new(CachingManager::new(keyring, cache, limits).unwrap())
    };
    let rsa = || rsa(RsaPadding::OaepSha256, 2048);
    let managers: [(&str, Box<dyn MaterialsManager>); 4] = [
        ("raw AES", Box::new(aes())),
        ("raw AES, cached", cached(Box::new(aes()))),
        ("RSA 2048", Box::new(rsa())),
        ("RSA 2048, cached", cached(Box::new(rsa()))),
    ];
    let plaintext = [7; 1024];
    for suite in [
        AlgorithmSuite::AES_256_GCM_HKDF_SHA512_COMMIT_KEY,
        AlgorithmSuite::AES_256_GCM_HKDF_SHA512_COMMIT_KEY_ECDSA_P384,
    ] {
        let sealing = EncryptOptions::default().with_suite(suite);
        let opening = DecryptOptions::default();
        for (name, manager) in &managers {
            let id = suite.id();
            let mut group = criterion.benchmark_group(format!("1 KiB, {id:04x}, {name}"));
            group.throughput(Throughput::Elements(1));
            group.bench_function("encrypt", |bencher| {
                bencher.iter(|| blocking::encrypt(manager, &plaintext, &sealing).unwrap());
            });
            let message = blocking::encrypt(manager, &plaintext, &sealing).unwrap();
            group.bench_function("decrypt", |bencher| {
                bencher.iter(|| blocking::decrypt(manager, &message, &opening).unwrap());
            });
            group.finish();
        }
    }
}

fn suites(criterion: &mut Criterion) {
    let keyring = aes();
    let plaintext = vec![7; 1 << 20];
    let opening =
        DecryptOptions::default().with_policy(CommitmentPolicy::RequireEncryptAllowDecrypt);
    for suite in AlgorithmSuite::ALL {
        let policy = match suite.commits() {
            true => CommitmentPolicy::default(),
            false => CommitmentPolicy::ForbidEncryptAllowDecrypt,
        };
        let sealing = EncryptOptions::default()
            .with_suite(suite)
            .with_policy(policy)
            .with_frame_length(64 << 10);
        let mut group = criterion.benchmark_group(format!("1 MiB, {:04x}", suite.id()));
        group.throughput(Throughput::Bytes(1 << 20));
        group.bench_function("encrypt", |bencher| {
            bencher.iter(|| blocking::encrypt(&keyring, &plaintext, &sealing).unwrap());
        });
        let message = blocking::encrypt(&keyring, &plaintext, &sealing).unwrap();
        group.bench_function("decrypt", |bencher| {
            bencher.iter(|| blocking::decrypt(&keyring, &message, &opening).unwrap());
        });
        group.finish();
    }
}

criterion_group!(benches, keyrings, short_messages, suites);
criterion_main!(benches);

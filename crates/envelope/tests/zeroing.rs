//! No heap block is given back with a key still in it.
//!
//! An allocator looks through every block just before it is freed. That reads bytes which may
//! never have been written, and the language gives no meaning to that: it works because the reads
//! are volatile and single bytes of memory that is still mapped. What C code allocates itself, and
//! the stack, are out of sight.
#![allow(unsafe_code, reason = "a global allocator is unsafe to write")]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    unreachable_pub,
    reason = "a test stops at the first surprise, and shares helpers with others"
)]

mod support;

use std::alloc::{GlobalAlloc, Layout, System};
use std::hint::black_box;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use envelope::keyring::{Attempt, KeyRequest, KeyringError, Unwrapped};
use envelope::{
    AlgorithmSuite, BranchKey, CacheLimits, CachingManager, DataKey, DecryptOptions, EcCurve,
    EcPrivateKey, EncryptedDataKey, EncryptionContext, Keyring, MaterialsCache, MaterialsManager,
    Multi, OutputBuffer, RawAes, RawEcdh, RawRsa, RsaPadding, RsaPrivateKey, RsaPublicKey,
    UnverifiedHeader, WrappingKey, blocking,
};
use futures::executor::block_on;

const fn from_hex(text: &str) -> [u8; 32] {
    const fn digit(byte: u8) -> u8 {
        match byte {
            b'0'..=b'9' => byte - b'0',
            _ => byte - b'a' + 10,
        }
    }
    let text = text.as_bytes();
    let mut bytes = [0; 32];
    let mut index = 0;
    while index < 32 {
        bytes[index] = digit(text[2 * index]) << 4 | digit(text[2 * index + 1]);
        index += 1;
    }
    bytes
}

/// Test 1 of aws-encryption-sdk-python's `commitment-test-vectors.json` (Apache-2.0): its data
/// key, the content key derived from that, and the message.
const KNOWN_DATA_KEY: &str = "fa9ebec213d5c3d90ead82d914c4412769fa5658ba4ffed39230e8b92fb6e6cd";
const KNOWN_CONTENT_KEY: &str = "57aef7d35c8c26d9348f139cdd025e05a73ab8ac4edd7ca55ad90a4d899453e3";
const KNOWN_MESSAGE: &str = concat!(
    "0204784dfbd1314d9d55925b817232c5e36d6e3e5e230f018930e2c2c1f243f67dc1790000000100",
    "0c50726f76696465724e616d6500194b65794964000000800000000cf8e6c737703bc967b0f83f7b",
    "0030a13b77fc3cce242dd82d2a1eccb542ed84daaf76788184fe42e717f634d371cabd3c71ef1bf6",
    "66ff3762e39dc0730be5020000100017cf08f733db51049f3a5ccb5effae218dbe9bf13a8f63ccb1",
    "b81e1d51ff2f4c0ba90958fb908bd33df19cd38c21969effffffff00000001000000000000000000",
    "0000010000000e49904a1c74694f05ce15341519aa575e3e42c1704ca2e041dae71a209566",
);

/// The last one stands for a key that nobody wipes.
static SECRETS: [[u8; 32]; 5] = [
    from_hex("d7a1000102030405060708090a0b0c0d0e0f101112131415161718191a1b1ca1"),
    from_hex("3b5c202122232425262728292a2b2c2d2e2f303132333435363738393a3b3ca2"),
    from_hex(KNOWN_DATA_KEY),
    from_hex(KNOWN_CONTENT_KEY),
    from_hex("c97e404142434445464748494a4b4c4d4e4f505152535455565758595a5b5ca3"),
];
const DATA_KEY: usize = 0;
const WRAPPING_KEY: usize = 1;
const KNOWN: usize = 2;
const CONTROL: usize = 4;

static FOUND: [AtomicUsize; 5] = [const { AtomicUsize::new(0) }; 5];

struct Scanning;

// SAFETY: all memory comes from and goes back to `System`, with the layout it was asked with.
// `realloc` is the trait's own, so blocks that move are freed through `dealloc` too.
unsafe impl GlobalAlloc for Scanning {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller keeps the same promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: `block` is `layout.size()` bytes long and still ours.
        let byte = |index: usize| unsafe { block.add(index).read_volatile() };
        for start in 0..(layout.size() + 1).saturating_sub(32) {
            for (secret, found) in SECRETS.iter().zip(&FOUND) {
                if secret
                    .iter()
                    .enumerate()
                    .all(|(i, wanted)| byte(start + i) == *wanted)
                {
                    found.fetch_add(1, Ordering::Relaxed);
                }
            }
        }
        // SAFETY: the caller keeps the same promises.
        unsafe { System.dealloc(block, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Scanning = Scanning;

/// Always has the same data key.
#[derive(Debug)]
struct Fixed(usize);

impl Fixed {
    fn data_key(&self, request: KeyRequest<'_>) -> DataKey {
        DataKey::from_bytes(SECRETS[self.0].to_vec(), request.suite).unwrap()
    }
}

#[async_trait]
impl Keyring for Fixed {
    async fn wrap_key(
        &self,
        _data_key: &DataKey,
        _request: KeyRequest<'_>,
    ) -> Result<Vec<EncryptedDataKey>, KeyringError> {
        Ok(vec![EncryptedDataKey::new("fixed", "key", "wrapped")])
    }

    async fn unwrap_key(
        &self,
        _keys: &[EncryptedDataKey],
        request: KeyRequest<'_>,
    ) -> Result<Unwrapped, Vec<Attempt>> {
        Ok(Unwrapped {
            index: 0,
            data_key: self.data_key(request),
        })
    }

    async fn generate_key(
        &self,
        request: KeyRequest<'_>,
    ) -> Result<(DataKey, Vec<EncryptedDataKey>), KeyringError> {
        let data_key = self.data_key(request);
        let keys = self.wrap_key(&data_key, request).await?;
        Ok((data_key, keys))
    }
}

fn found() -> Vec<usize> {
    FOUND
        .iter()
        .map(|found| found.load(Ordering::Relaxed))
        .collect()
}

fn known_message() -> Vec<u8> {
    hex::decode(KNOWN_MESSAGE).unwrap()
}

/// One test alone, because all threads share the counters.
#[test]
fn freed_memory_holds_no_key() {
    let rsa = RsaPrivateKey::generate(2048).unwrap();
    let (rsa_private, rsa_public) = (rsa.to_pem().unwrap(), rsa.public_key_pem().unwrap());
    let rsa = || RawRsa::new("acme", "rsa", RsaPadding::OaepSha256).unwrap();
    let ec = EcPrivateKey::generate(EcCurve::P384)
        .unwrap()
        .to_pem()
        .unwrap();
    let ec = || EcPrivateKey::from_pem(&ec, None).unwrap();
    // The suites whose data keys have 32 bytes.
    let suites = AlgorithmSuite::ALL
        .into_iter()
        .filter(|suite| suite.data_key_length() == 32);
    for suite in suites {
        let wrapping_key = || WrappingKey::from_bytes(&mut { SECRETS[WRAPPING_KEY] }).unwrap();
        let raw = RawAes::new("acme", "test", wrapping_key()).unwrap();
        let branch_key = || BranchKey::new("branch", [1; 16], wrapping_key()).unwrap();
        let keyring = Multi::generate_with(Fixed(DATA_KEY))
            .and(raw)
            .and(rsa().with_public_key(RsaPublicKey::from_pem(&rsa_public).unwrap()))
            .and(RawEcdh::ephemeral_to(ec().public_key().clone()))
            .and(branch_key());
        let options = support::sealing(suite);
        let message = blocking::encrypt(&keyring, &[7; 10_000], &options).unwrap();
        let opened = blocking::decrypt(&keyring, &message, &support::opening()).unwrap();
        assert_eq!(opened.plaintext, [7; 10_000]);
        let rsa = rsa().with_private_key(RsaPrivateKey::from_pem(&rsa_private, None).unwrap());
        blocking::decrypt(&rsa, &message, &support::opening()).unwrap();
        blocking::decrypt(&RawEcdh::discovery(ec()), &message, &support::opening()).unwrap();
        blocking::decrypt(&branch_key(), &message, &support::opening()).unwrap();

        // Cached keys are wiped with their entries.
        let cache = MaterialsCache::new(1).unwrap();
        let limits = CacheLimits::new(Duration::from_secs(60));
        let cached = CachingManager::new(keyring, cache.clone(), limits).unwrap();
        for _ in 0..2 {
            blocking::encrypt(&cached, b"short", &options).unwrap();
            blocking::decrypt(&cached, &message, &support::opening()).unwrap();
        }
        // The capacity is one, so this evicts.
        let context = EncryptionContext::new([("a", "b")]).unwrap();
        let other = options.clone().with_context(context);
        blocking::encrypt(&cached, b"short", &other).unwrap();
        cache.clear();

        // The wrapped form opens through the wrapping key as well, and fails where it must.
        let mut key = SECRETS[WRAPPING_KEY];
        let wrapping_key = WrappingKey::from_bytes(&mut key).unwrap();
        let raw = RawAes::new("acme", "test", wrapping_key).unwrap();
        blocking::decrypt(&raw, &message, &support::opening()).unwrap();
        let mut damaged = message.clone();
        *damaged.last_mut().unwrap() ^= 1;
        blocking::decrypt(&raw, &damaged, &support::opening()).unwrap_err();
    }

    let keyring = Fixed(KNOWN);
    let message = known_message();
    let opened = blocking::decrypt(&keyring, &message, &DecryptOptions::default()).unwrap();
    assert_eq!(opened.plaintext, b"GoodCommitment");

    let header = UnverifiedHeader::parse_whole(&message, &DecryptOptions::default()).unwrap();
    let body = header.length();
    let materials = block_on(keyring.decryption_materials(header.request())).unwrap();
    let ranges = header.verify_for_ranges(materials).unwrap();
    let plan = ranges.layout().plan(4..10, message.len() as u64).unwrap();
    let mut output = OutputBuffer::new();
    let mut range = ranges.open(plan);
    drop(ranges);
    range.update(&message[body..], &mut output).unwrap();
    range.finish().unwrap();
    assert_eq!(output.as_slice(), b"Commit");

    // Keys of a wrong length are refused, and wiped all the same.
    let unsigned = AlgorithmSuite::AES_256_GCM_HKDF_SHA512_COMMIT_KEY;
    let long = [SECRETS[DATA_KEY].as_slice(), &[0]].concat();
    DataKey::from_bytes(long, unsigned).unwrap_err();
    let mut long = [SECRETS[WRAPPING_KEY].as_slice(), &[0]].concat();
    WrappingKey::from_bytes(&mut long).unwrap_err();
    drop(long);

    assert_eq!(found(), [0, 0, 0, 0, 0]);

    drop(black_box(SECRETS[CONTROL].to_vec()));
    assert_eq!(
        found(),
        [0, 0, 0, 0, 1],
        "the scan must see a key that was not wiped"
    );
}

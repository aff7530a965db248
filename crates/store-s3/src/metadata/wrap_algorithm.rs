use super::names::{CONTEXT_V3, DESCRIPTION_V3};

/// How an object's data key is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WrapAlgorithm {
    /// KMS, with the encryption context that is stored.
    KmsContext,
    AesGcm,
    RsaOaepSha1,
    /// KMS as the first clients called it, without a check of the context.
    Kms,
    AesKeyWrap,
    RsaOaepSha256,
    /// AES-ECB with PKCS#7 padding.
    V1Aes,
    /// PKCS#1 v1.5.
    V1Rsa,
}

impl WrapAlgorithm {
    /// Every one, those of V1 last.
    pub(crate) const ALL: [Self; 8] = [
        Self::KmsContext,
        Self::AesGcm,
        Self::RsaOaepSha1,
        Self::Kms,
        Self::AesKeyWrap,
        Self::RsaOaepSha256,
        Self::V1Aes,
        Self::V1Rsa,
    ];

    /// Those that formats V2 and V3 name.
    const NAMED: [Self; 6] = [
        Self::KmsContext,
        Self::AesGcm,
        Self::RsaOaepSha1,
        Self::Kms,
        Self::AesKeyWrap,
        Self::RsaOaepSha256,
    ];

    /// By its name in format V2.
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Self::NAMED.into_iter().find(|wrap| wrap.name() == name)
    }

    /// By its code in format V3.
    pub(crate) fn from_v3_code(code: &str) -> Option<Self> {
        let mut named = Self::NAMED.into_iter();
        named.find(|wrap| wrap.v3_code() == Some(code))
    }

    /// V1 stores no name, so the length decides as it does in the Java client.
    pub(crate) fn of_v1(encrypted_data_key: &[u8]) -> Self {
        // A key of 32 bytes and a block of padding.
        if encrypted_data_key.len() <= 48 {
            Self::V1Aes
        } else {
            Self::V1Rsa
        }
    }

    /// The name in format V2. V1 stores none; its algorithms are called by their keys.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::KmsContext => "kms+context",
            Self::AesGcm => "AES/GCM",
            Self::RsaOaepSha1 => "RSA-OAEP-SHA1",
            Self::Kms => "kms",
            Self::AesKeyWrap => "AESWrap",
            Self::RsaOaepSha256 => "RSA/ECB/OAEPWithSHA-256AndMGF1Padding",
            Self::V1Aes => "AES",
            Self::V1Rsa => "RSA",
        }
    }

    /// The code in format V3, which has none for legacy algorithms.
    pub(crate) fn v3_code(self) -> Option<&'static str> {
        match self {
            Self::AesGcm => Some("02"),
            Self::KmsContext => Some("12"),
            Self::RsaOaepSha1 => Some("22"),
            _ => None,
        }
    }

    /// Whether it binds the data key to nothing. Such keys are never written, and read only by who
    /// asks for it.
    pub(crate) fn is_legacy(self) -> bool {
        self.v3_code().is_none()
    }

    /// The key that V3 keeps the description under. A pair under the other one does not count.
    pub(super) fn v3_description(self) -> &'static str {
        match self {
            Self::KmsContext | Self::Kms => CONTEXT_V3,
            _ => DESCRIPTION_V3,
        }
    }

    /// Lengths in bytes that an encrypted data key can have, where the algorithm alone decides.
    pub(crate) fn key_lengths(self) -> Option<&'static [usize]> {
        match self {
            // IV, data key of 32 bytes, tag.
            Self::AesGcm => Some(&[60]),
            // A data key of 16, 24 or 32 bytes and one half block.
            Self::AesKeyWrap => Some(&[24, 32, 40]),
            // The same, padded to blocks.
            Self::V1Aes => Some(&[32, 48]),
            Self::KmsContext
            | Self::Kms
            | Self::RsaOaepSha1
            | Self::RsaOaepSha256
            | Self::V1Rsa => None,
        }
    }
}

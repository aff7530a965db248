use std::fmt;

use pkcs8::ObjectIdentifier;
use pkcs8::der::Document;
use zeroize::Zeroizing;

use super::{Refused, backend, pem};
use crate::error::{Error, Result};
use crate::secret::DerivedKey;

/// A curve of NIST (SP 800-186) that keys agree on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EcCurve {
    /// secp256r1.
    P256,
    /// secp384r1.
    P384,
    /// secp521r1.
    P521,
}

impl EcCurve {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::P256, Self::P384, Self::P521];

    /// `p256`, `p384` or `p521`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::P256 => "p256",
            Self::P384 => "p384",
            Self::P521 => "p521",
        }
    }

    /// Length of a coordinate in bytes.
    fn coordinate_length(self) -> usize {
        match self {
            Self::P256 => 32,
            Self::P384 => 48,
            Self::P521 => 66,
        }
    }

    fn from_oid(oid: Option<ObjectIdentifier>) -> Result<Self> {
        const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
        const P384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
        const P521: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.35");
        match oid {
            Some(P256) => Ok(Self::P256),
            Some(P384) => Ok(Self::P384),
            Some(P521) => Ok(Self::P521),
            _ => Err(pem::fault(
                "is on another curve than P-256, P-384 and P-521",
            )),
        }
    }
}

impl fmt::Display for EcCurve {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl std::str::FromStr for EcCurve {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::ALL
            .into_iter()
            .find(|curve| curve.name() == text)
            .ok_or(Error::InvalidOption {
                what: "the curve",
                reason: "must be p256, p384 or p521",
            })
    }
}

/// A public point on a curve (SEC 1, section 2.3; RFC 5480).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EcPublicKey {
    curve: EcCurve,
    compressed: Vec<u8>,
}

const NOT_ON_CURVE: Error = Error::KeyNotValid {
    reason: "is no point on its curve",
};

impl EcPublicKey {
    /// Reads the PEM of a SubjectPublicKeyInfo (RFC 5480).
    ///
    /// # Errors
    /// [`Error::KeyNotValid`].
    pub fn from_pem(pem: &str) -> Result<Self> {
        Self::from_key(pem::public_key(pem)?)
    }

    /// Reads the DER of a SubjectPublicKeyInfo (RFC 5480), as key services hand it out.
    ///
    /// # Errors
    /// [`Error::KeyNotValid`].
    pub fn from_der(der: &[u8]) -> Result<Self> {
        Self::from_key(pem::public_key_der(der)?)
    }

    fn from_key(key: pem::Key<Document>) -> Result<Self> {
        let key = key.expect(pem::EC)?;
        let curve = EcCurve::from_oid(key.curve)?;
        Self::from_point(curve, &pem::public_key_bits(&key.document)?)
    }

    /// Takes a point in either form of SEC 1, section 2.3.3, and checks that it lies on the
    /// curve and is not the point at infinity.
    ///
    /// # Errors
    /// [`Error::KeyNotValid`].
    pub fn from_point(curve: EcCurve, point: &[u8]) -> Result<Self> {
        let length = curve.coordinate_length();
        let compressed = match point.split_first() {
            Some((2 | 3, x)) if x.len() == length => point.to_vec(),
            Some((4, coordinates)) if coordinates.len() == 2 * length => {
                let (x, y) = coordinates.split_at(length);
                let parity = y.last().map_or(0, |byte| byte & 1);
                [&[2 | parity], x].concat()
            }
            _ => return Err(NOT_ON_CURVE),
        };
        backend::check_point(curve, point).map_err(|Refused| NOT_ON_CURVE)?;
        Ok(Self { curve, compressed })
    }

    /// The curve.
    #[must_use]
    pub fn curve(&self) -> EcCurve {
        self.curve
    }

    /// The compressed point (SEC 1, section 2.3.3).
    #[must_use]
    pub fn to_bytes(&self) -> &[u8] {
        &self.compressed
    }

    /// The DER of a SubjectPublicKeyInfo (RFC 5480) with the whole point, as key services take it.
    ///
    /// # Errors
    /// [`Error::SealFailed`] when the cryptography library cannot encode it.
    pub fn to_der(&self) -> Result<Vec<u8>> {
        backend::point_spki(self.curve, &self.compressed).map_err(|Refused| Error::SealFailed)
    }
}

/// A private scalar of a curve, and its public point (RFC 5915). Never printed.
pub struct EcPrivateKey {
    key: backend::EcPrivateKey,
    public_key: EcPublicKey,
}

impl EcPrivateKey {
    /// Reads the PEM of a PKCS#8 private key (RFC 5958), with a passphrase if it is encrypted.
    ///
    /// # Errors
    /// [`Error::KeyNotValid`].
    pub fn from_pem(pem: &str, passphrase: Option<&[u8]>) -> Result<Self> {
        let key = pem::private_key(pem, passphrase)?.expect(pem::EC)?;
        let curve = EcCurve::from_oid(key.curve)?;
        let key = backend::EcPrivateKey::from_pkcs8(curve, key.document.as_bytes())
            .map_err(|Refused| pem::fault("is no private key of its curve"))?;
        Self::new(curve, key)
    }

    /// A new key.
    ///
    /// # Errors
    /// [`Error::Randomness`].
    pub fn generate(curve: EcCurve) -> Result<Self> {
        let key = backend::EcPrivateKey::generate(curve).map_err(|Refused| Error::Randomness)?;
        Self::new(curve, key)
    }

    fn new(curve: EcCurve, key: backend::EcPrivateKey) -> Result<Self> {
        let point = key.public_point().map_err(|Refused| NOT_ON_CURVE)?;
        Ok(Self {
            key,
            public_key: EcPublicKey::from_point(curve, &point)?,
        })
    }

    /// Its public key.
    #[must_use]
    pub fn public_key(&self) -> &EcPublicKey {
        &self.public_key
    }

    /// The key as PEM of PKCS#8, not encrypted.
    ///
    /// # Errors
    /// [`Error::SealFailed`] when the cryptography library cannot encode it.
    pub fn to_pem(&self) -> Result<Zeroizing<String>> {
        let der = self.key.to_pkcs8().map_err(|Refused| Error::SealFailed)?;
        pem::encode_private(&der)
    }

    /// Its public key as PEM of a SubjectPublicKeyInfo.
    ///
    /// # Errors
    /// As [`to_pem`](Self::to_pem).
    pub fn public_key_pem(&self) -> Result<String> {
        pem::encode_public(
            self.key
                .public_spki()
                .map_err(|Refused| Error::SealFailed)?,
        )
    }

    /// The secret that is shared with the peer, the x coordinate of the shared point (NIST SP
    /// 800-56A, section 5.7.1.2): what a keyring of one's own is made from. It is no key yet;
    /// keys are derived from it.
    ///
    /// # Errors
    /// [`Error::KeyNotValid`] when the peer's key is on another curve.
    pub fn shared_secret(&self, peer: &EcPublicKey) -> Result<Zeroizing<Vec<u8>>> {
        let shared = self.agree(peer).map_err(|Refused| Error::KeyNotValid {
            reason: "is on another curve than the private key",
        })?;
        Ok(Zeroizing::new(shared.expose().to_vec()))
    }

    pub(crate) fn agree(&self, peer: &EcPublicKey) -> Result<DerivedKey, Refused> {
        if peer.curve != self.public_key.curve {
            return Err(Refused);
        }
        self.key.agree(&peer.compressed)
    }
}

impl fmt::Debug for EcPrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EcPrivateKey({}, redacted)", self.public_key.curve)
    }
}

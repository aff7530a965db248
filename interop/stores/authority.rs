use std::path::Path;

use anyhow::Result;
use object_store::Certificate;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};

/// A certificate authority of our own, so that clients check the certificates of servers under
/// test as they check any other.
pub(crate) struct Authority {
    certificate: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    pub(crate) fn generate() -> Result<Self> {
        let mut parameters = CertificateParams::new(Vec::new())?;
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate()?;
        Ok(Self {
            certificate: parameters.self_signed(&key)?.pem(),
            issuer: Issuer::new(parameters, key),
        })
    }

    /// Writes a certificate for this machine, and its private key.
    pub(crate) fn issue(&self, certificate: &Path, private_key: &Path) -> Result<()> {
        let key = KeyPair::generate()?;
        let parameters = CertificateParams::new(["127.0.0.1".to_owned()])?;
        let issued = parameters.signed_by(&key, &self.issuer)?;
        std::fs::write(certificate, issued.pem())?;
        std::fs::write(private_key, key.serialize_pem())?;
        Ok(())
    }

    /// What a client has to trust.
    pub(crate) fn root(&self) -> Result<Certificate> {
        Ok(Certificate::from_pem(self.certificate.as_bytes())?)
    }
}

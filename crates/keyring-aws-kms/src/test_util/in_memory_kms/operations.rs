//! The operations of KMS (AWS KMS API reference).

use std::collections::BTreeMap;

use aws_sdk_kms::types::{KeySpec, KeyState};
use envelope::random_bytes;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::request::{Request, base64, blob, context_bytes, required};
use super::stored_key::{KeyMaterial, StoredKey, wrong_usage};
use super::{InMemoryKms, State, key_id};
use crate::arn::Arn;
use crate::kms_error::KmsError;
use crate::test_util::refusal::Refusal;

const SYMMETRIC: &str = "SYMMETRIC_DEFAULT";
const PLAINTEXT_LENGTHS: std::ops::RangeInclusive<usize> = 1..=4096;
const CIPHERTEXT_LENGTHS: std::ops::RangeInclusive<usize> = 1..=6144;
const NOT_FOUND: Refusal = Refusal::new(
    "NotFoundException",
    "there is no such key in this account and region",
);

/// A request's side of KMS.
pub(super) struct Caller<'a> {
    pub(super) kms: &'a InMemoryKms,
    pub(super) region: &'a str,
}

impl Caller<'_> {
    pub(super) fn answer(&self, operation: &str, request: &Request) -> Result<Value, Refusal> {
        request.check()?;
        match operation {
            "Encrypt" => self.encrypt(request),
            "Decrypt" => self.decrypt(request),
            "ReEncrypt" => self.re_encrypt(request),
            "GenerateDataKey" => self.generate_data_key(request, true),
            "GenerateDataKeyWithoutPlaintext" => self.generate_data_key(request, false),
            "GetPublicKey" => self.public_key(request),
            "DeriveSharedSecret" => self.shared_secret(request),
            "CreateKey" => self.create_key(request),
            "ReplicateKey" => self.replicate_key(request),
            "DescribeKey" => self.describe_key(request),
            _ => Err(Refusal::new(
                "UnknownOperationException",
                "this KMS has no such operation",
            )),
        }
    }

    fn encrypt(&self, request: &Request) -> Result<Value, Refusal> {
        let key = self.usable(&request.key_id)?;
        let plaintext = blob(&request.plaintext, PLAINTEXT_LENGTHS)?;
        let algorithm = algorithm(&request.encryption_algorithm);
        let sealed = seal(&key, algorithm, &plaintext, &request.encryption_context)?;
        Ok(json!({
            "KeyId": key.arn.to_string(),
            "CiphertextBlob": base64(&sealed).as_str(),
            "EncryptionAlgorithm": algorithm,
        }))
    }

    fn decrypt(&self, request: &Request) -> Result<Value, Refusal> {
        let ciphertext = blob(&request.ciphertext_blob, CIPHERTEXT_LENGTHS)?;
        let algorithm = algorithm(&request.encryption_algorithm);
        let context = &request.encryption_context;
        let (key, plaintext) = self.open(&request.key_id, algorithm, &ciphertext, context)?;
        Ok(json!({
            "KeyId": key.arn.to_string(),
            "Plaintext": base64(&plaintext).as_str(),
            "EncryptionAlgorithm": algorithm,
        }))
    }

    fn re_encrypt(&self, request: &Request) -> Result<Value, Refusal> {
        let ciphertext = blob(&request.ciphertext_blob, CIPHERTEXT_LENGTHS)?;
        let from = algorithm(&request.source_encryption_algorithm);
        let to = algorithm(&request.destination_encryption_algorithm);
        let context = &request.source_encryption_context;
        let (source, plaintext) = self.open(&request.source_key_id, from, &ciphertext, context)?;
        let key = self.usable(&request.destination_key_id)?;
        let sealed = seal(
            &key,
            to,
            &plaintext,
            &request.destination_encryption_context,
        )?;
        Ok(json!({
            "SourceKeyId": source.arn.to_string(),
            "KeyId": key.arn.to_string(),
            "CiphertextBlob": base64(&sealed).as_str(),
            "SourceEncryptionAlgorithm": from,
            "DestinationEncryptionAlgorithm": to,
        }))
    }

    fn generate_data_key(&self, request: &Request, plaintext: bool) -> Result<Value, Refusal> {
        let key = self.usable(&request.key_id)?;
        if !key.material.is_symmetric() {
            return Err(wrong_usage());
        }
        let length = match (request.key_spec.as_deref(), request.number_of_bytes) {
            (Some("AES_128"), None) => 16,
            (Some("AES_256"), None) => 32,
            (None, Some(length @ 1..=1024)) => length,
            _ => {
                return Err(Refusal::invalid(
                    "either a key spec or a number of bytes up to 1024 must be given",
                ));
            }
        };
        let random = Zeroizing::new(random_bytes::<1024>()?);
        let mut secret = Zeroizing::new(random.to_vec());
        secret.truncate(length);
        let sealed = seal(&key, SYMMETRIC, &secret, &request.encryption_context)?;
        let mut answer = json!({
            "KeyId": key.arn.to_string(),
            "CiphertextBlob": base64(&sealed).as_str(),
        });
        if let (true, Some(fields)) = (plaintext, answer.as_object_mut()) {
            fields.insert("Plaintext".to_owned(), base64(&secret).as_str().into());
        }
        Ok(answer)
    }

    fn public_key(&self, request: &Request) -> Result<Value, Refusal> {
        let key = self.usable(&request.key_id)?;
        Ok(json!({
            "KeyId": key.arn.to_string(),
            "PublicKey": base64(&key.material.public_key()?).as_str(),
            "KeySpec": key.material.spec.as_str(),
            "KeyUsage": key.material.usage(),
        }))
    }

    fn shared_secret(&self, request: &Request) -> Result<Value, Refusal> {
        let key = self.usable(&request.key_id)?;
        if request.key_agreement_algorithm.as_deref() != Some("ECDH") {
            return Err(Refusal::invalid("the key agreement algorithm must be ECDH"));
        }
        let peer = blob(&request.public_key, 1..=8192)?;
        Ok(json!({
            "KeyId": key.arn.to_string(),
            "SharedSecret": base64(&key.material.shared_secret(&peer)?).as_str(),
            "KeyAgreementAlgorithm": "ECDH",
        }))
    }

    fn create_key(&self, request: &Request) -> Result<Value, Refusal> {
        let spec = KeySpec::from(algorithm(&request.key_spec));
        let material = KeyMaterial::generate(spec).map_err(|error| match error {
            KmsError::Key(_) => Refusal::new("KMSInternalException", "the key cannot be made"),
            _ => Refusal::invalid("the key spec must be symmetric, RSA, or a curve of NIST"),
        })?;
        let usage = request.key_usage.as_deref().unwrap_or("ENCRYPT_DECRYPT");
        if usage != material.usage() {
            return Err(Refusal::invalid(
                "the key spec does not have this key usage",
            ));
        }
        let id = key_id(request.multi_region)?;
        let key = self.kms.keep(self.region, &id, material);
        let key = key.map_err(|_| Refusal::invalid("the request is signed for no region"))?;
        Ok(json!({ "KeyMetadata": metadata(&key) }))
    }

    fn replicate_key(&self, request: &Request) -> Result<Value, Refusal> {
        let key = self.usable(&request.key_id)?;
        let region = required(&request.replica_region, "the replica's region is missing")?;
        if self
            .kms
            .state()
            .keys
            .contains_key(&key.arn.in_region(region))
        {
            return Err(Refusal::new(
                "AlreadyExistsException",
                "the key is in this region already",
            ));
        }
        let replica = self.kms.replicate(&key.arn, region).map_err(|_| {
            Refusal::new(
                "UnsupportedOperationException",
                "the key is no multi-region key",
            )
        })?;
        let replica = Caller {
            kms: self.kms,
            region,
        }
        .find(&replica.to_string())?;
        Ok(json!({ "ReplicaKeyMetadata": metadata(&replica) }))
    }

    fn describe_key(&self, request: &Request) -> Result<Value, Refusal> {
        let key = self.find(required(&request.key_id, "the key id is missing")?)?;
        Ok(json!({ "KeyMetadata": metadata(&key) }))
    }

    /// Decrypts with the key that is named; a symmetric ciphertext names its own.
    fn open(
        &self,
        key_id: &Option<String>,
        algorithm: &str,
        ciphertext: &[u8],
        context: &BTreeMap<String, String>,
    ) -> Result<(StoredKey, Zeroizing<Vec<u8>>), Refusal> {
        let key = match key_id {
            Some(_) => self.usable(key_id)?,
            None if algorithm == SYMMETRIC => usable(self.that_wrapped(ciphertext)?)?,
            None => return Err(Refusal::invalid("an asymmetric key must be named")),
        };
        if key.material.is_symmetric() && !key.material.wrapped(ciphertext) {
            // What no key of the region wrapped is invalid; what another one did is of a wrong key.
            self.that_wrapped(ciphertext)?;
            return Err(Refusal::new(
                "IncorrectKeyException",
                "another key wrapped the ciphertext",
            ));
        }
        let context = bound_context(&key, context)?;
        let plaintext = key.material.decrypt(algorithm, ciphertext, &context)?;
        Ok((key, plaintext))
    }

    fn usable(&self, key_id: &Option<String>) -> Result<StoredKey, Refusal> {
        usable(self.find(required(key_id, "the key id is missing")?)?)
    }

    /// The key with this ARN, id, alias or alias ARN, in the caller's region.
    fn find(&self, key_id: &str) -> Result<StoredKey, Refusal> {
        let (region, account) = (self.region, &self.kms.account);
        let arn = match key_id {
            arn if arn.starts_with("arn:") => arn.to_owned(),
            alias if alias.starts_with("alias/") => {
                format!("arn:aws:kms:{region}:{account}:{alias}")
            }
            id => format!("arn:aws:kms:{region}:{account}:key/{id}"),
        };
        let arn: Arn = arn.parse().map_err(|_| NOT_FOUND)?;
        let State { keys, aliases } = &*self.kms.state();
        let arn = aliases.get(&arn).unwrap_or(&arn);
        let key = keys.get(arn).filter(|_| arn.region() == region);
        key.cloned().ok_or(NOT_FOUND)
    }

    /// The key of the caller's region that wrapped the ciphertext.
    fn that_wrapped(&self, ciphertext: &[u8]) -> Result<StoredKey, Refusal> {
        let state = self.kms.state();
        let key = state
            .keys
            .values()
            .find(|key| key.arn.region() == self.region && key.material.wrapped(ciphertext));
        key.cloned().ok_or(Refusal::new(
            "InvalidCiphertextException",
            "no key of this region wrapped the ciphertext",
        ))
    }
}

fn metadata(key: &StoredKey) -> Value {
    json!({
        "KeyId": key.arn.id(),
        "Arn": key.arn.to_string(),
        "AWSAccountId": key.arn.account(),
        "Enabled": key.state == KeyState::Enabled,
        "KeyState": key.state.as_str(),
        "KeySpec": key.material.spec.as_str(),
        "KeyUsage": key.material.usage(),
        "KeyManager": "CUSTOMER",
        "Origin": "AWS_KMS",
        "MultiRegion": key.arn.is_multi_region(),
    })
}

fn algorithm(field: &Option<String>) -> &str {
    field.as_deref().unwrap_or(SYMMETRIC)
}

fn usable(key: StoredKey) -> Result<StoredKey, Refusal> {
    match key.state {
        KeyState::Enabled => Ok(key),
        KeyState::Disabled => Err(Refusal::new("DisabledException", "the key is disabled")),
        _ => Err(Refusal::new(
            "KMSInvalidStateException",
            "the key's state does not allow it",
        )),
    }
}

fn seal(
    key: &StoredKey,
    algorithm: &str,
    plaintext: &[u8],
    context: &BTreeMap<String, String>,
) -> Result<Vec<u8>, Refusal> {
    let context = bound_context(key, context)?;
    key.material.encrypt(algorithm, plaintext, &context)
}

fn bound_context(key: &StoredKey, context: &BTreeMap<String, String>) -> Result<Vec<u8>, Refusal> {
    if !key.material.is_symmetric() && !context.is_empty() {
        return Err(Refusal::invalid(
            "an asymmetric key binds no encryption context",
        ));
    }
    context_bytes(context)
}

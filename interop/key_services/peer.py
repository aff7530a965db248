"""The AWS Encryption SDK for Python, with its keyrings of KMS and its store of branch keys, as a peer.

Reads one command a line and answers it with one line, both JSON objects; a command that fails is
answered `{"error": TEXT}`. The first command is `start`. Bytes are base64.
"""
import base64
import functools
import json
import logging
import sys

import aws_encryption_sdk
import boto3
from aws_cryptographic_material_providers.keystore.client import KeyStore
from aws_cryptographic_material_providers.keystore.config import KeyStoreConfig
from aws_cryptographic_material_providers.keystore.models import (
    CreateKeyInput,
    Discovery,
    KMSConfigurationDiscovery,
    KMSConfigurationKmsKeyArn,
    KMSConfigurationKmsMRKeyArn,
    KMSConfigurationMrDiscovery,
    MRDiscovery,
    VersionKeyInput,
)
from aws_cryptographic_material_providers.mpl import AwsCryptographicMaterialProviders, models
from aws_cryptographic_material_providers.mpl.config import MaterialProvidersConfig
from aws_cryptographic_material_providers.mpl.references import (
    IBranchKeyIdSupplier,
    IClientSupplier,
)
from aws_encryption_sdk.identifiers import AlgorithmSuite, CommitmentPolicy

MPL = AwsCryptographicMaterialProviders(config=MaterialProvidersConfig())
RSA_ALGORITHMS = {"oaep-sha1": "RSAES_OAEP_SHA_1", "oaep-sha256": "RSAES_OAEP_SHA_256"}
# What it logs of a refusal is in its answer.
logging.getLogger("aws_encryption_sdk").setLevel(logging.CRITICAL)


def sdk(policy):
    return aws_encryption_sdk.EncryptionSDKClient(commitment_policy=policy)


WRITES_COMMITTED = sdk(CommitmentPolicy.REQUIRE_ENCRYPT_ALLOW_DECRYPT)
WRITES_UNCOMMITTED = sdk(CommitmentPolicy.FORBID_ENCRYPT_ALLOW_DECRYPT)


def pem(der):
    """The armour around base64 of a SubjectPublicKeyInfo."""
    return f"-----BEGIN PUBLIC KEY-----\n{der}\n-----END PUBLIC KEY-----\n"


def only(description):
    """Lets through the keys of one account."""
    return models.DiscoveryFilter(account_ids=[description["account"]], partition="aws")


def text(error):
    """Exceptions of the libraries below say little of themselves, and hold those that do."""
    inner = getattr(error, "list", None) or [
        value for value in vars(error).values() if isinstance(value, BaseException)
    ]
    texts = [f"{type(error).__name__}: {error}"]
    causes = [cause for cause in (error.__cause__, error.__context__) if cause]
    return "; ".join(texts + [text(other) for other in [*inner, *causes]])


def key_store_keys(kms):
    """With which keys of KMS the branch keys of a store are wrapped."""
    match kms["type"]:
        case "key":
            return KMSConfigurationKmsKeyArn(kms["key"])
        case "multi_region_key":
            return KMSConfigurationKmsMRKeyArn(kms["key"])
        case "discovery":
            return KMSConfigurationDiscovery(Discovery())
        case "multi_region_discovery":
            return KMSConfigurationMrDiscovery(MRDiscovery(region=kms["region"]))


class BranchKeyOfTenant(IBranchKeyIdSupplier):
    """The branch key that is called as the tenant in the encryption context."""

    def get_branch_key_id(self, param):
        return models.GetBranchKeyIdOutput(branch_key_id=param.encryption_context["tenant"])


class Peer(IClientSupplier):
    def start(self, command):
        self.endpoint = command["endpoint"]
        return {}

    @functools.cache
    def client(self, service, region):
        return boto3.client(
            service,
            endpoint_url=self.endpoint,
            region_name=region,
            aws_access_key_id="testkey",
            aws_secret_access_key="testsecret",
        )

    def kms(self, arn):
        return self.client("kms", arn.split(":")[3])

    def get_client(self, param):
        return self.client("kms", param.region)

    def key_store(self, description):
        return KeyStore(
            config=KeyStoreConfig(
                ddb_table_name=description["table"],
                logical_key_store_name=description["logical_name"],
                kms_configuration=key_store_keys(description["kms"]),
                ddb_client=self.client("dynamodb", description["table_region"]),
                kms_client=self.client("kms", description["kms_region"]),
            )
        )

    def hierarchical(self, description):
        branch_key_id = description["branch_key_id"]
        which = (
            {"branch_key_id": branch_key_id}
            if branch_key_id
            else {"branch_key_id_supplier": BranchKeyOfTenant()}
        )
        return MPL.create_aws_kms_hierarchical_keyring(
            models.CreateAwsKmsHierarchicalKeyringInput(
                key_store=self.key_store(description["store"]),
                ttl_seconds=1,
                # What became the active version a moment ago is to be used.
                cache=models.CacheTypeNo(models.NoCache()),
                **which,
            )
        )

    def keyring(self, description):
        return getattr(self, description["type"].replace("-", "_"))(description)

    def strict(self, description):
        arn = description["key"]
        return MPL.create_aws_kms_keyring(
            models.CreateAwsKmsKeyringInput(kms_key_id=arn, kms_client=self.kms(arn))
        )

    def multi_region(self, description):
        arn = description["key"]
        return MPL.create_aws_kms_mrk_keyring(
            models.CreateAwsKmsMrkKeyringInput(kms_key_id=arn, kms_client=self.kms(arn))
        )

    def multi(self, description):
        return MPL.create_aws_kms_multi_keyring(
            models.CreateAwsKmsMultiKeyringInput(
                generator=description["generator"],
                kms_key_ids=description["children"],
                client_supplier=self,
            )
        )

    def multi_region_multi(self, description):
        return MPL.create_aws_kms_mrk_multi_keyring(
            models.CreateAwsKmsMrkMultiKeyringInput(
                generator=description["generator"],
                kms_key_ids=description["children"],
                client_supplier=self,
            )
        )

    def discovery(self, description):
        (region,) = description["regions"]
        return MPL.create_aws_kms_discovery_keyring(
            models.CreateAwsKmsDiscoveryKeyringInput(
                kms_client=self.client("kms", region), discovery_filter=only(description)
            )
        )

    def multi_region_discovery(self, description):
        (region,) = description["regions"]
        return MPL.create_aws_kms_mrk_discovery_keyring(
            models.CreateAwsKmsMrkDiscoveryKeyringInput(
                kms_client=self.client("kms", region),
                region=region,
                discovery_filter=only(description),
            )
        )

    def discovery_multi(self, description):
        return MPL.create_aws_kms_discovery_multi_keyring(
            models.CreateAwsKmsDiscoveryMultiKeyringInput(
                regions=description["regions"],
                discovery_filter=only(description),
                client_supplier=self,
            )
        )

    def multi_region_discovery_multi(self, description):
        return MPL.create_aws_kms_mrk_discovery_multi_keyring(
            models.CreateAwsKmsMrkDiscoveryMultiKeyringInput(
                regions=description["regions"],
                discovery_filter=only(description),
                client_supplier=self,
            )
        )

    def rsa(self, description):
        arn = description["key"]
        return MPL.create_aws_kms_rsa_keyring(
            models.CreateAwsKmsRsaKeyringInput(
                kms_key_id=arn,
                encryption_algorithm=RSA_ALGORITHMS[description["padding"]],
                public_key=pem(description["public_key"]).encode(),
                kms_client=self.kms(arn),
            )
        )

    def ecdh(self, description):
        return self.agreement(
            description,
            models.KmsEcdhStaticConfigurationsKmsPrivateKeyToStaticPublicKey(
                models.KmsPrivateKeyToStaticPublicKeyInput(
                    sender_kms_identifier=description["key"],
                    sender_public_key=base64.b64decode(description["mine"]),
                    recipient_public_key=base64.b64decode(description["theirs"]),
                )
            ),
        )

    def ecdh_discovery(self, description):
        return self.agreement(
            description,
            models.KmsEcdhStaticConfigurationsKmsPublicKeyDiscovery(
                models.KmsPublicKeyDiscoveryInput(recipient_kms_identifier=description["key"])
            ),
        )

    def agreement(self, description, scheme):
        return MPL.create_aws_kms_ecdh_keyring(
            models.CreateAwsKmsEcdhKeyringInput(
                key_agreement_scheme=scheme,
                curve_spec=description["curve"],
                kms_client=self.kms(description["key"]),
            )
        )

    def encrypt(self, command):
        suite = next(s for s in AlgorithmSuite if s.algorithm_id == command["suite"])
        writer = WRITES_COMMITTED if suite.is_committing() else WRITES_UNCOMMITTED
        message, _ = writer.encrypt(
            source=base64.b64decode(command["plaintext"]),
            algorithm=suite,
            encryption_context=command["context"],
            keyring=self.keyring(command["keyring"]),
        )
        return {"message": base64.b64encode(message).decode()}

    def decrypt(self, command):
        plaintext, header = WRITES_COMMITTED.decrypt(
            source=base64.b64decode(command["message"]),
            encryption_context=command["context"],
            keyring=self.keyring(command["keyring"]),
        )
        return {
            "plaintext": base64.b64encode(plaintext).decode(),
            "suite": header.algorithm.algorithm_id,
            "context": header.encryption_context,
        }

    def create_branch_key(self, command):
        created = self.key_store(command["store"]).create_key(
            CreateKeyInput(
                branch_key_identifier=command["branch_key_id"],
                encryption_context=command["context"],
            )
        )
        return {"branch_key_id": created.branch_key_identifier}

    def version_branch_key(self, command):
        self.key_store(command["store"]).version_key(
            VersionKeyInput(branch_key_identifier=command["branch_key_id"])
        )
        return {}


def main():
    peer = Peer()
    commands = {
        name: getattr(peer, name)
        for name in ("start", "encrypt", "decrypt", "create_branch_key", "version_branch_key")
    }
    for line in sys.stdin:
        command = json.loads(line)
        try:
            answer = commands[command["command"]](command)
        except Exception as error:  # whatever it is, the other side judges it
            answer = {"error": text(error)}
        print(json.dumps(answer), flush=True)


main()

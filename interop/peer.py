"""The AWS Encryption SDK for Python as a peer.

Reads one command a line: `encrypt FOLDER` or `decrypt FOLDER`. The folder holds `batch.json` and, to
decrypt, one `ID.message` for each case; encrypting writes those. Answers `ok`, or `failed` and why.
"""
import base64
import json
import pathlib
import sys

import aws_encryption_sdk
from aws_cryptographic_material_providers.mpl import AwsCryptographicMaterialProviders
from aws_cryptographic_material_providers.mpl import models
from aws_cryptographic_material_providers.mpl.config import MaterialProvidersConfig
from aws_cryptography_primitives.smithygenerated.aws_cryptography_primitives.models import (
    ECDHCurveSpec,
)
from aws_encryption_sdk.identifiers import AlgorithmSuite, CommitmentPolicy

MPL = AwsCryptographicMaterialProviders(config=MaterialProvidersConfig())
PADDINGS = {
    "pkcs1": models.PaddingScheme.PKCS1,
    "oaep-sha1": models.PaddingScheme.OAEP_SHA1_MGF1,
    "oaep-sha256": models.PaddingScheme.OAEP_SHA256_MGF1,
    "oaep-sha384": models.PaddingScheme.OAEP_SHA384_MGF1,
    "oaep-sha512": models.PaddingScheme.OAEP_SHA512_MGF1,
}
AES = {
    16: models.AesWrappingAlg.ALG_AES128_GCM_IV12_TAG16,
    24: models.AesWrappingAlg.ALG_AES192_GCM_IV12_TAG16,
    32: models.AesWrappingAlg.ALG_AES256_GCM_IV12_TAG16,
}
CURVES = {
    "p256": ECDHCurveSpec.ECC_NIST_P256,
    "p384": ECDHCurveSpec.ECC_NIST_P384,
    "p521": ECDHCurveSpec.ECC_NIST_P521,
}


def client(policy):
    return aws_encryption_sdk.EncryptionSDKClient(commitment_policy=policy)


WRITES_COMMITTED = client(CommitmentPolicy.REQUIRE_ENCRYPT_ALLOW_DECRYPT)
WRITES_UNCOMMITTED = client(CommitmentPolicy.FORBID_ENCRYPT_ALLOW_DECRYPT)


def der(pem):
    """SubjectPublicKeyInfo without its armour."""
    return base64.b64decode("".join(line for line in pem.splitlines() if "-----" not in line))


def ecdh(description, writing):
    scheme = description["scheme"]
    if scheme == "static":
        mine, theirs = ("sender", "recipient") if writing else ("recipient", "sender")
        configuration = models.RawEcdhStaticConfigurationsRawPrivateKeyToStaticPublicKey(
            models.RawPrivateKeyToStaticPublicKeyInput(
                sender_static_private_key=description[mine]["private"].encode(),
                recipient_public_key=der(description[theirs]["public"]),
            )
        )
    elif writing:
        configuration = models.RawEcdhStaticConfigurationsEphemeralPrivateKeyToStaticPublicKey(
            models.EphemeralPrivateKeyToStaticPublicKeyInput(
                recipient_public_key=der(description["recipient"]["public"])
            )
        )
    else:
        configuration = models.RawEcdhStaticConfigurationsPublicKeyDiscovery(
            models.PublicKeyDiscoveryInput(
                recipient_static_private_key=description["recipient"]["private"].encode()
            )
        )
    return MPL.create_raw_ecdh_keyring(
        models.CreateRawEcdhKeyringInput(
            curve_spec=CURVES[description["curve"]], key_agreement_scheme=configuration
        )
    )


def keyring(description, writing):
    kind = description["type"]
    if kind == "multi":
        generator, *children = [keyring(child, writing) for child in description["keyrings"]]
        return MPL.create_multi_keyring(
            models.CreateMultiKeyringInput(generator=generator, child_keyrings=children)
        )
    if kind == "raw-ecdh":
        return ecdh(description, writing)
    names = {"key_namespace": description["namespace"], "key_name": description["name"]}
    if kind == "raw-aes":
        key = base64.b64decode(description["key"])
        return MPL.create_raw_aes_keyring(
            models.CreateRawAesKeyringInput(**names, wrapping_key=key, wrapping_alg=AES[len(key)])
        )
    half = "public" if writing else "private"
    return MPL.create_raw_rsa_keyring(
        models.CreateRawRsaKeyringInput(
            **names,
            padding_scheme=PADDINGS[description["padding"]],
            **{f"{half}_key": description[half].encode()},
        )
    )


def manager(batch, writing):
    """The keyword that names who gives the keys."""
    ring = keyring(batch["keyring"], writing)
    required = batch["required_context_keys"]
    if not required:
        return {"keyring": ring}
    default = MPL.create_default_cryptographic_materials_manager(
        models.CreateDefaultCryptographicMaterialsManagerInput(keyring=ring)
    )
    requiring = MPL.create_required_encryption_context_cmm(
        models.CreateRequiredEncryptionContextCMMInput(
            underlying_cmm=default, required_encryption_context_keys=required
        )
    )
    return {"materials_manager": requiring}


def plaintext(length):
    pattern = bytes(range(251))
    return (pattern * (length // 251 + 1))[:length]


def encrypt(folder, batch):
    suite = next(s for s in AlgorithmSuite if s.algorithm_id == int(batch["suite"], 16))
    sdk = WRITES_COMMITTED if suite.is_committing() else WRITES_UNCOMMITTED
    keys = manager(batch, writing=True)
    for case in batch["cases"]:
        message, _ = sdk.encrypt(
            source=plaintext(case["length"]),
            algorithm=suite,
            frame_length=case["frame_length"],
            encryption_context=case["context"],
            **keys,
        )
        (folder / f"{case['id']}.message").write_bytes(message)


def decrypt(folder, batch):
    keys = manager(batch, writing=False)
    for case in batch["cases"]:
        message = (folder / f"{case['id']}.message").read_bytes()
        opened, header = WRITES_COMMITTED.decrypt(
            source=message, encryption_context=case["context"], **keys
        )
        where = f"case {case['id']}"
        assert opened == plaintext(case["length"]), f"{where}: another plaintext"
        assert f"{header.algorithm.algorithm_id:04x}" == batch["suite"], f"{where}: another suite"
        for key, value in case["context"].items():
            if key not in batch["required_context_keys"]:
                assert header.encryption_context[key] == value, f"{where}: another context"


def main():
    commands = {"encrypt": encrypt, "decrypt": decrypt}
    for line in sys.stdin:
        command, _, folder = line.strip().partition(" ")
        folder = pathlib.Path(folder)
        try:
            commands[command](folder, json.loads((folder / "batch.json").read_text()))
            print("ok", flush=True)
        except Exception as error:  # whatever it is, the other side reports it
            text = f"{type(error).__name__}: {error}".replace("\n", " ")
            print(f"failed {text}", flush=True)


main()

"""The Amazon S3 Encryption Client for Python as a peer.

Reads one command a line and answers it with one line, both JSON objects; a command that fails is
answered `{"error": TEXT}`. The first command is `start`.
"""
import functools
import hashlib
import io
import json
import sys

import boto3
from botocore.config import Config
from s3_encryption import S3EncryptionClient, S3EncryptionClientConfig
from s3_encryption.materials.kms_keyring import KmsKeyring
from s3_encryption.materials.materials import AlgorithmSuite, CommitmentPolicy

PART_SIZE = 5 * 1024 * 1024
SUITES = {
    "v2": AlgorithmSuite.ALG_AES_256_GCM_IV12_TAG16_NO_KDF,
    "v3": AlgorithmSuite.ALG_AES_256_GCM_HKDF_SHA512_COMMIT_KEY,
}
# It writes no instruction files, has no keyrings for raw keys, and knows no format V1.
CAPABILITIES = {
    "writes": ["v2 kms metadata", "v3 kms metadata"],
    "reads": [
        f"{form} kms {place}" for form in ("v2-cbc", "v2", "v3") for place in ("metadata", "file")
    ],
    "multipart": True,
}


@functools.cache
def plaintext(length):
    return bytes((i ^ i >> 8 ^ i >> 16) & 255 for i in range(length))


class Peer:
    def start(self, command):
        self.settings = {
            "endpoint_url": command["endpoint"],
            "region_name": "us-east-1",
            "aws_access_key_id": "testkey",
            "aws_secret_access_key": "testsecret",
            "config": Config(s3={"addressing_style": "path"}),
        }
        self.kms = boto3.client("kms", **self.settings)
        self.kms_key_id = command["kms_key_id"]
        self.clients = {}
        return CAPABILITIES

    def client(self, suite, policy, legacy=False):
        """One a configuration: making one takes longer than using it."""
        wanted = (suite, policy, legacy)
        if wanted not in self.clients:
            self.clients[wanted] = S3EncryptionClient(
                boto3.client("s3", **self.settings),
                S3EncryptionClientConfig(
                    KmsKeyring(self.kms, self.kms_key_id, legacy),
                    encryption_algorithm=suite,
                    commitment_policy=policy,
                    enable_legacy_unauthenticated_modes=legacy,
                ),
            )
        return self.clients[wanted]

    def write(self, command):
        suite = SUITES[command["format"]]
        committing = suite is SUITES["v3"]
        policy = (
            CommitmentPolicy.REQUIRE_ENCRYPT_REQUIRE_DECRYPT
            if committing
            else CommitmentPolicy.FORBID_ENCRYPT_ALLOW_DECRYPT
        )
        client = self.client(suite, policy)
        bucket, key, context = command["bucket"], command["key"], command["context"]
        body = plaintext(command["length"])
        if command["multipart"]:
            client.upload_fileobj(
                io.BytesIO(body), bucket, key, multipart_chunksize=PART_SIZE, EncryptionContext=context
            )
        else:
            client.put_object(Bucket=bucket, Key=key, Body=body, EncryptionContext=context)
        return {}

    def read(self, command):
        policy = (
            CommitmentPolicy.REQUIRE_ENCRYPT_REQUIRE_DECRYPT
            if command["committed_only"]
            else CommitmentPolicy.REQUIRE_ENCRYPT_ALLOW_DECRYPT
        )
        client = self.client(SUITES["v3"], policy, command["legacy"])
        suffix = command.get("suffix")
        options = {"InstructionFileSuffix": suffix} if suffix else {}
        opened = client.get_object(
            Bucket=command["bucket"],
            Key=command["key"],
            EncryptionContext=command["context"],
            **options,
        )["Body"].read()
        return {"length": len(opened), "sha256": hashlib.sha256(opened).hexdigest()}


def main():
    peer = Peer()
    commands = {"start": peer.start, "write": peer.write, "read": peer.read}
    for line in sys.stdin:
        command = json.loads(line)
        try:
            answer = commands[command["command"]](command)
        except Exception as error:  # whatever it is, the other side judges it
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), flush=True)


main()

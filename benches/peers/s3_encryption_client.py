"""What the Amazon S3 Encryption Client for Python costs, beside `cargo bench -p benches --bench objects`.

    python3 -m venv /tmp/peer && /tmp/peer/bin/pip install -r interop/s3ec/requirements.txt
    /tmp/peer/bin/python benches/peers/s3_encryption_client.py

Puts and gets whole objects of format V3. Requests are made up to the last byte and answered in this
process, from memory: neither a network nor a server is measured. One data key serves all objects.
"""

import base64
import io
import json
import sys
import time

import boto3
from botocore.awsrequest import AWSResponse
from botocore.config import Config
from s3_encryption import S3EncryptionClient, S3EncryptionClientConfig
from s3_encryption.materials.kms_keyring import KmsKeyring

LENGTHS = [("1 KiB", 1 << 10, 300), ("8 MiB", 8 << 20, 10), ("1 GiB", 1 << 30, 2)]
KEY = "arn:aws:kms:us-east-1:111122223333:key/00000000-0000-0000-0000-000000000000"
DATA_KEY = base64.b64encode(bytes(32)).decode()


class Body(io.BytesIO):
    """A body as urllib3 has it."""

    def stream(self, amount=65536, decode_content=None):
        while chunk := self.read(amount):
            yield chunk


class Memory:
    """Answers what S3 and KMS would."""

    def __init__(self):
        self.headers, self.body = {}, b""

    def kms(self, request, **_):
        answer = {"KeyId": KEY, "Plaintext": DATA_KEY, "CiphertextBlob": DATA_KEY}
        return self.answer(request, {}, json.dumps(answer).encode())

    def s3(self, request, **_):
        if request.method == "PUT":
            body = request.body
            self.body = body if isinstance(body, (bytes, bytearray)) else body.read()
            named = ((k.lower(), v) for k, v in request.headers.items())
            self.headers = {k: text(v) for k, v in named if k.startswith("x-amz-meta-")}
            return self.answer(request, {}, b"")
        return self.answer(request, self.headers, self.body)

    @staticmethod
    def answer(request, headers, body):
        headers = {"content-length": str(len(body)), "etag": '"0"', **headers}
        return AWSResponse(request.url, 200, headers, Body(body))


def text(value):
    return value.decode() if isinstance(value, bytes) else value


def shortest(rounds, work):
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)


def main():
    memory = Memory()
    settings = {
        "region_name": "us-east-1",
        "aws_access_key_id": "testkey",
        "aws_secret_access_key": "testsecret",
        # Checksums cost about as much as the cipher, and ours are the store's.
        "config": Config(
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            s3={"payload_signing_enabled": False},
        ),
    }
    s3, kms = boto3.client("s3", **settings), boto3.client("kms", **settings)
    s3.meta.events.register("before-send.s3", memory.s3)
    kms.meta.events.register("before-send.kms", memory.kms)
    client = S3EncryptionClient(s3, S3EncryptionClientConfig(KmsKeyring(kms, KEY)))
    for name, length, rounds in LENGTHS:
        plaintext = bytes(length)

        def put():
            client.put_object(Bucket="bucket", Key="object", Body=plaintext)

        def get():
            body = client.get_object(Bucket="bucket", Key="object")["Body"].read()
            if len(body) != length:
                sys.exit(f"{len(body)} bytes came back, not {length}")

        for what, work in [("put", put), ("get", get)]:
            seconds = shortest(rounds, work)
            print(f"{name:<6} {what} {seconds * 1e6:>12.1f} us {length / seconds / 1e9:>7.2f} GB/s")


main()

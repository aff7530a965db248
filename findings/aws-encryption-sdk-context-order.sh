#!/usr/bin/env bash
# One would guess: a message that one AWS Encryption SDK wrote under a raw AES key opens in another
# language under the same key; the format is one, and both sort the encryption context.
#
# What happens: JavaScript's SDK sorts the context's keys by locale unless its raw AES keyring is made with
# `utf8Sorting: true`. Python's sorts them by their bytes, as the specification says. The sorted pairs are
# authenticated when the data key is wrapped. So with keys as ordinary as "Zone" and "apple" Python cannot
# unwrap what JavaScript wrote, and says no more than that no key fits.
#
# Why it matters: messages with keys of lower-case letters alone pass every test, and those of production
# do not open. Set `utf8Sorting: true` before the first message is written.
#
# Versions: @aws-crypto/client-node 5.0.2 on Node.js; aws-encryption-sdk 4.0.7 with
# aws-cryptographic-material-providers 1.11.3 on Python 3. Needs node, npm and python3.
set -euo pipefail

folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
cd "$folder"

npm install --silent --no-fund --no-audit @aws-crypto/client-node@5.0.2
python3 -m venv python
python/bin/pip install --quiet --disable-pip-version-check \
    aws-encryption-sdk==4.0.7 aws-cryptographic-material-providers==1.11.3

cat >write.js <<'END'
const fs = require('node:fs')
const sdk = require('@aws-crypto/client-node')
const { encrypt } = sdk.buildClient(sdk.CommitmentPolicy.REQUIRE_ENCRYPT_REQUIRE_DECRYPT)
const contexts = {
  lower: { zone: '1', apple: '2' },
  mixed: { Zone: '1', apple: '2' }
}
async function main () {
  for (const [name, encryptionContext] of Object.entries(contexts)) {
    for (const utf8Sorting of [false, true]) {
      const keyring = new sdk.RawAesKeyringNode({
        keyNamespace: 'example',
        keyName: 'key',
        unencryptedMasterKey: new Uint8Array(32).fill(7),
        wrappingSuite: sdk.RawAesWrappingSuiteIdentifier.AES256_GCM_IV12_TAG16_NO_PADDING,
        utf8Sorting
      })
      const { result } = await encrypt(keyring, 'hello', { encryptionContext })
      fs.writeFileSync(`${name} utf8Sorting ${utf8Sorting}`, result)
    }
  }
}
main()
END

cat >read.py <<'END'
import pathlib
import sys

import aws_encryption_sdk
from aws_cryptographic_material_providers.mpl import AwsCryptographicMaterialProviders, models
from aws_cryptographic_material_providers.mpl.config import MaterialProvidersConfig

providers = AwsCryptographicMaterialProviders(config=MaterialProvidersConfig())
keyring = providers.create_raw_aes_keyring(
    models.CreateRawAesKeyringInput(
        key_namespace="example",
        key_name="key",
        wrapping_key=bytes([7] * 32),
        wrapping_alg=models.AesWrappingAlg.ALG_AES256_GCM_IV12_TAG16,
    )
)
client = aws_encryption_sdk.EncryptionSDKClient()
for path in sorted(pathlib.Path(".").glob("* utf8Sorting *")):
    try:
        plaintext, _ = client.decrypt(source=path.read_bytes(), keyring=keyring)
        print(f"{path}: {plaintext.decode()}")
    except Exception as error:
        print(f"{path}: {type(error).__name__}")
END

node write.js >warnings.txt 2>&1
python/bin/python read.py >found.txt 2>>warnings.txt

echo "node $(node --version), $(python3 --version)"
echo "JavaScript writes, Python reads:"
cat found.txt
grep -q '^lower utf8Sorting false: hello$' found.txt
grep -q '^lower utf8Sorting true: hello$' found.txt
grep -q '^mixed utf8Sorting true: hello$' found.txt
# The name of an error.
grep -q '^mixed utf8Sorting false: [A-Z]' found.txt
echo "as described"

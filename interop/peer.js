// The AWS Encryption SDK for JavaScript as a peer; the same protocol as peer.py.
'use strict'

const assert = require('node:assert')
const fs = require('node:fs')
const path = require('node:path')
const readline = require('node:readline')
const crypto = require('node:crypto')
const sdk = require('@aws-crypto/client-node')

const committed = sdk.buildClient(sdk.CommitmentPolicy.REQUIRE_ENCRYPT_ALLOW_DECRYPT)
const uncommitted = sdk.buildClient(sdk.CommitmentPolicy.FORBID_ENCRYPT_ALLOW_DECRYPT)

const AES = {
  16: sdk.RawAesWrappingSuiteIdentifier.AES128_GCM_IV12_TAG16_NO_PADDING,
  24: sdk.RawAesWrappingSuiteIdentifier.AES192_GCM_IV12_TAG16_NO_PADDING,
  32: sdk.RawAesWrappingSuiteIdentifier.AES256_GCM_IV12_TAG16_NO_PADDING
}

function keyring (description, writing) {
  if (description.type === 'multi') {
    const [generator, ...children] = description.keyrings.map((k) => keyring(k, writing))
    return new sdk.MultiKeyringNode({ generator, children })
  }
  const names = { keyNamespace: description.namespace, keyName: description.name }
  if (description.type === 'raw-aes') {
    const key = Buffer.from(description.key, 'base64')
    const unencryptedMasterKey = new Uint8Array(key)
    return new sdk.RawAesKeyringNode({
      ...names,
      unencryptedMasterKey,
      wrappingSuite: AES[key.length],
      // Without it the context is ordered by locale, and only this SDK can unwrap the key.
      utf8Sorting: true
    })
  }
  const rsaKey = writing ? { publicKey: description.public } : { privateKey: description.private }
  const pkcs1 = description.padding === 'pkcs1'
  return new sdk.RawRsaKeyringNode({
    ...names,
    rsaKey,
    padding: pkcs1 ? crypto.constants.RSA_PKCS1_PADDING : crypto.constants.RSA_PKCS1_OAEP_PADDING,
    oaepHash: pkcs1 ? undefined : description.padding.replace('oaep-', '')
  })
}

function plaintext (length) {
  const bytes = Buffer.alloc(length)
  for (let i = 0; i < length; i++) bytes[i] = i % 251
  return bytes
}

async function encrypt (folder, batch) {
  const suiteId = parseInt(batch.suite, 16)
  const client = suiteId >= 0x0400 ? committed : uncommitted
  const keys = keyring(batch.keyring, true)
  for (const { id, frame_length: frameLength, context, length } of batch.cases) {
    const { result } = await client.encrypt(keys, plaintext(length), {
      suiteId,
      frameLength,
      encryptionContext: context
    })
    fs.writeFileSync(path.join(folder, `${id}.message`), result)
  }
}

async function decrypt (folder, batch) {
  const keys = keyring(batch.keyring, false)
  for (const { id, context, length } of batch.cases) {
    const message = fs.readFileSync(path.join(folder, `${id}.message`))
    const { plaintext: opened, messageHeader } = await committed.decrypt(keys, message)
    assert(opened.equals(plaintext(length)), `case ${id}: another plaintext`)
    assert.strictEqual(messageHeader.suiteId, parseInt(batch.suite, 16), `case ${id}: another suite`)
    for (const [key, value] of Object.entries(context)) {
      assert.strictEqual(messageHeader.encryptionContext[key], value, `case ${id}: another context`)
    }
  }
}

async function main () {
  const commands = { encrypt, decrypt }
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const [command, folder] = line.split(/ (.*)/)
    try {
      const batch = JSON.parse(fs.readFileSync(path.join(folder, 'batch.json')))
      await commands[command](folder, batch)
      console.log('ok')
    } catch (error) {
      console.log(`failed ${error.name}: ${error.message}`.replaceAll('\n', ' '))
    }
  }
}

main()

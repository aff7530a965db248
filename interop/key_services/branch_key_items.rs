use std::collections::HashMap;

use anyhow::{Context, Result, bail, ensure};
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use envelope::{EncryptionContext, Error, ErrorKind};
use envelope_aws_kms::{Arn, BranchKeyError, BranchKeyStore, KmsError};

use crate::branch_keys::{BranchKeys, team};
use crate::check::{check as one, refused};
use crate::emulator::{OTHER_REGION, REGION};
use crate::key_store::{self, KeyStore};
use crate::messages::{UNSIGNED, not_opened, opening, seal};

type Item = HashMap<String, AttributeValue>;

const ACTIVE: &str = "branch:ACTIVE";
/// What KMS says of an item that is not as it was written.
const NOT_AUTHENTIC: &str = "InvalidCiphertextException";
/// What is said of one under another key, which may be the configuration's fault.
const FOREIGN: &str = "which is not the store's key";

/// What Python says then.
const OF_KMS: &str = "ComAmazonawsKms";

/// An alteration of an item.
struct Alteration {
    name: &'static str,
    alter: fn(&mut Item, &Others) -> Result<()>,
    /// What our side says.
    part: &'static str,
    /// What Python says.
    peer_part: &'static str,
}

/// What is taken from elsewhere.
struct Others {
    /// The same version's item of the other type.
    sibling: Item,
    /// A key of KMS in another region.
    key: Arn,
}

const ALTERATIONS: [Alteration; 9] = [
    Alteration {
        name: "another pair",
        alter: |item, _| set(item, "aws-crypto-ec:team", "Breite"),
        part: NOT_AUTHENTIC,
        peer_part: OF_KMS,
    },
    Alteration {
        name: "a missing pair",
        alter: |item, _| removed(item, "aws-crypto-ec:team"),
        part: NOT_AUTHENTIC,
        peer_part: OF_KMS,
    },
    Alteration {
        name: "a further pair",
        alter: |item, _| set(item, "aws-crypto-ec:admin", "yes"),
        part: NOT_AUTHENTIC,
        peer_part: OF_KMS,
    },
    Alteration {
        name: "another time",
        alter: |item, _| set(item, "create-time", "2020-01-01T00:00:00.000000Z"),
        part: NOT_AUTHENTIC,
        peer_part: OF_KMS,
    },
    Alteration {
        name: "a flipped bit",
        alter: |item, _| {
            let Some(AttributeValue::B(wrapped)) = item.get("enc") else {
                bail!("no wrapped key");
            };
            let mut wrapped = wrapped.clone().into_inner();
            *wrapped.last_mut().context("it is empty")? ^= 1;
            item.insert("enc".to_owned(), AttributeValue::B(Blob::new(wrapped)));
            Ok(())
        },
        part: NOT_AUTHENTIC,
        peer_part: OF_KMS,
    },
    Alteration {
        name: "the wrapped key of the other item",
        alter: |item, others| {
            let wrapped = others.sibling.get("enc").context("no wrapped key")?;
            item.insert("enc".to_owned(), wrapped.clone());
            Ok(())
        },
        part: NOT_AUTHENTIC,
        peer_part: OF_KMS,
    },
    Alteration {
        name: "another key of KMS",
        alter: |item, others| set(item, "kms-arn", &others.key.to_string()),
        part: FOREIGN,
        peer_part: "KMS Key ARN",
    },
    Alteration {
        name: "another hierarchy version",
        alter: |item, _| {
            let two = AttributeValue::N("2".to_owned());
            item.insert("hierarchy-version".to_owned(), two);
            Ok(())
        },
        part: "attribute \"hierarchy-version\" is not 1; use a newer library",
        peer_part: OF_KMS,
    },
    Alteration {
        name: "no wrapped key",
        alter: |item, _| removed(item, "enc"),
        part: "attribute \"enc\" is missing",
        peer_part: "Item found is not a valid",
    },
];

fn set(item: &mut Item, name: &str, text: &str) -> Result<()> {
    let text = AttributeValue::S(text.to_owned());
    item.insert(name.to_owned(), text);
    Ok(())
}

fn removed(item: &mut Item, name: &str) -> Result<()> {
    item.remove(name).context("there was none")?;
    Ok(())
}

/// What both sides make of items that are not as they were written, and ours of stores that cannot
/// do what they are asked.
pub(crate) async fn check(keys: &mut BranchKeys<'_>) -> Result<()> {
    let name = keys.kms.name;
    one(name, "branch keys: altered items", altered(keys)).await?;
    one(name, "branch keys: of another store", another_store(keys)).await?;
    one(name, "branch keys: missing", missing(keys)).await?;
    one(name, "branch keys: discovery", discovery(keys)).await
}

/// All items of a branch key.
pub(crate) async fn items(keys: &BranchKeys<'_>, id: &str) -> Result<Vec<Item>> {
    let request = keys.kms.dynamodb().query().table_name(key_store::TABLE);
    let found = request
        .key_condition_expression("#id = :id")
        .expression_attribute_names("#id", "branch-key-id")
        .expression_attribute_values(":id", AttributeValue::S(id.to_owned()))
        .consistent_read(true)
        .send()
        .await?;
    Ok(found.items.unwrap_or_default())
}

async fn put(keys: &BranchKeys<'_>, item: &Item) -> Result<()> {
    let request = keys.kms.dynamodb().put_item().table_name(key_store::TABLE);
    request.set_item(Some(item.clone())).send().await?;
    Ok(())
}

fn item_type(item: &Item) -> Option<&str> {
    item.get("type")?.as_s().ok().map(String::as_str)
}

async fn altered(keys: &mut BranchKeys<'_>) -> Result<String> {
    let id = keys.store.create_key(Some("altered"), &team()?).await?;
    let description = keys.one(&id);
    let context = EncryptionContext::default();
    let messages = keys.seal(&description, &context).await?;
    let items = items(keys, &id).await?;
    let of_type = |prefix: &str| {
        let mut items = items.iter();
        let found = items.find(|item| item_type(item).is_some_and(|text| text.starts_with(prefix)));
        found.cloned().context("no such item")
    };
    let (active, version) = (of_type(ACTIVE)?, of_type("branch:version:")?);
    let key = keys.kms.symmetric_key(OTHER_REGION).await?;
    let mut count = 0;
    for (item, sibling) in [(&active, &version), (&version, &active)] {
        let is_active = item_type(item) == Some(ACTIVE);
        let others = Others {
            sibling: sibling.clone(),
            key: key.clone(),
        };
        for alteration in &ALTERATIONS {
            let mut altered = item.clone();
            (alteration.alter)(&mut altered, &others)?;
            put(keys, &altered).await?;
            let refusals = match is_active {
                true => writes_nothing(keys, &id, alteration).await,
                false => reads_nothing(keys, &id, &messages, alteration).await,
            };
            refusals.with_context(|| alteration.name)?;
            put(keys, item).await?;
            count += 1;
        }
    }
    // As they were, they are as good as before.
    let keyring = description.keyring(keys.kms)?;
    for message in &messages {
        envelope::decrypt(&*keyring, message, &opening()).await?;
    }
    seal(&*keyring, UNSIGNED, &context).await?;
    Ok(format!("{count} ways refused by both sides"))
}

/// Neither side writes with the branch key, nor makes a version of it.
async fn writes_nothing(
    keys: &mut BranchKeys<'_>,
    id: &str,
    alteration: &Alteration,
) -> Result<()> {
    let part = alteration.part;
    let before = items(keys, id).await?.len();
    let description = keys.one(id);
    let context = EncryptionContext::default();
    let keyring = description.keyring(keys.kms)?;
    let error = seal(&*keyring, UNSIGNED, &context).await.err();
    let Some(Error::Keyring(error)) = error else {
        bail!("{error:?}");
    };
    let text = error.to_string();
    ensure!(text.contains(part), "no {part:?} in: {text}");
    let error = keys.store.create_version(id).await.err();
    let text = branch_key_error(error, id)?;
    ensure!(text.contains(part), "no {part:?} in: {text}");
    let description = description.to_json(keys.kms)?;
    let answer = keys.peer.seal(&description, UNSIGNED, &context).await?;
    refused(answer, &[alteration.peer_part])?;
    let answer = keys.peer_versions(id).await?;
    refused(answer, &[alteration.peer_part])?;
    let after = items(keys, id).await?.len();
    ensure!(before == after, "{before} items became {after}");
    Ok(())
}

/// Neither side reads what was written with the branch key.
async fn reads_nothing(
    keys: &mut BranchKeys<'_>,
    id: &str,
    messages: &[Vec<u8>],
    alteration: &Alteration,
) -> Result<()> {
    let description = keys.one(id);
    let keyring = description.keyring(keys.kms)?;
    let context = EncryptionContext::default();
    for message in messages {
        let kind = match alteration.part {
            FOREIGN => ErrorKind::InvalidRequest,
            _ => ErrorKind::NoKey,
        };
        let parts = [
            "failed: branch key \"altered\", item \"branch:version:",
            alteration.part,
        ];
        not_opened(&*keyring, message, &opening(), kind, &parts).await?;
        let description = description.to_json(keys.kms)?;
        let answer = keys.peer.opens(&description, message, UNSIGNED, &context);
        refused(answer.await?, &[alteration.peer_part])?;
    }
    Ok(())
}

/// The text of an error about the active item: of KMS, which did not take it, or of what is in it.
fn branch_key_error(error: Option<BranchKeyError>, id: &str) -> Result<String> {
    let error = error.context("a version was made")?;
    match &error {
        BranchKeyError::Kms {
            branch_key,
            item_type,
            error: kms,
        } => {
            ensure!(branch_key == id && item_type == ACTIVE, "{error:?}");
            ensure!(matches!(**kms, KmsError::Refused { .. }), "{error:?}");
        }
        BranchKeyError::Malformed {
            branch_key,
            item_type,
            ..
        }
        | BranchKeyError::ForeignKmsKey {
            branch_key,
            item_type,
            ..
        } => ensure!(branch_key == id && item_type == ACTIVE, "{error:?}"),
        _ => bail!("{error:?}"),
    }
    Ok(error.to_string())
}

/// Branch keys are bound to the name of their store.
async fn another_store(keys: &mut BranchKeys<'_>) -> Result<String> {
    let none = EncryptionContext::default();
    let id = keys.store.create_key(None, &none).await?;
    let other = keys.store.clone().with_logical_name("another")?;
    let error = other.active(&id).await.err();
    let text = branch_key_error(error, &id)?;
    ensure!(text.contains(NOT_AUTHENTIC), "{text}");
    Ok(text)
}

async fn missing(keys: &mut BranchKeys<'_>) -> Result<String> {
    let error = keys.store.active("nobody").await.err();
    ensure!(
        matches!(&error, Some(BranchKeyError::NotFound { item_type, .. }) if item_type == ACTIVE),
        "{error:?}"
    );
    let error = keys.store.create_version("nobody").await.err();
    ensure!(
        matches!(&error, Some(BranchKeyError::NotFound { .. })),
        "{error:?}"
    );
    let answer = keys.peer_versions("nobody").await?;
    refused(answer, &["No item found for corresponding branch key"])?;
    let configuration = keys.description.configuration.clone();
    let (dynamodb, kms) = (keys.kms.dynamodb(), keys.kms.kms(REGION));
    let store = BranchKeyStore::new(dynamodb, kms, "no-table", configuration)?;
    let error = store.active("nobody").await.err();
    let Some(BranchKeyError::Refused { code, .. }) = &error else {
        bail!("{error:?}");
    };
    ensure!(
        code.as_deref() == Some("ResourceNotFoundException"),
        "{code:?}"
    );
    refused(
        error.map_or(Ok(()), Err),
        &["dynamodb:GetItem of table no-table"],
    )
}

/// It reads what any key wrapped, and makes nothing.
async fn discovery(keys: &mut BranchKeys<'_>) -> Result<String> {
    let none = EncryptionContext::default();
    let id = keys.store.create_key(None, &none).await?;
    let store = KeyStore::discovery(REGION).open(keys.kms)?;
    let (ours, theirs) = (keys.store.active(&id).await?, store.active(&id).await?);
    ensure!(ours.version() == theirs.version(), "another version");
    let error = store.create_version(&id).await.err();
    ensure!(matches!(error, Some(BranchKeyError::ReadOnly)), "{error:?}");
    let error = store.create_key(None, &none).await;
    let error = error.err();
    ensure!(matches!(error, Some(BranchKeyError::ReadOnly)), "{error:?}");
    refused(error.map_or(Ok(()), Err), &["makes no keys"])
}

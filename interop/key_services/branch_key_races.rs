use anyhow::{Result, bail, ensure};
use envelope_aws_kms::BranchKeyError;
use futures::future::join_all;

use crate::branch_key_items::items;
use crate::branch_keys::{BranchKeys, team};
use crate::check::{check as one, refused};

/// Callers at the same moment.
const CALLERS: usize = 4;
/// How often it is tried until some of them meet.
const ROUNDS: usize = 20;

/// What is written when several callers make the same branch key, or versions of it.
pub(crate) async fn check(keys: &mut BranchKeys<'_>) -> Result<()> {
    let name = keys.kms.name;
    one(
        name,
        "branch keys: made by several callers",
        created_twice(keys),
    )
    .await?;
    one(
        name,
        "branch keys: versioned by several callers",
        versions(keys),
    )
    .await?;
    one(
        name,
        "branch keys: versioned by both sides at once",
        of_both_sides(keys),
    )
    .await
}

/// One caller makes it, whoever comes second hears of it.
async fn created_twice(keys: &mut BranchKeys<'_>) -> Result<String> {
    let context = team()?;
    let id = "made twice";
    let calls = (0..CALLERS).map(|_| keys.store.create_key(Some(id), &context));
    let results = join_all(calls).await;
    let made = results.iter().filter(|result| result.is_ok()).count();
    ensure!(made == 1, "{made} callers made it");
    for error in results.into_iter().filter_map(Result::err) {
        ensure!(
            matches!(&error, BranchKeyError::AlreadyExists { branch_key, .. } if branch_key == id),
            "{error:?}"
        );
    }
    let count = items(keys, id).await?.len();
    ensure!(count == 3, "{count} items");
    let active = keys.store.active(id).await?;
    let answer = keys.peer_creates(Some(id), &context).await?;
    refused(answer, &["ConditionalCheckFailed"])?;
    let after = keys.store.active(id).await?;
    ensure!(active.version() == after.version(), "it was replaced");
    let id = "made by Python";
    let made = keys.peer_creates(Some(id), &context).await?;
    made.map_err(anyhow::Error::msg)?;
    let error = keys.store.create_key(Some(id), &context).await;
    refused(error, &["\"made by Python\" exists already in table"])
}

/// Each caller makes a version or hears that another one was first, and then wrote nothing.
async fn versions(keys: &mut BranchKeys<'_>) -> Result<String> {
    let id = keys.store.create_key(Some("raced"), &team()?).await?;
    let mut made = Vec::new();
    let mut lost = 0;
    for _ in 0..ROUNDS {
        let before = made.len();
        let calls = (0..CALLERS).map(|_| keys.store.create_version(&id));
        for result in join_all(calls).await {
            match result {
                Ok(version) => made.push(version),
                Err(BranchKeyError::ChangedMeanwhile { branch_key }) => {
                    ensure!(branch_key == id, "{branch_key}");
                    lost += 1;
                }
                Err(error) => bail!("{error}"),
            }
        }
        ensure!(made.len() > before, "all lost");
        // The first version, the active one and the beacon key are beside them.
        let count = items(keys, &id).await?.len();
        let expected = made.len() + 3;
        ensure!(count == expected, "{count} items, not {expected}");
        if lost > 0 {
            break;
        }
    }
    ensure!(lost > 0, "callers never met");
    for version in &made {
        keys.store.version(&id, version).await?;
    }
    let active = keys.store.active(&id).await?;
    let is_made = made.iter().any(|version| version == active.version());
    ensure!(is_made, "nobody made the active version");
    Ok(format!("{} made, {lost} lost", made.len()))
}

/// As between our own callers.
async fn of_both_sides(keys: &mut BranchKeys<'_>) -> Result<String> {
    let id = "raced by both";
    keys.store.create_key(Some(id), &team()?).await?;
    let store = keys.store.clone();
    let (mut made, mut lost) = (0, 0);
    for _ in 0..ROUNDS {
        let (ours, theirs) = tokio::join!(store.create_version(id), keys.peer_versions(id));
        match ours {
            Ok(_) => made += 1,
            Err(BranchKeyError::ChangedMeanwhile { .. }) => lost += 1,
            Err(error) => bail!("{error}"),
        }
        match theirs? {
            Ok(()) => made += 1,
            refusal => {
                refused(refusal, &["ConditionalCheckFailed"])?;
                lost += 1;
            }
        }
        let count = items(keys, id).await?.len();
        let expected = made + 3;
        ensure!(count == expected, "{count} items, not {expected}");
    }
    keys.store.active(id).await?;
    Ok(format!("{made} made, {lost} lost"))
}

use std::time::Duration;

use async_trait::async_trait;
use envelope_aws_kms::{
    Arn, BranchKeyError, BranchKeyIdSupplier, BranchKeyStore, Hierarchical, KmsConfiguration,
};
use serde::Deserialize;

use super::fields::Fields;
use super::on_aws::OnAws;
use super::opened_key::OpenedKey;
use super::opening::Opening;

/// `type = "aws-kms-hierarchy"`
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct AwsKmsHierarchyEntry {
    table: String,
    logical_name: Option<String>,
    kms_key_arn: String,
    branch_key_id: Option<String>,
    branch_key_from_context: Option<String>,
    #[serde(with = "humantime_serde")]
    cache_max_age: Duration,
    /// Names the entry in errors; the message format has no place for it.
    #[serde(default, rename = "name")]
    _name: Option<String>,
}

#[async_trait]
impl Fields for OnAws<AwsKmsHierarchyEntry> {
    async fn open(self: Box<Self>, opening: &mut Opening<'_>) -> Result<OpenedKey, String> {
        let Self { aws, entry } = *self;
        let (supplier, branch_key) = entry.supplier()?;
        let arn = entry.kms_key_arn.parse();
        let arn: Arn = arn.map_err(|error| format!("field \"kms-key-arn\": {error}"))?;
        let config = opening.aws(&aws, Some(arn.region())).await?;
        let in_field = |field: &str| {
            let field = field.to_owned();
            move |error: BranchKeyError| format!("field {field:?}: {error}")
        };
        let name = format!("{branch_key} in {} under {arn}", entry.table);
        let about = match arn.is_key() {
            true => "table",
            false => "kms-key-arn",
        };
        // Replicas are one key, so that a store of one region is read in another.
        let configuration = match arn.is_multi_region() {
            true => KmsConfiguration::MultiRegionKey(arn),
            false => KmsConfiguration::Key(arn),
        };
        let mut store = BranchKeyStore::new(
            aws_sdk_dynamodb::Client::new(&config),
            aws_sdk_kms::Client::new(&config),
            entry.table,
            configuration,
        )
        .map_err(in_field(about))?
        .with_grant_tokens(&aws.grant_tokens);
        if let Some(logical_name) = entry.logical_name {
            store = store
                .with_logical_name(logical_name)
                .map_err(in_field("logical-name"))?;
        }
        let keyring = Hierarchical::new(store.clone(), supplier, entry.cache_max_age)
            .map_err(|error| format!("field \"cache-max-age\": {error}"))?;
        Ok(OpenedKey::new(name, keyring).with_branch_keys(store))
    }
}

impl AwsKmsHierarchyEntry {
    /// What chooses the branch key, and how people call that.
    fn supplier(&self) -> Result<(BranchKeyIdSupplier, String), String> {
        match (&self.branch_key_id, &self.branch_key_from_context) {
            (Some(id), None) => Ok((BranchKeyIdSupplier::fixed(id), id.clone())),
            (None, Some(key)) => Ok((
                BranchKeyIdSupplier::value_of(key),
                format!("the value of {key:?}"),
            )),
            _ => Err(
                "give exactly one of \"branch-key-id\" and \"branch-key-from-context\"".to_owned(),
            ),
        }
    }
}

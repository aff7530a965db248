use std::fmt;

/// A call of DynamoDB, for errors.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TableCall {
    /// DynamoDB's name of the operation.
    pub operation: &'static str,
    /// The table as it was configured.
    pub table: String,
    /// The client's region, if it has one.
    pub region: Option<String>,
}

impl TableCall {
    /// The permission that the call needs, as `dynamodb:GetItem`.
    #[must_use]
    pub fn permission(&self) -> &'static str {
        match self.operation {
            "GetItem" => "dynamodb:GetItem",
            // A transaction needs the permissions of what it does; it has none of its own.
            "TransactWriteItems" => "dynamodb:PutItem",
            "CreateTable" => "dynamodb:CreateTable",
            _ => "dynamodb:DescribeTable",
        }
    }
}

/// Writes `dynamodb:GetItem of table branch-keys in eu-west-1`.
impl fmt::Display for TableCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "dynamodb:{} of table {}", self.operation, self.table)?;
        match &self.region {
            Some(region) => write!(f, " in {region}"),
            None => Ok(()),
        }
    }
}

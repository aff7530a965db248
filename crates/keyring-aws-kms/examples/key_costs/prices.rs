use std::fmt;

use clap::Args;

use crate::workload::{Calls, Workload};

/// What AWS asks, in billionths of a US dollar. The defaults are for us-east-1, as others quoted AWS's
/// list in November 2026: check them on AWS's own pages; yours may differ.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct Prices {
    /// One request of KMS to a symmetric key (page "AWS Key Management Service pricing").
    #[arg(long, default_value_t = 3_000)]
    kms_request: u64,
    /// One key of KMS for a month (same page).
    #[arg(long, default_value_t = 1_000_000_000)]
    kms_key_month: u64,
    /// One consistent read of an item of up to 4 KB, on demand (page "Amazon DynamoDB pricing").
    #[arg(long, default_value_t = 125)]
    dynamo_db_read: u64,
    /// One write of an item of up to 1 KB, on demand (same page); in a transaction it counts twice.
    #[arg(long, default_value_t = 625)]
    dynamo_db_write: u64,
}

/// An amount of money.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Dollars {
    billionths: u64,
}

/// What making a branch key takes: two data keys made and one wrapped anew in KMS, and three items
/// written in one transaction.
pub(crate) const CALLS_TO_CREATE: Calls = Calls {
    kms: 3,
    dynamo_db: 1,
};
const WRITES_TO_CREATE: u64 = 2 * 3;

impl Prices {
    /// What calls cost.
    pub(crate) fn of(&self, calls: Calls) -> Dollars {
        Dollars {
            billionths: calls.kms * self.kms_request + calls.dynamo_db * self.dynamo_db_read,
        }
    }

    /// What making a branch key for each tenant costs, once.
    pub(crate) fn of_branch_keys(&self, workload: &Workload) -> Dollars {
        let each = CALLS_TO_CREATE.kms * self.kms_request + WRITES_TO_CREATE * self.dynamo_db_write;
        Dollars {
            billionths: workload.tenants * each,
        }
    }

    /// What a KMS key costs each month, whatever it is used for.
    pub(crate) fn of_key_month(&self) -> Dollars {
        Dollars {
            billionths: self.kms_key_month,
        }
    }
}

/// In dollars and hundredths of a cent.
impl fmt::Display for Dollars {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = self.billionths.saturating_add(50_000) / 100_000;
        f.pad(&format!("${}.{:04}", parts / 10_000, parts % 10_000))
    }
}

use std::time::Duration;

use serde::Deserialize;

/// How long a token is good for, as the server says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease {
    /// What was left when the server answered; none for a token that never expires.
    pub remaining: Option<Duration>,
    /// Whether the token can be renewed.
    pub is_renewable: bool,
}

impl Lease {
    fn new(seconds: u64, is_renewable: bool) -> Self {
        Self {
            // Both interfaces give 0 for a token that never expires.
            remaining: (seconds > 0).then(|| Duration::from_secs(seconds)),
            is_renewable,
        }
    }
}

/// The answer of `auth/token/lookup-self`.
#[derive(Deserialize)]
pub(crate) struct LookedUp {
    data: TokenData,
}

#[derive(Deserialize)]
struct TokenData {
    ttl: u64,
    #[serde(default)]
    renewable: bool,
}

/// The answer of `auth/token/renew-self`.
#[derive(Deserialize)]
pub(crate) struct Renewed {
    auth: Auth,
}

#[derive(Deserialize)]
struct Auth {
    lease_duration: u64,
    #[serde(default)]
    renewable: bool,
}

impl From<LookedUp> for Lease {
    fn from(LookedUp { data }: LookedUp) -> Self {
        Self::new(data.ttl, data.renewable)
    }
}

impl From<Renewed> for Lease {
    fn from(Renewed { auth }: Renewed) -> Self {
        Self::new(auth.lease_duration, auth.renewable)
    }
}

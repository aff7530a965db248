use crate::arn::Arn;

/// With which keys of KMS the branch keys of a store are wrapped. Source: AWS Encryption SDK
/// specification, "Branch Key Store", AWS KMS configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum KmsConfiguration {
    /// This key, and no other.
    Key(Arn),
    /// This multi-region key in its region; items under any of its replicas are read with it.
    MultiRegionKey(Arn),
    /// Whatever key an item names. Such a store only reads: whoever may write to the table chooses
    /// the key.
    Discovery,
    /// As [`Discovery`](Self::Discovery), but a multi-region key is used as its replica in this
    /// region.
    MultiRegionDiscovery {
        /// The region of the KMS client.
        region: String,
    },
}

impl KmsConfiguration {
    /// The key that new branch keys are wrapped with, if there is one.
    pub(crate) fn own_key(&self) -> Option<&Arn> {
        match self {
            Self::Key(own) | Self::MultiRegionKey(own) => Some(own),
            Self::Discovery | Self::MultiRegionDiscovery { .. } => None,
        }
    }

    /// The key to ask KMS for where an item names this one. None when it must not be used.
    pub(crate) fn key_for(&self, stored: &Arn) -> Option<Arn> {
        match self {
            Self::Key(own) => (own == stored).then(|| own.clone()),
            Self::MultiRegionKey(own) => own.is_replica_of(stored).then(|| own.clone()),
            Self::MultiRegionDiscovery { region } if stored.is_multi_region() => {
                Some(stored.in_region(region))
            }
            Self::Discovery | Self::MultiRegionDiscovery { .. } => Some(stored.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arn(region: &str, id: &str) -> Arn {
        format!("arn:aws:kms:{region}:1:key/{id}").parse().unwrap()
    }

    #[test]
    fn a_stored_key_is_used_only_where_the_configuration_allows_it() {
        let (here, there) = (arn("eu-west-1", "mrk-a"), arn("us-east-1", "mrk-a"));
        let single = arn("us-east-1", "b");
        let region = "eu-west-1".to_owned();
        for (configuration, stored, expected) in [
            (KmsConfiguration::Key(here.clone()), &here, Some(&here)),
            (KmsConfiguration::Key(here.clone()), &there, None),
            (
                KmsConfiguration::MultiRegionKey(here.clone()),
                &there,
                Some(&here),
            ),
            (
                KmsConfiguration::MultiRegionKey(here.clone()),
                &single,
                None,
            ),
            (
                KmsConfiguration::MultiRegionKey(arn("eu-west-1", "b")),
                &single,
                None,
            ),
            (KmsConfiguration::Discovery, &there, Some(&there)),
            (
                KmsConfiguration::MultiRegionDiscovery {
                    region: region.clone(),
                },
                &there,
                Some(&here),
            ),
            (
                KmsConfiguration::MultiRegionDiscovery { region },
                &single,
                Some(&single),
            ),
        ] {
            let found = configuration.key_for(stored);
            assert_eq!(found.as_ref(), expected, "{configuration:?} {stored}");
        }
    }
}

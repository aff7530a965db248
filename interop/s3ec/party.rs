use anyhow::Result;

use crate::form::Form;
use crate::object::{Object, Opened, Reading};
use crate::peer::Peer;

/// Who writes and reads objects.
pub(crate) enum Party {
    Peer(Peer),
}

impl Party {
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Peer(peer) => peer.kind.to_string(),
        }
    }

    /// What it can write.
    pub(crate) fn writes(&self) -> &[Form] {
        match self {
            Self::Peer(peer) => &peer.writes,
        }
    }

    /// Whether it can read this.
    pub(crate) fn reads(&self, form: Form) -> bool {
        match self {
            Self::Peer(peer) => peer.reads.contains(&form),
        }
    }

    /// Whether it uploads in parts.
    pub(crate) fn multipart(&self) -> bool {
        match self {
            Self::Peer(peer) => peer.multipart,
        }
    }

    /// Stores the object. The inner error is the party's.
    pub(crate) async fn write(&mut self, object: &Object) -> Result<Result<(), String>> {
        match self {
            Self::Peer(peer) => peer.write(object).await,
        }
    }

    /// Reads an object. The inner error is the party's.
    pub(crate) async fn read(&mut self, reading: &Reading) -> Result<Result<Opened, String>> {
        match self {
            Self::Peer(peer) => peer.read(reading).await,
        }
    }

    pub(crate) async fn stop(self) -> Result<()> {
        match self {
            Self::Peer(peer) => peer.stop().await,
        }
    }
}

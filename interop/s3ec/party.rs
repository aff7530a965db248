use anyhow::{Context, Result, bail};

use crate::form::{Form, Format};
use crate::object::{Object, Opened, Reading};
use crate::ours::Ours;
use crate::peer::{Peer, PeerKind};

pub(crate) const JAVA: &str = "Java";
pub(crate) const OURS: &str = "ours";
pub(crate) const PYTHON: &str = "Python";
pub(crate) const RUBY: &str = "Ruby";

/// Who writes and reads objects.
pub(crate) enum Party {
    Ours(Box<Ours>),
    Peer(Box<Peer>),
}

impl Party {
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Ours(_) => OURS,
            Self::Peer(peer) => peer.kind.name(),
        }
    }

    /// What it can write.
    pub(crate) fn writes(&self) -> &[Form] {
        match self {
            Self::Ours(ours) => &ours.writes,
            Self::Peer(peer) => &peer.writes,
        }
    }

    /// Whether it can read this.
    pub(crate) fn reads(&self, form: Form) -> bool {
        match self {
            Self::Ours(ours) => ours.reads.contains(&form),
            Self::Peer(peer) => peer.reads.contains(&form),
        }
    }

    /// Whether it uploads in parts.
    pub(crate) fn multipart(&self) -> bool {
        match self {
            Self::Ours(_) => true,
            Self::Peer(peer) => peer.multipart,
        }
    }

    /// Whether it reads parts of objects.
    pub(crate) fn reads_ranges(&self) -> bool {
        match self {
            Self::Ours(_) => true,
            Self::Peer(peer) => peer.kind == PeerKind::Java,
        }
    }

    /// Stores the object.
    pub(crate) async fn write(&mut self, object: &Object) -> Result<()> {
        match self {
            Self::Ours(ours) => ours.write(object).await,
            Self::Peer(peer) => peer.write(object).await,
        }
    }

    /// Reads an object. The inner error is the party's.
    pub(crate) async fn read(&mut self, reading: &Reading) -> Result<Result<Opened, String>> {
        match self {
            Self::Ours(ours) => ours.read(reading).await,
            Self::Peer(peer) => peer.read(reading).await,
        }
    }

    /// Reads an object.
    ///
    /// # Errors
    /// When it is refused, or is anything else than this.
    pub(crate) async fn read_as(&mut self, reading: &Reading, expected: &Opened) -> Result<()> {
        let name = self.name();
        let key = &reading.key;
        match self.read(reading).await? {
            Ok(opened) if opened == *expected => Ok(()),
            Ok(opened) => bail!("{name} reads {key} as {opened}"),
            Err(refusal) => bail!("{name} cannot read {key}: {refusal}"),
        }
    }

    /// Wraps the data key of an object anew: the instruction file that opens with one reading gives
    /// one that opens with the other.
    pub(crate) async fn reencrypt(
        &mut self,
        format: Format,
        from: &Reading,
        to: &Reading,
    ) -> Result<()> {
        match self {
            Self::Ours(ours) => ours.rewrap(from, to).await,
            Self::Peer(peer) => peer.reencrypt(format, from, to).await,
        }
    }

    pub(crate) async fn stop(self) -> Result<()> {
        match self {
            Self::Ours(_) => Ok(()),
            Self::Peer(peer) => peer.stop().await,
        }
    }
}

/// The party of this name.
pub(crate) fn named<'a>(parties: &'a mut [Party], name: &str) -> Result<&'a mut Party> {
    let mut parties = parties.iter_mut();
    let party = parties.find(|party| party.name() == name);
    party.with_context(|| format!("no party {name:?}"))
}

use std::fmt;

use envelope::MaterialsManager;

use crate::format::Format;

/// A format, and the keys that open its objects.
pub(crate) struct KeyedFormat {
    pub(crate) format: Box<dyn Format>,
    pub(crate) manager: Box<dyn MaterialsManager>,
}

impl fmt::Debug for KeyedFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.format.fmt(f)
    }
}

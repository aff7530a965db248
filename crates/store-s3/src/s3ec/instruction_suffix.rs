use object_store::path::Path;

/// Looks for an object's keys in the instruction file with this suffix. It goes into the `extensions`
/// of a [`GetOptions`](object_store::GetOptions), and of a rewrap.
///
/// ```
/// use envelope_s3::InstructionSuffix;
/// use object_store::GetOptions;
///
/// let mut options = GetOptions::new();
/// options.extensions.insert(InstructionSuffix::new(".partner"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstructionSuffix(String);

impl InstructionSuffix {
    /// The suffix of the files that are written with their objects.
    pub const DEFAULT: &str = ".instruction";

    /// As it stands behind the object's name, its dot included.
    #[must_use]
    pub fn new(suffix: impl Into<String>) -> Self {
        Self(suffix.into())
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

/// Where the file of the object at this place is.
pub(super) fn at(location: &Path, suffix: &str) -> Path {
    let text = format!("{location}{suffix}");
    // Parsed, as the location is encoded already.
    Path::parse(&text).unwrap_or_else(|_| Path::from(text))
}

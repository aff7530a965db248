/// How much of what can be combined is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Matrix {
    /// What each combination can prove by itself: each suite with each keyring, at each length at which
    /// something can go wrong, while contexts take turns.
    Cells,
    /// All of that with each other: `--full`.
    Full,
}

impl Matrix {
    /// Takes `--full` out of a program's arguments.
    pub(crate) fn take(arguments: &mut Vec<String>) -> Self {
        let all = arguments.len();
        arguments.retain(|argument| argument != "--full");
        match arguments.len() == all {
            true => Self::Cells,
            false => Self::Full,
        }
    }
}

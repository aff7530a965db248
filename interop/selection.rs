use std::path::Path;

use anyhow::{Result, bail, ensure};

/// What `PROGRAM TOOLS [NAME…]` asks for: the folder of tools, and those of the known names that are
/// given, in the order of the run. Without a name it is all of them.
///
/// # Errors
/// When there is no folder, or a name is not known.
pub(crate) fn selection<'a>(
    program: &str,
    known: &[&'static str],
    arguments: &'a [String],
) -> Result<(&'a Path, Vec<&'static str>)> {
    let [tools, named @ ..] = arguments else {
        bail!("usage: {program} TOOLS [NAME…], where NAME is one of {known:?}");
    };
    for name in named {
        let is_known = known.contains(&name.as_str());
        ensure!(
            is_known,
            "nothing is called {name:?}; name one of {known:?}"
        );
    }
    let selected = known.iter().copied();
    let selected =
        selected.filter(|known| named.is_empty() || named.iter().any(|name| name == known));
    Ok((Path::new(tools), selected.collect()))
}

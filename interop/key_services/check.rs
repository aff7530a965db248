use anyhow::{Result, anyhow, ensure};
use tokio::time::Instant;

/// Runs one check. What it says goes behind its line.
pub(crate) async fn check(
    service: &str,
    name: &str,
    check: impl Future<Output = Result<String>>,
) -> Result<()> {
    let started = Instant::now();
    let said = check
        .await
        .map_err(|error| anyhow!("{service}: {name}: {error:#}"))?;
    let seconds = started.elapsed().as_secs_f64();
    println!("{service}: {name} {seconds:.1} s {said}");
    Ok(())
}

/// The text of an error that has to come, and has to hold each of these parts.
pub(crate) fn refused<T, E: std::fmt::Display>(
    result: Result<T, E>,
    parts: &[&str],
) -> Result<String> {
    let Err(error) = result else {
        return Err(anyhow!("nothing was refused; expected {parts:?}"));
    };
    let text = error.to_string();
    for part in parts {
        ensure!(text.contains(part), "no {part:?} in: {text}");
    }
    Ok(text)
}

/// Says what is not checked over a service, as it only pretends to do it.
pub(crate) fn left_out(service: &str, reasons: &[&str]) {
    for reason in reasons {
        println!("{service}: left out: {reason}");
    }
}

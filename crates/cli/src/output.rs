use std::io::{self, Write};
use std::process::ExitCode;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::{Value, json};

use crate::args::{Args, OutputFormat};
use crate::error::{Error, Failure};

/// How results, errors and progress are shown.
#[derive(Debug)]
pub(crate) struct Output {
    format: OutputFormat,
    quiet: bool,
    verbose: u8,
}

impl Output {
    pub(crate) fn new(args: &Args) -> Self {
        Self {
            format: args.output,
            quiet: args.quiet,
            verbose: args.verbose,
        }
    }

    /// Prints a result to standard output: one JSON object, or lines of text.
    pub(crate) fn result(&self, json: &Value, text: &str) -> Result<(), Error> {
        let mut output = io::stdout().lock();
        match self.format {
            OutputFormat::Json => writeln!(output, "{json}"),
            OutputFormat::Text => output.write_all(text.as_bytes()),
        }
        .map_err(|source| Error::Write {
            name: "standard output".to_owned(),
            source,
        })
    }

    /// Reports on work whose result went elsewhere. `piped` says that standard output carries
    /// that result itself.
    pub(crate) fn summary(&self, piped: bool, json: &Value) -> Result<(), Error> {
        if self.verbose > 0 {
            eprintln!("{json}");
        }
        if piped || self.format == OutputFormat::Text {
            return Ok(());
        }
        self.result(json, "")
    }

    /// Prints an error to standard error and returns its exit code.
    pub(crate) fn failure(&self, error: &Error) -> ExitCode {
        let failure = error.failure();
        let message = error.message();
        match self.format {
            OutputFormat::Text => eprintln!("envelope: {message}"),
            OutputFormat::Json => eprintln!("{}", failure_json(failure, &message, error)),
        }
        failure.exit_code()
    }

    /// Says that one of many objects failed, while others go on.
    pub(crate) fn object_failed(&self, name: &str, error: &Error) {
        let message = error.message();
        match self.format {
            OutputFormat::Text => eprintln!("envelope: {message}"),
            OutputFormat::Json => {
                let mut object = failure_json(error.failure(), &message, error);
                if let Some(fields) = object.as_object_mut() {
                    fields.insert("path".to_owned(), name.into());
                }
                eprintln!("{object}");
            }
        }
    }

    /// A bar on a terminal, nothing otherwise.
    pub(crate) fn progress(&self, length: Option<u64>) -> ProgressBar {
        let bar = ProgressBar::with_draw_target(length, ProgressDrawTarget::stderr());
        if self.quiet {
            bar.set_draw_target(ProgressDrawTarget::hidden());
        }
        let template = match length {
            Some(_) => "{bar:40} {bytes}/{total_bytes} {bytes_per_sec} {eta}",
            None => "{spinner} {bytes} {bytes_per_sec}",
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar
    }
}

/// Long reports are cut here, as the text is: a hostile message can hold 65 535 keys.
const LISTED_KEYS: usize = 20;

fn failure_json(failure: Failure, message: &str, error: &Error) -> Value {
    let mut object = json!({ "kind": failure.name(), "message": message });
    if let (Some(report), Some(fields)) = (error.not_unwrapped(), object.as_object_mut()) {
        let listed = report.keys().iter().take(LISTED_KEYS);
        let keys = listed.enumerate().map(|(index, (provider, name))| {
            let attempts = report.attempts().iter().filter(|a| a.index() == index);
            let attempts: Vec<_> = attempts
                .map(|attempt| {
                    json!({
                        "keyring": attempt.keyring(),
                        "outcome": if attempt.failed() { "failed" } else { "skipped" },
                        "reason": attempt.reason(),
                    })
                })
                .collect();
            json!({ "provider_id": provider, "key": name, "attempts": attempts })
        });
        fields.insert("encrypted_data_keys".to_owned(), keys.collect());
        let count = report.keys().len();
        fields.insert("encrypted_data_key_count".to_owned(), count.into());
    }
    object
}

/// Prints what is wrong with the command line itself, or the help that was asked for.
pub(crate) fn parse_failure(error: &clap::Error) -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().collect();
    let json = arguments.iter().any(|argument| argument == "--output=json")
        || arguments
            .windows(2)
            .any(|pair| pair == ["--output", "json"]);
    if json && error.use_stderr() {
        let message = error.render().to_string();
        eprintln!(
            "{}",
            json!({ "kind": Failure::Usage.name(), "message": message.trim_end() })
        );
    } else {
        // Nothing can be done when even this cannot be printed.
        let _ = error.print();
    }
    match error.use_stderr() {
        true => Failure::Usage.exit_code(),
        false => ExitCode::SUCCESS,
    }
}

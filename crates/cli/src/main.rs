//! The program `envelope`; the package's library is its body.
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    envelope_cli::main()
}

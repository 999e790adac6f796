//! How a run ends: the line of JSON, or a message and an exit status. Knows nothing of what was counted.

use std::fmt;
use std::io::Write as _;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use serde::Serialize;
use serde_json::Value;

use crate::setup::Setup;
use crate::timing::{cpu_time, nanos};

const FAILED: u8 = 1;
const UNSUPPORTED: u8 = 3;

/// The kernel, its configuration or this user's rights lack what was asked for: nothing is wrong, nothing was done.
#[derive(Debug)]
pub(crate) struct Unsupported(pub(crate) String);

impl fmt::Display for Unsupported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not supported here: {}", self.0)
    }
}

impl std::error::Error for Unsupported {}

#[derive(Serialize)]
struct Line<'a> {
    command: &'a str,
    pid: u32,
    setup: &'a Setup,
    #[serde(flatten)]
    counts: Value,
    cpu_ns: u64,
}

/// Prints the line of JSON. `counts` is an object; its keys join those of every subcommand.
///
/// # Errors
///
/// If stdout cannot be written, or the clock cannot be read.
pub(crate) fn print(command: &str, setup: &Setup, counts: Value) -> Result<()> {
    let cpu_ns = nanos(cpu_time()?.saturating_sub(setup.cpu_time));
    let line = serde_json::to_string(&Line { command, pid: std::process::id(), setup, counts, cpu_ns })?;
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}").and_then(|()| out.flush()).context("write the counts to stdout")
}

/// Tells why the run failed and gives the exit status for it.
pub(crate) fn report(error: &anyhow::Error) -> ExitCode {
    ExitCode::from(tell(error))
}

/// Ends the process at once: for a thread that others may be waiting for.
pub(crate) fn die(error: &anyhow::Error) -> ! {
    std::process::exit(tell(error).into())
}

fn tell(error: &anyhow::Error) -> u8 {
    eprintln!("mmload: {error:#}");
    if error.is::<Unsupported>() { UNSUPPORTED } else { FAILED }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unsupported_is_found_under_context() {
        let error = anyhow::Error::new(Unsupported("x".into())).context("open y");
        assert!(error.is::<Unsupported>());
        assert_eq!(format!("{error:#}"), "open y: not supported here: x");
    }
}

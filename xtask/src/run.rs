//! `cargo xtask run`: becomes the daemon, with root's rights.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::{Result, bail};

use crate::sh;

/// Replaces this process by `mmscope run`; returns only if that fails.
pub(crate) fn run(mmscope: &Path, args: &[String]) -> Result<ExitCode> {
    let mut command = if sh::is_root() {
        Command::new(mmscope)
    } else {
        let mut sudo = Command::new("sudo");
        sudo.arg(mmscope);
        sudo
    };
    command.arg("run").args(args);
    if !sh::is_root() {
        if sh::in_path("sudo").is_none() {
            bail!(
                "mmscope needs root and there is no sudo here; as root, run:\n  {}",
                sh::show(&command)["sudo ".len()..].to_owned()
            );
        }
        eprintln!("run: {}", sh::show(&command));
    }
    // exec: signals and the exit code are the daemon's own.
    let error = command.exec();
    bail!("start {}: {error}", sh::show(&command))
}

//! What a release has: for each kind of machine a tar archive and the packages, with the sums of all. Knows which; how they are made and
//! checked is in package.rs.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::machine::Machine;
use crate::package::{self, Kind, Stage};
use crate::setup::{self, Wants};
use crate::{dist, paths, sh};

/// The file of the sums.
const SUMS: &str = "SHA256SUMS";

/// `cargo xtask release`.
#[derive(Args)]
pub(crate) struct ReleaseArgs {
    /// Take the binaries of target/dist as they are
    #[arg(long, hide = true)]
    no_build: bool,
}

/// `cargo xtask release`: builds all, and prints where they are.
pub(crate) fn main(args: &ReleaseArgs) -> Result<()> {
    if !args.no_build {
        let tools = setup::setup(Wants { guests: false })?;
        for machine in Machine::ALL {
            dist::dist_for(machine, &tools, false)?;
        }
    }
    let folder = dist::folder().join("release");
    paths::clear(&folder)?;
    let mmscope = |machine| dist::folder_of(machine).join("mmscope");
    let mut files = Vec::new();
    for machine in Machine::ALL {
        let stage = Stage::lay_for(machine, &mmscope(machine), &mmscope(Machine::HOST), &folder)?;
        for kind in [Kind::Tar, Kind::Deb, Kind::Rpm] {
            files.push(stage.package(kind, package::VERSION)?);
        }
    }
    files.push(write_sums(&folder, &files)?);
    files.iter().for_each(|file| println!("{}", file.display()));
    Ok(())
}

/// Writes the sums as sha256sum reads them again, by the files' names alone.
fn write_sums(folder: &Path, files: &[PathBuf]) -> Result<PathBuf> {
    let names: Vec<_> = files.iter().filter_map(|file| file.file_name()).collect();
    let text = sh::output(Command::new("sha256sum").current_dir(folder).args(&names))?;
    if text.lines().count() != files.len() {
        bail!("sha256sum has not told the sum of each file:\n{text}");
    }
    let sums = folder.join(SUMS);
    fs::write(&sums, text).with_context(|| format!("write {}", sums.display()))?;
    Ok(sums)
}

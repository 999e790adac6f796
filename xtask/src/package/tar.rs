//! The tar archive, for systems with other packages: `tar -C / --strip-components=1 -xf FILE` installs it.

use std::path::Path;
use std::process::Command;

use anyhow::Result;

use super::{ENTRIES, NAME, Stage, check, tar_listing};
use crate::sh;

pub(super) fn make(stage: &Stage, package: &Path, version: &str) -> Result<()> {
    let top = format!("{NAME}-{version}");
    let mut tar = Command::new("tar");
    tar.current_dir(&stage.folder)
        .args(["--create", "--gzip", "--sort=name", "--owner=root:0", "--group=root:0"])
        .arg(format!("--mtime=@{}", stage.time))
        .arg(format!("--transform=s,^,{top}/,"))
        .arg("--file")
        .arg(package)
        .args(ENTRIES.iter().map(|entry| entry.to));
    sh::run(&mut tar)?;
    let listing = sh::output(Command::new("tar").args(["--list", "--verbose", "--file"]).arg(package))?;
    let mut listed = tar_listing(&listing);
    for (path, ..) in &mut listed {
        *path = path.strip_prefix(&format!("{top}/")).unwrap_or(path).to_owned();
    }
    check(package, &listed, &[])
}

/// As its users do.
pub(super) fn unpack(package: &Path, to: &Path) -> Result<()> {
    sh::run(Command::new("tar").arg("-C").arg(to).args(["--strip-components=1", "-xf"]).arg(package))
}

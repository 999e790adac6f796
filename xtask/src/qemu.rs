//! QEMU: the one in PATH, else Debian's, unpacked into the cache with the libraries that this machine lacks.
//!
//! Not installed: its packages are many, installing them takes root, and they would push out other versions of QEMU's
//! tools. Knows nothing of guests.
//!
//! Before 8.1, QEMU with a thread for each processor sometimes runs stale translations of code that another processor has just
//! patched: a kernel under it that attaches probes crashes now and then. One that old is taken only where no newer one is to
//! be had; Debian 12 has one in its backports.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::debian::Index;
use crate::machine::Machine;
use crate::{apt, paths, sh};

/// The first version whose translations are never stale.
const SOUND: (u32, u32) = (8, 1);

/// Where its packages keep firmware, below the root.
const DATA: [&str; 3] = ["usr/share/qemu", "usr/share/seabios", "usr/lib/ipxe/qemu"];

/// A QEMU that starts.
#[derive(Clone)]
pub(crate) struct Qemu {
    /// The program.
    pub(crate) program: PathBuf,
    /// Whether its translations are never stale.
    pub(crate) is_sound: bool,
    /// The folder that it was unpacked to, if it is not the system's.
    tree: Option<PathBuf>,
}

impl Qemu {
    /// Finds the one that emulates this machine, or unpacks it.
    pub(crate) fn setup(machine: Machine) -> Result<Self> {
        let installed = sh::in_path(machine.qemu()).and_then(|program| Self::at(program, None).ok());
        if let Some(installed) = installed.clone().filter(|qemu| qemu.is_sound || !apt::available()) {
            return Ok(installed.told());
        }
        let tree = paths::cache()?.join("tools").join(format!("emulator-{}", machine.debian()));
        let unpacked = || Self::at(tree.join("usr/bin").join(machine.qemu()), Some(tree.clone()));
        // It stops starting when the system under it is upgraded: then it is made again.
        let qemu = unpacked().or_else(|_| unpack(&tree, machine).and_then(|()| unpacked()));
        match (qemu, installed) {
            (Ok(qemu), _) => Ok(qemu.told()),
            (Err(error), Some(installed)) => {
                eprintln!("setup: {error:#} (going on with {})", installed.program.display());
                Ok(installed.told())
            }
            (Err(error), None) => Err(error),
        }
    }

    /// The program at this path, if it starts.
    fn at(program: PathBuf, tree: Option<PathBuf>) -> Result<Self> {
        let mut qemu = Self { program, is_sound: false, tree };
        let mut command = Command::new(&qemu.program);
        qemu.set_libraries(command.arg("--version"))?;
        let text = sh::output(&mut command)?;
        qemu.is_sound = text.split_once("version ").and_then(|(_, rest)| numbers(rest)) >= Some(SOUND);
        Ok(qemu)
    }

    /// Says so where it is one that crashes guests.
    fn told(self) -> Self {
        if !self.is_sound {
            let (program, (major, minor)) = (self.program.display(), SOUND);
            eprintln!("setup: {program} is older than {major}.{minor}: guests whose kernel patches itself may crash");
        }
        self
    }

    /// A command that runs it, and dies with us.
    pub(crate) fn command(&self) -> Result<Command> {
        let mut command = sh::dying_with_us(&self.program);
        self.set_libraries(&mut command)?;
        // Unpacked, it looks for its firmware where the packages would have put it.
        for folder in self.tree.iter().flat_map(|tree| DATA.map(|folder| tree.join(folder))) {
            command.arg("-L").arg(folder);
        }
        Ok(command)
    }

    fn set_libraries(&self, command: &mut Command) -> Result<()> {
        if let Some(tree) = &self.tree {
            command.env("LD_LIBRARY_PATH", libraries(tree)?);
        }
        Ok(())
    }
}

/// The folders of an unpacked tree that have libraries.
fn libraries(tree: &Path) -> Result<OsString> {
    let host = Machine::HOST.multiarch();
    let folders = [format!("usr/lib/{host}"), format!("lib/{host}"), format!("usr/lib/{host}/pulseaudio")];
    std::env::join_paths(folders.map(|folder| tree.join(folder)))
        .with_context(|| format!("the cache folder {} must have no colon in its name", tree.display()))
}

/// The first two numbers of a version: of "10.0.2 (Debian 1:10.0.2+ds-2)", and of "7.2+dfsg-7".
fn numbers(version: &str) -> Option<(u32, u32)> {
    let mut numbers = version.split(|letter: char| !letter.is_ascii_digit()).map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

/// Unpacks QEMU and all that it depends on and this machine does not have.
fn unpack(tree: &Path, machine: Machine) -> Result<()> {
    if !apt::available() {
        bail!("no {} in PATH: install it with this system's package manager", machine.qemu());
    }
    let new = tree.with_extension("new");
    for folder in [tree, &new] {
        if folder.exists() {
            fs::remove_dir_all(folder).with_context(|| format!("clear {}", folder.display()))?;
        }
    }
    let package = machine.qemu_package();
    let offered = apt::candidate(package)?;
    if numbers(offered.split_once(':').map_or(&*offered, |(_, version)| version)) >= Some(SOUND) {
        unpack_offered(package, &new)?;
    } else if let Err(error) = unpack_backport(package, &new) {
        eprintln!("setup: no newer {package} than {offered} from backports: {error:#}");
        unpack_offered(package, &new)?;
    }
    // Under its final name only when complete.
    fs::rename(&new, tree).with_context(|| format!("write {}", tree.display()))
}

/// The one of the system's own package sources.
fn unpack_offered(package: &str, to: &Path) -> Result<()> {
    let packages = apt::would_install(package)?;
    eprintln!("setup: QEMU into {} ({} packages)", to.display(), packages.len());
    apt::unpack_packages(&packages, to)
}

/// The one of the release's backports.
fn unpack_backport(package: &str, to: &Path) -> Result<()> {
    let index = Index::of_host()?;
    let packages = index.would_backport(package)?;
    let packages: Vec<String> = packages.into_iter().map(|(name, version)| format!("{name}={version}")).collect();
    eprintln!("setup: QEMU into {} ({} packages)", to.display(), packages.len());
    index.unpack(&packages.iter().map(String::as_str).collect::<Vec<_>>(), to)
}

#[cfg(test)]
mod tests {
    use super::{SOUND, numbers};

    #[test]
    fn a_versions_first_two_numbers() {
        assert_eq!(numbers("10.0.2 (Debian 1:10.0.2+ds-2+deb13u1~bpo12+1)\nCopyright"), Some((10, 0)));
        assert_eq!(numbers("7.2+dfsg-7+deb12u18+b3"), Some((7, 2)));
        assert_eq!(numbers("none"), None);
        assert!(numbers("7.2+dfsg") < Some(SOUND) && numbers("10.0.2") > Some(SOUND) && numbers("x") < Some(SOUND));
    }
}

//! QEMU: the one in PATH, else Debian's, unpacked into the cache with the libraries that this machine lacks.
//!
//! Not installed: its packages are many, installing them takes root, and they would push out other versions of QEMU's
//! tools. The unpacked program finds its data beside itself. Knows nothing of guests.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::machine::Machine;
use crate::{apt, paths, sh};

/// A QEMU that starts.
#[derive(Clone)]
pub(crate) struct Qemu {
    /// The program.
    pub(crate) program: PathBuf,
    /// Where its libraries are, if not in the system's folders.
    libraries: Option<OsString>,
}

impl Qemu {
    /// Finds the one that emulates this machine, or unpacks it.
    pub(crate) fn setup(machine: Machine) -> Result<Self> {
        if let Some(program) = sh::in_path(machine.qemu()) {
            return Ok(Self { program, libraries: None });
        }
        let tree = paths::cache()?.join(match machine {
            Machine::X86_64 => "tools/qemu",
            Machine::Aarch64 => "tools/qemu-aarch64",
        });
        let cached = Self::in_tree(&tree, machine)?;
        // It stops starting when the system under it is upgraded: then it is made again.
        if !cached.starts() {
            unpack(&tree, machine)?;
        }
        if !cached.starts() {
            bail!(
                "{} does not start: {:#}",
                cached.program.display(),
                sh::output(&mut cached.version()).err().context("now it does")?
            );
        }
        Ok(cached)
    }

    fn in_tree(tree: &Path, machine: Machine) -> Result<Self> {
        let host = Machine::HOST.multiarch();
        let folders = [format!("usr/lib/{host}"), format!("lib/{host}"), format!("usr/lib/{host}/pulseaudio")];
        let libraries = std::env::join_paths(folders.map(|folder| tree.join(folder)))
            .with_context(|| format!("the cache folder {} must have no colon in its name", tree.display()))?;
        Ok(Self { program: tree.join("usr/bin").join(machine.qemu()), libraries: Some(libraries) })
    }

    /// A command that runs it, and dies with us.
    pub(crate) fn command(&self) -> Command {
        let mut command = sh::dying_with_us(&self.program);
        self.set_libraries(&mut command);
        command
    }

    fn starts(&self) -> bool {
        sh::is_executable(&self.program) && sh::output(&mut self.version()).is_ok()
    }

    fn version(&self) -> Command {
        let mut command = Command::new(&self.program);
        self.set_libraries(command.arg("--version"));
        command
    }

    fn set_libraries(&self, command: &mut Command) {
        if let Some(libraries) = &self.libraries {
            command.env("LD_LIBRARY_PATH", libraries);
        }
    }
}

/// Unpacks QEMU and all that it depends on and this machine does not have.
fn unpack(tree: &Path, machine: Machine) -> Result<()> {
    if !apt::available() {
        bail!("no {} in PATH: install it with this system's package manager", machine.qemu());
    }
    let packages = apt::would_install(machine.qemu_package())?;
    eprintln!("setup: QEMU into {} ({} packages)", tree.display(), packages.len());
    let new = tree.with_extension("new");
    for folder in [tree, &new] {
        if folder.exists() {
            fs::remove_dir_all(folder).with_context(|| format!("clear {}", folder.display()))?;
        }
    }
    apt::unpack_packages(&packages, &new)?;
    // Under its final name only when complete.
    fs::rename(&new, tree).with_context(|| format!("write {}", tree.display()))
}

//! Rust's compiler for another kind of machine than this host: rustup's where its standard library for that machine is installed, else
//! Debian's with Debian's library for that machine, unpacked into the cache. The linker and the C compiler are Debian's. Knows nothing
//! of what is built.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::debian::Index;
use crate::machine::Machine;
use crate::{apt, paths, setup, sh};

/// Debian's compiler for its browsers, and the package of its standard library.
const RUSTC: &str = "/usr/bin/rustc";
const RUSTC_PACKAGE: &str = "rustc-web";
const LIBRARY_PACKAGE: &str = "libstd-rust-web-dev";

/// A compiler and a linker.
pub(crate) struct Cross {
    machine: Machine,
    /// Debian's compiler and a folder with its library for the machine; none for the compiler that cargo takes by itself.
    debian: Option<(PathBuf, PathBuf)>,
}

impl Cross {
    /// Finds everything, or installs it; quick when nothing is missing. None for this host itself, which needs nothing.
    pub(crate) fn setup(machine: Machine) -> Result<Option<Self>> {
        if machine == Machine::HOST {
            return Ok(None);
        }
        let gcc = format!("gcc-{}", machine.multiarch().replace('_', "-"));
        let libc = format!("libc6-dev-{}-cross", machine.debian());
        setup::packages(&[&gcc, &libc]).with_context(|| format!("a C compiler for {}", machine.name()))?;
        if has_library(&mut Command::new("rustc"), machine) {
            return Ok(Some(Self { machine, debian: None }));
        }
        setup::packages(&[RUSTC_PACKAGE]).with_context(|| format!("a Rust compiler for {}", machine.name()))?;
        let sysroot = library(machine)?;
        Ok(Some(Self { machine, debian: Some((RUSTC.into(), sysroot)) }))
    }

    /// Makes a cargo command build with it, for its target only; returns what rustc is to be told.
    pub(crate) fn apply(&self, cargo: &mut Command) -> String {
        let tool = |name: &str| format!("{}-{name}", self.machine.multiarch());
        cargo.env(self.machine.target_variable("LINKER"), tool("gcc"));
        // For crates with C in them.
        let target = self.machine.target().replace('-', "_");
        cargo.env(format!("CC_{target}"), tool("gcc")).env(format!("AR_{target}"), tool("ar"));
        let Some((rustc, sysroot)) = &self.debian else { return String::new() };
        cargo.env("RUSTC", rustc);
        format!("--sysroot {} ", sysroot.display())
    }
}

/// Whether this compiler has the standard library for the machine.
fn has_library(rustc: &mut Command, machine: Machine) -> bool {
    rustc.args(["--print", "target-libdir", "--target", machine.target()]);
    sh::output(rustc).is_ok_and(|folder| Path::new(folder.trim()).is_dir())
}

/// A folder that holds Debian's library for the machine as a compiler looks for it, of the very version that Debian's compiler here has.
fn library(machine: Machine) -> Result<PathBuf> {
    let version = apt::installed_version(LIBRARY_PACKAGE)?;
    let folder = paths::cache()?.join(format!("tools/{LIBRARY_PACKAGE}-{}_{version}", machine.debian()));
    let sysroot = folder.join("usr");
    if folder.is_dir() {
        return Ok(sysroot);
    }
    // Under its final name only when complete.
    let new = folder.with_extension("new");
    paths::clear(&new)?;
    // Either may have been built again from the same source, which adds to its version.
    let package = format!("{LIBRARY_PACKAGE}={}*", source_version(&version));
    Index::of_machine(machine)?.unpack(&[&package], &new).with_context(|| {
        format!(
            "Debian has no {LIBRARY_PACKAGE} {version} for {} (any more): upgrade {RUSTC_PACKAGE}",
            machine.debian()
        )
    })?;
    std::fs::rename(&new, &folder).with_context(|| format!("write {}", folder.display()))?;
    Ok(sysroot)
}

/// A package's version without the number of its build: "1.96.0+dfsg1-1~deb13u1" of "1.96.0+dfsg1-1~deb13u1+b1".
fn source_version(version: &str) -> &str {
    match version.rsplit_once("+b") {
        Some((source, build)) if !build.is_empty() && build.bytes().all(|byte| byte.is_ascii_digit()) => source,
        _ => version,
    }
}

#[cfg(test)]
mod tests {
    use super::source_version;

    #[test]
    fn the_number_of_a_build_is_no_part_of_the_source() {
        assert_eq!(source_version("1.96.0+dfsg1-1~deb13u1+b1"), "1.96.0+dfsg1-1~deb13u1");
        assert_eq!(source_version("1.96.0+dfsg1-1~deb12u2"), "1.96.0+dfsg1-1~deb12u2");
        assert_eq!(source_version("1.0+beta"), "1.0+beta");
    }
}

//! Programs of crates that tasks run: each in its own version, built into the cache.

use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::{paths, sh};

/// A crate with a program.
pub(crate) struct Tool {
    pub(crate) package: &'static str,
    pub(crate) version: &'static str,
    pub(crate) program: &'static str,
}

impl Tool {
    /// Its program in the cache, built when it is not there.
    pub(crate) fn get(&self) -> Result<PathBuf> {
        let Self { package, version, program } = self;
        let root = paths::cache()?.join(format!("tools/{package}-{version}"));
        let path = root.join("bin").join(program);
        if !sh::is_executable(&path) {
            eprintln!("setup: building {package} {version} into {} (a minute or two, once)", root.display());
            let mut cargo = sh::cargo();
            cargo
                // Its own profile, its own target folder. Not optimised: it runs for seconds and would build for minutes.
                .current_dir(paths::cache()?)
                .env_remove("CARGO_TARGET_DIR")
                .env("CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_LINKER", paths::root().join("xtask/cc"))
                .env("CARGO_PROFILE_DEV_DEBUG", "false")
                .args(["install", "--quiet", "--locked", "--debug", package, "--version", version, "--root"])
                .arg(&root);
            sh::run(&mut cargo).with_context(|| format!("install {package}"))?;
        }
        Ok(path)
    }
}

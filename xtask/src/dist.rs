//! Static binaries: one file that runs on every distribution and in a guest that has no libraries.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use object::Endianness;
use object::elf::{FileHeader64, PT_INTERP};
use object::read::elf::{FileHeader, ProgramHeader};

use crate::setup::Tools;
use crate::{build, linker, paths, sh};

/// The target that static binaries are built for. Naming it keeps the flags away from build scripts.
pub(crate) const TARGET: &str = "x86_64-unknown-linux-gnu";

/// Where the binaries go.
pub(crate) fn folder() -> PathBuf {
    paths::target().join("dist")
}

/// Builds, checks and strips `mmscope` and `mmload`.
pub(crate) fn dist(tools: &Tools, probe_log: bool) -> Result<[PathBuf; 2]> {
    let object = build::bpf(tools, probe_log)?;
    let mut cargo = build::cargo_with_object(&object);
    static_flags(&mut cargo).args(["build", "--release", "--target", TARGET, "-p", "mmscope", "-p", "workload"]);
    if probe_log {
        cargo.args(["--features", "mmscope/probe-log"]);
    }
    sh::run(&mut cargo)?;
    Ok([publish("mmscope")?, publish("mmload")?])
}

/// Makes a cargo command link everything in, glibc too.
pub(crate) fn static_flags(cargo: &mut Command) -> &mut Command {
    cargo.env("CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUSTFLAGS", "-C target-feature=+crt-static -C strip=symbols")
}

/// An error unless the file needs no loader and no library.
pub(crate) fn check_static(file: &Path) -> Result<()> {
    let data = fs::read(file).with_context(|| format!("read {}", file.display()))?;
    let header = FileHeader64::<Endianness>::parse(&*data).with_context(|| format!("parse {}", file.display()))?;
    let endian = header.endian()?;
    if header.program_headers(endian, &*data)?.iter().any(|segment| segment.p_type(endian) == PT_INTERP) {
        bail!("{} is not static: it asks for a loader", file.display());
    }
    let libraries = linker::needed(&data).with_context(|| format!("parse {}", file.display()))?;
    if !libraries.is_empty() {
        bail!("{} is not static: it needs {}", file.display(), libraries.join(", "));
    }
    Ok(())
}

fn publish(name: &str) -> Result<PathBuf> {
    let built = paths::target().join(TARGET).join("release").join(name);
    check_static(&built)?;
    let to = folder().join(name);
    fs::create_dir_all(folder()).with_context(|| format!("create {}", folder().display()))?;
    // A new file under the old name: the old one may be running.
    let new = to.with_extension("new");
    fs::copy(&built, &new).with_context(|| format!("copy {} to {}", built.display(), new.display()))?;
    fs::rename(&new, &to).with_context(|| format!("write {}", to.display()))?;
    Ok(to)
}

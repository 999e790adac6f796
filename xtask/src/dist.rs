//! Static binaries: one file that runs on every distribution and in a guest that has no libraries.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use object::Endianness;
use object::elf::{FileHeader64, PT_INTERP};
use object::read::elf::{FileHeader, ProgramHeader};

use crate::cross::Cross;
use crate::machine::Machine;
use crate::setup::Tools;
use crate::{build, linker, paths, sh};

/// Where the binaries for a PC go.
pub(crate) fn folder() -> PathBuf {
    paths::target().join("dist")
}

/// Where those for a machine go.
pub(crate) fn folder_of(machine: Machine) -> PathBuf {
    match machine {
        Machine::X86_64 => folder(),
        Machine::Aarch64 => folder().join(machine.name()),
    }
}

/// Builds, checks and strips `mmscope` and `mmload` for a PC.
pub(crate) fn dist(tools: &Tools, probe_log: bool) -> Result<[PathBuf; 2]> {
    dist_for(Machine::X86_64, tools, probe_log)
}

/// The same for a kind of machine. The BPF object inside is the same for all: each of them is little-endian.
pub(crate) fn dist_for(machine: Machine, tools: &Tools, probe_log: bool) -> Result<[PathBuf; 2]> {
    let object = build::bpf(tools, probe_log)?;
    let mut cargo = static_cargo(machine, &object, &["build", "--release"])?;
    cargo.args(["-p", "mmscope", "-p", "workload"]);
    if probe_log {
        cargo.args(["--features", "mmscope/probe-log"]);
    }
    sh::run(&mut cargo)?;
    Ok([publish(machine, "mmscope")?, publish(machine, "mmload")?])
}

/// A cargo command that links everything in, glibc too.
pub(crate) fn static_cargo(machine: Machine, object: &Path, command: &[&str]) -> Result<Command> {
    let mut cargo = build::cargo_with_object(object);
    let cross = Cross::setup(machine)?.map(|cross| cross.apply(&mut cargo)).unwrap_or_default();
    cargo
        .env(machine.target_variable("RUSTFLAGS"), format!("{cross}-C target-feature=+crt-static -C strip=symbols"))
        // Naming the target keeps the flags away from build scripts.
        .args(command)
        .args(["--target", machine.target()]);
    Ok(cargo)
}

/// An error unless the file is a program for this machine that needs no loader and no library.
pub(crate) fn check_static(file: &Path, machine: Machine) -> Result<()> {
    let data = fs::read(file).with_context(|| format!("read {}", file.display()))?;
    let header = FileHeader64::<Endianness>::parse(&*data).with_context(|| format!("parse {}", file.display()))?;
    let endian = header.endian()?;
    if header.e_machine.get(endian) != machine.elf() {
        bail!("{} is not for {}: its machine is {}", file.display(), machine.name(), header.e_machine.get(endian));
    }
    if header.program_headers(endian, &*data)?.iter().any(|segment| segment.p_type(endian) == PT_INTERP) {
        bail!("{} is not static: it asks for a loader", file.display());
    }
    let libraries = linker::needed(&data).with_context(|| format!("parse {}", file.display()))?;
    if !libraries.is_empty() {
        bail!("{} is not static: it needs {}", file.display(), libraries.join(", "));
    }
    Ok(())
}

fn publish(machine: Machine, name: &str) -> Result<PathBuf> {
    let built = paths::target().join(machine.target()).join("release").join(name);
    check_static(&built, machine)?;
    let folder = folder_of(machine);
    fs::create_dir_all(&folder).with_context(|| format!("create {}", folder.display()))?;
    let to = folder.join(name);
    // A new file under the old name: the old one may be running.
    let new = to.with_extension("new");
    fs::copy(&built, &new).with_context(|| format!("copy {} to {}", built.display(), new.display()))?;
    fs::rename(&new, &to).with_context(|| format!("write {}", to.display()))?;
    Ok(to)
}

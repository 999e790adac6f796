//! Builds of the workspace: the BPF object first, then the programs that carry it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use object::build::elf::{Builder, SectionData};
use object::elf;

use crate::setup::Tools;
use crate::toolchain::BPF_TARGET;
use crate::{paths, sh};

/// The probes' program, as probe-ebpf/Cargo.toml names it.
const BPF_BIN: &str = "mmscope-bpf";

/// What a build leaves.
pub(crate) struct Built {
    /// The BPF object that is inside the daemon.
    pub(crate) object: PathBuf,
    /// The daemon.
    pub(crate) mmscope: PathBuf,
    /// The workload.
    pub(crate) mmload: PathBuf,
}

/// Builds everything for this machine.
pub(crate) fn build(tools: &Tools, release: bool, probe_log: bool) -> Result<Built> {
    let object = bpf(tools, probe_log)?;
    let mut cargo = cargo_with_object(&object);
    cargo.args(["build", "-p", "mmscope", "-p", "workload"]);
    if release {
        cargo.arg("--release");
    }
    if probe_log {
        cargo.args(["--features", "mmscope/probe-log"]);
    }
    sh::run(&mut cargo)?;
    let folder = paths::target().join(if release { "release" } else { "debug" });
    Ok(Built { object, mmscope: folder.join("mmscope"), mmload: folder.join("mmload") })
}

/// A cargo for the crates that include the BPF object.
pub(crate) fn cargo_with_object(object: &Path) -> Command {
    let mut cargo = sh::cargo();
    cargo.env("MMSCOPE_BPF_OBJECT", object);
    cargo
}

/// Builds the BPF object.
pub(crate) fn bpf(tools: &Tools, probe_log: bool) -> Result<PathBuf> {
    // A target folder of its own: another compiler and other flags would invalidate the shared one at every turn.
    let folder = paths::target().join("bpf");
    let mut cargo = bpf_cargo(tools);
    if probe_log {
        cargo.args(["--features", "log"]);
    }
    sh::run(&mut cargo)?;

    let built = folder.join(BPF_TARGET).join("release").join(BPF_BIN);
    let object = folder.join("mmscope.bpf.o");
    let bytes = fs::read(&built).with_context(|| format!("read {}", built.display()))?;
    let bytes =
        without_debug_info(&bytes).with_context(|| format!("leave out what {} has for debuggers", built.display()))?;
    // The daemon includes the copy. Left alone when nothing changed, it does not make cargo build the daemon again.
    if fs::read(&object).ok().as_deref() != Some(bytes.as_slice()) {
        fs::write(&object, &bytes).with_context(|| format!("write {}", object.display()))?;
    }
    Ok(object)
}

/// The same object without its DWARF, from which its BTF was made: nine tenths of it, and every start would read it.
fn without_debug_info(object: &[u8]) -> Result<Vec<u8>> {
    let mut builder = Builder::read(object)?;
    for section in builder.sections.iter_mut() {
        let name = section.name.to_string();
        section.delete = name.starts_with(".debug_") || name.starts_with(".rel.debug_");
    }
    // LLVM keeps the sections' names among those of symbols, where the builder will not write them.
    let names = builder.sections.add();
    names.name = ".shstrtab".into();
    names.sh_type = elf::SHT_STRTAB;
    names.data = SectionData::SectionString;
    builder.delete_orphan_symbols();
    builder.delete_orphan_relocations();
    builder.set_section_sizes();
    let mut stripped = Vec::new();
    builder.write(&mut stripped)?;
    Ok(stripped)
}

/// `cargo build` on the probes.
fn bpf_cargo(tools: &Tools) -> Command {
    let linker = format!("linker={}", tools.linker.display());
    // --btf: the kernel wants the types of maps and functions; debuginfo is what bpf-linker makes them from.
    bpf_command(tools, "build", &["-C", &linker, "-C", "link-arg=--btf", "-C", "debuginfo=2"], "bpf")
}

/// A command that checks the probes and makes nothing, with warnings as errors.
pub(crate) fn bpf_lint(tools: &Tools, command: &str) -> Command {
    // Other flags, another folder: the object's own build stays as fresh as it was.
    bpf_command(tools, command, &["-D", "warnings"], "bpf-lint")
}

fn bpf_command(tools: &Tools, command: &str, flags: &[&str], folder: &str) -> Command {
    let mut cargo = tools.toolchain.cargo();
    cargo
        .env("CARGO_ENCODED_RUSTFLAGS", flags.join("\x1f"))
        .arg(command)
        .args(tools.toolchain.build_args())
        .args(["--release", "-p", "probe-ebpf", "--target", BPF_TARGET, "--target-dir"])
        .arg(paths::target().join(folder));
    cargo
}

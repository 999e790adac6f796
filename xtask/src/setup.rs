//! Makes the machine ready. Looks at everything first, installs the missing packages in one go, and stops before the
//! first change when it may not. Knows what is wanted; how each thing is found or made is in the files of those things.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};

use crate::debian::Index;
use crate::machine::Machine;
use crate::prometheus::Release;
use crate::qemu::Qemu;
use crate::toolchain::{self, Toolchain};
use crate::{apt, linker, paths, sh};

/// What the caller is going to do.
#[derive(Clone, Copy)]
pub(crate) struct Wants {
    /// Boot guests that are PCs.
    pub(crate) guests: bool,
}

/// What the builds use.
pub(crate) struct Tools {
    /// The compiler of the probes.
    pub(crate) toolchain: Toolchain,
    /// The linker of the probes.
    pub(crate) linker: PathBuf,
    /// Programs for such guests and live tests, if they were wanted.
    pub(crate) guests: Option<GuestTools>,
}

/// What guests and the live tests use.
#[derive(Clone)]
pub(crate) struct GuestTools {
    /// What the guests are.
    pub(crate) machine: Machine,
    /// Their emulator.
    pub(crate) qemu: Qemu,
    /// A static busybox of this host's.
    pub(crate) busybox: PathBuf,
    /// A static busybox of theirs: their userland.
    pub(crate) guest_busybox: PathBuf,
    /// Prometheus' own parser of expositions and rules.
    pub(crate) promtool: PathBuf,
    /// Debian's Prometheus, which scrapes with its own client.
    pub(crate) prometheus: PathBuf,
}

/// The keys of Debian's archive, a client that asks as people do, and a terminal that tests press keys in. The rest of what guests
/// need is unpacked into the cache, which takes no root.
const GUEST_PACKAGES: &[&str] = &["debian-archive-keyring", "curl", "tmux"];

/// Finds everything, or makes it; quick when nothing is missing.
pub(crate) fn setup(wants: Wants) -> Result<Tools> {
    install_packages(&missing_packages(wants)?)?;

    let (toolchain, linker) = find_pair()?.with_context(toolchain::how_to_get_one)?;
    let linker = linker.map_or_else(linker::install, Ok)?;
    let guests = if wants.guests { Some(guest_tools(Machine::X86_64)?) } else { None };
    Ok(Tools { toolchain, linker, guests })
}

/// Prints what was found.
pub(crate) fn tell(tools: &Tools) {
    println!("compiler for BPF: {}", tools.toolchain.describe());
    println!("linker for BPF:   {}", tools.linker.display());
    if let Some(GuestTools { qemu, busybox, promtool, prometheus, .. }) = &tools.guests {
        println!("qemu:             {}", qemu.program.display());
        println!("busybox:          {}", busybox.display());
        println!("promtool:         {}", promtool.display());
        println!("prometheus:       {}", prometheus.display());
    }
}

/// What guests need, without the BPF tools: for booting kernels with binaries that are already built.
pub(crate) fn guests_only() -> Result<GuestTools> {
    guests_of(Machine::X86_64)
}

/// The same for a kind of machine.
pub(crate) fn guests_of(machine: Machine) -> Result<GuestTools> {
    install_packages(&missing_guest_packages()?)?;
    guest_tools(machine)
}

/// Packages of this machine's distribution for a task of its own, installed if they are missing.
pub(crate) fn packages(names: &[&str]) -> Result<()> {
    if !apt::available() {
        bail!("needs apt and dpkg for {}; this system has neither", names.join(", "));
    }
    install_packages(&apt::missing(names)?)
}

/// The best compiler that some linker can follow: one that is here, or (none) the one that we would build.
fn find_pair() -> Result<Option<(Toolchain, Option<PathBuf>)>> {
    for toolchain in Toolchain::all()? {
        let linker = linker::find(toolchain.llvm)?;
        if linker.is_some() || linker::would_fit(toolchain.llvm) {
            return Ok(Some((toolchain, linker)));
        }
        eprintln!("setup: passing over {}: no linker here reads its bitcode", toolchain.describe());
    }
    Ok(None)
}

/// The packages to install, of this machine's distribution; an error says what is missing on others.
fn missing_packages(wants: Wants) -> Result<Vec<&'static str>> {
    let mut packages = Vec::new();
    let pair = find_pair()?;
    if pair.is_none() {
        packages.extend(if apt::available() { apt::missing(toolchain::DEBIAN_PACKAGES)? } else { Vec::new() });
        if packages.is_empty() {
            bail!(toolchain::how_to_get_one());
        }
    }
    if pair.is_none_or(|(_, linker)| linker.is_none()) {
        if apt::available() {
            packages.extend(apt::missing(linker::DEBIAN_PACKAGES)?);
        } else {
            linker::check_llvm()?;
        }
    }
    if wants.guests {
        packages.extend(missing_guest_packages()?);
    }
    Ok(packages)
}

fn missing_guest_packages() -> Result<Vec<&'static str>> {
    if !apt::available() {
        bail!("guests boot Debian's kernels and need apt and dpkg; this system has neither");
    }
    apt::missing(GUEST_PACKAGES)
}

fn install_packages(packages: &[&str]) -> Result<()> {
    if packages.is_empty() {
        return Ok(());
    }
    if !sh::is_root() {
        bail!("packages are missing; run:\n  {}", apt::install_line(packages));
    }
    apt::install(packages)
}

/// Prometheus' own parser of expositions and rules.
pub(crate) fn promtool() -> Result<PathBuf> {
    extracted("promtool", "prometheus", "usr/bin/promtool")
}

/// A static busybox.
pub(crate) fn busybox() -> Result<PathBuf> {
    extracted("busybox", "busybox-static", "bin/busybox")
}

fn guest_tools(machine: Machine) -> Result<GuestTools> {
    let prometheus = Release::Bookworm.programs()?.prometheus;
    let busybox = busybox()?;
    let guest_busybox = if machine == Machine::HOST { busybox.clone() } else { busybox_of(machine)? };
    Ok(GuestTools { machine, qemu: Qemu::setup(machine)?, busybox, guest_busybox, promtool: promtool()?, prometheus })
}

/// A static busybox of another machine's, of the release that the tools of guests are of.
fn busybox_of(machine: Machine) -> Result<PathBuf> {
    let tree = paths::cache()?.join(format!("tools/busybox-{}", machine.debian()));
    let file = tree.join("bin/busybox");
    if !file.is_file() {
        // Under its final name only when complete.
        let new = tree.with_extension("new");
        paths::clear(&new)?;
        Index::of_machine(machine)?.unpack(&["busybox-static/bookworm"], &new)?;
        paths::clear(&tree)?;
        std::fs::rename(&new, &tree).with_context(|| format!("write {}", tree.display()))?;
    }
    Ok(file)
}

/// A program of a package of this machine's distribution, out of the cache.
fn extracted(name: &str, package: &str, member: &str) -> Result<PathBuf> {
    let tools = paths::cache()?.join("tools");
    std::fs::create_dir_all(&tools).with_context(|| format!("create {}", tools.display()))?;
    let file = tools.join(name);
    if !sh::is_executable(&file) {
        if !apt::available() {
            bail!("{name} comes from Debian's package {package}, and this system has no apt and dpkg");
        }
        apt::extract(package, member, &file)?;
    }
    Ok(file)
}

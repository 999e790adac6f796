//! Compilers that can build for BPF. Knows where they come from and which LLVM each of them speaks; installs nothing.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::sh;

/// The target that the probes are compiled for.
pub(crate) const BPF_TARGET: &str = "bpfel-unknown-none";

/// Debian's compiler for its browsers; the only packaged one whose standard library exists for BPF.
pub(crate) const DEBIAN_PACKAGES: &[&str] = &["rustc-web", "libstd-rust-web-dev-bpf"];

/// A compiler that can build the probes.
pub(crate) struct Toolchain {
    kind: Kind,
    /// What `rustc --version` says.
    pub(crate) version: String,
    /// Major version of the LLVM inside: the linker's must be at least as new to read its bitcode.
    pub(crate) llvm: u32,
}

enum Kind {
    /// A rustup nightly with rust-src, by its name: it builds core itself.
    Nightly(String),
    /// A rustc that has core for BPF, by its path.
    Packaged(PathBuf),
}

impl Toolchain {
    /// The compilers on this machine, the best first.
    pub(crate) fn all() -> Result<Vec<Self>> {
        let mut all = Vec::new();
        if let Some(name) = nightly_with_source() {
            let rustc = Command::new("rustup").args(["run", &name, "rustc", "-vV"]).clean();
            all.push(Self::new(Kind::Nightly(name), rustc)?);
        }
        let rustc = Path::new("/usr/bin/rustc");
        if has_bpf_core(rustc) {
            let command = Command::new(rustc).arg("-vV").clean();
            all.push(Self::new(Kind::Packaged(rustc.to_owned()), command)?);
        }
        Ok(all)
    }

    fn new(kind: Kind, mut rustc: Command) -> Result<Self> {
        let text = sh::output(&mut rustc)?;
        let line = |prefix: &str| text.lines().find_map(|line| line.strip_prefix(prefix));
        let llvm = line("LLVM version: ")
            .and_then(|version| version.split('.').next())
            .and_then(|major| major.parse().ok())
            .with_context(|| format!("{} names no LLVM version", sh::show(&rustc)))?;
        let version = line("release: ").unwrap_or("of unknown version").to_owned();
        Ok(Self { kind, version, llvm })
    }

    /// One line for people.
    pub(crate) fn describe(&self) -> String {
        let Self { kind, version, llvm } = self;
        match kind {
            Kind::Nightly(name) => format!("{name} with rust-src (rustc {version}, LLVM {llvm})"),
            Kind::Packaged(path) => format!("{} (rustc {version}, LLVM {llvm})", path.display()),
        }
    }

    /// A cargo that compiles with it, from the workspace's root.
    pub(crate) fn cargo(&self) -> Command {
        match &self.kind {
            Kind::Nightly(name) => {
                let mut cargo = Command::new("rustup");
                sh::clean_cargo_env(&mut cargo);
                cargo.current_dir(crate::paths::root()).args(["run", name, "cargo"]);
                cargo
            }
            Kind::Packaged(rustc) => {
                let mut cargo = sh::cargo();
                // BOOTSTRAP: a stable compiler refuses the unstable attributes of eBPF crates otherwise.
                cargo.env("RUSTC", rustc).env("RUSTC_BOOTSTRAP", "1");
                cargo
            }
        }
    }

    /// Options that go after `cargo build`.
    pub(crate) fn build_args(&self) -> &'static [&'static str] {
        match self.kind {
            Kind::Nightly(_) => &["-Z", "build-std=core"],
            Kind::Packaged(_) => &[],
        }
    }

    /// Whether `cargo clippy` works with it: Debian's compiler brings no clippy of its own version.
    pub(crate) fn has_clippy(&self) -> bool {
        match &self.kind {
            Kind::Nightly(name) => rustup_home()
                .is_some_and(|home| sh::is_executable(&home.join("toolchains").join(name).join("bin/cargo-clippy"))),
            Kind::Packaged(_) => false,
        }
    }
}

/// What to tell people whose distribution has no packages that we know.
pub(crate) fn how_to_get_one() -> String {
    format!(
        "no compiler for {BPF_TARGET} here. Either of these will do:\n  \
         rustup toolchain install nightly --component rust-src\n  \
         on Debian 12 or newer: {}",
        crate::apt::install_line(DEBIAN_PACKAGES)
    )
}

trait Clean {
    fn clean(&mut self) -> Command;
}

impl Clean for Command {
    fn clean(&mut self) -> Command {
        sh::clean_cargo_env(self);
        std::mem::replace(self, Command::new("false"))
    }
}

/// The name of a rustup nightly that has the source of core, the plain `nightly` before dated ones.
fn nightly_with_source() -> Option<String> {
    sh::in_path("rustup")?;
    // Reads the folders: asking rustup takes longer, and asking for a missing one could install it.
    let toolchains = rustup_home()?.join("toolchains");
    let mut names: Vec<String> = fs::read_dir(&toolchains)
        .ok()?
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| name.starts_with("nightly"))
        .filter(|name| toolchains.join(name).join("lib/rustlib/src/rust/library").is_dir())
        .collect();
    names.sort_by_key(|name| (name.starts_with("nightly-2"), std::cmp::Reverse(name.clone())));
    names.into_iter().next()
}

fn rustup_home() -> Option<PathBuf> {
    env::var_os("RUSTUP_HOME").map(PathBuf::from).or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".rustup")))
}

/// Whether this rustc exists and has a compiled core for BPF.
fn has_bpf_core(rustc: &Path) -> bool {
    if !sh::is_executable(rustc) {
        return false;
    }
    let mut command = Command::new(rustc).args(["--print", "target-libdir", "--target", BPF_TARGET]).clean();
    sh::output(&mut command).is_ok_and(|dir| Path::new(dir.trim()).is_dir())
}

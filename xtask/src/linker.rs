//! bpf-linker: which one is at hand, and building the pinned one against the system's LLVM. Knows that the linker's
//! LLVM must be at least as new as the compiler's; does not know where compilers come from.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::{paths, sh};

/// The version that this project is built and tested with.
const VERSION: &str = "0.13.0";

/// The LLVM that we build it with.
const LLVM: u32 = 22;

/// What building it takes beyond a Rust toolchain, as Debian calls it.
pub(crate) const DEBIAN_PACKAGES: &[&str] =
    &["llvm-22-dev", "libpolly-22-dev", "libzstd-dev", "zlib1g-dev", "g++", "binutils"];

/// A linker that works and can read this compiler's bitcode: ours from the cache, else one in PATH.
pub(crate) fn find(compiler_llvm: u32) -> Result<Option<PathBuf>> {
    let ours = cached()?;
    if LLVM >= compiler_llvm && version_of(&ours).is_some() {
        return Ok(Some(ours));
    }
    let theirs = sh::in_path("bpf-linker").filter(|path| {
        version_of(path).is_some_and(|version| version >= (0, 13))
            && llvm_of(path).is_some_and(|llvm| llvm >= compiler_llvm)
    });
    Ok(theirs)
}

/// Whether the linker that [`install`] builds could read this compiler's bitcode.
pub(crate) fn would_fit(compiler_llvm: u32) -> bool {
    LLVM >= compiler_llvm
}

/// An error unless LLVM's files are in place for [`install`].
pub(crate) fn check_llvm() -> Result<()> {
    let llvm = llvm_folder();
    if !sh::is_executable(&llvm.join("bin/llvm-config")) {
        bail!(
            "no bpf-linker 0.13 or newer in PATH, and none can be built: LLVM {LLVM}'s development files are not in {}",
            llvm.display()
        );
    }
    Ok(())
}

fn llvm_folder() -> PathBuf {
    format!("/usr/lib/llvm-{LLVM}").into()
}

/// Builds the linker into the cache.
pub(crate) fn install() -> Result<PathBuf> {
    check_llvm()?;
    let llvm = llvm_folder();
    let llvm = llvm.display();
    let root = folder()?;
    eprintln!("setup: building bpf-linker {VERSION} into {} (a minute or two)", root.display());

    let mut path = std::ffi::OsString::from(format!("{llvm}/bin:"));
    path.push(env::var_os("PATH").unwrap_or_default());
    let mut command = sh::cargo();
    command
        // Outside the workspace: its profile and its target folder are not for this.
        .current_dir(root_parent(&root))
        .env_remove("CARGO_TARGET_DIR")
        .env("PATH", path)
        .env("RUSTFLAGS", format!("-L native={llvm}/lib"))
        .env("CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_LINKER", paths::root().join("xtask/cc"))
        .args(["install", "bpf-linker", "--locked", "--no-default-features"])
        .args(["--version", VERSION, "--features", &format!("llvm-{LLVM}"), "--root"])
        .arg(&root)
        .stdout(std::io::stderr());
    sh::run(&mut command)?;
    let built = cached()?;
    version_of(&built).with_context(|| format!("{} was built and does not start", built.display()))?;
    Ok(built)
}

fn folder() -> Result<PathBuf> {
    Ok(paths::cache()?.join(format!("bpf-linker-{VERSION}")))
}

fn root_parent(root: &Path) -> PathBuf {
    root.parent().unwrap_or(Path::new("/")).to_owned()
}

fn cached() -> Result<PathBuf> {
    Ok(folder()?.join("bin/bpf-linker"))
}

/// Major and minor version; none if it is missing or cannot start, as after its LLVM was removed.
fn version_of(linker: &Path) -> Option<(u32, u32)> {
    let text = sh::output(Command::new(linker).arg("--version")).ok()?;
    let mut numbers = text.split_whitespace().nth(1)?.split('.').map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

/// The LLVM that a linker loads. Its own output does not say; its list of shared libraries does.
fn llvm_of(linker: &Path) -> Option<u32> {
    let data = std::fs::read(linker).ok()?;
    needed(&data)?.iter().find_map(|library| {
        let rest = library.strip_prefix("libLLVM.so.").or_else(|| library.strip_prefix("libLLVM-"))?;
        rest.split(['.', '-']).next()?.parse().ok()
    })
}

/// The shared libraries that an ELF file asks for.
pub(crate) fn needed(data: &[u8]) -> Option<Vec<String>> {
    use object::Endianness;
    use object::elf::{DT_NEEDED, FileHeader64};
    use object::read::elf::{Dyn, FileHeader, SectionHeader};

    let header = FileHeader64::<Endianness>::parse(data).ok()?;
    let endian = header.endian().ok()?;
    let sections = header.sections(endian, data).ok()?;
    let mut names = Vec::new();
    for section in sections.iter() {
        let Some((entries, link)) = section.dynamic(endian, data).ok()? else { continue };
        let strings = sections.strings(endian, data, link).ok()?;
        for entry in entries.iter().filter(|entry| entry.tag(endian) == DT_NEEDED) {
            names.push(String::from_utf8_lossy(entry.string(endian, strings).ok()?).into_owned());
        }
    }
    Some(names)
}

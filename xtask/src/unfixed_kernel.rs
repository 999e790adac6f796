//! A kernel with the bug that mmscope grew out of: Debian's source of 5.10 with one hunk taken back, the fix of
//! userfaultfd's write protection (6ce64428d620), and beside it one from the same tree and configuration with the hunk in
//! place. They differ in one object file. Optional: no test needs it.
//!
//! Knows how the two are made; race.rs shows the bug on them.

use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::thread::available_parallelism;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::debian::Index;
use crate::{paths, setup, sh};

/// `cargo xtask unfixed-kernel`.
///
/// Builds Debian's 5.10 without the fix of userfaultfd's write protection, and the same kernel with it, and prints the
/// path of an image for `cargo xtask vm --kernel`. Both are built in one go and kept in the cache.
#[derive(Args)]
pub(crate) struct UnfixedKernelArgs {
    /// Print the path of the kernel that has the fix
    #[arg(long)]
    fixed: bool,
}

const PACKAGE: &str = "linux-source-5.10";

/// The host's packages that the build uses.
const PACKAGES: &[&str] =
    &["bc", "binutils", "bison", "flex", "gcc", "libc6-dev", "libelf-dev", "make", "pahole", "xz-utils"];

/// The file of the fix, in the kernel's tree.
const FIXED_FILE: &str = "mm/memory.c";

/// The fix, in do_wp_page(), word for word.
const FIX: &str = "\
	/*
	 * Userfaultfd write-protect can defer flushes. Ensure the TLB
	 * is flushed in this case before copying.
	 */
	if (unlikely(userfaultfd_wp(vmf->vma) &&
		     mm_tlb_flush_pending(vmf->vma->vm_mm)))
		flush_tlb_page(vmf->vma, vmf->address);

";

/// What the kernels have.
const CONFIG: &str = include_str!("unfixed_kernel.config");

/// Lines of the build's log that an error shows.
const TAIL: usize = 20;

/// Finds the images, or builds them.
pub(crate) fn main(args: &UnfixedKernelArgs) -> Result<ExitCode> {
    let image = image(if args.fixed { Form::Fixed } else { Form::Unfixed })?;
    println!("{}", image.display());
    Ok(ExitCode::SUCCESS)
}

/// One of the images, if it is in the cache.
pub(crate) fn cached(form: Form) -> Result<Option<PathBuf>> {
    let version = Index::open()?.version(PACKAGE)?;
    let folder = folder(&paths::cache()?.join("unfixed-kernel"), &version);
    Ok(folder.is_dir().then(|| folder.join(release(&version, form))))
}

/// The same kernel, built without types of its own, and its types.
pub(crate) struct Typeless {
    /// The image.
    pub(crate) image: PathBuf,
    /// Types as BTF.
    pub(crate) btf: PathBuf,
    /// The kernel as an ELF file with types in it, and the image's build id.
    pub(crate) vmlinux: PathBuf,
}

/// What types are asked for in the configuration.
const TYPES: &str = "CONFIG_DEBUG_INFO_BTF=y\n";
const TYPELESS: &str = "-typeless";

/// The kernel without types, found in the cache or built.
pub(crate) fn typeless() -> Result<Typeless> {
    let index = Index::open()?;
    let version = index.version(PACKAGE)?;
    let all = paths::cache()?.join("unfixed-kernel");
    let folder = all.join(format!("{version}{TYPELESS}_{:016x}", recipe()));
    let file = |name: &str| folder.join(name);
    let upstream = version.split('-').next().unwrap_or(&version);
    let found =
        Typeless { image: file(&format!("{upstream}{TYPELESS}")), btf: file("types.btf"), vmlinux: file("vmlinux") };
    if !folder.is_dir() {
        setup::packages(PACKAGES)?;
        fs::create_dir_all(&all).with_context(|| format!("create {}", all.display()))?;
        Builder { all: &all, version: &version }.build_typeless(&index, &folder, &found)?;
    }
    Ok(found)
}

fn folder(all: &Path, version: &str) -> PathBuf {
    all.join(format!("{version}_{:016x}", recipe()))
}

/// One of the images, found in the cache or built.
pub(crate) fn image(form: Form) -> Result<PathBuf> {
    let index = Index::open()?;
    let version = index.version(PACKAGE)?;
    let all = paths::cache()?.join("unfixed-kernel");
    let folder = folder(&all, &version);
    if !folder.is_dir() {
        setup::packages(PACKAGES)?;
        fs::create_dir_all(&all).with_context(|| format!("create {}", all.display()))?;
        Builder { all: &all, version: &version }.build(&index, &folder)?;
    }
    Ok(folder.join(release(&version, form)))
}

/// All that decides what is built: a change of it makes a new folder in the cache.
fn recipe() -> u64 {
    let mut hasher = DefaultHasher::new();
    (FIX, CONFIG).hash(&mut hasher);
    hasher.finish()
}

/// Which of the two.
#[derive(Clone, Copy)]
pub(crate) enum Form {
    /// Without the fix.
    Unfixed,
    /// With it.
    Fixed,
}

impl Form {
    fn suffix(self) -> &'static str {
        match self {
            Self::Unfixed => "-unfixed",
            Self::Fixed => "-fixed",
        }
    }
}

/// What `uname -r` will say, and the name of the image: "5.10.262-unfixed" for Debian's "5.10.262-1".
fn release(version: &str, form: Form) -> String {
    let upstream = version.split('-').next().unwrap_or(version);
    format!("{upstream}{}", form.suffix())
}

struct Builder<'a> {
    /// Our folder in the cache.
    all: &'a Path,
    /// Debian's version of the source.
    version: &'a str,
}

impl Builder<'_> {
    /// Both kernels, from one tree, which is gone afterwards.
    fn build(&self, index: &Index, folder: &Path) -> Result<()> {
        let [tree, new] = ["tree", "new"].map(|name| self.all.join(name));
        for folder in [&tree, &new] {
            clear(folder)?;
            fs::create_dir_all(folder).with_context(|| format!("create {}", folder.display()))?;
        }
        let started = Instant::now();
        let archive = self.archive(index)?;
        eprintln!("unfixed-kernel: building {PACKAGE} {}, without the fix and with it", self.version);
        sh::run(
            Command::new("tar")
                .arg("--extract")
                .arg("--file")
                .arg(&archive)
                .arg("--directory")
                .arg(&tree)
                .arg("--strip-components=1"),
        )?;
        configure(&tree, CONFIG, &self.log())?;
        fs::copy(tree.join(".config"), new.join("config")).context("keep the kernels' configuration")?;

        let file = tree.join(FIXED_FILE);
        let fixed = fs::read_to_string(&file).with_context(|| format!("read {}", file.display()))?;
        let unfixed = without_fix(&fixed).with_context(|| format!("{FIXED_FILE} of {PACKAGE} {}", self.version))?;
        for (form, text) in [(Form::Unfixed, &unfixed), (Form::Fixed, &fixed)] {
            fs::write(&file, text).with_context(|| format!("write {}", file.display()))?;
            let jobs = available_parallelism().map_or(1, usize::from);
            let mut make = make(&tree);
            make.arg(format!("-j{jobs}")).arg(format!("LOCALVERSION={}", form.suffix())).arg("bzImage");
            logged(&mut make, &self.log())?;
            let image = new.join(release(self.version, form));
            fs::copy(tree.join("arch/x86/boot/bzImage"), &image)
                .with_context(|| format!("write {}", image.display()))?;
        }
        // Under its final name only when complete.
        fs::rename(&new, folder).with_context(|| format!("write {}", folder.display()))?;
        clear(&tree)?;
        eprintln!("unfixed-kernel: built in {:.0} minutes", started.elapsed().as_secs_f64() / 60.0);
        Ok(())
    }

    /// The kernel without types, and what pahole makes of its debug information.
    fn build_typeless(&self, index: &Index, folder: &Path, wanted: &Typeless) -> Result<()> {
        let [tree, new] = ["tree-typeless", "new-typeless"].map(|name| self.all.join(name));
        for folder in [&tree, &new] {
            clear(folder)?;
            fs::create_dir_all(folder).with_context(|| format!("create {}", folder.display()))?;
        }
        let archive = self.archive(index)?;
        eprintln!("unfixed-kernel: building {PACKAGE} {} without types", self.version);
        let mut unpack = Command::new("tar");
        unpack.arg("--extract").arg("--file").arg(&archive).arg("--directory").arg(&tree).arg("--strip-components=1");
        sh::run(&mut unpack)?;
        configure(&tree, &CONFIG.replace(TYPES, ""), &self.log())?;
        let jobs = available_parallelism().map_or(1, usize::from);
        logged(
            make(&tree).arg(format!("-j{jobs}")).arg(format!("LOCALVERSION={TYPELESS}")).arg("bzImage"),
            &self.log(),
        )?;
        let in_new = |file: &Path| new.join(file.file_name().unwrap_or_default());
        let (image, btf, vmlinux) = (in_new(&wanted.image), in_new(&wanted.btf), in_new(&wanted.vmlinux));
        let whole = tree.join("vmlinux");
        fs::copy(tree.join("arch/x86/boot/bzImage"), &image).with_context(|| format!("write {}", image.display()))?;
        sh::run(Command::new("pahole").arg("-J").arg(&whole))?;
        sh::run(Command::new("strip").arg("--strip-debug").arg("-o").arg(&vmlinux).arg(&whole))?;
        let alone = ["--output-target=binary", "--only-section=.BTF", "--set-section-flags", ".BTF=alloc"];
        sh::run(Command::new("objcopy").args(alone).arg(&whole).arg(&btf))?;
        fs::rename(&new, folder).with_context(|| format!("write {}", folder.display()))?;
        clear(&tree)
    }

    /// The source, downloaded once.
    fn archive(&self, index: &Index) -> Result<PathBuf> {
        let archive = self.all.join(format!("{PACKAGE}_{}.tar.xz", self.version));
        if !archive.is_file() {
            let unpacked = self.all.join("package");
            clear(&unpacked)?;
            index.unpack(&[&format!("{PACKAGE}={}", self.version)], &unpacked)?;
            let inside = unpacked.join(format!("usr/src/{PACKAGE}.tar.xz"));
            fs::rename(&inside, &archive).with_context(|| format!("find {}", inside.display()))?;
            clear(&unpacked)?;
        }
        Ok(archive)
    }

    fn log(&self) -> PathBuf {
        self.all.join("build.log")
    }
}

fn clear(folder: &Path) -> Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| format!("clear {}", folder.display()))?;
    }
    Ok(())
}

/// The text without the fix; an error unless it is there once.
fn without_fix(text: &str) -> Result<String> {
    match text.matches(FIX).count() {
        1 => Ok(text.replacen(FIX, "", 1)),
        0 => bail!("the fix of do_wp_page() is not there, at least not in the words that are looked for"),
        count => bail!("the fix of do_wp_page() is there {count} times"),
    }
}

/// Writes the tree's .config and checks that it has what was asked for.
fn configure(tree: &Path, wanted_config: &str, log: &Path) -> Result<()> {
    let wanted = tree.join("mmscope.config");
    fs::write(&wanted, wanted_config).with_context(|| format!("write {}", wanted.display()))?;
    File::create(log).with_context(|| format!("create {}", log.display()))?;
    logged(make(tree).env("KCONFIG_ALLCONFIG", &wanted).arg("allnoconfig"), log)?;
    let config = tree.join(".config");
    let config = fs::read_to_string(&config).with_context(|| format!("read {}", config.display()))?;
    let missing = missing(wanted_config, &config);
    if !missing.is_empty() {
        bail!("this kernel's configuration cannot have {}", missing.join(", "));
    }
    Ok(())
}

/// The wanted lines that a configuration does not have.
fn missing<'a>(wanted: &'a str, config: &str) -> Vec<&'a str> {
    let lines = wanted.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.filter(|line| !config.lines().any(|has| has == *line)).collect()
}

fn make(tree: &Path) -> Command {
    let mut make = Command::new("make");
    sh::clean_cargo_env(&mut make);
    make.env_remove("MAKEFLAGS").current_dir(tree).arg("ARCH=x86_64");
    make
}

/// Runs to the end with all output at the end of a file; an error shows the last lines of it.
fn logged(command: &mut Command, log: &Path) -> Result<()> {
    let open = || File::options().append(true).open(log).with_context(|| format!("open {}", log.display()));
    let status = command.stdin(Stdio::null()).stdout(open()?).stderr(open()?).status();
    let status = status.with_context(|| format!("start {}", sh::show(command)))?;
    if status.success() {
        return Ok(());
    }
    let text = File::open(log).with_context(|| format!("open {}", log.display()))?;
    let lines: Vec<String> = BufReader::new(text).lines().map_while(Result::ok).collect();
    let tail = lines[lines.len().saturating_sub(TAIL)..].join("\n");
    bail!("{} failed ({status}), see {}:\n{tail}", sh::show(command), log.display())
}

#[cfg(test)]
mod tests {
    use super::{CONFIG, FIX, Form, missing, release, without_fix};

    #[test]
    fn the_fix_is_taken_out_where_it_is_once() {
        let text = |count| format!("before\n\n{}after\n", FIX.repeat(count));
        assert_eq!(without_fix(&text(1)).ok().as_deref(), Some("before\n\nafter\n"));
        assert!(without_fix(&text(0)).is_err());
        assert!(without_fix(&text(2)).is_err());
    }

    #[test]
    fn a_symbol_that_was_dropped_is_missed() {
        let config = "CONFIG_A=y\n# CONFIG_B is not set\nCONFIG_CC=y\n";
        assert_eq!(missing("# all\nCONFIG_A=y\n\nCONFIG_B=y\nCONFIG_C=y\n", config), ["CONFIG_B=y", "CONFIG_C=y"]);
        assert!(missing(CONFIG, CONFIG).is_empty());
    }

    #[test]
    fn an_image_has_the_name_of_its_release() {
        assert_eq!(release("5.10.262-1", Form::Unfixed), "5.10.262-unfixed");
        assert_eq!(release("5.10.262-1", Form::Fixed), "5.10.262-fixed");
    }
}

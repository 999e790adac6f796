//! Root images for guests that need programs of Debian with all that belongs to them: a small installation in a file
//! system image, made by mmdebstrap once and kept in the cache. Knows nothing of guests; vm.rs boots with it, and never
//! changes it.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::debian::Index;
use crate::{paths, setup, sh};

/// The newest release: its programs run on every kernel that is booted here.
const SUITE: &str = "trixie";

/// mmdebstrap installs; genext2fs makes the file system out of its archive, which takes no root.
const PACKAGES: &[&str] = &["mmdebstrap", "genext2fs"];

/// Blocks of 4 KiB: 8 GiB. Holes cost nothing, and a guest may write.
const BLOCKS: u32 = 2 << 20;
const INODES: u32 = 512 << 10;

/// What a file name may have of the packages' names.
const NAME_MAX: usize = 120;

/// An ext4 driver's image of Debian's essential packages and these, made if the cache has none.
pub(crate) fn image(packages: &[String]) -> Result<PathBuf> {
    let packages: BTreeSet<&str> = packages.iter().map(|name| name.trim()).filter(|name| !name.is_empty()).collect();
    if let Some(bad) = packages.iter().find(|name| !is_package_name(name)) {
        bail!("--root: '{bad}' is no package's name");
    }
    let folder = paths::cache()?.join("roots");
    fs::create_dir_all(&folder).with_context(|| format!("create {}", folder.display()))?;
    let packages: Vec<&str> = packages.into_iter().collect();
    let image = folder.join(format!("{}.ext2", file_name(&packages)));
    if !image.is_file() {
        make(&image, SUITE, &packages).with_context(|| format!("--root {}", packages.join(",")))?;
    }
    Ok(image)
}

/// An image of a release with these packages in the versions that it has now. One of other versions is thrown away.
pub(crate) fn current_image(suite: &str, packages: &[&str]) -> Result<PathBuf> {
    let folder = paths::cache()?.join("roots");
    fs::create_dir_all(&folder).with_context(|| format!("create {}", folder.display()))?;
    let mut hasher = DefaultHasher::new();
    Index::open()?.versions(suite, packages)?.hash(&mut hasher);
    let name = format!("{suite}_{}", packages.join(","));
    let image = folder.join(format!("{name}_{:016x}.ext2", hasher.finish()));
    if !image.is_file() {
        for old in fs::read_dir(&folder).with_context(|| format!("read {}", folder.display()))? {
            let old = old?;
            if old.file_name().to_string_lossy().starts_with(&format!("{name}_")) {
                fs::remove_file(old.path()).with_context(|| format!("remove {}", old.path().display()))?;
            }
        }
        make(&image, suite, packages).with_context(|| format!("an image of {suite}"))?;
    }
    Ok(image)
}

/// As Debian's policy has them, and what follows a colon or an equals sign never.
fn is_package_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "+-.".contains(c))
}

/// Suite and packages; what is too long for a file's name is cut, and told apart by its hash.
fn file_name(packages: &[&str]) -> String {
    let names = packages.join(",");
    if names.len() <= NAME_MAX {
        return format!("{SUITE}_{names}");
    }
    let mut hasher = DefaultHasher::new();
    names.hash(&mut hasher);
    format!("{SUITE}_{}_{:016x}", &names[..NAME_MAX], hasher.finish())
}

fn make(image: &Path, suite: &str, packages: &[&str]) -> Result<()> {
    setup::packages(PACKAGES)?;
    let index = Index::open()?;
    for package in packages {
        if index.package_names(package)?.iter().all(|name| name != package) {
            bail!("Debian has no package {package}");
        }
    }
    eprintln!("root: installing {suite} with {} into {} (some minutes, once)", packages.join(", "), image.display());
    // Another run may be making the same.
    let new = image.with_extension(format!("new{}", std::process::id()));
    let log = image.with_extension("log");
    let made = install(&index, suite, packages, &new, &log).and_then(|()| {
        // Under its final name only when complete.
        fs::rename(&new, image).with_context(|| format!("write {}", image.display()))
    });
    if made.is_err() {
        // It may not have come that far.
        let _ = fs::remove_file(&new);
    }
    made
}

/// mmdebstrap's archive piped into genext2fs.
fn install(index: &Index, suite: &str, packages: &[&str], image: &Path, log: &Path) -> Result<()> {
    let log_file = File::create(log).with_context(|| format!("create {}", log.display()))?;
    let stderr = || log_file.try_clone().with_context(|| format!("write {}", log.display()));
    let mut install = Command::new("mmdebstrap");
    install.args(["--variant=minbase", "--format=tar", "--skip=output/dev"]);
    install.args(index.network()?.iter().map(|option| format!("--aptopt={option}")));
    if !packages.is_empty() {
        install.arg(format!("--include={}", packages.join(",")));
    }
    install.args([suite, "-"]).args(index.sources(suite)?);
    // The shell's own would be found wanting in a chroot.
    install.env("LC_ALL", "C.UTF-8").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(stderr()?);
    let mut installing = install.spawn().with_context(|| format!("start {}", sh::show(&install)))?;

    let mut write = Command::new("genext2fs");
    write
        .args(["--block-size", "4096", "--size-in-blocks", &BLOCKS.to_string()])
        .args(["--number-of-inodes", &INODES.to_string(), "--allow-holes", "--tarball", "-"])
        .arg(image)
        .stdin(installing.stdout.take().context("mmdebstrap's stdout")?)
        .stdout(stderr()?)
        .stderr(stderr()?);
    let written = write.status().with_context(|| format!("start {}", sh::show(&write)));
    // Its end of the pipe, which mmdebstrap would write to for ever.
    drop(write);
    let installed = installing.wait().context("wait for mmdebstrap")?;
    if !installed.success() {
        bail!("mmdebstrap failed ({installed}): {}", errors(log));
    }
    let written = written?;
    if !written.success() {
        bail!("genext2fs failed ({written}): {}", errors(log));
    }
    Ok(())
}

/// What a log says went wrong.
fn errors(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let found: Vec<&str> = text.lines().filter(|line| line.starts_with("E: ")).map(str::trim).collect();
    let found = if found.is_empty() { text.lines().last().unwrap_or_default().to_owned() } else { found.join("; ") };
    format!("{found} ({})", log.display())
}

#[cfg(test)]
mod tests {
    use super::{NAME_MAX, file_name, is_package_name};

    #[test]
    fn what_apt_would_read_as_more_than_a_name_is_refused() {
        for name in ["g++", "postgresql-17", "libc6.1", "0ad"] {
            assert!(is_package_name(name), "{name}");
        }
        for name in ["", "-o", "gcc=1", "gcc/sid", "gcc:i386", "a b", "?all", "Gcc"] {
            assert!(!is_package_name(name), "{name}");
        }
    }

    #[test]
    fn long_lists_have_short_names_of_their_own() {
        assert_eq!(file_name(&["gcc", "make"]), "trixie_gcc,make");
        let long = "x".repeat(NAME_MAX);
        let (one, other) = (file_name(&[&long, "a"]), file_name(&[&long, "b"]));
        assert_ne!(one, other);
        assert!(one.len() < 160, "{one}");
    }
}

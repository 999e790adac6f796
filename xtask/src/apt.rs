//! Debian packages: what is installed, installing more, and files out of packages that are not to be installed.
//! Knows nothing of what any package is for.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::{progress, sh};

/// Whether this machine has apt and dpkg.
pub(crate) fn available() -> bool {
    sh::in_path("apt-get").is_some() && sh::in_path("dpkg-query").is_some()
}

/// Those of `packages` that are not installed.
pub(crate) fn missing<'a>(packages: &[&'a str]) -> Result<Vec<&'a str>> {
    if packages.is_empty() {
        return Ok(Vec::new());
    }
    // Exits with 1 when it knows no such package, so its status says nothing more than its lines do.
    let output = Command::new("dpkg-query")
        .args(["--show", "--showformat=${Package} ${db:Status-Status}\n"])
        .args(packages)
        .output()
        .context("start dpkg-query")?;
    let stdout = String::from_utf8_lossy(&output.stdout);
    let installed: BTreeSet<&str> = stdout.lines().filter_map(|line| line.strip_suffix(" installed")).collect();
    Ok(packages.iter().copied().filter(|package| !installed.contains(package)).collect())
}

/// The version of an installed package.
pub(crate) fn installed_version(package: &str) -> Result<String> {
    let text = sh::output(Command::new("dpkg-query").args(["--show", "--showformat=${Version}", package]))?;
    Ok(text.trim().to_owned())
}

/// The command that an administrator would type to install `packages`.
pub(crate) fn install_line(packages: &[&str]) -> String {
    format!("sudo apt-get update && sudo apt-get install --no-install-recommends {}", packages.join(" "))
}

/// Installs packages; only root can.
pub(crate) fn install(packages: &[&str]) -> Result<()> {
    eprintln!("setup: apt-get install {}", packages.join(" "));
    if !known(packages) {
        update()?;
        let unknown: Vec<&str> = packages.iter().copied().filter(|package| !known(&[package])).collect();
        if !unknown.is_empty() {
            bail!(
                "this machine's package sources have no {} (Debian 12 has all of them in its security suite, which every \
                 installation has among its sources unless somebody took it out)",
                unknown.join(", ")
            );
        }
    }
    // --no-remove: a package that conflicts with something of the owner's fails here and takes nothing away.
    let install = || {
        let mut command = apt_get();
        command.args(["install", "--yes", "--no-remove", "--no-install-recommends"]).args(packages);
        sh::run(command.stdout(std::io::stderr()))
    };
    // An index that is days old names packages that the mirror no longer has.
    install().or_else(|_| update().and_then(|()| install()))
}

/// The file `member` of a package, extracted to `to` without installing the package.
pub(crate) fn extract(package: &str, member: &str, to: &Path) -> Result<()> {
    eprintln!("setup: {} from the package {package}", to.display());
    let tree = to.with_extension("tree");
    unpack_packages(&[package.to_owned()], &tree)?;
    fs::rename(tree.join(member), to).with_context(|| format!("find {member} in the package {package}"))?;
    fs::remove_dir_all(&tree).with_context(|| format!("clear {}", tree.display()))
}

/// Downloads packages and unpacks them below `tree`. Any user can do this where the package index is known; root can
/// fetch the index as well.
pub(crate) fn unpack_packages(packages: &[String], tree: &Path) -> Result<()> {
    let folder = tree.with_extension("download");
    for folder in [tree, &folder] {
        if folder.exists() {
            fs::remove_dir_all(folder).with_context(|| format!("clear {}", folder.display()))?;
        }
        fs::create_dir_all(folder).with_context(|| format!("create {}", folder.display()))?;
    }
    let ask = |option: &str| {
        let mut command = apt_get();
        // As ourselves: apt's own user cannot write to a cache in somebody's home.
        command.current_dir(&folder).args(["-o", "APT::Sandbox::User=root", "download", option]).args(packages);
        sh::output(&mut command)
    };
    let download = || {
        let bytes = progress::announced(&ask("--print-uris")?);
        let _line = progress::filling("setup: downloading".to_owned(), folder.clone(), bytes);
        ask("--quiet")
    };
    if !known(packages) {
        refresh(&packages.join(", "))?;
    }
    // An index that is days old names files that the mirror no longer has.
    download().or_else(|_| refresh(&packages.join(", ")).and_then(|()| download()))?;
    for deb in debs(&folder)? {
        unpack(&deb, tree)?;
    }
    fs::remove_dir_all(&folder).with_context(|| format!("clear {}", folder.display()))
}

/// The packages that installing this one would bring, itself included.
pub(crate) fn would_install(package: &str) -> Result<Vec<String>> {
    if !known(&[package]) {
        refresh(package)?;
    }
    let mut command = apt_get();
    command.args(["install", "--simulate", "--no-install-recommends", package]);
    let text = sh::output(&mut command)?;
    let names = text.lines().filter_map(|line| line.strip_prefix("Inst ")?.split_whitespace().next());
    Ok(names.map(str::to_owned).collect())
}

/// Unpacks a .deb file below a folder.
pub(crate) fn unpack(deb: &Path, to: &Path) -> Result<()> {
    sh::run(Command::new("dpkg-deb").arg("--extract").arg(deb).arg(to))
}

/// The .deb files in a folder.
pub(crate) fn debs(folder: &Path) -> Result<Vec<PathBuf>> {
    let files = fs::read_dir(folder).with_context(|| format!("read {}", folder.display()))?;
    let files = files.filter_map(|entry| Some(entry.ok()?.path()));
    Ok(files.filter(|path| path.extension().is_some_and(|extension| extension == "deb")).collect())
}

/// Fetches the package index anew; only root can.
pub(crate) fn update() -> Result<()> {
    eprintln!("setup: apt-get update");
    // It fails when any one source fails, also one that has nothing to do with us: what follows tells.
    if let Err(error) = sh::run(apt_get().arg("update").stdout(std::io::stderr())) {
        eprintln!("setup: {error:#} (going on)");
    }
    Ok(())
}

fn refresh(package: &str) -> Result<()> {
    if !sh::is_root() {
        bail!("apt cannot find or download {package}; run: sudo apt-get update");
    }
    update()
}

/// The version of a package that installing it would bring.
pub(crate) fn candidate(package: &str) -> Result<String> {
    if !known(&[package]) {
        refresh(package)?;
    }
    shown_version(Command::new("apt-cache").args(["show", "--no-all-versions", package]))
}

/// The version in the answer of apt-cache's `show`.
pub(crate) fn shown_version(show: &mut Command) -> Result<String> {
    let text = sh::output(show)?;
    let version = text.lines().find_map(|line| line.strip_prefix("Version: "));
    version.map(str::to_owned).with_context(|| format!("{}: no version", sh::show(show)))
}

/// Whether the index has a version to install of each of these packages.
fn known<T: AsRef<OsStr>>(packages: &[T]) -> bool {
    // Once for all: without its cache, which images of containers switch off, apt reads the whole index each time.
    sh::output(Command::new("apt-cache").args(["show", "--no-all-versions"]).args(packages))
        .is_ok_and(|text| text.lines().filter(|line| line.starts_with("Filename:")).count() >= packages.len())
}

fn apt_get() -> Command {
    let mut command = Command::new("apt-get");
    // Waits for an unattended upgrade instead of failing beside it.
    command.env("DEBIAN_FRONTEND", "noninteractive").args(["-o", "DPkg::Lock::Timeout=300", "--quiet"]);
    command
}

//! The page's script and style: sources in daemon/web, built bytes in daemon/src/web/dist, so that a build of the daemon needs no
//! npm. This checks that the one comes from the other.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::{paths, setup, sh};

const SOURCES: &str = "daemon/web";
const BUILT: &str = "daemon/src/web/dist";
const FILES: [&str; 3] = ["page.js", "page.css", "theme.js"];

/// All that one may load of the page before its HTML.
const MOST_BYTES: u64 = 100_000;

/// An error if types are wrong, or the committed bundle is not what its sources come to.
pub(crate) fn check() -> Result<()> {
    let folder = prepared()?;
    sh::run(tool(&folder, "tsc").args(["--project", ".", "--pretty", "false"]))?;
    let built = build(&folder)?;
    let committed = paths::root().join(BUILT);
    let mut bytes = 0;
    for name in FILES {
        let fresh = read(&built.join(name))?;
        bytes += fresh.len() as u64;
        if fresh != read(&committed.join(name))? {
            bail!("{BUILT}/{name} is not what {SOURCES} comes to; cargo xtask page --bundle writes it");
        }
    }
    if bytes > MOST_BYTES {
        bail!("script and style of the page have {bytes} bytes, more than {MOST_BYTES}");
    }
    Ok(())
}

/// Writes the bundle.
pub(super) fn write() -> Result<()> {
    let built = build(&prepared()?)?;
    for name in FILES {
        let (from, to) = (built.join(name), paths::root().join(BUILT).join(name));
        fs::copy(&from, &to).with_context(|| format!("write {}", to.display()))?;
        println!("{BUILT}/{name}");
    }
    Ok(())
}

fn read(file: &Path) -> Result<Vec<u8>> {
    fs::read(file).with_context(|| format!("read {}", file.display()))
}

fn build(folder: &Path) -> Result<PathBuf> {
    let built = folder.join("dist");
    // With the scripts' own search path for programs.
    sh::run(Command::new("npm").current_dir(folder).args(["run", "--silent", "build", "--", "--outdir=dist"]))?;
    Ok(built)
}

fn tool(folder: &Path, name: &str) -> Command {
    let mut command = Command::new(folder.join("node_modules/.bin").join(name));
    command.current_dir(folder);
    command
}

/// A folder with the sources as they are now and the packages of the lock file.
pub(super) fn prepared() -> Result<PathBuf> {
    let sources = paths::root().join(SOURCES);
    let modules = packages(&sources)?.join("node_modules");
    let folder = paths::target().join("page/web");
    if folder.exists() {
        fs::remove_dir_all(&folder).with_context(|| format!("clear {}", folder.display()))?;
    }
    fs::create_dir_all(&folder).with_context(|| format!("create {}", folder.display()))?;
    for name in ["package.json", "tsconfig.json", "src", "test"] {
        sh::run(Command::new("cp").arg("-r").arg(sources.join(name)).arg(&folder))?;
    }
    std::os::unix::fs::symlink(&modules, folder.join("node_modules")).context("link the packages")?;
    Ok(folder)
}

/// The packages, fetched when they are not in the cache.
fn packages(sources: &Path) -> Result<PathBuf> {
    let lock = read(&sources.join("package-lock.json"))?;
    let mut hasher = DefaultHasher::new();
    lock.hash(&mut hasher);
    let folder = paths::cache()?.join(format!("tools/page-{:016x}", hasher.finish()));
    if folder.join("complete").exists() {
        return Ok(folder);
    }
    // node comes with it.
    if sh::in_path("npm").is_none() || sh::in_path("node").is_none() {
        setup::packages(&["npm"]).context("npm and node, which build and test the live page")?;
    }
    eprintln!("page: the packages of {SOURCES} into {} (once)", folder.display());
    fs::create_dir_all(&folder).with_context(|| format!("create {}", folder.display()))?;
    for name in ["package.json", "package-lock.json"] {
        fs::copy(sources.join(name), folder.join(name)).with_context(|| format!("copy {SOURCES}/{name}"))?;
    }
    let mut npm = Command::new("npm");
    // Nothing of a package is run by its installation.
    npm.current_dir(&folder).args(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel", "error"]);
    sh::run(npm.stdout(std::io::stderr()))?;
    fs::write(folder.join("complete"), "").context("note that the packages are complete")?;
    Ok(folder)
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    /// The node of the oldest Debian that the set-up is for, 12.
    const NODE: u64 = 18;

    #[test]
    fn no_package_needs_a_newer_node_than_debian_has() {
        let lock: Value = serde_json::from_str(include_str!("../../../daemon/web/package-lock.json")).unwrap();
        let packages = lock["packages"].as_object().unwrap();
        for (name, package) in packages {
            let Some(needed) = package["engines"]["node"].as_str() else { continue };
            let oldest = needed.strip_prefix(">=").and_then(|version| version.split('.').next()?.trim().parse().ok());
            let oldest: u64 = oldest.unwrap_or_else(|| panic!("{name}: node {needed}"));
            assert!(oldest <= NODE, "{name} needs node {needed}");
        }
        assert!(packages.len() > 5);
    }
}

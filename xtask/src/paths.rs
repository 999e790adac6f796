//! Where things lie: the workspace, its target folder, and the cache that outlives checkouts. Creates nothing but the
//! cache folder and what it is asked to empty.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

/// The workspace's root folder.
pub(crate) fn root() -> &'static Path {
    // Baked in at build time: cargo rebuilds xtask when the checkout moves.
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("."))
}

/// cargo's target folder for this workspace.
pub(crate) fn target() -> PathBuf {
    match env::var_os("CARGO_TARGET_DIR") {
        Some(dir) if !dir.is_empty() => {
            let dir = PathBuf::from(dir);
            if dir.is_absolute() { dir } else { root().join(dir) }
        }
        _ => root().join("target"),
    }
}

/// The folder for what is downloaded or built once per machine; made if missing.
pub(crate) fn cache() -> Result<PathBuf> {
    let set = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let dir = match (set("MMSCOPE_CACHE"), set("XDG_CACHE_HOME"), set("HOME")) {
        (Some(dir), _, _) => dir,
        (None, Some(dir), _) => dir.join("mmscope"),
        (None, None, Some(home)) => home.join(".cache/mmscope"),
        (None, None, None) => bail!("no cache folder: set MMSCOPE_CACHE or HOME"),
    };
    fs::create_dir_all(&dir).with_context(|| format!("create the cache folder {}", dir.display()))?;
    // Programs are run from it by other working directories.
    dir.canonicalize().with_context(|| format!("resolve {}", dir.display()))
}

/// Makes an empty folder.
pub(crate) fn clear(folder: &Path) -> Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| format!("clear {}", folder.display()))?;
    }
    fs::create_dir_all(folder).with_context(|| format!("create {}", folder.display()))
}

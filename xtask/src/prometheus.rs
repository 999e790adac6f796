//! Prometheus and its Alertmanager, with their tools, from Debian's packages, unpacked into the cache: none of them is
//! installed. Knows where the programs are; what is asked of a running one is the proof's business.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::debian::Index;
use crate::{apt, paths, sh};

/// A Prometheus and an Alertmanager that belong together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Release {
    /// Debian 12's: Prometheus 2.42.
    Bookworm,
    /// Those of the release to come: Prometheus 3.
    Next,
}

const PACKAGES: [&str; 2] = ["prometheus", "prometheus-alertmanager"];

/// The programs of one release.
pub(crate) struct Programs {
    /// Prometheus.
    pub(crate) prometheus: PathBuf,
    alertmanager: PathBuf,
    /// Data of both, that is looked for in /usr/share.
    share: PathBuf,
    /// Checks an Alertmanager's configuration.
    pub(crate) amtool: PathBuf,
}

impl Release {
    /// Its programs, unpacked when they are not in the cache.
    pub(crate) fn programs(self) -> Result<Programs> {
        let tools = paths::cache()?.join("tools");
        let tree = tools.join(match self {
            Self::Bookworm => "prometheus-bookworm",
            Self::Next => "prometheus-next",
        });
        let programs = Programs::in_tree(&tree);
        if !programs.are_there() {
            let new = tree.with_extension("new");
            for folder in [&tree, &new] {
                if folder.exists() {
                    fs::remove_dir_all(folder).with_context(|| format!("clear {}", folder.display()))?;
                }
            }
            self.unpack(&new)?;
            // Under its final name only when complete.
            fs::rename(&new, &tree).with_context(|| format!("write {}", tree.display()))?;
        }
        Ok(programs)
    }

    fn unpack(self, tree: &Path) -> Result<()> {
        if !apt::available() {
            bail!("Prometheus comes from Debian's packages, and this system has no apt and dpkg");
        }
        let (index, packages) = match self {
            Self::Bookworm => (Index::open()?, PACKAGES.map(|name| format!("{name}/bookworm"))),
            Self::Next => (Index::of_next()?, PACKAGES.map(str::to_owned)),
        };
        index.unpack(&packages.each_ref().map(String::as_str), tree)
    }
}

impl Programs {
    fn in_tree(tree: &Path) -> Self {
        let program = |name: &str| tree.join("usr/bin").join(name);
        Self {
            prometheus: program("prometheus"),
            alertmanager: program("prometheus-alertmanager"),
            amtool: program("amtool"),
            share: tree.join("usr/share"),
        }
    }

    /// A command that runs its Alertmanager, and dies with us. Debian's reads a file in /usr/share and knows no other place: it sees
    /// the package's own there, in a mount namespace of its own.
    pub(crate) fn alertmanager(&self) -> Command {
        let mut command = sh::dying_with_us(Path::new("unshare"));
        command.arg("--mount");
        if !sh::is_root() {
            command.arg("--map-root-user");
        }
        command.args(["sh", "-c", "mount --bind \"$1\" /usr/share && shift && exec \"$@\"", "sh"]);
        command.arg(&self.share).arg(&self.alertmanager);
        command
    }

    fn are_there(&self) -> bool {
        [&self.prometheus, &self.alertmanager, &self.amtool].into_iter().all(|program| sh::is_executable(program))
    }
}

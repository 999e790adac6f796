//! Prometheus and its Alertmanager, with their tools, from Debian's packages, unpacked into the cache: none of them is
//! installed. Knows where the programs are and how rules are checked; what is asked of a running one is the proof's business.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::debian::Index;
use crate::setup;
use crate::{apt, dashboards, paths, sh};

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

/// Where what is checked lies, from the checkout's root.
const RULES: &str = "dashboards/rules";
const TESTS: &str = "dashboards/rules/tests";
const COMPOSE: &str = "deploy/compose";
const FLEET: &str = "deploy/prometheus";

/// Whether the committed rules are those that the tables make, are valid, and do what their tests say; and whether the
/// configuration of the example can be used.
///
/// # Errors
///
/// What promtool or amtool said, or which file is out of date.
pub(crate) fn check() -> Result<()> {
    dashboards::check()?;
    let promtool = setup::promtool()?;
    let run = |program: &Path, args: &[&str], files: &[PathBuf]| {
        // Tests name the files of rules from where they lie themselves.
        sh::output(Command::new(program).current_dir(paths::root()).args(args).args(files)).map(|_| ())
    };
    run(&promtool, &["check", "rules"], &yaml_files(RULES)?)?;
    run(&promtool, &["test", "rules"], &yaml_files(TESTS)?)?;
    let compose = |file: &str| [paths::root().join(COMPOSE).join(file)];
    run(&promtool, &["check", "config"], &compose("prometheus.yml"))?;
    run(&promtool, &["check", "config"], &fleet()?)?;
    run(&Release::Bookworm.programs()?.amtool, &["check-config"], &compose("alertmanager.yml"))
}

/// The configurations for a fleet. Debian builds Prometheus without the discovery of Kubernetes: where it is asked for, what is
/// checked is a copy without it.
fn fleet() -> Result<Vec<PathBuf>> {
    const KUBERNETES: &str = "kubernetes_sd_configs";
    let mut files = yaml_files(FLEET)?;
    for file in &mut files {
        let path = paths::root().join(&*file);
        let text = fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
        if !text.contains(KUBERNETES) {
            continue;
        }
        let mut config: Value = serde_saphyr::from_str(&text).with_context(|| format!("read {}", path.display()))?;
        for scrape in config["scrape_configs"].as_array_mut().into_iter().flatten() {
            scrape.as_object_mut().and_then(|scrape| scrape.remove(KUBERNETES));
        }
        let copy = paths::target().join("prometheus").join(file.file_name().context("a file without a name")?);
        fs::create_dir_all(copy.parent().unwrap_or(Path::new("."))).context("create a folder for the copy")?;
        fs::write(&copy, format!("{config:#}")).with_context(|| format!("write {}", copy.display()))?;
        *file = copy;
    }
    Ok(files)
}

/// The YAML files of a folder of the checkout, from its root.
fn yaml_files(folder: &str) -> Result<Vec<PathBuf>> {
    let full = paths::root().join(folder);
    let files = fs::read_dir(&full).with_context(|| format!("read {}", full.display()))?;
    let mut files: Vec<PathBuf> = files
        .filter_map(|entry| Some(Path::new(folder).join(entry.ok()?.file_name())))
        .filter(|path| path.extension().is_some_and(|extension| extension == "yml"))
        .collect();
    files.sort();
    if files.is_empty() {
        bail!("no YAML in {folder}");
    }
    Ok(files)
}

//! Rules and configurations, checked by Prometheus's own tools.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::prometheus::Release;
use crate::{dashboards, paths, setup, sh};

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

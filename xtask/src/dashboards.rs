//! What others run beside mmscope, made from the catalogue of metrics: `cargo xtask dashboards` writes it, and lint holds
//! what is committed to what would be written. Knows where files lie; each kind of file has rooms of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::catalogue::Catalogue;
use crate::paths;

mod grafana;
mod lint;
mod promql;
pub(crate) mod rules;
mod schema;

/// `cargo xtask dashboards`.
#[derive(Args)]
pub(crate) struct DashboardsArgs {
    /// Write nothing: fail if a committed file differs from what would be written, or breaks a rule
    #[arg(long)]
    check: bool,
    /// Write below this folder instead of the checkout
    #[arg(long, value_name = "FOLDER", conflicts_with = "check")]
    to: Option<PathBuf>,
    /// What the addresses of the alerts' runbooks begin with: where you serve docs/runbooks [default: that folder of the repository
    /// which Cargo.toml names, or its path alone]
    #[arg(long, visible_alias = "runbook-base", value_name = "ADDRESS", requires = "to")]
    runbooks: Option<String>,
}

/// Runs it.
pub(crate) fn main(args: &DashboardsArgs) -> Result<ExitCode> {
    if args.check {
        check()?;
        check_schema()?;
        println!("dashboards: the committed files are what would be written");
        return Ok(ExitCode::SUCCESS);
    }
    let runbooks = args.runbooks.clone().unwrap_or_else(rules::runbook_base);
    for (file, text) in files(&runbooks)? {
        let path = args.to.as_deref().unwrap_or(paths::root()).join(&file);
        if fs::read_to_string(&path).is_ok_and(|old| old == text) {
            continue;
        }
        let folder = path.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(folder).with_context(|| format!("create {}", folder.display()))?;
        fs::write(&path, text).with_context(|| format!("write {}", path.display()))?;
        println!("{}", file.display());
    }
    // Written all the same: whoever changes a dashboard wants to see it.
    check()?;
    Ok(ExitCode::SUCCESS)
}

/// Every generated file with its text; paths are relative to the workspace's root.
fn files(runbooks: &str) -> Result<Vec<(PathBuf, String)>> {
    Ok([grafana::files(&Catalogue::read()?)?, rules::files(runbooks)?].concat())
}

/// An error that lists every file that is not what would be written, and every rule that a dashboard breaks.
pub(crate) fn check() -> Result<()> {
    let catalogue = Catalogue::read()?;
    let files = grafana::files(&catalogue)?;
    let mut breaches = strangers(&files)?;
    for (file, text) in files.iter().chain(&rules::files(&rules::runbook_base())?) {
        let found = fs::read_to_string(paths::root().join(file)).unwrap_or_default();
        if found != *text {
            breaches.push(format!("{} is not what `cargo xtask dashboards` writes", file.display()));
        }
    }
    breaches.extend(lint::check(&files, &catalogue)?);
    if breaches.is_empty() {
        return Ok(());
    }
    bail!("{} breaches:\n{}", breaches.len(), breaches.join("\n"))
}

/// An error that has what the compiler says of the dashboards as values of Grafana's published types.
pub(crate) fn check_schema() -> Result<()> {
    schema::check(&grafana::files(&Catalogue::read()?)?)
}

/// Dashboards in the folder that nobody writes any more.
fn strangers(files: &[(PathBuf, String)]) -> Result<Vec<String>> {
    let folder = paths::root().join(grafana::FOLDER);
    let mut strangers = Vec::new();
    for entry in fs::read_dir(&folder).with_context(|| format!("read {}", folder.display()))? {
        let name = entry.with_context(|| format!("read {}", folder.display()))?.file_name();
        let file = Path::new(grafana::FOLDER).join(name);
        if !files.iter().any(|(known, _)| *known == file) {
            strangers.push(format!("{} is written by nothing: remove it", file.display()));
        }
    }
    Ok(strangers)
}

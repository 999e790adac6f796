//! The Grafana dashboards, one file each in `grafana`; here is only which there are and where they are written.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::catalogue::Catalogue;
use board::Board;

mod board;
mod hazards;
mod itself;
mod links;
mod overview;
mod panel;
mod process;
mod questions;
mod style;
mod variables;

/// Where they are written, from the workspace's root.
pub(super) const FOLDER: &str = "dashboards/grafana";

/// The rate that most queries ask for is over this, and nothing else: Grafana makes it four scrapes long at least.
pub(super) const RATE_INTERVAL: &str = "$__rate_interval";

fn boards() -> [Board; 5] {
    [overview::board(), process::board(), hazards::board(), questions::board(), itself::board()]
}

/// Every dashboard's file and text.
pub(super) fn files(catalogue: &Catalogue) -> Result<Vec<(PathBuf, String)>> {
    let mut files = Vec::new();
    for board in boards() {
        let value = board.render(catalogue).with_context(|| format!("dashboard {}", board.uid))?;
        let text = serde_json::to_string_pretty(&value).with_context(|| format!("dashboard {}", board.uid))?;
        files.push((Path::new(FOLDER).join(format!("{}.json", board.uid)), text + "\n"));
    }
    Ok(files)
}

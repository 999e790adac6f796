//! The files that a proof works with, in a folder of its own below the target folder: rules in the proof's time scale and the
//! servers' configurations.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::{INTERVAL, RUNBOOKS, SCALE};
use crate::dashboards::rules::{self, JOB};
use crate::paths;

/// An empty folder.
pub(super) fn folder() -> Result<PathBuf> {
    let folder = paths::target().join("proof");
    if folder.exists() {
        fs::remove_dir_all(&folder).with_context(|| format!("clear {}", folder.display()))?;
    }
    fs::create_dir_all(&folder).with_context(|| format!("create {}", folder.display()))?;
    Ok(folder)
}

/// Writes a file, and its folder.
pub(super) fn write(file: &Path, text: &str) -> Result<()> {
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder).with_context(|| format!("create {}", folder.display()))?;
    }
    fs::write(file, text).with_context(|| format!("write {}", file.display()))
}

/// Configures a Prometheus that follows a file of targets and tells an Alertmanager; the configuration's file.
pub(super) fn prometheus(folder: &Path, targets: &Path, alertmanager: u16) -> Result<PathBuf> {
    write(&folder.join("alerts.yml"), &rules::yaml(&rules::alerting(SCALE, RUNBOOKS))?)?;
    write(&folder.join("recording.yml"), &rules::yaml(&rules::recording(SCALE))?)?;
    let interval = INTERVAL.as_secs();
    let targets = targets.display();
    let file = folder.join("prometheus.yml");
    let text = format!(
        "global:\n  scrape_interval: {interval}s\n  scrape_timeout: {interval}s\n  evaluation_interval: {interval}s\n\
         rule_files: [alerts.yml, recording.yml]\n\
         alerting:\n  alertmanagers:\n    - static_configs:\n        - targets: [\"127.0.0.1:{alertmanager}\"]\n\
         scrape_configs:\n  - job_name: {JOB}\n    file_sd_configs:\n      - files: [\"{targets}\"]\n        refresh_interval: 5s\n"
    );
    write(&file, &text)?;
    Ok(file)
}

/// Configures an Alertmanager that tells nobody; the configuration's file.
pub(super) fn alertmanager(folder: &Path) -> Result<PathBuf> {
    let file = folder.join("alertmanager.yml");
    write(&file, "route:\n  receiver: nobody\nreceivers:\n  - name: nobody\n")?;
    Ok(file)
}

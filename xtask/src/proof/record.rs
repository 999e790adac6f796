//! Records what mmscope exposes on the kernel that loses stores: once before, and once while its alert is raised. What a proof needs
//! of it is kept: alerts, hazards, ticks, losses.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::files;
use crate::setup::GuestTools;
use crate::unfixed_kernel::{self, Form};
use crate::vm::{Guest, START_MMSCOPE, in_bin};
use crate::{kernels, paths};

const TIMEOUT: Duration = Duration::from_secs(900);

const KEPT: &[&str] = &[
    "mmscope_alerts_active",
    "mmscope_hazards_total",
    "mmscope_ticks_total",
    "mmscope_lost_total",
    "mmscope_build_info",
    "process_start_time_seconds",
];

const RAISED: &str = "mmscope_alerts_active{class=\"stale_write_overlap\",severity=\"critical\"} 1";

const SCRIPT: &str = r#"
@START@
sleep 3
echo "@@@ before"
get metrics
mmload --name race uffd-race --rounds 300 >/dev/null || exit 1
# A tick, so that all has been read; the alert stays for a minute.
sleep 3
echo "@@@ during"
get metrics
echo "@@@ end"
kill -TERM "$mmscope"
wait "$mmscope"
"#;

/// Boots that kernel and writes both files.
pub(super) fn record(tools: &GuestTools, binaries: &[PathBuf; 2]) -> Result<()> {
    let image = unfixed_kernel::image(Form::Unfixed)?;
    let kernel = kernels::resolve(image.to_str().context("the cache's path is no text")?)?;
    let guest = Guest {
        smp: 3,
        parallel: true,
        files: binaries.iter().cloned().map(in_bin).collect(),
        quiet: true,
        timeout: TIMEOUT,
        ..Guest::new(kernel, SCRIPT.replace("@START@", START_MMSCOPE))
    };
    let outcome = guest.run(tools)?;
    outcome.explain();
    ensure!(outcome.problem().is_none(), "{}", outcome.problem().unwrap_or_default());
    let part = |from: &str, to: &str| {
        let rest = outcome.output.split_once(from).map(|(_, rest)| rest)?;
        Some(rest.split_once(to)?.0.to_owned())
    };
    let before = part("@@@ before\n", "@@@ during\n").context("the guest told nothing before")?;
    let during = part("@@@ during\n", "@@@ end").context("the guest told nothing after")?;
    ensure!(during.contains(RAISED) && !before.contains(RAISED), "no exposed write was told: {during}");
    for (name, text) in [("before", before), ("during", during)] {
        files::write(&paths::root().join(format!("xtask/src/proof/recorded/{name}.txt")), &kept(&text))?;
    }
    Ok(())
}

/// The families that are kept.
fn kept(text: &str) -> String {
    let is_kept = |line: &&str| {
        let series = line.strip_prefix("# HELP ").or_else(|| line.strip_prefix("# TYPE ")).unwrap_or(line);
        KEPT.iter().any(|family| series.starts_with(family))
    };
    text.lines().filter(is_kept).map(|line| format!("{line}\n")).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn families_that_a_proof_needs_are_kept() {
        let text =
            "# HELP mmscope_ticks_total T\n# TYPE mmscope_ticks_total counter\nmmscope_ticks_total 3\nother_total 4\n";
        assert_eq!(super::kept(text), text.replace("other_total 4\n", ""));
    }
}

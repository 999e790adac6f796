//! The bug that mmscope grew out of, on a kernel that has it: stores are lost while mmscope calls write faults exposed; on the
//! same kernel with the fix, and on Debian's, none is lost and each is mitigated. Two writers without a userfaultfd are none of
//! the class's business on any of them.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Args;
use serde_json::Value;

use crate::kernels::{self, Kernel};
use crate::setup::{self, GuestTools, Wants};
use crate::unfixed_kernel::{self, Form};
use crate::vm::{Guest, START_MMSCOPE, in_bin};
use crate::{dist, paths};

const PAGE: &str = "docs/race.md";
/// The series of Debian's kernel beside the two that are built.
const DEBIAN: &str = "5.10";
/// Names under which the two loads run.
const LOADS: [&str; 2] = ["race", "plain"];
const TIMEOUT: Duration = Duration::from_secs(900);

/// `cargo xtask race`.
///
/// Builds the two kernels of `unfixed-kernel` if they are not in the cache. The exit code is 1 if the kernel without the fix
/// lost nothing, or was not told exposed, or another one did or was.
#[derive(Args)]
pub(crate) struct RaceArgs {
    /// Rounds of each load
    #[arg(long, default_value_t = 300)]
    rounds: u32,
    /// Write docs/race.md
    #[arg(long)]
    write: bool,
}

/// Runs both loads on the three kernels.
pub(crate) fn main(args: &RaceArgs) -> Result<ExitCode> {
    let tools = setup::setup(Wants { guests: true })?;
    let guests = tools.guests.as_ref().context("set-up of the guest tools")?;
    let binaries = dist::dist(&tools, false)?;
    let built = |form| -> Result<Kernel> {
        let image = unfixed_kernel::image(form)?;
        kernels::resolve(image.to_str().context("the cache's path is no text")?)
    };
    let kernels = [(built(Form::Unfixed)?, true), (built(Form::Fixed)?, false), (kernels::resolve(DEBIAN)?, false)];
    let mut text = "| kernel | load | increments | lost | exposed | mitigated | reused | as it should be |\n|---|---|---|---|---|---|---|---|\n".to_owned();
    let mut passed = true;
    for (kernel, loses) in kernels {
        let release = kernel.release.clone();
        for row in boot(args, guests, &binaries, kernel)? {
            let is_right = row.is_right(loses);
            passed &= is_right;
            let word = if is_right { "yes" } else { "NO" };
            let _ = writeln!(text, "| {release} | {} | {word} |", row.cells());
        }
    }
    print!("\n{text}");
    if args.write {
        let path = paths::root().join(PAGE);
        let page = format!("{INTRODUCTION}\nMade by `cargo xtask race --write --rounds {}`.\n\n{text}", args.rounds);
        fs::write(&path, page).with_context(|| format!("write {}", path.display()))?;
    }
    Ok(if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn boot(args: &RaceArgs, tools: &GuestTools, binaries: &[PathBuf; 2], kernel: Kernel) -> Result<Vec<Row>> {
    let guest = Guest {
        smp: 3,
        parallel: true,
        files: binaries.iter().cloned().map(in_bin).collect(),
        env: vec![("ROUNDS".to_owned(), args.rounds.to_string())],
        quiet: true,
        timeout: TIMEOUT,
        ..Guest::new(kernel, SCRIPT.replace("@START@", START_MMSCOPE))
    };
    let outcome = guest.run(tools)?;
    outcome.explain();
    anyhow::ensure!(outcome.problem().is_none(), "{}", outcome.problem().unwrap_or_default());
    rows(&outcome.output)
}

const SCRIPT: &str = r#"
@START@
mmload --name race uffd-race --rounds "$ROUNDS" || exit 1
mmload --name plain uffd-overlap --case plain --rounds "$ROUNDS" || exit 1
# Two ticks, so that all has been read.
sleep 3
get metrics || exit 1
kill -TERM "$mmscope"
wait "$mmscope"
"#;

/// What a load did, and what mmscope told of it.
#[derive(Debug, PartialEq)]
struct Row {
    load: &'static str,
    increments: Option<u64>,
    lost: Option<u64>,
    exposed: f64,
    mitigated: f64,
    reused: f64,
}

impl Row {
    /// Where stores are lost, write faults are exposed, and else nowhere; who has no userfaultfd is not judged.
    fn is_right(&self, loses: bool) -> bool {
        match self.lost {
            None => self.exposed + self.mitigated + self.reused == 0.0,
            Some(lost) if loses => lost > 0 && self.exposed > 0.0,
            Some(lost) => lost == 0 && self.exposed == 0.0 && self.mitigated > 0.0,
        }
    }

    fn cells(&self) -> String {
        let count = |count: Option<u64>| count.map_or_else(|| "-".to_owned(), |count| count.to_string());
        let Self { load, increments, lost, exposed, mitigated, reused } = self;
        format!("{load} | {} | {} | {exposed} | {mitigated} | {reused}", count(*increments), count(*lost))
    }
}

/// A row for each load, from a guest's output.
fn rows(output: &str) -> Result<Vec<Row>> {
    let told: Vec<Value> = output.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let lines = output.lines().filter(|line| line.starts_with("mmscope_")).map(|line| Ok(line.to_owned()));
    let samples = prometheus_parse::Scrape::parse(lines).context("read the scrape")?.samples;
    anyhow::ensure!(told.len() == LOADS.len() && !samples.is_empty(), "the guest did not tell all: {output}");
    let row = |(load, told): (&'static str, &Value)| {
        let hazards = |outcome: &str| -> f64 {
            let labels = [("comm", load), ("class", "stale_write_overlap"), ("outcome", outcome)];
            let found = samples.iter().filter(|sample| {
                sample.metric == "mmscope_hazards_total"
                    && labels.iter().all(|&(name, value)| sample.labels.get(name) == Some(value))
            });
            found
                .map(|sample| match sample.value {
                    prometheus_parse::Value::Counter(value)
                    | prometheus_parse::Value::Gauge(value)
                    | prometheus_parse::Value::Untyped(value) => value,
                    _ => 0.0,
                })
                .fold(0.0, |sum, value| sum + value)
        };
        Row {
            load,
            increments: told["increments"].as_u64(),
            lost: told["lost_increments"].as_u64(),
            exposed: hazards("exposed"),
            mitigated: hazards("mitigated"),
            reused: hazards("reused"),
        }
    };
    Ok(LOADS.into_iter().zip(&told).map(row).collect())
}

const INTRODUCTION: &str = "# The race

The bug of 2020 on a kernel that still has it: Debian's 5.10 with the fix of userfaultfd's write protection (6ce64428d620) taken
out, the same tree with it, and Debian's own kernel. In `race` one thread counts in a page by its old translation, another ends
the write protection of a range around it, and a third one's write makes a copy of the page before the flush: what was counted
after the copy is lost (`mmload uffd-race`). Increments lost are the load's own arithmetic; exposed, mitigated and reused are
`mmscope_hazards_total` of class stale_write_overlap. In `plain` two threads write to memory of no userfaultfd.

Not each exposed write loses something: the counter must count between the copy and the flush.
";

#[cfg(test)]
mod tests {
    use super::rows;

    const LOADS: &str = "{\"increments\": 9, \"lost_increments\": 2}\n{\"writes\": 3}\n";

    #[test]
    fn a_row_is_what_the_load_and_mmscope_told() {
        let scrape = "mmscope_hazards_total{comm=\"race\",class=\"stale_write_overlap\",outcome=\"exposed\"} 4\n\
            mmscope_hazards_total{comm=\"race\",class=\"flush_escalation\",outcome=\"exposed\"} 8\n";
        let rows = rows(&format!("{LOADS}{scrape}")).unwrap_or_default();
        let cells: Vec<String> = rows.iter().map(super::Row::cells).collect();
        assert_eq!(cells, ["race | 9 | 2 | 4 | 0 | 0", "plain | - | - | 0 | 0 | 0"]);
        let right = |loses| rows.iter().map(|row| row.is_right(loses)).collect::<Vec<_>>();
        assert_eq!((right(true), right(false)), (vec![true, true], vec![false, true]));
    }

    #[test]
    fn a_guest_that_told_half_is_an_error() {
        assert!(rows(LOADS).is_err());
        assert!(rows("mmscope_up 1\n").is_err());
    }
}

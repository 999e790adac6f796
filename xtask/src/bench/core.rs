//! `cargo xtask bench core`: the daemon's own work beyond the kernel side, step by step: time by criterion on this host, and
//! requests for memory, which are the same everywhere. The benches are daemon/benches.

use std::collections::BTreeMap;
use std::fs;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, ensure};
use clap::Args;
use serde_json::Value;

use super::page;
use crate::setup::{self, Wants};
use crate::{build, paths, sh};

/// `cargo xtask bench core`.
#[derive(Args)]
pub(crate) struct CoreArgs {
    /// Write the table of docs/performance.md
    #[arg(long)]
    write: bool,
}

/// The benches' names of the steps, and what the tables call them.
const STEPS: &[(&str, &str)] = &[
    ("name", "name: a subject for each address space"),
    ("judge", "judge: rules"),
    ("fold", "fold: sums by subject"),
    ("snapshot", "snapshot: a copy for scrapes"),
    ("text", "scrape, Prometheus text"),
    ("openmetrics", "scrape, OpenMetrics"),
    ("protobuf", "scrape, protobuf"),
];

/// One step with so many address spaces.
#[derive(Default)]
struct Cell {
    /// None until it was measured.
    ns: Option<f64>,
    allocations: u64,
    bytes: u64,
}

/// By step and number of address spaces.
type Cells = BTreeMap<(String, u64), Cell>;

/// Runs both benches.
pub(crate) fn main(args: &CoreArgs) -> Result<ExitCode> {
    let tools = setup::setup(Wants { guests: false })?;
    let object = build::bpf(&tools, false)?;
    let bench = |name: &str| {
        let mut cargo = build::cargo_with_object(&object);
        cargo.args(["bench", "-p", "mmscope", "--bench", name]);
        cargo
    };
    let mut cells = allocations(&sh::output(&mut bench("allocations"))?)?;
    times(&mut bench("core"), &mut cells)?;
    let table = table(&cells)?;
    println!("\n{table}");
    if args.write {
        page::write("core", &format!("Made by `cargo xtask bench core --write`.\n\n{table}"))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// From the lines of JSON of daemon/benches/allocations.rs.
fn allocations(output: &str) -> Result<Cells> {
    let cell = |line: &str| -> Option<((String, u64), Cell)> {
        let json: Value = serde_json::from_str(line).ok()?;
        let (allocations, bytes) = (json["allocations"].as_u64()?, json["bytes"].as_u64()?);
        Some(((json["step"].as_str()?.to_owned(), json["mms"].as_u64()?), Cell { ns: None, allocations, bytes }))
    };
    let cells: Cells = output.lines().filter_map(cell).collect();
    ensure!(!cells.is_empty(), "the bench of allocations told nothing: {output}");
    Ok(cells)
}

/// Criterion leaves a file for each of its benches; its folder is emptied first, so that none is of another day.
fn times(bench: &mut Command, cells: &mut Cells) -> Result<()> {
    let home = paths::target().join("criterion");
    if home.exists() {
        fs::remove_dir_all(&home).with_context(|| format!("clear {}", home.display()))?;
    }
    sh::run(bench.env("CRITERION_HOME", &home))?;
    for ((step, mms), cell) in cells {
        let file = home.join(mms.to_string()).join(step).join("new/estimates.json");
        let text = fs::read_to_string(&file).with_context(|| format!("read {}", file.display()))?;
        let json: Value = serde_json::from_str(&text).with_context(|| format!("parse {}", file.display()))?;
        let ns = json["median"]["point_estimate"].as_f64();
        cell.ns = Some(ns.with_context(|| format!("no median in {}", file.display()))?);
    }
    Ok(())
}

fn table(cells: &Cells) -> Result<String> {
    let mut mms: Vec<u64> = cells.keys().map(|(_, mms)| *mms).collect();
    mms.sort_unstable();
    mms.dedup();
    let names: Vec<String> = mms.iter().map(|mms| format!("{mms} address spaces")).collect();
    let mut text = format!("| step | {} |\n|{}\n", names.join(" | "), "---|".repeat(mms.len() + 1));
    for (step, what) in STEPS {
        text.push_str(&format!("| {what} |"));
        for mms in &mms {
            let cell = cells.get(&((*step).to_owned(), *mms)).with_context(|| format!("no {step} of {mms}"))?;
            let time = cell.ns.map_or_else(|| "-".to_owned(), time);
            text.push_str(&format!(" {time}, {} allocations, {} KiB |", cell.allocations, cell.bytes.div_ceil(1024)));
        }
        text.push('\n');
    }
    Ok(text)
}

fn time(ns: f64) -> String {
    if ns < 1e6 { format!("{:.0} µs", ns / 1e3) } else { format!("{:.1} ms", ns / 1e6) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_step_has_its_row() {
        let output: String = STEPS
            .iter()
            .map(|(step, _)| format!("{{\"allocations\":7,\"bytes\":1025,\"mms\":100,\"step\":\"{step}\"}}\n"))
            .collect();
        let mut cells = allocations(&format!("noise\n{output}")).unwrap();
        for cell in cells.values_mut() {
            cell.ns = Some(1_250_000.0);
        }
        let text = table(&cells).unwrap();
        assert!(text.contains("| judge: rules | 1.2 ms, 7 allocations, 2 KiB |"), "{text}");
        assert_eq!(text.lines().count(), 2 + STEPS.len());
        assert!(allocations("noise").is_err());
        assert!(table(&allocations(output.lines().next().unwrap()).unwrap()).is_err());
    }
}

//! `cargo xtask bench many`: names, sums and scrapes of a host with many cgroups whose processes come and go. The bench is
//! daemon/benches/many.rs.

use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Args;
use serde_json::Value;

use super::page;
use crate::setup::{self, Wants};
use crate::{build, sh};

/// `cargo xtask bench many`.
#[derive(Args)]
pub(crate) struct ManyArgs {
    /// Cgroups
    #[arg(long, default_value_t = 20_000)]
    cgroups: u32,
    /// Processes that come and go
    #[arg(long, default_value_t = 100_000)]
    processes: u32,
    /// Write the table of docs/performance.md
    #[arg(long)]
    write: bool,
}

/// Runs the bench.
pub(crate) fn main(args: &ManyArgs) -> Result<ExitCode> {
    let tools = setup::setup(Wants { guests: false })?;
    let object = build::bpf(&tools, false)?;
    let mut cargo = build::cargo_with_object(&object);
    cargo.args(["bench", "-p", "mmscope", "--bench", "many"]);
    cargo.env("CGROUPS", args.cgroups.to_string()).env("PROCESSES", args.processes.to_string());
    let output = sh::output(&mut cargo)?;
    let told = output.lines().find_map(|line| serde_json::from_str::<Value>(line).ok());
    let table = table(&told.context("the bench told nothing")?)?;
    println!("\n{table}");
    if args.write {
        page::write("many", &format!("Made by `cargo xtask bench many --write`.\n\n{table}"))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn table(told: &Value) -> Result<String> {
    let whole = |key: &str| told[key].as_u64().with_context(|| format!("no {key}"));
    let ms = |key: &str| told[key].as_f64().map(|ms| format!("{ms:.1} ms")).with_context(|| format!("no {key}"));
    let rows = [
        ("cgroups", whole("cgroups")?.to_string()),
        ("processes that came and went, in 100 ticks", whole("processes")?.to_string()),
        ("subjects told apart at the end", whole("subjects")?.to_string()),
        ("series of a scrape, at most", whole("series")?.to_string()),
        ("bytes of a scrape, at most", whole("scrape_bytes")?.to_string()),
        ("memory of all of it, at most", format!("{:.1} MiB", whole("memory_kib")? as f64 / 1024.0)),
        ("names of a tick, median", ms("name_ms")?),
        ("names of a tick, worst: the walk through all cgroups", ms("name_worst_ms")?),
        ("sums of a tick, median", ms("fold_ms")?),
        ("sums of a tick, worst", ms("fold_worst_ms")?),
        ("scrape, worst", ms("scrape_worst_ms")?),
        ("names forgotten for want of room", whole("forgotten")?.to_string()),
    ];
    let rows = rows.iter().map(|(what, figure)| format!("| {what} | {figure} |\n"));
    Ok(format!("| what | figure |\n|---|---|\n{}", rows.collect::<String>()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_that_is_missing_is_an_error() {
        let mut told = serde_json::json!({
            "cgroups": 5, "processes": 6, "subjects": 7, "series": 8, "scrape_bytes": 9, "memory_kib": 2048,
            "name_ms": 1.25, "name_worst_ms": 2.0, "fold_ms": 3.0, "fold_worst_ms": 4.0, "scrape_worst_ms": 5.0,
            "forgotten": 0,
        });
        let text = table(&told).unwrap();
        assert!(text.contains("at most | 2.0 MiB |") && text.contains("median | 1.2 ms |"), "{text}");
        told["series"] = Value::Null;
        assert!(table(&told).unwrap_err().to_string().contains("series"));
    }
}

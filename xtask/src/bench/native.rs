//! `cargo xtask bench native`: what watching adds on this host: nanoseconds of processor time of an operation and of a lock event.
//!
//! Time tells more than the operation: caches that others use, the processor's frequency. So runs come in pairs, without and
//! with mmscope in turn, and what counts is the middle of the differences, beside their spread and beside the same difference
//! of two runs without it. It is the time that the kernel charges to the workload: others' turns on its processor are not in it.

use std::path::Path;
use std::process::{Command, ExitCode};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::Args;
use serde_json::Value;

use super::host::{self, Mmscope, PATIENCE};
use super::page;
use crate::setup::{self, Wants};
use crate::{dist, sh};

/// `cargo xtask bench native`.
#[derive(Args)]
pub(crate) struct NativeArgs {
    /// Pairs of runs, without and with mmscope
    #[arg(long, default_value_t = 25, value_parser = clap::value_parser!(u32).range(3..))]
    pairs: u32,
    /// Write the table of docs/performance.md
    #[arg(long)]
    write: bool,
}

/// A cycle of the workload program.
struct Load {
    name: &'static str,
    /// What a cycle is.
    unit: &'static str,
    /// Cycles of one run: some thirty milliseconds.
    cycles: u32,
    command: &'static [&'static str],
}

const LOADS: &[Load] = &[
    Load {
        name: "mprotect",
        unit: "mprotect read-only, mprotect writable, one write",
        cycles: 20_000,
        command: &["mprotect", "--cycles", "20000"],
    },
    Load {
        name: "write lock",
        unit: "one uncontended acquisition for write (mprotect of a page)",
        cycles: 40_000,
        command: &["lock-writers", "--ops", "40000"],
    },
    Load {
        name: "read lock",
        unit: "one uncontended acquisition for read (mincore of a page)",
        cycles: 100_000,
        command: &["lock-readers", "--ops", "100000"],
    },
    Load { name: "munmap", unit: "mmap, touch, munmap", cycles: 10_000, command: &["munmap", "--cycles", "10000"] },
    Load {
        name: "getppid",
        unit: "a system call that has nothing to do with memory",
        cycles: 300_000,
        command: &["getppid", "--calls", "300000"],
    },
];

/// Runs of which the shortest counts: what comes between makes a run longer, never shorter.
const RUNS: u32 = 3;
/// Such loads are over any budget, and what is given up costs nothing.
const WHOLE: &[&str] = &["--overhead-budget=off"];
/// While locks are counted.
const QUICK: &str = "tick = \"200ms\"\nseries_cap = 1000000\nseries_idle = 1000000\n";
/// Ticks after which whatever happened is in a scrape.
const SETTLED: f64 = 8.0;

/// One load's times, nanoseconds of a cycle.
#[derive(Default)]
struct Times {
    /// Before and after a run with mmscope.
    without: Vec<[f64; 2]>,
    with: Vec<f64>,
    /// Acquisitions of mmap_lock in a cycle, by mmscope's count.
    acquisitions: f64,
}

/// Runs all pairs.
pub(crate) fn main(args: &NativeArgs) -> Result<ExitCode> {
    let tools = setup::setup(Wants { guests: false })?;
    let [mmscope, mmload] = dist::dist(&tools, false)?;
    let mut times: Vec<Times> = LOADS.iter().map(|_| Times::default()).collect();
    let all = || LOADS.iter().map(|load| shortest(&mmload, load)).collect::<Result<Vec<f64>>>();
    for pair in 1..=args.pairs {
        eprintln!("bench: pair {pair} of {}", args.pairs);
        let before = all()?;
        let daemon = Mmscope::start(&mmscope, "", WHOLE)?;
        let with = all()?;
        drop(daemon);
        let after = all()?;
        for (n, times) in times.iter_mut().enumerate() {
            times.without.push([before[n], after[n]]);
            times.with.push(with[n]);
        }
    }
    let attached = count_locks(&mmscope, &mmload, &mut times)?;
    let table = table(&times);
    println!("\n{table}");
    if args.write {
        let command = format!("cargo xtask bench native --pairs {} --write", args.pairs);
        page::write("native", &format!("Made by `{command}`, with these hooks: {attached}.\n\n{table}"))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Nanoseconds of a cycle.
fn shortest(mmload: &Path, load: &Load) -> Result<f64> {
    let runs = (0..RUNS).map(|_| run(mmload, load)).collect::<Result<Vec<f64>>>()?;
    Ok(runs.into_iter().fold(f64::INFINITY, f64::min))
}

fn run(mmload: &Path, load: &Load) -> Result<f64> {
    let mut command = Command::new(mmload);
    command.args(["--name", &comm(load)]).args(load.command);
    let output = sh::output(&mut command)?;
    let told: Value = serde_json::from_str(&output).with_context(|| format!("read {output}"))?;
    let time = told["cpu_ns"].as_u64().with_context(|| format!("no cpu_ns in {output}"))?;
    Ok(time as f64 / f64::from(load.cycles))
}

/// The name under which a load's events are told.
fn comm(load: &Load) -> String {
    format!("n-{}", load.name.replace(' ', "-"))
}

/// Runs each load once more and asks mmscope how often the lock was taken. Gives the names of the hooks that were attached.
fn count_locks(mmscope: &Path, mmload: &Path, times: &mut [Times]) -> Result<String> {
    let _daemon = Mmscope::start(mmscope, QUICK, WHOLE)?;
    for load in LOADS {
        run(mmload, load)?;
    }
    let ticks = |scrape: &str| host::sum(scrape, "mmscope_ticks_total", &[]);
    let due = ticks(&host::scrape()?) + SETTLED;
    let begin = Instant::now();
    let scrape = loop {
        let scrape = host::scrape()?;
        if ticks(&scrape) >= due {
            break scrape;
        }
        ensure!(begin.elapsed() < PATIENCE, "mmscope does not tick");
        thread::sleep(Duration::from_millis(50));
    };
    for (load, times) in LOADS.iter().zip(times) {
        let labels = [format!("comm=\"{}\"", comm(load)), "result=\"acquired\"".to_owned()];
        let taken = host::sum(&scrape, "mmscope_mmap_lock_acquisitions_total", &[&labels[0], &labels[1]]);
        times.acquisitions = taken / f64::from(load.cycles);
    }
    let attached = scrape.lines().filter(|line| line.starts_with("mmscope_probe_attached{") && line.ends_with(" 1"));
    let names: Vec<&str> = attached.filter_map(|line| line.split("probe=\"").nth(1)?.split('"').next()).collect();
    Ok(names.join(", "))
}

fn table(times: &[Times]) -> String {
    let mut text = "| operation | without | with | added | half of the pairs | ratio | without beside without | acquisitions | a lock event |\n\
                    |---|---|---|---|---|---|---|---|---|\n"
        .to_owned();
    for (load, times) in LOADS.iter().zip(times) {
        let bare: Vec<f64> = times.without.iter().map(|[before, after]| (before + after) / 2.0).collect();
        let added: Vec<f64> = times.with.iter().zip(&bare).map(|(with, bare)| with - bare).collect();
        let ratios: Vec<f64> = times.with.iter().zip(&bare).map(|(with, bare)| with / bare).collect();
        let noise: Vec<f64> = times.without.iter().map(|[before, after]| after - before).collect();
        let ([_, without, _], [_, with, _]) = (quartiles(&bare), quartiles(&times.with));
        let ([low, middle, high], [_, ratio, _]) = (quartiles(&added), quartiles(&ratios));
        let [noise_low, _, noise_high] = quartiles(&noise);
        // What takes no lock has no cost of one.
        let event = if times.acquisitions < 0.5 {
            "-".to_owned()
        } else {
            format!("{:.0} ns", middle / (2.0 * times.acquisitions))
        };
        text.push_str(&format!(
            "| {} | {without:.0} ns | {with:.0} ns | {middle:+.0} ns | {low:+.0} to {high:+.0} | x {ratio:.2} | \
             {noise_low:+.0} to {noise_high:+.0} | {:.2} | {event} |\n",
            load.name, times.acquisitions
        ));
    }
    text.push('\n');
    text.extend(LOADS.iter().map(|load| format!("- {}: {}\n", load.name, load.unit)));
    text
}

/// A quarter of the values lie below the first, half below the second, three quarters below the third.
fn quartiles(values: &[f64]) -> [f64; 3] {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    [1, 2, 3].map(|quarter| {
        let at = (sorted.len().saturating_sub(1) * quarter) as f64 / 4.0;
        let of = |n: f64| sorted.get(n as usize).copied().unwrap_or(f64::NAN);
        of(at.floor()) + (of(at.ceil()) - of(at.floor())) * at.fract()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quartiles_lie_between_values() {
        assert_eq!(quartiles(&[5.0, 1.0, 3.0, 2.0, 4.0]), [2.0, 3.0, 4.0]);
        assert_eq!(quartiles(&[1.0, 2.0]), [1.25, 1.5, 1.75]);
        assert_eq!(quartiles(&[7.0]), [7.0; 3]);
    }

    #[test]
    fn what_is_added_is_a_paired_difference() {
        // The second pair met a busy machine: both of its runs are twice as long.
        let mut times: Vec<Times> = LOADS.iter().map(|_| Times::default()).collect();
        times[0] = Times {
            without: vec![[990.0, 1010.0], [2000.0, 2000.0], [1000.0, 1000.0]],
            with: vec![1400.0, 2400.0, 1400.0],
            acquisitions: 2.0,
        };
        let text = table(&times);
        assert!(
            text.contains(
                "| mprotect | 1000 ns | 1400 ns | +400 ns | +400 to +400 | x 1.40 | +0 to +10 | 2.00 | 100 ns |"
            ),
            "{text}"
        );
        assert!(text.contains("| 0.00 | - |"), "{text}");
    }
}

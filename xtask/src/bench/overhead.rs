//! `cargo xtask bench overhead`: instructions that watching adds. In one guest whose clock counts instructions (QEMU's -icount),
//! so that the same run gives the same figures on any machine.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Args;

use super::guest::{self, Told};
use super::loads::{self, Load};
use super::page;
use super::watchers::{self, Watcher};
use crate::setup::{self, Wants};
use crate::vm::{Guest, in_bin};
use crate::{dist, kernels, root};

/// `cargo xtask bench overhead`.
///
/// The exit code is 1 if a load or a watcher failed, or a kernel complained.
#[derive(Args)]
pub(crate) struct OverheadArgs {
    /// Boot this kernel, as `vm` takes it
    #[arg(long, default_value = "6.18")]
    kernel: String,
    /// Leave out the parts of mmscope by themselves
    #[arg(long)]
    whole: bool,
    /// Write the tables of docs/performance.md
    #[arg(long)]
    write: bool,
}

const TIMEOUT: Duration = Duration::from_secs(3600);

/// Every watcher with every load, in one guest.
pub(crate) fn main(args: &OverheadArgs) -> Result<ExitCode> {
    let tools = setup::setup(Wants { guests: true })?;
    let guests = tools.guests.as_ref().context("set-up of the guest tools")?;
    let [mmscope, mmload] = dist::dist(&tools, false)?;
    let watchers = watchers::watchers(!args.whole);
    let loads: Vec<&Load> = loads::CYCLES.iter().chain(loads::PROGRAMS).collect();
    let packages: Vec<String> = [loads::PACKAGES, watchers::PACKAGES].concat().into_iter().map(str::to_owned).collect();
    let kernel = kernels::resolve(&args.kernel)?;
    let release = kernel.release.clone();
    let guest = Guest {
        smp: 1,
        memory_mib: 2048,
        icount: true,
        root: Some(root::image(&packages)?),
        files: vec![in_bin(mmscope), in_bin(mmload)],
        quiet: true,
        timeout: TIMEOUT,
        ..Guest::new(kernel, guest::script(&watchers, &loads))
    };
    let outcome = guest.run(guests)?;
    outcome.explain();
    let told = guest::read(&outcome.output);
    told.problems.iter().for_each(|problem| eprintln!("bench: {problem}"));
    let tables = tables(&release, &watchers, &told);
    println!("\n{tables}");
    let command = format!("cargo xtask bench overhead --kernel {} --write", args.kernel);
    if args.write {
        page::write("overhead", &format!("Made by `{command}`.\n\n{tables}"))?;
    }
    let failed = outcome.problem().is_some() || !told.problems.is_empty();
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// What one load cost under each watcher; none where it was not measured.
struct Row<'a> {
    watcher: &'a Watcher,
    /// Instructions of one unit.
    each: Vec<Option<f64>>,
}

fn tables(release: &str, watchers: &[Watcher], told: &Told) -> String {
    let rows = |loads: &[Load]| -> Vec<Row<'_>> {
        let each = |number: usize, load: &Load| {
            let mut runs = told.elapsed.get(&(number, load.name.to_owned()))?.clone();
            runs.sort_unstable();
            Some(*runs.get(runs.len() / 2)? as f64 / f64::from(load.units))
        };
        let row = |(number, watcher)| Row { watcher, each: loads.iter().map(|load| each(number, load)).collect() };
        watchers.iter().enumerate().map(row).collect()
    };
    let cycles = table(&rows(loads::CYCLES), loads::CYCLES, 0);
    let programs = table(&rows(loads::PROGRAMS), loads::PROGRAMS, 1);
    let units: String =
        loads::CYCLES.iter().chain(loads::PROGRAMS).map(|load| format!("- {}: {}\n", load.name, load.unit)).collect();
    format!(
        "### {release}\n\nInstructions of one operation:\n\n{cycles}\nMillions of instructions of a program's run:\n\n\
         {programs}\n{units}"
    )
}

/// Rows by watcher: all, what it adds to a run without any, and how many times as much as mmscope adds.
fn table(rows: &[Row<'_>], loads: &[Load], digits: usize) -> String {
    let names: Vec<&str> = loads.iter().map(|load| load.name).collect();
    let mut text = format!("| watched by | {} |\n|{}\n", names.join(" | "), "---|".repeat(names.len() + 1));
    let Some(nobody) = rows.first() else { return text };
    let of_mmscope = rows.iter().find(|row| row.watcher.name == watchers::MMSCOPE);
    for (number, row) in rows.iter().enumerate() {
        let is_other = !row.watcher.is_part && row.watcher.name != watchers::MMSCOPE;
        let cells = (0..loads.len()).map(|n| {
            let Some(each) = row.each[n] else { return "-".to_owned() };
            if number == 0 {
                return format!("{each:.digits$}");
            }
            let Some(added) = added(row, nobody, n) else { return "-".to_owned() };
            let ratio = of_mmscope
                .and_then(|mmscope| self::added(mmscope, nobody, n))
                .filter(|its| *its > 0.0)
                .map(|its| added / its);
            let share = nobody.each[n].map(|bare| 100.0 * added / bare);
            let mut cell = format!("{added:+.digits$}");
            if digits > 0
                && let Some(share) = share
            {
                cell.push_str(&format!(" ({share:+.2} %)"));
            }
            if is_other
                && number + 1 != rows.len()
                && let Some(ratio) = ratio
            {
                cell.push_str(&format!(", x {ratio:.1}"));
            }
            cell
        });
        let cells: Vec<String> = cells.collect();
        let name =
            if number > 0 && row.watcher.name == watchers::NOBODY { "nothing, again" } else { &row.watcher.name };
        text.push_str(&format!("| {name} | {} |\n", cells.join(" | ")));
    }
    text
}

/// What a watcher adds to a load's unit.
fn added(row: &Row<'_>, nobody: &Row<'_>, n: usize) -> Option<f64> {
    Some(row.each[n]? - nobody.each[n]?)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn what_a_watcher_adds_stands_in_its_row() {
        let watchers = watchers::watchers(false);
        let bpftrace = watchers.iter().position(|watcher| watcher.name == watchers::BPFTRACE).unwrap();
        let mut told = Told::default();
        let key = |number: usize| (number, "mprotect".to_owned());
        told.elapsed = BTreeMap::from([
            (key(0), vec![12_000_000, 2_000_000, 2_000_000]),
            (key(1), vec![6_000_000; 3]),
            (key(bpftrace), vec![34_000_000]),
            (key(watchers.len() - 1), vec![2_002_000]),
        ]);
        let text = tables("6.18", &watchers, &told);
        assert!(text.contains("| nothing | 1000 | - |"), "{text}");
        assert!(text.contains("| mmscope | +2000 | - |"), "{text}");
        assert!(text.contains("| bpftrace | +16000, x 8.0 | - |"), "{text}");
        assert!(text.contains("| klockstat | - | - |"), "{text}");
        assert!(text.contains("| nothing, again | +1 | - |"), "{text}");
    }
}

//! `cargo xtask bench scale`: what watching adds by the number of processors, with all threads in one address space and with
//! one address space each; and what the tables take.
//!
//! Two guests for each number. In one whose clock counts the instructions of all processors together, what watching adds is the
//! difference of two runs: all of it, helpers too, but with what processors do while they wait for each other, which watching
//! changes. In the other the emulator logs the programs' own instructions, and nothing else that runs is in it.

mod events;
mod tables;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use clap::Args;

use super::code::{self, CODE, Symbols};
use super::guest::{self, Told};
use super::loads::Load;
use super::page;
use super::watchers::{self, MMSCOPE, NOBODY};
use crate::setup::{self, GuestTools, Wants};
use crate::vm::{Guest, START_MMSCOPE, in_bin};
use crate::{dist, kernels, paths};

/// `cargo xtask bench scale`.
///
/// The exit code is 1 if an event costs more instructions with more processors, or a table takes more with more processes.
#[derive(Args)]
pub(crate) struct ScaleArgs {
    /// Boot this kernel, as `vm` takes it
    #[arg(long, default_value = "6.18")]
    kernel: String,
    /// Processors; may be given several times
    #[arg(long, default_values_t = [1, 2, 4, 8])]
    cpus: Vec<u32>,
    /// Write the tables of docs/performance.md
    #[arg(long)]
    write: bool,
}

const fn spread(name: &'static str, unit: &'static str, units: u32, command: &'static str) -> Load {
    Load { name, unit, units, command }
}

/// Cycles of one run, of all processors together.
const CYCLES: u32 = 2000;
/// The same work whatever the number of processors, which share it.
const LOADS: &[Load] = &[
    spread("toggles, one mm", TOGGLE, CYCLES, "spread 2000"),
    spread("toggles, an mm each", TOGGLE, CYCLES, "spread 2000 --processes"),
    spread("faults, one mm", FAULTS, CYCLES, "spread 2000 --faults 16"),
    spread("faults, an mm each", FAULTS, CYCLES, "spread 2000 --faults 16 --processes"),
];
const TOGGLE: &str = "mprotect read-only, mprotect writable, one write, by a thread or process on each CPU";
const FAULTS: &str = "MADV_DONTNEED of 16 pages, 16 faults, by a thread or process on each CPU";

const SPREAD: &str = r#"
spread() {
    cycles=$(($1 / $(grep -c ^processor /proc/cpuinfo)))
    shift
    mmload spread --cycles "$cycles" "$@"
}
"#;

/// What the second guest does once mmscope has started. Marks are told apart by their system call.
const LOGGED: &str = r#"
sleep 5
mark() { mmload uffd-errors --eexist 1 >/dev/null; }
bytes() { get metrics | grep "^mmscope_map_bytes" | sed "s/^/@@@ $1 /"; }
bytes before
for options in "" "--processes" "--faults 16" "--faults 16 --processes"; do spread 40 $options >/dev/null; done
grep -E " bpf_(prog|trampoline)_" /proc/kallsyms
for options in "" "--processes" "--faults 16" "--faults 16 --processes"; do
    mark
    spread 320 $options >/dev/null
done
mark
mmload live --processes 200 --pause-ms 1000 --seconds 3 >/dev/null
bytes after
kill "$mmscope"
wait "$mmscope"
"#;
/// Cycles of each load there.
const LOGGED_CYCLES: usize = 320;

const TIMEOUT: Duration = Duration::from_secs(1800);
/// By how much more instructions a program may run with the most processors than with the fewest that are several: with one
/// nobody is asked to flush.
const TOLERANCE: f64 = 1.25;

/// What one number of processors told.
struct Size {
    cpus: u32,
    told: Told,
    /// In the order of [`LOADS`].
    events: Vec<events::Events>,
    bytes: Vec<(String, u64)>,
}

/// Every number of processors, one after the other.
pub(crate) fn main(args: &ScaleArgs) -> Result<ExitCode> {
    let tools = setup::setup(Wants { guests: true })?;
    let guests = tools.guests.as_ref().context("set-up of the guest tools")?;
    let files = dist::dist(&tools, false)?;
    let sizes = args.cpus.iter().map(|&cpus| measure(args, guests, &files, cpus)).collect::<Result<Vec<Size>>>()?;
    let release = kernels::resolve(&args.kernel)?.release;
    let text = format!("### {release}\n\n{}", tables::cost(&sizes));
    let memory = tables::memory(&sizes);
    println!("\n{text}\n{memory}");
    if args.write {
        let command = format!("cargo xtask bench scale --kernel {} --write", args.kernel);
        page::write("scale", &format!("Made by `{command}`.\n\n{text}"))?;
        page::write("tables", &format!("Made by `{command}`, on {release}.\n\n{memory}"))?;
    }
    let grown = grown(&sizes);
    grown.iter().for_each(|what| eprintln!("bench: {what}"));
    Ok(if grown.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn measure(args: &ScaleArgs, tools: &GuestTools, files: &[std::path::PathBuf; 2], cpus: u32) -> Result<Size> {
    let guest = |command: String| -> Result<Guest> {
        Ok(Guest {
            smp: cpus,
            icount: true,
            append: "nokaslr".to_owned(),
            files: files.iter().cloned().map(in_bin).collect(),
            quiet: true,
            timeout: TIMEOUT,
            ..Guest::new(kernels::resolve(&args.kernel)?, command)
        })
    };
    let run = |guest: Guest| -> Result<String> {
        let outcome = guest.run(tools)?;
        outcome.explain();
        match outcome.problem() {
            Some(problem) => bail!("the guest with {cpus} processors: {problem}"),
            None => Ok(outcome.output),
        }
    };
    let watchers = watchers::watchers(false);
    let watchers: Vec<_> = watchers.into_iter().filter(|who| [NOBODY, MMSCOPE].contains(&who.name.as_str())).collect();
    let loads: Vec<&Load> = LOADS.iter().collect();
    let told = guest::read(&run(guest(format!("{SPREAD}{}", guest::script(&watchers, &loads)))?)?);
    ensure!(told.problems.is_empty(), "{cpus} processors: {}", told.problems.join("; "));

    let log = paths::target().join(format!("bench-scale-{cpus}.log"));
    let logged = guest(format!("{SPREAD}{START_MMSCOPE}{LOGGED}"))?;
    let output = run(Guest { code_log: Some((log.clone(), CODE)), ..logged })?;
    let (before, after) = (tables::bytes(&output, "before"), tables::bytes(&output, "after"));
    ensure!(!before.is_empty() && before == after, "tables took {before:?} bytes, and with more processes {after:?}");
    let events = events::by_load(&code::take(&log)?, &Symbols::read(&output), LOADS.len(), LOGGED_CYCLES)?;
    Ok(Size { cpus, told, events, bytes: after })
}

/// What costs more with the most processors than with the fewest that are several.
fn grown(sizes: &[Size]) -> Vec<String> {
    let several = sizes.iter().filter(|size| size.cpus > 1);
    let (Some(first), Some(last)) =
        (several.clone().min_by_key(|size| size.cpus), several.max_by_key(|size| size.cpus))
    else {
        return Vec::new();
    };
    // A program may have runs of two kinds, and how many of each a load has is chance: it is held to the load that is dearest.
    let dearest = |of: &dyn Fn(&events::Events) -> Option<f64>| first.events.iter().filter_map(of).reduce(f64::max);
    let mut grown = Vec::new();
    for (load, events) in LOADS.iter().zip(&last.events) {
        let programs = events.frequent().map(|name| (name, dearest(&|few| few.of(name)), events.of(name)));
        let event = ("an event", dearest(&|few| Some(few.each())), Some(events.each()));
        for (what, few, many) in programs.chain([event]) {
            if let (Some(few), Some(many)) = (few, many)
                && many > few * TOLERANCE
            {
                grown.push(format!(
                    "{}: {what}: {few:.0} instructions with {} processors, {many:.0} with {}",
                    load.name, first.cpus, last.cpus
                ));
            }
        }
    }
    grown
}

#[cfg(test)]
mod tests {
    use super::super::path::Part;
    use super::*;

    #[test]
    fn growth_is_told_from_two_processors_on() {
        let size = |cpus: u32, each: f64| {
            let part = Part { name: "tlb_gather_mmu_exit".to_owned(), runs: 1.0, instructions: each };
            let events = vec![events::Events { parts: vec![part] }];
            Size { cpus, told: Told::default(), events, bytes: Vec::new() }
        };
        assert!(grown(&[size(1, 100.0), size(2, 200.0), size(8, 240.0)]).is_empty());
        let told = grown(&[size(2, 200.0), size(8, 260.0)]);
        assert_eq!(told.len(), 2, "the program and the event: {told:?}");
        assert!(told[0].contains("tlb_gather_mmu_exit: 200 instructions with 2 processors, 260 with 8"), "{told:?}");
    }
}

//! `cargo xtask bench path`: where the instructions of one cycle go, program by program. The emulator logs each block of
//! translated code that is run where programs and their trampolines lie; what they call in the kernel is not in it.

use std::collections::BTreeMap;
use std::process::ExitCode;

use anyhow::{Context, Result, bail, ensure};
use clap::Args;

use super::code::{self, Block, CODE, Symbols, TRAMPOLINES, UNKNOWN};
use super::page;
use crate::setup::{self, Wants};
use crate::vm::{Guest, START_MMSCOPE, in_bin};
use crate::{dist, kernels, paths};

/// `cargo xtask bench path`.
#[derive(Args)]
pub(crate) struct PathArgs {
    /// Boot this kernel, as `vm` takes it
    #[arg(long, default_value = "6.18")]
    kernel: String,
    /// Write the table of docs/performance.md
    #[arg(long)]
    write: bool,
}

/// Cycles that are looked at, of so many.
const CYCLES: usize = 10;
/// The program that begins each half of a cycle: a cycle has two mprotects.
const HALF: &str = "change_protection_enter";

/// After mmscope has started.
const SCRIPT: &str = r#"
sleep 5
mmload mprotect --cycles 1000 >/dev/null
grep -E " bpf_(prog|trampoline)_" /proc/kallsyms
mmload mprotect --cycles 20 >/dev/null
kill "$mmscope"
wait "$mmscope"
"#;

/// Boots one guest and reads its log.
pub(crate) fn main(args: &PathArgs) -> Result<ExitCode> {
    let tools = setup::setup(Wants { guests: true })?;
    let guests = tools.guests.as_ref().context("set-up of the guest tools")?;
    let [mmscope, mmload] = dist::dist(&tools, false)?;
    let kernel = kernels::resolve(&args.kernel)?;
    let release = kernel.release.clone();
    let log = paths::target().join("bench-path.log");
    let guest = Guest {
        smp: 1,
        icount: true,
        append: "nokaslr".to_owned(),
        files: vec![in_bin(mmscope), in_bin(mmload)],
        quiet: true,
        code_log: Some((log.clone(), CODE)),
        ..Guest::new(kernel, format!("{START_MMSCOPE}{SCRIPT}"))
    };
    let outcome = guest.run(guests)?;
    outcome.explain();
    if let Some(problem) = outcome.problem() {
        bail!("the guest: {problem}");
    }
    let table = format!("### {release}\n\n{}", table(&cycles(&code::take(&log)?, &Symbols::read(&outcome.output))?));
    println!("\n{table}");
    if args.write {
        page::write("path", &format!("Made by `cargo xtask bench path --kernel {} --write`.\n\n{table}", args.kernel))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// A program's part in a cycle.
#[derive(Debug, PartialEq)]
pub(super) struct Part {
    pub(super) name: String,
    /// In a cycle, as the next.
    pub(super) runs: f64,
    pub(super) instructions: f64,
}

/// The mean of some cycles in the middle of the last ones, the largest part first.
fn cycles(run: &[Block], symbols: &Symbols) -> Result<Vec<Part>> {
    let is_half = |block: &Block| symbols.is_start(block.address) && symbols.name(block.address) == HALF;
    let halves: Vec<usize> = (0..run.len()).filter(|&n| is_half(&run[n])).collect();
    ensure!(halves.len() >= 3 * CYCLES, "{HALF} ran {} times only", halves.len());
    let last = halves.len() - CYCLES;
    Ok(parts(&run[halves[last - 2 * CYCLES]..halves[last]], symbols, CYCLES as f64))
}

/// What each program has in so many cycles, the largest part first.
pub(super) fn parts(run: &[Block], symbols: &Symbols, cycles: f64) -> Vec<Part> {
    let mut parts: BTreeMap<&str, (u32, u64)> = BTreeMap::new();
    for block in run {
        let (runs, instructions) = parts.entry(symbols.name(block.address)).or_default();
        *runs += u32::from(symbols.is_start(block.address));
        *instructions += u64::from(block.instructions);
    }
    let mean = |(name, (runs, instructions)): (&str, (u32, u64))| Part {
        name: name.to_owned(),
        runs: f64::from(runs) / cycles,
        instructions: instructions as f64 / cycles,
    };
    let mut parts: Vec<Part> = parts.into_iter().map(mean).collect();
    parts.sort_by(|a, b| b.instructions.total_cmp(&a.instructions));
    parts
}

/// Programs that run for an event: no trampolines, no functions that programs call.
pub(super) fn is_program(name: &str) -> bool {
    name != TRAMPOLINES && name != UNKNOWN && !is_function(name)
}

/// Functions of the object that programs call.
pub(super) fn is_function(name: &str) -> bool {
    name.starts_with("mmscope_")
}

fn table(parts: &[Part]) -> String {
    let mut text = "| program | runs a cycle | instructions a run | a cycle |\n|---|---|---|---|\n".to_owned();
    for Part { name, runs, instructions } in parts {
        let each = if *runs > 0.0 { instructions / runs } else { 0.0 };
        text.push_str(&format!("| {name} | {runs:.1} | {each:.0} | {instructions:.0} |\n"));
    }
    let sum = |of: fn(&Part) -> f64| parts.iter().map(of).sum::<f64>();
    let programs = parts.iter().filter(|part| is_program(&part.name));
    text.push_str(&format!(
        "| all | {:.1} programs | | {:.0} |\n",
        programs.map(|part| part.runs).sum::<f64>(),
        sum(|part| part.instructions)
    ));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cycle_is_two_halves() {
        let kallsyms = "ffffffffc0000010 t bpf_prog_0123456789abcdef_change_protection_enter\t[bpf]\n\
                        ffffffffc0000040 t bpf_trampoline_6442512793\t[bpf]\n";
        let symbols = Symbols::read(kallsyms);
        let program = Block { address: 0xffff_ffff_c000_0010, instructions: 30 };
        let trampoline = Block { address: 0xffff_ffff_c000_0040, instructions: 20 };
        let run = [trampoline, program].repeat(3 * CYCLES);
        let part = |name: &str, instructions: f64| Part { name: name.to_owned(), runs: 2.0, instructions };
        assert_eq!(cycles(&run, &symbols).unwrap(), [part(HALF, 60.0), part(TRAMPOLINES, 40.0)]);
        assert!(cycles(&[], &symbols).is_err());
    }
}

//! `cargo xtask bench path`: where the instructions of one cycle go, program by program. The emulator logs each block of
//! translated code that is run where programs and their trampolines lie; what they call in the kernel is not in it.

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::ops::Range;
use std::process::ExitCode;

use anyhow::{Context, Result, bail, ensure};
use clap::Args;

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

/// Where an x86 kernel without KASLR puts modules and programs.
const CODE: Range<u64> = 0xffff_ffff_c000_0000..0xffff_ffff_ff00_0000;
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
    let symbols = symbols(&outcome.output);
    let file = File::open(&log).with_context(|| format!("read {}", log.display()))?;
    let code = Code::read(BufReader::new(file))?;
    // Tens of megabytes that nobody needs again.
    fs::remove_file(&log).with_context(|| format!("remove {}", log.display()))?;
    let table = format!("### {release}\n\n{}", table(&cycles(&code, &symbols)?));
    println!("\n{table}");
    if args.write {
        page::write("path", &format!("Made by `cargo xtask bench path --kernel {} --write`.\n\n{table}", args.kernel))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Names by address, of lines of /proc/kallsyms. `bpf_prog_4d30815ce7226719_name` is `name`.
fn symbols(kallsyms: &str) -> BTreeMap<u64, String> {
    let symbol = |line: &str| {
        let mut words = line.split_ascii_whitespace();
        let address = u64::from_str_radix(words.next()?, 16).ok()?;
        let name = words.nth(1)?;
        let name = match name.strip_prefix("bpf_prog_").and_then(|rest| rest.split_once('_')) {
            Some((_, name)) => name.to_owned(),
            None => "trampolines".to_owned(),
        };
        Some((address, name))
    };
    kallsyms.lines().filter_map(symbol).collect()
}

/// What was run.
#[derive(Default)]
struct Code {
    /// Instructions of each block, by its address.
    blocks: HashMap<u64, u64>,
    /// Blocks in the order in which they were run.
    run: Vec<u64>,
}

impl Code {
    /// `IN:` and lines `0xffffffffc000dd88:  55  pushq %rbp` are a block's instructions, `Trace 0: 0x7f.. [00/ffffffffc000dd88/..]`
    /// its being run.
    fn read(log: impl BufRead) -> Result<Self> {
        let mut code = Self::default();
        let mut block = None;
        for line in log.lines() {
            let line = line.context("read the emulator's log")?;
            if let Some(rest) = line.strip_prefix("0x") {
                let address = rest.split(':').next().and_then(|hex| u64::from_str_radix(hex, 16).ok());
                let address = address.with_context(|| format!("read {line}"))?;
                if block.is_none() {
                    // It may have been translated before.
                    code.blocks.insert(address, 0);
                }
                *code.blocks.entry(*block.get_or_insert(address)).or_default() += 1;
                continue;
            }
            if line.starts_with("Trace") {
                let address = line.split('/').nth(1).and_then(|hex| u64::from_str_radix(hex, 16).ok());
                code.run.push(address.with_context(|| format!("read {line}"))?);
            }
            // A long instruction goes on in a line that begins with blanks.
            if !line.starts_with(' ') {
                block = None;
            }
        }
        Ok(code)
    }
}

/// A program's part in a cycle.
#[derive(Debug, PartialEq)]
struct Part {
    name: String,
    runs: f64,
    instructions: f64,
}

/// The mean of some cycles in the middle of the last ones, the largest part first.
fn cycles(code: &Code, symbols: &BTreeMap<u64, String>) -> Result<Vec<Part>> {
    let name = |address: u64| symbols.range(..=address).next_back().map_or("?", |(_, name)| name.as_str());
    let is_start = |address: u64| symbols.contains_key(&address);
    let halves: Vec<usize> =
        (0..code.run.len()).filter(|&n| is_start(code.run[n]) && name(code.run[n]) == HALF).collect();
    ensure!(halves.len() >= 3 * CYCLES, "{HALF} ran {} times only", halves.len());
    let last = halves.len() - CYCLES;
    let run = &code.run[halves[last - 2 * CYCLES]..halves[last]];
    let mut parts: BTreeMap<&str, (u32, u64)> = BTreeMap::new();
    for &address in run {
        let (runs, instructions) = parts.entry(name(address)).or_default();
        *runs += u32::from(is_start(address));
        *instructions += code.blocks.get(&address).copied().unwrap_or_default();
    }
    let mean = |(name, (runs, instructions)): (&str, (u32, u64))| Part {
        name: name.to_owned(),
        runs: f64::from(runs) / CYCLES as f64,
        instructions: instructions as f64 / CYCLES as f64,
    };
    let mut parts: Vec<Part> = parts.into_iter().map(mean).collect();
    parts.sort_by(|a, b| b.instructions.total_cmp(&a.instructions));
    Ok(parts)
}

fn table(parts: &[Part]) -> String {
    let mut text = "| program | runs a cycle | instructions a run | a cycle |\n|---|---|---|---|\n".to_owned();
    for Part { name, runs, instructions } in parts {
        let each = if *runs > 0.0 { instructions / runs } else { 0.0 };
        text.push_str(&format!("| {name} | {runs:.1} | {each:.0} | {instructions:.0} |\n"));
    }
    let sum = |of: fn(&Part) -> f64| parts.iter().map(of).sum::<f64>();
    let runs = parts.iter().filter(|part| part.name.ends_with(|c: char| c.is_ascii_lowercase()));
    let programs = runs.filter(|part| part.name != "trampolines" && !part.name.starts_with("mmscope_"));
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
    fn blocks_are_counted_as_often_as_they_are_run() {
        let log = "----------------\nIN: \n0xffffffffc0000010:  55   pushq %rbp\n0xffffffffc0000011:  48 b9 00 11 22 33 44 55  movabsq\n\
                   \x20                    66 77\n0xffffffffc000001b:  c3  retq\n\n\
                   Trace 0: 0x7f00 [0000000000000000/ffffffffc0000010/00000000/ff021201] \n\
                   IN: \n0xffffffffc0000040:  c3  retq\n\nTrace 0: 0x7f00 [00/ffffffffc0000040/00/ff]\n\
                   IN: \n0xffffffffc0000040:  c3  retq\n\nTrace 0: 0x7f00 [00/ffffffffc0000010/00/ff]\n";
        let code = Code::read(log.as_bytes()).unwrap();
        assert_eq!(code.blocks, HashMap::from([(0xffff_ffff_c000_0010, 3), (0xffff_ffff_c000_0040, 1)]));
        assert_eq!(code.run, [0xffff_ffff_c000_0010, 0xffff_ffff_c000_0040, 0xffff_ffff_c000_0010]);
    }

    #[test]
    fn a_cycle_is_two_halves() {
        let kallsyms = "ffffffffc0000010 t bpf_prog_0123456789abcdef_change_protection_enter\t[bpf]\n\
                        ffffffffc0000040 t bpf_trampoline_6442512793\t[bpf]\n";
        let symbols = symbols(kallsyms);
        let (program, trampoline) = (0xffff_ffff_c000_0010, 0xffff_ffff_c000_0040);
        let code = Code {
            blocks: HashMap::from([(program, 30), (trampoline, 20)]),
            run: [trampoline, program].repeat(3 * CYCLES),
        };
        let part = |name: &str, instructions: f64| Part { name: name.to_owned(), runs: 2.0, instructions };
        assert_eq!(cycles(&code, &symbols).unwrap(), [part(HALF, 60.0), part("trampolines", 40.0)]);
        assert!(cycles(&Code::default(), &symbols).is_err());
    }
}

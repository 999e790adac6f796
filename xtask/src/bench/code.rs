//! The emulator's log of the code of programs and trampolines: which blocks were run, and how many instructions that were.
//! Knows nothing of cycles.

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::ops::Range;
use std::path::Path;

use anyhow::{Context, Result};

/// Where an x86 kernel without KASLR puts modules and programs.
pub(super) const CODE: Range<u64> = 0xffff_ffff_c000_0000..0xffff_ffff_ff00_0000;

/// What code that has no symbol is called.
pub(super) const UNKNOWN: &str = "?";
/// What trampolines are called, all together.
pub(super) const TRAMPOLINES: &str = "trampolines";

/// Names by address.
pub(super) struct Symbols(BTreeMap<u64, String>);

impl Symbols {
    /// Of lines of /proc/kallsyms. `bpf_prog_4d30815ce7226719_name` is `name`.
    pub(super) fn read(kallsyms: &str) -> Self {
        let symbol = |line: &str| {
            let mut words = line.split_ascii_whitespace();
            let address = u64::from_str_radix(words.next()?, 16).ok()?;
            let name = words.nth(1)?;
            let name = match name.strip_prefix("bpf_prog_").and_then(|rest| rest.split_once('_')) {
                Some((_, name)) => name.to_owned(),
                None => TRAMPOLINES.to_owned(),
            };
            Some((address, name))
        };
        Self(kallsyms.lines().filter_map(symbol).collect())
    }

    /// Whose code it is.
    pub(super) fn name(&self, address: u64) -> &str {
        self.0.range(..=address).next_back().map_or(UNKNOWN, |(_, name)| name.as_str())
    }

    /// Whether a program or trampoline begins there.
    pub(super) fn is_start(&self, address: u64) -> bool {
        self.0.contains_key(&address)
    }
}

/// A block that was run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Block {
    pub(super) address: u64,
    pub(super) instructions: u32,
}

/// Reads a log and removes it: tens of megabytes that nobody needs again.
pub(super) fn take(log: &Path) -> Result<Vec<Block>> {
    let file = File::open(log).with_context(|| format!("read {}", log.display()))?;
    let run = read(BufReader::new(file))?;
    fs::remove_file(log).with_context(|| format!("remove {}", log.display()))?;
    Ok(run)
}

/// Blocks in the order in which they were run, on whatever processor.
///
/// `IN:` and lines `0xffffffffc000dd88:  55  pushq %rbp` are the instructions of a new block, `Trace 0: 0x7f.. [00/ffffffffc000dd88/..]`
/// is the run of the block that the emulator has at 0x7f.., and `Stopped execution of TB chain before 0x7f.. [ffffffffc000dd88]`
/// says that the last one was not run after all. There may be several blocks of one address: where a processor's turn ends
/// the emulator makes a shorter one.
pub(super) fn read(log: impl BufRead) -> Result<Vec<Block>> {
    let mut run: Vec<Block> = Vec::new();
    let mut instructions: HashMap<String, u32> = HashMap::new();
    let mut new = 0;
    for line in log.lines() {
        let line = line.context("read the emulator's log")?;
        if line.starts_with("IN:") {
            new = 0;
        } else if line.starts_with("0x") {
            new += 1;
        } else if line.starts_with("Trace") {
            let block = line.split_ascii_whitespace().nth(2).with_context(|| format!("read {line}"))?;
            let address = line.split('/').nth(1).and_then(|hex| u64::from_str_radix(hex, 16).ok());
            let address = address.with_context(|| format!("read {line}"))?;
            if new > 0 {
                instructions.insert(block.to_owned(), new);
                new = 0;
            }
            run.push(Block { address, instructions: instructions.get(block).copied().unwrap_or_default() });
        } else if let Some(rest) = line.strip_prefix("Stopped execution of TB chain before ") {
            let address = rest.split(['[', ']']).nth(1).and_then(|hex| u64::from_str_radix(hex, 16).ok());
            if run.last().is_some_and(|last| Some(last.address) == address) {
                run.pop();
            }
        }
    }
    Ok(run)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_counted_as_often_as_they_are_run() {
        let log = "----------------\nIN: \n0xffffffffc0000010:  55   pushq %rbp\n0xffffffffc0000011:  48 b9 00 11 22 33 44 55  movabsq\n\
                   \x20                    66 77\n0xffffffffc000001b:  c3  retq\n\n\
                   Trace 0: 0x7f00 [0000000000000000/ffffffffc0000010/00000000/ff021201] \n\
                   IN: \n0xffffffffc0000040:  c3  retq\n\nTrace 1: 0x7f80 [00/ffffffffc0000040/00/ff]\n\
                   Trace 1: 0x7f00 [00/ffffffffc0000010/00/ff]\n\
                   Stopped execution of TB chain before 0x7f00 [ffffffffc0000010] \n\
                   IN: \n0xffffffffc0000010:  55   pushq %rbp\n\nTrace 1: 0x7fa0 [00/ffffffffc0000010/00/ff]\n\
                   Trace 0: 0x7f00 [00/ffffffffc0000010/00/ff]\n";
        let block = |address, instructions| Block { address, instructions };
        let (one, other) = (0xffff_ffff_c000_0010, 0xffff_ffff_c000_0040);
        assert_eq!(read(log.as_bytes()).unwrap(), [block(one, 3), block(other, 1), block(one, 1), block(one, 3)]);
    }

    #[test]
    fn programs_have_names() {
        let symbols = Symbols::read(
            "ffffffffc0000010 t bpf_prog_0123456789abcdef_change_protection_enter\t[bpf]\n\
             ffffffffc0000040 t bpf_trampoline_6442512793\t[bpf]\n",
        );
        assert_eq!(symbols.name(0xffff_ffff_c000_0020), "change_protection_enter");
        assert_eq!(symbols.name(0xffff_ffff_c000_0040), TRAMPOLINES);
        assert!(symbols.is_start(0xffff_ffff_c000_0010) && !symbols.is_start(0xffff_ffff_c000_0020));
        assert_eq!(symbols.name(1), "?");
    }
}

//! What each load's events cost, from the emulator's log of one guest: the programs' own instructions.

use anyhow::{Result, ensure};

use super::super::code::{Block, Symbols};
use super::super::path::{Part, is_program, parts};

/// The hook of the system call that only marks make.
const MARK: &str = "userfaultfd_ioctl";
/// The program that begins a change or a drop: one at each, whatever the kernel preempts.
const KEY: &str = "tlb_gather_mmu_exit";

/// What one load did in the middle of its run.
pub(super) struct Events {
    /// In a change or a drop (an entry of [`KEY`]), the largest first.
    pub(super) parts: Vec<Part>,
}

impl Events {
    /// Events: runs of programs, without those that step in.
    pub(super) fn count(&self) -> f64 {
        let is_event = |part: &&Part| is_program(&part.name) && !steps_in(&part.name);
        self.parts.iter().filter(is_event).map(|part| part.runs).sum()
    }

    /// Instructions, trampolines and all.
    pub(super) fn instructions(&self) -> f64 {
        self.parts.iter().map(|part| part.instructions).sum()
    }

    /// Instructions of an event.
    pub(super) fn each(&self) -> f64 {
        self.instructions() / self.count()
    }

    /// Programs that run at least once in ten changes or drops.
    pub(super) fn frequent(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter(|part| is_program(&part.name) && part.runs > 0.1).map(|part| part.name.as_str())
    }

    /// Instructions of a run of one of the programs; none if it did not run.
    pub(super) fn of(&self, name: &str) -> Option<f64> {
        let part = self.parts.iter().find(|part| part.name == name)?;
        (part.runs > 0.0).then(|| part.instructions / part.runs)
    }
}

/// Programs that run after others and find, as a rule, that those have done the work.
fn steps_in(name: &str) -> bool {
    name.ends_with("_again") || name.ends_with("_last")
}

/// The last so many loads of a log, each of so many cycles and between marks.
pub(super) fn by_load(run: &[Block], symbols: &Symbols, loads: usize, cycles: usize) -> Result<Vec<Events>> {
    let starts = |block: &Block, name: &str| {
        symbols.is_start(block.address) && symbols.name(block.address).strip_prefix(name).is_some()
    };
    let between = run.split(|block| starts(block, MARK)).filter_map(|run| {
        let is_key = |n: &usize| symbols.is_start(run[*n].address) && symbols.name(run[*n].address) == KEY;
        let keys: Vec<usize> = (0..run.len()).filter(is_key).collect();
        (keys.len() >= cycles).then_some((run, keys))
    });
    let between: Vec<_> = between.collect();
    ensure!(between.len() >= loads + 2, "{} loads between marks, not {loads} and one before and after", between.len());
    // Behind the last mark there is what the tables are tried with.
    let measured = &between[between.len() - 1 - loads..between.len() - 1];
    let middle = |(run, keys): &(&[Block], Vec<usize>)| {
        // Starts and ends of processes are in the outer quarters.
        let (first, last) = (keys.len() / 4, keys.len() * 3 / 4);
        Events { parts: parts(&run[keys[first]..keys[last]], symbols, (last - first) as f64) }
    };
    Ok(measured.iter().map(middle).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loads_are_told_apart_by_marks() {
        let symbols = Symbols::read(
            "ffffffffc0000010 t bpf_prog_0123456789abcdef_tlb_gather_mmu_exit\t[bpf]\n\
             ffffffffc0000020 t bpf_prog_0123456789abcdef_tlb_gather_mmu_exit_last\t[bpf]\n\
             ffffffffc0000030 t bpf_prog_0123456789abcdef_userfaultfd_ioctl_enter\t[bpf]\n",
        );
        let block = |low: u64, instructions| Block { address: 0xffff_ffff_c000_0000 + low, instructions };
        let (key, mark) = (|n| vec![block(0x10, n), block(0x20, 5)], block(0x30, 1));
        let mut run = key(1).repeat(8);
        for load in [30, 40, 7] {
            run.extend([mark, mark]);
            run.extend(key(load).repeat(8));
        }
        let events = by_load(&run, &symbols, 2, 8).unwrap();
        let each: Vec<f64> = events.iter().map(Events::each).collect();
        assert_eq!(each, [35.0, 45.0]);
        assert_eq!((events[0].count(), events[0].of("tlb_gather_mmu_exit_last")), (1.0, Some(5.0)));
        assert_eq!(events[0].of("other"), None);
        assert!(by_load(&run, &symbols, 3, 8).is_err());
    }
}

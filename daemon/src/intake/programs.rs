//! What the kernel says of each program: how often it ran, how long, and how often it could not run because it was
//! running already. Read from fdinfo; run counts only while the kernel's BPF statistics are switched on.

use std::{collections::BTreeMap, fs, os::fd::RawFd, path::Path};

/// Figures of one program.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProgramFigures {
    /// Runs and their nanoseconds, while the statistics are on.
    pub runs: Option<(u64, u64)>,
    /// Events that it could not see because it was running on that CPU; kernels from 5.12 on tell. Where other
    /// programs step in, at most those that none could see.
    pub misses: Option<u64>,
}

/// Reads all programs below `root`, /proc/self/fdinfo.
pub(super) fn read(
    root: &Path,
    programs: &BTreeMap<&'static str, Vec<RawFd>>,
) -> BTreeMap<&'static str, ProgramFigures> {
    let figures = |fd: &RawFd| Some(parse(&fs::read_to_string(root.join(fd.to_string())).ok()?));
    programs.iter().filter_map(|(&name, fds)| Some((name, fds.iter().filter_map(figures).reduce(join)?))).collect()
}

/// A hook's figures from those of its programs.
fn join(one: ProgramFigures, other: ProgramFigures) -> ProgramFigures {
    let sum = |(runs, ns): (u64, u64), (more, more_ns): (u64, u64)| (runs + more, ns + more_ns);
    ProgramFigures {
        runs: one.runs.zip(other.runs).map(|(one, other)| sum(one, other)).or(one.runs).or(other.runs),
        misses: one.misses.zip(other.misses).map(|(one, other)| one.min(other)),
    }
}

fn parse(fdinfo: &str) -> ProgramFigures {
    let field = |name: &str| -> Option<u64> {
        fdinfo.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')?.trim().parse().ok())
    };
    ProgramFigures {
        runs: field("run_cnt").zip(field("run_time_ns")).filter(|&(runs, _)| runs != 0),
        misses: field("recursion_misses"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_one_of_the_programs_saw_is_no_miss() {
        let figures = |runs, misses| ProgramFigures { runs: Some((runs, 2 * runs)), misses: Some(misses) };
        assert_eq!(join(figures(10, 3), figures(9, 1)), figures(19, 1));
    }

    #[test]
    fn fdinfo_is_read() {
        let text = "pos:\t0\nprog_type:\t26\nrun_time_ns:\t1200\nrun_cnt:\t10\nrecursion_misses:\t2\n";
        assert_eq!(parse(text), ProgramFigures { runs: Some((10, 1200)), misses: Some(2) });
        assert_eq!(parse("run_time_ns:\t0\nrun_cnt:\t0\n"), ProgramFigures { runs: None, misses: None });
    }
}

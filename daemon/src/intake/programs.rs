//! What the kernel says of each program: how often it ran, how long, and how often it could not run because it was
//! running already. Read from fdinfo; run counts only while the kernel's BPF statistics are switched on. And what the kernel
//! says of kprobes: how often none of their programs could run.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{Read as _, Seek as _},
    os::fd::RawFd,
    path::Path,
};

use crate::attach::Programs;

/// Figures of one program.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProgramFigures {
    /// Runs and their nanoseconds, while the statistics are on.
    pub runs: Option<(u64, u64)>,
    /// Events that it could not see because it was running on that CPU; kernels from 5.12 on tell. Where other
    /// programs step in, at most those that none could see. Of kprobes, those too that the kernel did not stop at, or whose
    /// return it did not; none where it does not tell.
    pub misses: Option<u64>,
}

/// The kernel's profile of kprobes, kept open: once rights are given up it could not be opened any more.
#[derive(Default)]
pub(super) struct KprobeProfile {
    file: Option<File>,
}

impl KprobeProfile {
    /// Opens it if there is any kprobe that it may tell of.
    pub(super) fn of(programs: &BTreeMap<&'static str, Programs>) -> Self {
        let mut named = programs.values().filter_map(|programs| programs.kprobes.as_ref()).flatten();
        let is_wanted = named.any(Option::is_some);
        let paths = ["/sys/kernel/tracing/kprobe_profile", "/sys/kernel/debug/tracing/kprobe_profile"];
        Self { file: is_wanted.then(|| paths.iter().find_map(|path| File::open(path).ok())).flatten() }
    }

    /// Events that each kprobe has missed.
    pub(super) fn missed(&self) -> BTreeMap<String, u64> {
        let mut text = String::new();
        let Some(mut file) = self.file.as_ref() else { return BTreeMap::new() };
        if let Err(error) = file.rewind().and_then(|()| file.read_to_string(&mut text)) {
            tracing::debug!(%error, "the profile of kprobes cannot be read");
        }
        missed(&text)
    }
}

/// Lines of name, hits and misses.
fn missed(profile: &str) -> BTreeMap<String, u64> {
    let line = |line: &str| {
        let mut words = line.split_whitespace();
        Some((words.next()?.to_owned(), words.nth(1)?.parse().ok()?))
    };
    profile.lines().filter_map(line).collect()
}

/// Reads all programs below `root`, /proc/self/fdinfo.
pub(super) fn read(
    root: &Path,
    programs: &BTreeMap<&'static str, Programs>,
    missed: &BTreeMap<String, u64>,
) -> BTreeMap<&'static str, ProgramFigures> {
    let figures = |fd: &RawFd| Some(parse(&fs::read_to_string(root.join(fd.to_string())).ok()?));
    let of_hook = |programs: &Programs| {
        let each = programs.fds.iter().filter_map(figures);
        match &programs.kprobes {
            None => each.reduce(join),
            Some(kprobes) => each.reduce(add).map(|sum| of_kprobes(sum, kprobes, missed)),
        }
    };
    programs.iter().filter_map(|(&name, programs)| Some((name, of_hook(programs)?))).collect()
}

/// A hook's figures from those of its programs, each of which does a part of the work.
fn add(one: ProgramFigures, other: ProgramFigures) -> ProgramFigures {
    let misses = one.misses.zip(other.misses).map(|(one, other)| one + other);
    ProgramFigures { misses, ..join(one, other) }
}

/// With what the kernel did not stop at. Where it does not tell that of each kprobe, nobody knows what was missed. Kernels before 5.12
/// do not tell what a program missed beside that: such a program cannot be running already, only another one.
fn of_kprobes(sum: ProgramFigures, kprobes: &[Option<String>], missed: &BTreeMap<String, u64>) -> ProgramFigures {
    let each = kprobes.iter().map(|name| missed.get(name.as_ref()?).copied());
    let unseen: Option<u64> = each.sum();
    ProgramFigures { misses: unseen.map(|unseen| unseen + sum.misses.unwrap_or(0)), ..sum }
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
    fn what_any_kprobe_missed_is_missed() {
        let figures = ProgramFigures { runs: Some((10, 20)), misses: Some(3) };
        assert_eq!(add(figures, figures), ProgramFigures { runs: Some((20, 40)), misses: Some(6) });
        let profile = missed("  return_0_down_read                     12      5\n  entry_1_down_read      13     0\n");
        let names = |names: [&str; 2]| names.map(|name| Some(name.to_owned()));
        let told = of_kprobes(figures, &names(["return_0_down_read", "entry_1_down_read"]), &profile);
        assert_eq!(told.misses, Some(8));
        assert_eq!(of_kprobes(figures, &names(["return_0_down_read", "entry_9_x"]), &profile).misses, None);
        assert_eq!(of_kprobes(figures, &[None], &profile).misses, None);
    }

    #[test]
    fn fdinfo_is_read() {
        let text = "pos:\t0\nprog_type:\t26\nrun_time_ns:\t1200\nrun_cnt:\t10\nrecursion_misses:\t2\n";
        assert_eq!(parse(text), ProgramFigures { runs: Some((10, 1200)), misses: Some(2) });
        assert_eq!(parse("run_time_ns:\t0\nrun_cnt:\t0\n"), ProgramFigures { runs: None, misses: None });
    }
}

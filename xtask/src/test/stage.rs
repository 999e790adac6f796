//! A stage of the tests: what it counted, how a program's output is counted, and the table of all.

use std::io::{self, BufRead, BufReader, Write};
use std::process::{Command, ExitCode, Stdio};
use std::time::Instant;

use anyhow::{Context, Result};

use crate::libtest::{Counts, Failures};
use crate::sh;

/// One stage's row of the table.
pub(super) struct Stage {
    name: String,
    counts: Counts,
    seconds: f64,
    /// What the counts alone do not tell.
    note: String,
    /// What failed, at length.
    pub(super) failures: String,
}

impl Stage {
    /// A stage that ended; `problem` is what went wrong besides failed tests.
    pub(super) fn ended(
        name: impl Into<String>,
        started: Instant,
        mut counts: Counts,
        problem: Option<String>,
    ) -> Self {
        let mut notes = Vec::new();
        if counts.ignored > 0 {
            notes.push(format!("{} ignored", counts.ignored));
        }
        if counts.filtered > 0 {
            notes.push(format!("{} filtered out", counts.filtered));
        }
        let problem = problem.or_else(|| (counts.lines == 0).then(|| "no test result".to_owned()));
        if let Some(problem) = problem {
            // A program that died between two tests has reported no failed one.
            counts.failed += 1;
            notes.push(problem);
        }
        let (seconds, note) = (started.elapsed().as_secs_f64(), notes.join(", "));
        Self { name: name.into(), counts, seconds, note, failures: String::new() }
    }

    /// With what is told of the failed tests.
    pub(super) fn explained(mut self, failures: Failures) -> Self {
        self.failures = failures.text;
        self
    }

    /// A stage that could not be run: one failure.
    pub(super) fn broken(name: impl Into<String>, problem: String) -> Self {
        let counts = Counts { failed: 1, ..Counts::default() };
        Self { name: name.into(), counts, seconds: 0.0, note: problem, failures: String::new() }
    }

    /// A stage that the command line leaves out.
    pub(super) fn left_out(name: impl Into<String>, why: &str) -> Self {
        let note = format!("not run: {why}");
        Self { name: name.into(), counts: Counts::default(), seconds: 0.0, note, failures: String::new() }
    }
}

/// The short form of a task that counts what went well, and says what did not.
pub(super) fn counted(name: &str, task: impl FnOnce() -> Result<(u64, Vec<String>)>) -> Stage {
    banner(name);
    let started = Instant::now();
    match task() {
        Err(error) => Stage::ended(name, started, Counts::default(), Some(format!("{error:#}"))),
        Ok((good, problems)) => {
            let problem = (!problems.is_empty()).then(|| problems.join("; "));
            Stage::ended(name, started, Counts::of(good, problems.len() as u64), problem)
        }
    }
}

/// Runs test programs, one after the other, and passes their output on while counting.
pub(super) fn run_stage<const N: usize>(name: &str, mut commands: [Command; N]) -> Stage {
    banner(name);
    let started = Instant::now();
    let (mut counts, mut failures) = (Counts::default(), Failures::default());
    let mut problem = None;
    for command in &mut commands {
        let failed = counts.failed;
        match count_output(command, &mut counts, &mut failures) {
            Ok(true) => {}
            // Failed tests are counted already.
            Ok(false) if counts.failed > failed => {}
            Ok(false) => problem = Some(format!("ended with an error: {}", sh::show(command))),
            Err(error) => problem = Some(format!("{error:#}")),
        }
    }
    Stage::ended(name, started, counts, problem).explained(failures)
}

/// Whether the command succeeded.
fn count_output(command: &mut Command, counts: &mut Counts, failures: &mut Failures) -> Result<bool> {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("start {}", sh::show(command)))?;
    let mut stdout = BufReader::new(child.stdout.take().context("the test's stdout")?);
    let mut line = Vec::new();
    while stdout.read_until(b'\n', &mut line).context("read the test's output")? > 0 {
        let text = String::from_utf8_lossy(&line);
        counts.add_line(&text);
        failures.add_line(&text);
        // Nobody may be reading; the counts matter all the same.
        let _ = io::stdout().write_all(&line);
        line.clear();
    }
    Ok(child.wait().context("wait for the test")?.success())
}

pub(super) fn banner(name: &str) {
    eprintln!("\ntest: {name}");
}

/// Prints the table and, last, the sum.
pub(super) fn sum_up(stages: &[Stage]) -> ExitCode {
    for Stage { name, failures, .. } in stages.iter().filter(|stage| !stage.failures.is_empty()) {
        println!("\nfailures of {name}:\n{}", failures.trim_end());
    }
    println!("\n{:<14} {:>7} {:>7} {:>8}", "stage", "passed", "failed", "seconds");
    for Stage { name, counts, seconds, note, .. } in stages {
        let row = format!("{name:<14} {:>7} {:>7} {seconds:>8.1}  {note}", counts.passed, counts.failed);
        println!("{}", row.trim_end());
    }
    let passed: u64 = stages.iter().map(|stage| stage.counts.passed).sum();
    let failed: u64 = stages.iter().map(|stage| stage.counts.failed).sum();
    println!("{passed} passed, {failed} failed");
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::{Counts, Stage};

    #[test]
    fn a_stage_without_a_result_has_failed() {
        assert_eq!(Stage::ended("x", Instant::now(), Counts::default(), None).counts.failed, 1);
        let died = Counts { passed: 2, lines: 1, ..Counts::default() };
        assert_eq!(Stage::ended("x", Instant::now(), died, Some("died".to_owned())).counts.failed, 1);
        assert_eq!(Stage::ended("x", Instant::now(), died, None).counts.failed, 0);
    }
}

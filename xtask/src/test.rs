//! Every test there is: units, live on this host, live in a guest of each kernel. Goes on through failures and sums up.
//! Knows how to run stages and count libtest's results; what is tested is in the crates.

use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clap::Args;

use crate::exact::Functions;
use crate::kernels::{self, KERNELS, Kernel};
use crate::libtest::{Counts, Failures};
use crate::live_test::{Binaries, build_live_test, build_live_test_for};
use crate::machine::Machine;
use crate::setup::{self, GuestTools, Wants};
use crate::workers::in_parallel;
use crate::{build, dist, exact, faults, fuzz, hosts, page, proof, selftests, service, sh, simulate};

/// A guest's limit: emulation is slow, and a test that hangs must not hang the run.
const GUEST_TIMEOUT: Duration = Duration::from_secs(1800);

/// The kernel on which own counts are compared by kprobes too; `cargo xtask exact --kprobes` has all.
const KPROBES_KERNEL: &str = "6.12";

/// The kernel whose guest has the service; `cargo xtask service` has others too.
const SERVICE_KERNEL: &str = "6.12";

/// `cargo xtask test`.
#[derive(Args)]
pub(crate) struct TestArgs {
    /// Leave out the tests that boot a kernel
    #[arg(long, conflicts_with = "kernel")]
    no_guests: bool,
    /// Boot this kernel, as `vm` takes it (5.10, 6.1, 6.12, 6.18 and the newest 7.x if none is given)
    #[arg(long)]
    kernel: Vec<String>,
    /// What the guests are; of another machine than this host there are the guests' tests and exact ones alone
    #[arg(long, value_enum, default_value_t = Machine::HOST, conflicts_with = "no_guests")]
    arch: Machine,
    /// Run only tests whose names contain one of these
    filter: Vec<String>,
}

/// Runs all stages; the code says whether everything passed.
pub(crate) fn test(args: &TestArgs) -> Result<ExitCode> {
    let tools = setup::setup(Wants { guests: false })?;
    let guests = setup::guests_of(args.arch)?;
    let object = build::bpf(&tools, false)?;
    let [mmscope, mmload] = dist::dist_for(args.arch, &tools, false)?;
    let run = Run { object, mmscope, mmload, guests: &guests, filter: &args.filter };
    let is_own = args.arch == Machine::HOST;

    let kernels: Vec<&str> = match args.kernel.as_slice() {
        [] => KERNELS.to_vec(),
        given => given.iter().map(String::as_str).collect(),
    };
    let mut stages = Vec::new();
    if is_own {
        stages.extend([run.units(), run.host()]);
        stages.push(if args.filter.is_empty() { run.page() } else { Stage::left_out("page", "a filter") });
    }
    let guest_test = if args.no_guests { None } else { Some(run.build_guest_test()) };
    let exact_test = if args.no_guests || !args.filter.is_empty() { None } else { Some(run.exact_programs()) };
    let mut guests = in_parallel(newest_first(&kernels), |kernel| {
        let name = format!("guest {kernel}");
        match &guest_test {
            None => Stage::left_out(name, "--no-guests"),
            Some(Ok(program)) => run.guest(name, kernel, program),
            Some(Err(error)) => Stage::broken(name, format!("{error:#}")),
        }
    })?;
    guests.reverse();
    stages.extend(guests);
    let (mut rows, mut overlaps) = (Vec::new(), Vec::new());
    let by_fentry = kernels.iter().map(|&kernel| (format!("exact {kernel}"), kernel, Functions::Fentry));
    let by_kprobes = kernels.iter().filter(|kernel| **kernel == KPROBES_KERNEL);
    let by_kprobes = by_kprobes.map(|&kernel| (format!("exact {kernel} K"), kernel, Functions::Kprobes));
    for (name, kernel, functions) in by_fentry.chain(by_kprobes) {
        // One after the other: each of their processors is emulated in a thread of its own.
        stages.push(match &exact_test {
            None => Stage::left_out(name, "--no-guests, or a filter"),
            Some(Ok(programs)) => run.exact(name, kernel, programs, functions, &mut rows, &mut overlaps),
            Some(Err(error)) => Stage::broken(name, format!("{error:#}")),
        });
    }
    let mut comparisons = Vec::new();
    let is_whole = is_own && exact_test.is_some();
    if is_whole {
        let compare = |kernel| run.selftests(format!("selftests {kernel}"), kernel);
        for (stage, comparison) in in_parallel(newest_first(&kernels), compare)?.into_iter().rev() {
            stages.push(stage);
            comparisons.extend(comparison);
        }
    }
    let has = |kernel: &str| is_whole && kernels.contains(&kernel);
    // The longest first.
    let others = [
        ("service", has(SERVICE_KERNEL)),
        ("proof", is_whole),
        ("faults", has(faults::KERNEL)),
        ("hosts", is_whole && args.kernel.is_empty()),
        ("fuzz", is_own && args.filter.is_empty()),
    ];
    let others = others.into_iter().filter_map(|(name, is_wanted)| is_wanted.then_some(name)).collect();
    stages.extend(in_parallel(others, |name| match name {
        "service" => run.service(),
        "proof" => run.proof(),
        "faults" => run.faults(),
        "hosts" => run.hosts(),
        _ => counted("fuzz", || fuzz::short(&run.object)),
    })?);
    if is_own && args.filter.is_empty() {
        stages.push(counted("simulate", || simulate::short(&run.object)));
    }
    if !rows.is_empty() {
        println!("\n{}\n{}", exact::table(&rows), exact::overlap_table(&overlaps));
    }
    if !comparisons.is_empty() {
        println!("\n{}", selftests::summary_table(&comparisons));
    }
    Ok(sum_up(&stages))
}

/// One stage's row of the table.
struct Stage {
    name: String,
    counts: Counts,
    seconds: f64,
    /// What the counts alone do not tell.
    note: String,
    /// What failed, at length.
    failures: String,
}

impl Stage {
    /// A stage that ended; `problem` is what went wrong besides failed tests.
    fn ended(name: impl Into<String>, started: Instant, mut counts: Counts, problem: Option<String>) -> Self {
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
    fn explained(mut self, failures: Failures) -> Self {
        self.failures = failures.text;
        self
    }

    /// A stage that could not be run: one failure.
    fn broken(name: impl Into<String>, problem: String) -> Self {
        let counts = Counts { failed: 1, ..Counts::default() };
        Self { name: name.into(), counts, seconds: 0.0, note: problem, failures: String::new() }
    }

    /// A stage that the command line leaves out.
    fn left_out(name: impl Into<String>, why: &str) -> Self {
        let note = format!("not run: {why}");
        Self { name: name.into(), counts: Counts::default(), seconds: 0.0, note, failures: String::new() }
    }
}

/// The newest takes longest: begun first, it does not keep a processor waiting at the end.
fn newest_first<'a>(kernels: &[&'a str]) -> Vec<&'a str> {
    kernels.iter().rev().copied().collect()
}

/// Prints the table and, last, the sum.
fn sum_up(stages: &[Stage]) -> ExitCode {
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

/// What the stages share.
struct Run<'a> {
    object: PathBuf,
    mmscope: PathBuf,
    mmload: PathBuf,
    guests: &'a GuestTools,
    filter: &'a [String],
}

impl Run<'_> {
    fn units(&self) -> Stage {
        let mut cargo = build::cargo_with_object(&self.object);
        cargo.args(["test", "--workspace", "--exclude", "probe-ebpf", "--no-fail-fast", "--"]).args(self.filter);
        run_stage("unit", &mut cargo)
    }

    /// The live tests on this very host: its kernel may refuse much, and that is part of what they test.
    fn host(&self) -> Stage {
        let mut cargo = build::cargo_with_object(&self.object);
        cargo
            .env("MMSCOPE_BIN", &self.mmscope)
            .env("MMLOAD_BIN", &self.mmload)
            .env("MMSCOPE_OBJECT", &self.object)
            .env("PROMTOOL", &self.guests.promtool)
            .env("PROMETHEUS", &self.guests.prometheus)
            .args(["test", "-p", "mmscope", "--features", "live", "--test", "host", "--test", "web"])
            .args(["--", "--test-threads=1"])
            .args(self.filter);
        run_stage("host", &mut cargo)
    }

    /// Builds the guests' tests into one static program.
    fn build_guest_test(&self) -> Result<PathBuf> {
        build_live_test_for(self.guests.machine, &self.object, "guest")
    }

    fn exact_programs(&self) -> Result<exact::Programs> {
        let test = build_live_test_for(self.guests.machine, &self.object, "exact")?;
        Ok(exact::Programs { test, mmscope: self.mmscope.clone(), mmload: self.mmload.clone() })
    }

    /// The short form of `cargo xtask exact`.
    fn exact(
        &self,
        name: String,
        kernel: &str,
        programs: &exact::Programs,
        functions: Functions,
        rows: &mut Vec<exact::Row>,
        overlaps: &mut Vec<exact::Row>,
    ) -> Stage {
        banner(&name);
        let started = Instant::now();
        let kernel = kernels::resolve_for(self.guests.machine, kernel);
        let outcome = kernel.and_then(|kernel| programs.run(self.guests, &kernel, 2, 1, functions));
        match outcome {
            Err(error) => Stage::ended(name, started, Counts::default(), Some(format!("{error:#}"))),
            Ok(outcome) => {
                rows.extend(outcome.rows);
                overlaps.extend(outcome.overlaps);
                Stage::ended(name, started, outcome.counts, outcome.problem)
            }
        }
    }

    fn guest(&self, name: String, kernel: &str, program: &Path) -> Stage {
        banner(&name);
        let started = Instant::now();
        let kernel = kernels::resolve_for(self.guests.machine, kernel);
        match kernel.and_then(|kernel| self.boot(kernel, program)) {
            Err(error) => Stage::ended(name, started, Counts::default(), Some(format!("{error:#}"))),
            Ok((counts, problem, failures)) => Stage::ended(name, started, counts, problem).explained(failures),
        }
    }

    /// The short form of `cargo xtask proof`: each alert counts.
    fn proof(&self) -> Stage {
        banner("proof");
        let started = Instant::now();
        match proof::short(self.guests, &[self.mmscope.clone(), self.mmload.clone()]) {
            Err(error) => Stage::ended("proof", started, Counts::default(), Some(format!("{error:#}"))),
            Ok((arrived, problems)) => {
                let problem = (!problems.is_empty()).then(|| problems.join("; "));
                Stage::ended("proof", started, Counts::of(arrived as u64, problems.len() as u64), problem)
            }
        }
    }

    /// The short form of `cargo xtask service`: each check counts.
    fn service(&self) -> Stage {
        let name = format!("service {SERVICE_KERNEL}");
        banner(&name);
        let started = Instant::now();
        match service::short(self.guests, &[self.mmscope.clone(), self.mmload.clone()], SERVICE_KERNEL) {
            Err(error) => Stage::ended(name, started, Counts::default(), Some(format!("{error:#}"))),
            Ok(run) => {
                let problems = run.problems();
                let counts = Counts::of(run.good(), problems.len() as u64);
                let problem = (!problems.is_empty()).then(|| problems.join("; "));
                Stage::ended(name, started, counts, problem)
            }
        }
    }

    /// The short form of `cargo xtask page`: each test in the browser counts.
    fn page(&self) -> Stage {
        banner("page");
        let started = Instant::now();
        match page::short(&self.mmscope) {
            Err(error) => Stage::ended("page", started, Counts::default(), Some(format!("{error:#}"))),
            Ok((counts, failed)) => {
                Stage { failures: failed.join("\n"), ..Stage::ended("page", started, counts, None) }
            }
        }
    }

    /// The short form of `cargo xtask hosts`: each check counts, and each text of doctor.
    fn hosts(&self) -> Stage {
        counted("hosts", || {
            let program = build_live_test(&self.object, "hosts")?;
            hosts::short(self.guests, [program, self.mmscope.clone(), self.mmload.clone()])
        })
    }

    /// The short form of `cargo xtask faults`: each fault counts.
    fn faults(&self) -> Stage {
        banner("faults");
        let started = Instant::now();
        let outcome = build_live_test(&self.object, "faults").and_then(|program| {
            let binaries =
                Binaries { object: &self.object, mmscope: &self.mmscope, mmload: &self.mmload, program: &program };
            faults::short(self.guests, &binaries)
        });
        match outcome {
            Err(error) => Stage::ended("faults", started, Counts::default(), Some(format!("{error:#}"))),
            Ok(outcome) => {
                println!("\n{}", faults::table(&outcome.rows));
                Stage::ended("faults", started, outcome.counts, outcome.problem)
            }
        }
    }

    /// The short form of `cargo xtask selftests`: each test counts.
    fn selftests(&self, name: String, kernel: &str) -> (Stage, Option<selftests::Comparison>) {
        banner(&name);
        let started = Instant::now();
        let choice = selftests::Choice { programs: selftests::SHORT, always_again: false };
        let compared =
            kernels::resolve(kernel).and_then(|kernel| selftests::compare(&kernel, self.guests, &self.mmscope, choice));
        match compared {
            Err(error) => (Stage::ended(name, started, Counts::default(), Some(format!("{error:#}"))), None),
            Ok(comparison) => {
                let problem = (!comparison.problems.is_empty()).then(|| comparison.problems.join("; "));
                (
                    Stage::ended(name, started, Counts::of(comparison.same(), comparison.different()), problem),
                    Some(comparison),
                )
            }
        }
    }

    fn boot(&self, kernel: Kernel, program: &Path) -> Result<(Counts, Option<String>, Failures)> {
        let binaries = Binaries { object: &self.object, mmscope: &self.mmscope, mmload: &self.mmload, program };
        let outcome = binaries.boot(self.guests, kernel, self.filter, &[], GUEST_TIMEOUT)?;
        let (mut counts, mut failures) = (Counts::default(), Failures::default());
        for line in outcome.output.lines() {
            counts.add_line(line);
            failures.add_line(line);
        }
        let problem = outcome.problem().filter(|_| !outcome.splat.is_empty() || counts.failed == 0);
        Ok((counts, problem, failures))
    }
}

/// The short form of a task that counts what went well, and says what did not.
fn counted(name: &str, task: impl FnOnce() -> Result<(u64, Vec<String>)>) -> Stage {
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

/// Runs a test program and passes its output on while counting.
fn run_stage(name: &str, command: &mut Command) -> Stage {
    banner(name);
    let started = Instant::now();
    let (mut counts, mut failures) = (Counts::default(), Failures::default());
    let problem = match count_output(command, &mut counts, &mut failures) {
        Ok(true) => None,
        // Failed tests are counted already.
        Ok(false) if counts.failed > 0 => None,
        Ok(false) => Some("ended with an error".to_owned()),
        Err(error) => Some(format!("{error:#}")),
    };
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

fn banner(name: &str) {
    eprintln!("\ntest: {name}");
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

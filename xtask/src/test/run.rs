//! What each stage does. Knows nothing of their order.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::Result;

use super::SERVICE_KERNEL;
use super::stage::{Stage, banner, run_stage};
use crate::exact::{self, Functions};
use crate::kernels::{self, Kernel};
use crate::libtest::{Counts, Failures};
use crate::live_test::{Binaries, build_live_test, build_live_test_for, build_live_tests};
use crate::setup::{GuestTools, Tools};
use crate::{build, faults, page, proof, selftests, service};

/// A guest's limit: emulation is slow, and a test that hangs must not hang the run.
const GUEST_TIMEOUT: Duration = Duration::from_secs(1800);

/// What the stages share.
pub(super) struct Run<'a> {
    pub(super) tools: &'a Tools,
    pub(super) object: PathBuf,
    pub(super) mmscope: PathBuf,
    pub(super) mmload: PathBuf,
    pub(super) guests: &'a GuestTools,
    pub(super) filter: &'a [String],
}

impl Run<'_> {
    pub(super) fn units(&self) -> Stage {
        let mut cargo = build::cargo_with_object(&self.object);
        cargo.args(["test", "--workspace", "--exclude", "probe-ebpf", "--no-fail-fast", "--"]).args(self.filter);
        run_stage("unit", [cargo])
    }

    /// The live tests on this very host: its kernel may refuse much, and that is part of what they test.
    pub(super) fn host(&self) -> Stage {
        let programs = match build_live_tests(self.guests.machine, &self.object, ["host", "web"]) {
            Ok(programs) => programs,
            Err(error) => return Stage::broken("host", format!("{error:#}")),
        };
        let commands = programs.map(|program| {
            let mut command = Command::new(program);
            command
                .env("MMSCOPE_BIN", &self.mmscope)
                .env("MMLOAD_BIN", &self.mmload)
                .env("MMSCOPE_OBJECT", &self.object)
                .env("PROMTOOL", &self.guests.promtool)
                .env("PROMETHEUS", &self.guests.prometheus)
                .arg("--test-threads=1")
                .args(self.filter);
            command
        });
        run_stage("host", commands)
    }

    /// Builds the guests' tests into one static program.
    pub(super) fn build_guest_test(&self) -> Result<PathBuf> {
        build_live_test_for(self.guests.machine, &self.object, "guest")
    }

    pub(super) fn exact_programs(&self) -> Result<exact::Programs> {
        let test = build_live_test_for(self.guests.machine, &self.object, "exact")?;
        Ok(exact::Programs { test, mmscope: self.mmscope.clone(), mmload: self.mmload.clone() })
    }

    /// The short form of `cargo xtask exact`.
    pub(super) fn exact(
        &self,
        name: String,
        kernel: &str,
        programs: &exact::Programs,
        functions: Functions,
    ) -> (Stage, Option<exact::Outcome>) {
        banner(&name);
        let started = Instant::now();
        let kernel = kernels::resolve_for(self.guests.machine, kernel);
        let outcome = kernel.and_then(|kernel| programs.run(self.guests, &kernel, 2, 1, functions));
        match outcome {
            Err(error) => (Stage::ended(name, started, Counts::default(), Some(format!("{error:#}"))), None),
            Ok(mut outcome) => {
                let stage = Stage::ended(name, started, outcome.counts, outcome.problem.take());
                (stage.explained(std::mem::take(&mut outcome.failures)), Some(outcome))
            }
        }
    }

    /// The live tests in a guest, if their program is wanted and there.
    pub(super) fn guest(&self, kernel: &str, program: Option<&Result<PathBuf>>) -> Stage {
        let name = format!("guest {kernel}");
        match program {
            None => Stage::left_out(name, "--no-guests"),
            Some(Ok(program)) => self.booted(name, kernel, program),
            Some(Err(error)) => Stage::broken(name, format!("{error:#}")),
        }
    }

    fn booted(&self, name: String, kernel: &str, program: &Path) -> Stage {
        banner(&name);
        let started = Instant::now();
        let kernel = kernels::resolve_for(self.guests.machine, kernel);
        match kernel.and_then(|kernel| self.boot(kernel, program)) {
            Err(error) => Stage::ended(name, started, Counts::default(), Some(format!("{error:#}"))),
            Ok((counts, problem, failures)) => Stage::ended(name, started, counts, problem).explained(failures),
        }
    }

    /// The short form of `cargo xtask proof`: each alert counts.
    pub(super) fn proof(&self) -> Stage {
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
    pub(super) fn service(&self) -> Stage {
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
    pub(super) fn page(&self) -> Stage {
        banner("page");
        let started = Instant::now();
        match page::short(&self.mmscope) {
            Err(error) => Stage::ended("page", started, Counts::default(), Some(format!("{error:#}"))),
            Ok((counts, failed)) => {
                Stage::ended("page", started, counts, None).explained(Failures::of(failed.join("\n")))
            }
        }
    }

    /// The short form of `cargo xtask faults`: each fault counts.
    pub(super) fn faults(&self) -> Stage {
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
                Stage::ended("faults", started, outcome.counts, outcome.problem).explained(outcome.failures)
            }
        }
    }

    /// The short form of `cargo xtask selftests`: each test counts.
    pub(super) fn selftests(&self, kernel: &str) -> (Stage, Option<selftests::Comparison>) {
        let name = format!("selftests {kernel}");
        banner(&name);
        let started = Instant::now();
        let choice = selftests::Choice { programs: selftests::SHORT, always_again: false };
        let compared =
            kernels::resolve(kernel).and_then(|kernel| selftests::compare(&kernel, self.guests, &self.mmscope, choice));
        match compared {
            Err(error) => (Stage::ended(name, started, Counts::default(), Some(format!("{error:#}"))), None),
            Ok(comparison) => {
                let problem = (!comparison.problems.is_empty()).then(|| comparison.problems.join("; "));
                let counts = Counts::of(comparison.same(), comparison.different());
                (Stage::ended(name, started, counts, problem), Some(comparison))
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

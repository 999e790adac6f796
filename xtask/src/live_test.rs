//! The daemon's live test programs: how they are built, and a guest that runs one of them.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::initramfs::GuestFile;
use crate::kernels::Kernel;
use crate::machine::Machine;
use crate::setup::GuestTools;
use crate::vm::{Guest, Outcome, in_bin};
use crate::{dist, sh};

/// What a guest that runs the guests' tests needs.
pub(crate) struct Binaries<'a> {
    pub(crate) object: &'a Path,
    pub(crate) mmscope: &'a Path,
    pub(crate) mmload: &'a Path,
    /// The test program.
    pub(crate) program: &'a Path,
}

impl Binaries<'_> {
    /// Boots a kernel and runs the tests whose names contain one of `filters`; without any, all.
    pub(crate) fn boot(
        &self,
        tools: &GuestTools,
        kernel: Kernel,
        filters: &[String],
        env: &[(&str, String)],
        timeout: Duration,
    ) -> Result<Outcome> {
        let filters: String = filters.iter().map(|filter| format!(" {}", sh::quote(filter))).collect();
        let command = format!("exec /bin/guest-test --test-threads=1{filters}");
        let object = "/lib/mmscope.bpf.o";
        // The guest ends with its tests, and so does the mmscope that they share.
        let usual = [
            ("MMSCOPE_BIN", "/bin/mmscope"),
            ("MMLOAD_BIN", "/bin/mmload"),
            ("MMSCOPE_OBJECT", object),
            ("MMSCOPE_SHARED", "1"),
        ];
        let guest = Guest {
            // The third processor is a test's to switch on.
            smp: 3,
            append: "maxcpus=2".to_owned(),
            memory_mib: 2048,
            files: vec![
                in_bin(self.mmscope.to_owned()),
                in_bin(self.mmload.to_owned()),
                GuestFile { host: self.program.to_owned(), guest: "/bin/guest-test".to_owned() },
                GuestFile { host: self.object.to_owned(), guest: object.to_owned() },
            ],
            env: usual
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .chain(env.iter().map(|(name, value)| ((*name).to_owned(), value.clone())))
                .collect(),
            timeout,
            // A disk in memory, for swap.
            modules: vec!["brd".to_owned()],
            label: Some(kernel.release.clone()),
            ..Guest::new(kernel, command)
        };
        let outcome = guest.run(tools)?;
        outcome.explain();
        Ok(outcome)
    }
}

/// Builds one of the daemon's live test programs, static, for guests that are PCs.
pub(crate) fn build_live_test(object: &Path, name: &str) -> Result<PathBuf> {
    build_live_test_for(Machine::X86_64, object, name)
}

/// The same for a kind of machine.
pub(crate) fn build_live_test_for(machine: Machine, object: &Path, name: &str) -> Result<PathBuf> {
    let [program] = build_live_tests(machine, object, [name])?;
    Ok(program)
}

/// The same of several at once, which takes less time than one after the other.
pub(crate) fn build_live_tests<const N: usize>(
    machine: Machine,
    object: &Path,
    names: [&str; N],
) -> Result<[PathBuf; N]> {
    let mut cargo = dist::static_cargo(machine, object, &["test", "--no-run"])?;
    cargo.args(["-p", "mmscope"]).args(names.map(|name| format!("--test={name}")));
    build_programs(machine, cargo, names)
}

/// One of them, and the two programs that it needs, built as it is: soon there, and neither small nor fast.
pub(crate) fn build_with_programs(machine: Machine, object: &Path, name: &str) -> Result<(PathBuf, [PathBuf; 2])> {
    let mut cargo = dist::static_cargo(machine, object, &["build", "--bins"])?;
    cargo.args(["-p", "mmscope", "-p", "workload", &format!("--test={name}")]);
    let [test, mmscope, mmload] = build_programs(machine, cargo, [name, "mmscope", "mmload"])?;
    Ok((test, [mmscope, mmload]))
}

/// What cargo says it has built under these names.
fn build_programs<const N: usize>(machine: Machine, mut cargo: Command, names: [&str; N]) -> Result<[PathBuf; N]> {
    cargo.args(["--profile=live", "--features", "mmscope/live", "--message-format=json-render-diagnostics"]);
    let output = cargo.stdin(Stdio::null()).stderr(Stdio::inherit()).output().context("start cargo")?;
    if !output.status.success() {
        bail!("the live tests do not build");
    }
    let output = String::from_utf8_lossy(&output.stdout);
    let mut programs = names.map(|_| PathBuf::new());
    for (program, name) in programs.iter_mut().zip(names) {
        *program = output
            .lines()
            .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
            .filter(|message| message["target"]["name"] == name)
            .find_map(|message| message["executable"].as_str().map(PathBuf::from))
            .with_context(|| format!("cargo names no program {name}"))?;
        dist::check_static(program, machine)?;
    }
    Ok(programs)
}

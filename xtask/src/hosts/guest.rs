//! A guest that is made a host of one kind and runs the checks.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;

use super::kinds::{Host, TYPELESS};
use crate::initramfs::GuestFile;
use crate::kernels::{self, Kernel};
use crate::libtest::Counts;
use crate::setup::GuestTools;
use crate::unfixed_kernel;
use crate::vm::{Guest, in_bin};

/// How a line of the test program's begins that tells of a check.
const LINE: &str = "host: ";
const LIMIT: Duration = Duration::from_secs(1200);

/// What a guest runs.
pub(super) struct Binaries {
    pub(super) test: PathBuf,
    pub(super) mmscope: PathBuf,
    pub(super) mmload: PathBuf,
}

/// What a host showed.
pub(super) struct Run {
    /// What `uname -r` says.
    pub(super) release: String,
    /// Of each check.
    pub(super) told: Vec<Value>,
    pub(super) counts: Counts,
    /// Lines of checks that failed.
    failures: Vec<String>,
    problem: Option<String>,
}

impl Run {
    /// What a check told.
    pub(super) fn check(&self, name: &str) -> Option<&Value> {
        self.told.iter().find(|told| told["check"] == name)
    }

    /// What was wrong.
    pub(super) fn problem(&self) -> Option<String> {
        if self.failures.is_empty() && self.counts.failed == 0 {
            self.problem.clone()
        } else {
            Some(self.failures.join("; "))
        }
    }
}

/// Makes the host and looks at it.
pub(super) fn run(tools: &GuestTools, binaries: &Binaries, host: &Host) -> Result<Run> {
    let mut files = vec![
        in_bin(binaries.mmscope.clone()),
        in_bin(binaries.mmload.clone()),
        GuestFile { host: binaries.test.clone(), guest: "/bin/hosts-test".to_owned() },
    ];
    if host.kernel == TYPELESS || host.args.contains("/lib/") {
        let typeless = unfixed_kernel::typeless()?;
        files.push(GuestFile { host: typeless.btf, guest: "/lib/types.btf".to_owned() });
        files.push(GuestFile { host: typeless.vmlinux, guest: "/lib/vmlinux".to_owned() });
    }
    let kernel = kernel(host)?;
    let release = kernel.release.clone();
    let guest = Guest {
        smp: host.smp,
        memory_mib: host.memory_mib,
        qemu: host.qemu.iter().map(|word| (*word).to_owned()).collect(),
        files,
        env: env(host),
        append: host.append.to_owned(),
        timeout: LIMIT,
        label: Some(host.name.to_owned()),
        ..Guest::new(kernel, format!("{SECURITYFS}{}exec /bin/hosts-test", host.prepare))
    };
    let outcome = guest.run(tools)?;
    outcome.explain();
    let (mut counts, mut told, mut failures) = (Counts::default(), Vec::new(), Vec::new());
    let mut was_failed = false;
    for line in outcome.output.lines() {
        counts.add_line(line);
        if let Some(json) = line.strip_prefix(LINE) {
            told.push(serde_json::from_str(json).with_context(|| format!("read {line}"))?);
        }
        if was_failed {
            failures.push(line.to_owned());
        }
        was_failed = line.ends_with("... FAILED");
    }
    let problem = outcome.problem();
    Ok(Run { release, told, counts, failures, problem })
}

/// Where systemd is, it mounts this.
const SECURITYFS: &str = "mount -t securityfs securityfs /sys/kernel/security 2>/dev/null\n";

fn kernel(host: &Host) -> Result<Kernel> {
    if host.kernel != TYPELESS {
        return kernels::resolve_for(host.machine, host.kernel);
    }
    kernels::resolve(&unfixed_kernel::typeless()?.image.display().to_string())
}

fn env(host: &Host) -> Vec<(String, String)> {
    let mut env = vec![
        ("MMSCOPE_BIN", "/bin/mmscope"),
        ("MMLOAD_BIN", "/bin/mmload"),
        ("HOST_ARGS", host.args),
        ("HOST_CHECKS", host.checks),
    ];
    env.extend(host.cgroup.iter().flat_map(|(folders, name)| [("HOST_CGROUP", *folders), ("HOST_CGROUP_NAME", *name)]));
    env.extend(host.fails.map(|says| ("HOST_FAILS", says)));
    env.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

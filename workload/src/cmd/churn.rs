//! `churn`: N cgroups of which each has its share of M processes, one after the other, and goes when these have ended.
//!
//! All cgroups are made first, in a folder of a cgroup2 file system: they are there at once, and none is left but with --keep. Per process: 1
//! clone3 straight into its cgroup (`CLONE_INTO_CGROUP`: no write to cgroup.procs, which would be work of its own), one cycle of
//! `mprotect` on a page that it has from its parent, and its end. No exec: one address space for each process.

use std::fs::{self, File};
use std::io;
use std::os::fd::AsRawFd as _;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context as _, Result};
use linux_raw_sys::general::{CLONE_INTO_CGROUP, clone_args};
use serde::Serialize;
use serde_json::Value;

use crate::memory::Area;
use crate::setup::Setup;
use crate::timing::nanos;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// A cgroup's folder, in which they are made
    #[arg(long, value_name = "FOLDER")]
    inside: PathBuf,
    /// Cgroups
    #[arg(long, value_parser = super::positive())]
    cgroups: usize,
    /// Processes, in all of them together
    #[arg(long)]
    processes: usize,
    /// Leave the cgroups there
    #[arg(long)]
    keep: bool,
}

#[derive(Serialize)]
struct Counts {
    cgroups: usize,
    forks: usize,
    /// Of all children together.
    mprotect_calls: usize,
    elapsed_ns: u64,
}

impl Args {
    pub(crate) fn run(&self, setup: &mut Setup) -> Result<Value> {
        let page = Area::touched(1, setup)?;
        let folders: Vec<PathBuf> = (0..self.cgroups).map(|n| self.inside.join(format!("churn-{n}"))).collect();
        for folder in &folders {
            fs::create_dir(folder).with_context(|| format!("make {}", folder.display()))?;
        }
        setup.done()?;
        let begin = Instant::now();
        for (n, folder) in folders.iter().enumerate() {
            // As even as whole numbers can be.
            let share = self.processes * (n + 1) / self.cgroups - self.processes * n / self.cgroups;
            visit(folder, share, &page)?;
            if !self.keep {
                fs::remove_dir(folder).with_context(|| format!("remove {}", folder.display()))?;
            }
        }
        Ok(serde_json::to_value(Counts {
            cgroups: self.cgroups,
            forks: self.processes,
            mprotect_calls: 2 * self.processes,
            elapsed_ns: nanos(begin.elapsed()),
        })?)
    }
}

fn visit(folder: &Path, processes: usize, page: &Area) -> Result<()> {
    let cgroup = File::open(folder).with_context(|| format!("open {}", folder.display()))?;
    for _ in 0..processes {
        let child = fork_into(&cgroup, page).with_context(|| format!("fork into {}", folder.display()))?;
        super::forkexec::await_success(child)?;
    }
    Ok(())
}

/// The child works and ends; only the parent comes back.
fn fork_into(cgroup: &File, page: &Area) -> io::Result<libc::pid_t> {
    let args = clone_args {
        flags: CLONE_INTO_CGROUP,
        pidfd: 0,
        child_tid: 0,
        parent_tid: 0,
        exit_signal: libc::SIGCHLD as u64,
        stack: 0,
        stack_size: 0,
        tls: 0,
        set_tid: 0,
        set_tid_size: 0,
        cgroup: cgroup.as_raw_fd() as u64,
    };
    // SAFETY: without CLONE_VM it is a fork; this process has one thread, and the child calls only what is safe after one.
    match unsafe { libc::syscall(libc::SYS_clone3, &raw const args, size_of::<clone_args>()) } {
        -1 => Err(io::Error::last_os_error()),
        0 => {
            let failed = super::mprotect::cycles(page, 1).is_err();
            // SAFETY: ends this child alone; no destructor of the parent's runs.
            unsafe { libc::_exit(failed.into()) }
        }
        pid => Ok(pid as libc::pid_t),
    }
}

//! `live`: N processes that stay alive and do a little: each one cycle of mprotect(read), mprotect(read, write) and a write, again
//! and again with a pause between.
//!
//! Per process: 1 clone and no exec, hence one address space, and a name of its own set of names (PREFIX-0, PREFIX-1, ..). They
//! begin one after the other over the first pause, so that they do not work all at the same moment, and are killed at the end.

use std::ffi::CString;
use std::io;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use serde::Serialize;
use serde_json::Value;

use crate::children::Children;
use crate::memory::Area;
use crate::setup::Setup;
use crate::timing::nanos;

/// Exit status of a child whose mprotect failed.
const FAILED: libc::c_int = 1;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Processes
    #[arg(long, value_parser = super::positive())]
    processes: usize,
    /// Different names that they have
    #[arg(long, default_value_t = 100, value_parser = super::positive())]
    names: usize,
    /// What their names begin with
    #[arg(long, default_value = "live")]
    prefix: String,
    /// Milliseconds between two cycles of a process
    #[arg(long, default_value_t = 10_000, value_name = "MILLISECONDS")]
    pause_ms: u64,
    /// How long they live once all are there
    #[arg(long, value_name = "SECONDS")]
    seconds: u64,
}

#[derive(Serialize)]
struct Counts {
    processes: usize,
    elapsed_ns: u64,
}

impl Args {
    pub(crate) fn run(&self, setup: &mut Setup) -> Result<Value> {
        let page = Area::touched(1, setup)?;
        setup.done()?;
        let names = (0..self.names)
            .map(|n| CString::new(format!("{}-{n}", self.prefix)))
            .collect::<Result<Vec<_>, _>>()
            .context("--prefix")?;
        let pause = Duration::from_millis(self.pause_ms);
        let begin = Instant::now();
        let mut children = Children::with_capacity(self.processes);
        for n in 0..self.processes {
            let first = pause.mul_f64(n as f64 / self.processes as f64);
            // SAFETY: this process has one thread.
            match unsafe { libc::fork() } {
                0 => live(&names[n % names.len()], &page, first, pause),
                -1 => return Err(io::Error::last_os_error()).with_context(|| format!("fork child {n}")),
                pid => children.push(pid),
            }
        }
        thread::sleep(Duration::from_secs(self.seconds));
        drop(children);
        Ok(serde_json::to_value(Counts { processes: self.processes, elapsed_ns: nanos(begin.elapsed()) })?)
    }
}

/// In a child.
fn live(name: &CString, page: &Area, first: Duration, pause: Duration) -> ! {
    // SAFETY: a name that ends. Whoever started this program may be gone before its end: then this is of no use either.
    unsafe {
        libc::prctl(libc::PR_SET_NAME, name.as_ptr());
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
    }
    thread::sleep(first);
    while super::mprotect::cycles(page, 1).is_ok() {
        thread::sleep(pause);
    }
    // SAFETY: ends this child alone; no destructor of the parent's runs.
    unsafe { libc::_exit(FAILED) }
}

//! `share`: children that run in this very address space (clone with CLONE_VM, as vfork does, but at the same time), each
//! with N cycles of mprotect(read), mprotect(read, write) and a write, on one page of its own.
//!
//! Per child: 1 clone, the events of `flip` for one thread, and an end that ends no address space. All stacks are mapped
//! in advance.

use std::ffi::c_void;
use std::io;
use std::time::Instant;

use anyhow::{Result, ensure};
use serde::Serialize;
use serde_json::Value;

use crate::memory::{Area, PAGE};
use crate::setup::Setup;
use crate::timing::nanos;

/// Pages of a child's stack.
const STACK: usize = 16;
/// Exit status of a child whose mprotect failed.
const FAILED: libc::c_int = 1;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Children at a time
    #[arg(long, default_value_t = 2, value_parser = super::positive())]
    children: usize,
    /// Cycles of each child
    #[arg(long)]
    cycles: u64,
}

#[derive(Serialize)]
struct Counts {
    clones: usize,
    mprotect_calls: u64,
    writes: u64,
    elapsed_ns: u64,
}

/// What a child works on.
struct Task {
    page: Area,
    stack: Area,
    cycles: u64,
}

impl Args {
    pub(crate) fn run(&self, setup: &mut Setup) -> Result<Value> {
        let mut task = || -> Result<Task> {
            Ok(Task { page: Area::touched(1, setup)?, stack: Area::touched(STACK, setup)?, cycles: self.cycles })
        };
        let tasks = (0..self.children).map(|_| task()).collect::<Result<Vec<_>>>()?;
        setup.done()?;
        let begin = Instant::now();
        let children = tasks.iter().map(start).collect::<Result<Vec<_>>>()?;
        for pid in children {
            super::forkexec::await_success(pid)?;
        }
        let time = begin.elapsed();
        let cycles = self.cycles * self.children as u64;
        Ok(serde_json::to_value(Counts {
            clones: self.children,
            mprotect_calls: 2 * cycles,
            writes: cycles,
            elapsed_ns: nanos(time),
        })?)
    }
}

fn start(task: &Task) -> Result<libc::pid_t> {
    let stack = task.stack.page(STACK - 1).wrapping_add(PAGE);
    let argument = std::ptr::from_ref(task).cast_mut().cast::<c_void>();
    // SAFETY: the stack is the child's alone and outlives it, as the task does: both are dropped after all children were
    // waited for, and never unmapped. The child calls nothing that needs thread-local storage but errno, which is shared and
    // which nobody reads while children run.
    let pid = unsafe { libc::clone(work, stack.cast(), libc::CLONE_VM | libc::SIGCHLD, argument) };
    ensure!(pid > 0, "clone: {}", io::Error::last_os_error());
    Ok(pid)
}

extern "C" fn work(task: *mut c_void) -> libc::c_int {
    // SAFETY: `start` gave a task that lives until this child has ended.
    let task = unsafe { &*task.cast_const().cast::<Task>() };
    let done = super::mprotect::cycles(&task.page, task.cycles);
    // SAFETY: ends this child alone; no destructor of the parent's runs.
    unsafe { libc::_exit(if done.is_ok() { 0 } else { FAILED }) }
}

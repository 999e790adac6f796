//! `lock-hold`: W writers and R readers of one mm, started together.
//!
//! Per operation: a writer takes mmap_lock for write once (mprotect of its own area) or twice (mmap and munmap), a
//! reader once for read (mincore). The more pages, the longer the holds. Who waits, and how long, is the scheduler's to
//! say: `write_times`, `read_times` and `voluntary_switches` show that somebody did. One mprotect of 4096 pages takes
//! some twenty times as long as one mincore of them: with equal --ops the readers are soon done and contend little, so
//! give --seconds, or more --read-ops. More threads than CPUs put preemption into the times. Keys: see
//! [`crate::contention`].

use std::time::Duration;

use anyhow::Result;
use serde_json::Value;

use crate::contention::{self, Plan, Until, WriteOp};
use crate::setup::Setup;
use crate::timing;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Threads that take the lock for write
    #[arg(long)]
    writers: usize,
    /// Threads that take the lock for read
    #[arg(long)]
    readers: usize,
    /// Operations of each thread
    #[arg(long, conflicts_with = "seconds", required_unless_present = "seconds")]
    ops: Option<u64>,
    /// Operations of each reader, if other than those of a writer
    #[arg(long, conflicts_with = "seconds")]
    read_ops: Option<u64>,
    /// Go on so long, in place of a number of operations
    #[arg(long, value_parser = timing::parse_seconds)]
    seconds: Option<Duration>,
    /// Pages of each writer's area, and of the readers' (at most 4096 of them)
    #[arg(long, default_value_t = 4096, value_parser = super::positive())]
    pages: usize,
    /// VMAs of each writer's area
    #[arg(long, default_value_t = 1, value_parser = super::positive())]
    vmas: usize,
    /// What a writer does
    #[arg(long, value_enum, default_value_t = WriteOp::Mprotect)]
    write_op: WriteOp,
}

impl Args {
    pub(crate) fn run(&self, setup: &mut Setup) -> Result<Value> {
        let until = |ops: Option<u64>| match ops {
            Some(ops) => Until::Ops(ops),
            None => Until::Elapsed(self.seconds.unwrap_or_default()),
        };
        let plan = Plan {
            writers: self.writers,
            readers: self.readers,
            write_until: until(self.ops),
            read_until: until(self.read_ops.or(self.ops)),
            pages: self.pages,
            vmas: self.vmas,
            write_op: self.write_op,
        };
        contention::run(plan, setup)
    }
}

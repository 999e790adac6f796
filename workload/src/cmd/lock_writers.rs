//! `lock-writers`: T threads, each with N write acquisitions of mmap_lock (one mprotect of one page each), and no reader.
//! Keys: see [`crate::contention`].

use anyhow::Result;
use serde_json::Value;

use crate::contention::{self, Plan, Until, WriteOp};
use crate::setup::Setup;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Operations of each thread
    #[arg(long)]
    ops: u64,
    /// Threads, the main thread included
    #[arg(long, default_value_t = 1, value_parser = super::positive())]
    threads: usize,
}

impl Args {
    pub(crate) fn run(&self, setup: &mut Setup) -> Result<Value> {
        let until = Until::Ops(self.ops);
        let plan = Plan {
            writers: self.threads,
            readers: 0,
            write_until: until,
            read_until: until,
            pages: 1,
            vmas: 1,
            write_op: WriteOp::Mprotect,
        };
        contention::run(plan, setup)
    }
}

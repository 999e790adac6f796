//! Stages that run beside each other.

use std::path::PathBuf;

use anyhow::Result;

use super::run::Run;
use super::stage::{Stage, counted};
use crate::machine::Machine;
use crate::workers::in_many_lanes;
use crate::{fuzz, hosts, selftests, simulate};

/// A stage that uses one processor, and not all the time.
#[derive(Clone, Copy)]
pub(super) enum Job<'a> {
    Guest(&'a str),
    Selftests(&'a str),
    Service,
    Proof,
    Faults,
    Hosts(Machine),
    Fuzz,
    Simulate,
}

impl Job<'_> {
    /// The longest are begun first, that none keeps a processor waiting at the end: guests, and of those the newest.
    fn rank(self) -> u32 {
        match self {
            Self::Guest(_) => 0,
            Self::Hosts(Machine::Aarch64) => 1,
            Self::Service | Self::Proof | Self::Faults => 2,
            Self::Selftests(_) | Self::Hosts(_) | Self::Fuzz | Self::Simulate => 3,
        }
    }
}

/// A stage, and what selftests showed.
type Done = (Stage, Option<selftests::Comparison>);

/// Runs jobs beside each other; what they showed, in the order that they were given in.
pub(super) fn run_all(run: &Run<'_>, jobs: &[Job<'_>], guest_test: Option<&Result<PathBuf>>) -> Result<Vec<Done>> {
    let mut order: Vec<usize> = (0..jobs.len()).rev().collect();
    order.sort_by_key(|number| jobs[*number].rank());
    let mut done = in_many_lanes(order, |number| (number, run_one(run, jobs[number], guest_test)))?;
    done.sort_by_key(|(number, _)| *number);
    Ok(done.into_iter().map(|(_, done)| done).collect())
}

fn run_one(run: &Run<'_>, job: Job<'_>, guest_test: Option<&Result<PathBuf>>) -> Done {
    let stage = match job {
        Job::Guest(kernel) => run.guest(kernel, guest_test),
        Job::Selftests(kernel) => return run.selftests(kernel),
        Job::Service => run.service(),
        Job::Proof => run.proof(),
        Job::Faults => run.faults(),
        Job::Hosts(Machine::HOST) => counted("hosts", || hosts::short(Machine::HOST, run.tools)),
        Job::Hosts(other) => counted(&format!("hosts {}", other.debian()), || hosts::short(other, run.tools)),
        Job::Fuzz => counted("fuzz", || fuzz::short(&run.object)),
        Job::Simulate => counted("simulate", || simulate::short(&run.object)),
    };
    (stage, None)
}

//! `uffd-missing`: the main thread writes to N missing pages once each, a handler thread fills each.
//!
//! N page faults that end in handle_userfault with reason missing, N UFFDIO_COPY; 1 UFFDIO_API, 1 UFFDIO_REGISTER, 1
//! UFFDIO_UNREGISTER; with --explicit-wake N UFFDIO_WAKE. Keys: see [`crate::uffd_session`].

use anyhow::Result;
use serde_json::Value;

use crate::setup::Setup;
use crate::uffd_session::{self, Handling};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Pages, and so faults
    #[arg(long, value_parser = super::positive())]
    faults: usize,
    #[command(flatten)]
    handling: Handling,
}

impl Args {
    pub(crate) fn run(&self, setup: &mut Setup) -> Result<Value> {
        uffd_session::run(self.faults, 0, self.handling, setup)
    }
}

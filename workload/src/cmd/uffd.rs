//! `uffd`: the faults of uffd-missing, then those of uffd-wp, in one context with one handler.
//!
//! As the two together, but 1 UFFDIO_API; 2 UFFDIO_REGISTER and 2 UFFDIO_UNREGISTER. Keys: see
//! [`crate::uffd_session`].

use anyhow::Result;
use serde_json::Value;

use crate::setup::Setup;
use crate::uffd_session::{self, Handling};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Faults on missing pages
    #[arg(long, value_parser = super::positive())]
    missing: usize,
    /// Faults on write-protected pages
    #[arg(long, value_parser = super::positive())]
    wp: usize,
    #[command(flatten)]
    handling: Handling,
}

impl Args {
    pub(crate) fn run(&self, setup: &mut Setup) -> Result<Value> {
        uffd_session::run(self.missing, self.wp, self.handling, setup)
    }
}

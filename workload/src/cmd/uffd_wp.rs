//! `uffd-wp`: the main thread writes to N write-protected pages once each, a handler thread ends the protection of each.
//!
//! N write-protect faults that end in handle_userfault with reason wp; 1 UFFDIO_WRITEPROTECT over the whole range with
//! mode WP and N over one page without, hence N + 1 windows of paths uffd_wp and uffd_unwp under mmap_lock for read; 1
//! UFFDIO_API, 1 UFFDIO_REGISTER, 1 UFFDIO_UNREGISTER; with --explicit-wake N UFFDIO_WAKE. The write may fault once more
//! after the protection ended (do_wp_page, reuse of the page), by kernel version. Keys: see [`crate::uffd_session`].

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
        uffd_session::run(0, self.faults, self.handling, setup)
    }
}

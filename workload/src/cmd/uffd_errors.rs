//! `uffd-errors`: UFFDIO_COPY calls that fail, each in the way asked for. No fault happens.
//!
//! EEXIST: onto a page that is present. ENOENT: onto memory that this context has not registered. EINVAL: to an address
//! inside a page. 1 UFFDIO_API, 1 UFFDIO_REGISTER, 1 UFFDIO_UNREGISTER succeed besides.

use std::time::Instant;

use anyhow::{Result, ensure};
use linux_raw_sys::general::UFFDIO_REGISTER_MODE_MISSING;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::memory::Area;
use crate::setup::Setup;
use crate::timing::nanos;
use crate::uffd::{Ioctls, Uffd};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Copies onto a page that is present
    #[arg(long, default_value_t = 0)]
    eexist: u64,
    /// Copies onto memory that is not registered
    #[arg(long, default_value_t = 0)]
    enoent: u64,
    /// Copies to an address inside a page
    #[arg(long, default_value_t = 0)]
    einval: u64,
}

#[derive(Serialize)]
struct Counts {
    /// ioctl calls by name, failed ones included.
    ioctls: Map<String, Value>,
    /// Failures by ioctl name and errno.
    ioctl_failures: Map<String, Value>,
    user_mode_only: bool,
    elapsed_ns: u64,
}

impl Args {
    pub(crate) fn run(&self, setup: &mut Setup) -> Result<Value> {
        setup.done()?;
        let mut ioctls = Ioctls::default();
        let uffd = Uffd::open(0, &mut ioctls)?;
        let [source, present, foreign] = [Area::touched(1, setup)?, Area::touched(1, setup)?, Area::touched(1, setup)?];
        uffd.register(&present, UFFDIO_REGISTER_MODE_MISSING, &mut ioctls)?;

        let begin = Instant::now();
        for (count, address, errno) in [
            (self.eexist, present.address(), libc::EEXIST),
            (self.enoent, foreign.address(), libc::ENOENT),
            (self.einval, present.address() + 1, libc::EINVAL),
        ] {
            for _ in 0..count {
                let got = uffd.copy(address, &source, true, &mut ioctls).err().and_then(|error| error.raw_os_error());
                ensure!(got == Some(errno), "UFFDIO_COPY gave errno {got:?} where {errno} was due");
            }
        }
        let time = begin.elapsed();

        uffd.unregister(&present, &mut ioctls)?;
        Ok(serde_json::to_value(Counts {
            ioctls: ioctls.calls(),
            ioctl_failures: ioctls.failures(),
            user_mode_only: uffd.user_mode_only(),
            elapsed_ns: nanos(time),
        })?)
    }
}

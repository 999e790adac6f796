//! One process that faults on purpose and one thread of it that handles: behind uffd-missing, uffd-wp and uffd. Knows
//! the order of things; the ioctls themselves are [`crate::uffd`]'s.
//!
//! Main thread: open, register, touch, write-protect, then write each missing page and each protected page once, in
//! order; unregister. Handler thread: per fault one poll, one read, the delay, one UFFDIO_COPY or UFFDIO_WRITEPROTECT,
//! and with --explicit-wake one UFFDIO_WAKE.

use std::ops::Range;
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use linux_raw_sys::general::{UFFD_FEATURE_PAGEFAULT_FLAG_WP, UFFDIO_REGISTER_MODE_MISSING, UFFDIO_REGISTER_MODE_WP};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::memory::Area;
use crate::setup::Setup;
use crate::team::Team;
use crate::timing::{OpTimes, nanos};
use crate::uffd::{Ioctls, Uffd};

/// Longer than any test ought to take; without it a lost fault would hang the process.
const PATIENCE: Duration = Duration::from_secs(60);

/// Last byte of the page that is copied, to prove that the copy came from there.
const MARK: u8 = 0xa5;

const TOUCHER: usize = 0;

/// How the handler handles.
#[derive(Debug, Clone, Copy, clap::Args)]
pub(crate) struct Handling {
    /// Microseconds that the handler sleeps before it resolves a fault
    #[arg(long, value_name = "MICROSECONDS", default_value_t = 0)]
    delay_us: u64,

    /// Resolve without waking, then wake by an ioctl of its own (UFFDIO_WAKE)
    #[arg(long)]
    explicit_wake: bool,
}

/// Counts of one session.
#[derive(Debug, Serialize)]
struct Counts {
    /// Faults that the handler read, by reason.
    missing_faults: u64,
    wp_faults: u64,
    /// ioctl calls by name, failed ones included, in the whole life of the context.
    ioctls: Map<String, Value>,
    /// Failures by ioctl name and errno.
    ioctl_failures: Map<String, Value>,
    /// Of the handler, for userfaultfd.
    poll_calls: u64,
    read_calls: u64,
    /// The context could only be had with UFFD_USER_MODE_ONLY (then there were 2 userfaultfd calls).
    user_mode_only: bool,
    delay_us: u64,
    /// The first write of each page as its thread saw it: from before the fault to after.
    missing_times: OpTimes,
    wp_times: OpTimes,
    elapsed_ns: u64,
}

/// What one thread brings back.
#[derive(Debug, Default, Clone, Copy)]
struct Part {
    missing: OpTimes,
    wp: OpTimes,
    missing_faults: u64,
    wp_faults: u64,
    ioctls: Ioctls,
}

struct Session {
    uffd: Uffd,
    missing: Option<Area>,
    wp: Option<Area>,
    source: Area,
    handling: Handling,
}

/// Makes `missing` + `wp` faults in one context, each on a page of its own.
///
/// # Errors
///
/// [`crate::outcome::Unsupported`] without userfaultfd or its write protection; else if any call fails or any fault
/// comes where none was due.
pub(crate) fn run(missing: usize, wp: usize, handling: Handling, setup: &mut Setup) -> Result<Value> {
    setup.done()?;
    let mut ioctls = Ioctls::default();
    let features = if wp > 0 { UFFD_FEATURE_PAGEFAULT_FLAG_WP } else { 0 };
    let uffd = Uffd::open(features, &mut ioctls)?;
    let source = Area::touched(1, setup)?;
    source.write_last(0, MARK);
    let team = Team::new(2, setup)?;

    let mut session = Session { uffd, missing: None, wp: None, source, handling };
    if missing > 0 {
        let area = session.missing.insert(Area::new(missing, setup)?);
        session.uffd.register(area, UFFDIO_REGISTER_MODE_MISSING, &mut ioctls)?;
    }
    if wp > 0 {
        let area = session.wp.insert(Area::touched(wp, setup)?);
        session.uffd.register(area, UFFDIO_REGISTER_MODE_WP, &mut ioctls)?;
        session.uffd.protect(area, &mut ioctls)?;
    }

    let (parts, time) =
        team.run(|member| if member == TOUCHER { session.touch() } else { session.handle(missing + wp) })?;

    let [touched, handled] = parts[..] else { bail!("{} parts of a team of 2", parts.len()) };
    ioctls.add(&handled.ioctls);
    for area in session.missing.iter().chain(&session.wp) {
        session.uffd.unregister(area, &mut ioctls)?;
    }
    let faults = handled.missing_faults + handled.wp_faults;
    Ok(serde_json::to_value(Counts {
        missing_faults: handled.missing_faults,
        wp_faults: handled.wp_faults,
        ioctls: ioctls.calls(),
        ioctl_failures: ioctls.failures(),
        poll_calls: faults,
        read_calls: faults,
        user_mode_only: session.uffd.user_mode_only(),
        delay_us: handling.delay_us,
        missing_times: touched.missing,
        wp_times: touched.wp,
        elapsed_ns: nanos(time),
    })?)
}

impl Session {
    fn touch(&self) -> Result<Part> {
        let mut part = Part::default();
        if let Some(area) = &self.missing {
            part.missing = write_timed(area, 0..area.pages());
            let whole = (0..area.pages()).all(|page| area.read_last(page) == MARK);
            ensure!(whole, "a missing page was not filled by the handler");
        }
        if let Some(area) = &self.wp {
            part.wp = write_timed(area, 0..area.pages());
        }
        Ok(part)
    }

    fn handle(&self, faults: usize) -> Result<Part> {
        let mut part = Part::default();
        for _ in 0..faults {
            let fault = self.uffd.next_fault(PATIENCE)?;
            if self.handling.delay_us > 0 {
                std::thread::sleep(Duration::from_micros(self.handling.delay_us));
            }
            let wake = !self.handling.explicit_wake;
            if fault.wp {
                part.wp_faults += 1;
                retry(|| self.uffd.unprotect(fault.address, wake, &mut part.ioctls))?;
            } else {
                part.missing_faults += 1;
                retry(|| self.uffd.copy(fault.address, &self.source, wake, &mut part.ioctls))?;
            }
            if !wake {
                self.uffd.wake(fault.address, &mut part.ioctls)?;
            }
        }
        Ok(part)
    }
}

/// EAGAIN is userfaultfd's way to say that the mm is changing: the call is to be made again, and both are counted.
fn retry(mut call: impl FnMut() -> std::io::Result<()>) -> Result<()> {
    loop {
        match call() {
            Err(error) if error.raw_os_error() == Some(libc::EAGAIN) => {}
            Err(error) => bail!("resolve a fault: {error}"),
            Ok(()) => return Ok(()),
        }
    }
}

fn write_timed(area: &Area, pages: Range<usize>) -> OpTimes {
    let mut times = OpTimes::default();
    for page in pages {
        let begin = Instant::now();
        area.write(page, 2);
        times.record(begin.elapsed());
    }
    times
}

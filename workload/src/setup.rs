//! What was done before the measured part, and the settings of the whole process.

use std::ffi::CString;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use linux_raw_sys::prctl::{PR_SET_NAME, PR_SET_THP_DISABLE};
use serde::Serialize;

use crate::timing;

/// What was done before the measured part; not in its counts.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Setup {
    /// mmap calls.
    pub(crate) mmap_calls: u64,
    /// munmap calls.
    pub(crate) munmap_calls: u64,
    /// madvise calls: NOHUGEPAGE for each area, DONTDUMP for alternating pages.
    pub(crate) madvise_calls: u64,
    /// prctl calls that take mmap_lock (PR_SET_THP_DISABLE).
    pub(crate) prctl_thp_calls: u64,
    /// First writes to a page: one anonymous page fault each.
    pub(crate) page_touches: u64,
    /// Threads created beside the main thread.
    pub(crate) threads: u64,
    /// File without which the work does not begin.
    #[serde(skip)]
    pub(crate) wait_for: Option<PathBuf>,
    /// Processor time of the process when the set-up was done.
    #[serde(skip)]
    pub(crate) cpu_time: Duration,
}

impl Setup {
    /// The set-up is done: waits for the file, if one was named. The notice on stderr tells a test that what comes now
    /// is the work alone.
    ///
    /// # Errors
    ///
    /// If the file cannot be looked for, or the clock cannot be read.
    pub(crate) fn done(&mut self) -> Result<()> {
        self.wait()?;
        self.cpu_time = timing::cpu_time()?;
        Ok(())
    }

    fn wait(&self) -> Result<()> {
        let Some(path) = &self.wait_for else { return Ok(()) };
        eprintln!("mmload: pid {} waits for {}", std::process::id(), path.display());
        while !path.try_exists().with_context(|| format!("look for {}", path.display()))? {
            std::thread::sleep(Duration::from_millis(2));
        }
        Ok(())
    }
}

/// Switches transparent huge pages off for this process, for areas that are mapped again and again and cannot be
/// madvised without adding calls to each cycle.
///
/// # Errors
///
/// If the kernel has huge pages and refuses.
pub(crate) fn disable_thp(setup: &mut Setup) -> Result<()> {
    setup.prctl_thp_calls += 1;
    // SAFETY: this prctl takes plain numbers and touches no memory of ours.
    let done = unsafe { libc::prctl(PR_SET_THP_DISABLE as libc::c_int, 1, 0, 0, 0) };
    let error = io::Error::last_os_error();
    // EINVAL comes from kernels built without transparent huge pages.
    ensure!(done == 0 || error.raw_os_error() == Some(libc::EINVAL), "disable huge pages by prctl: {error}");
    Ok(())
}

/// Names the calling thread.
///
/// # Errors
///
/// If the kernel refuses.
pub(crate) fn set_comm(name: &str) -> Result<()> {
    let text = CString::new(name).context("name with a NUL byte")?;
    // SAFETY: the kernel reads a NUL-terminated string that lives across the call.
    let done = unsafe { libc::prctl(PR_SET_NAME as libc::c_int, text.as_ptr()) };
    ensure!(done == 0, "set the name to {name}: {}", io::Error::last_os_error());
    Ok(())
}

/// A name that the kernel keeps whole: it would cut a longer one, and a test would look for it in vain.
pub(crate) fn parse_comm(text: &str) -> Result<String, String> {
    match text.len() {
        0 => Err("empty name".into()),
        1..=15 if !text.contains('\0') => Ok(text.into()),
        1..=15 => Err("a NUL byte in the name".into()),
        len => Err(format!("{len} bytes; the kernel keeps 15")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_kept_whole_or_refused() {
        assert_eq!(parse_comm("fifteen-bytes-x").as_deref(), Ok("fifteen-bytes-x"));
        assert!(parse_comm("sixteen-bytes-xx").is_err());
        assert!(parse_comm("").is_err());
    }
}

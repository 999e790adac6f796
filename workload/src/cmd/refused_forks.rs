//! `refused-forks`: N forks that the kernel gives up, since the child's memory could be more than there is.
//!
//! The first mapping of this address space is larger than RAM and swap together, made of pieces that are not. Per fork: this
//! address space's lock and that of a new one, each for write; the new one ends before anything was copied into it, without
//! a window of its end. Nobody ever runs in it.

use std::io;
use std::ptr;
use std::time::Instant;

use anyhow::{Result, bail, ensure};
use serde::Serialize;
use serde_json::Value;

use crate::memory::PAGE;
use crate::outcome::Unsupported;
use crate::setup::Setup;
use crate::timing::nanos;

/// Where the mapping begins if it can: below all that a program has elsewhere.
const LOW: usize = 16 << 20;
/// Pieces of half the memory each.
const PIECES: usize = 3;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Forks
    #[arg(long)]
    count: u64,
}

#[derive(Serialize)]
struct Counts {
    refused_forks: u64,
    elapsed_ns: u64,
}

impl Args {
    pub(crate) fn run(&self, setup: &mut Setup) -> Result<Value> {
        map_too_much(setup)?;
        setup.done()?;
        let begin = Instant::now();
        for _ in 0..self.count {
            // SAFETY: this process has one thread, and the child ends at once.
            match unsafe { libc::fork() } {
                // SAFETY: safe after a fork.
                0 => unsafe { libc::_exit(0) },
                -1 => {
                    let error = io::Error::last_os_error();
                    ensure!(error.raw_os_error() == Some(libc::ENOMEM), "fork: {error}");
                }
                pid => {
                    super::forkexec::await_success(pid)?;
                    bail!(Unsupported("a fork is not refused: vm.overcommit_memory is 1".into()));
                }
            }
        }
        let counts = Counts { refused_forks: self.count, elapsed_ns: nanos(begin.elapsed()) };
        Ok(serde_json::to_value(counts)?)
    }
}

fn map_too_much(setup: &mut Setup) -> Result<()> {
    // SAFETY: the call fills a struct of plain numbers.
    let memory = unsafe {
        let mut info: libc::sysinfo = std::mem::zeroed();
        ensure!(libc::sysinfo(&mut info) == 0, "sysinfo: {}", io::Error::last_os_error());
        (info.totalram + info.totalswap) as usize * info.mem_unit as usize
    };
    let piece = memory / 2 / PAGE * PAGE;
    let all = reserve(PIECES * piece, setup)?;
    for n in 0..PIECES {
        setup.mmap_calls += 1;
        let place = all.wrapping_byte_add(n * piece);
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED;
        // SAFETY: replaces a part of what was reserved for it.
        let start = unsafe { libc::mmap(place, piece, libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0) };
        ensure!(start == place, "map {piece} bytes at {place:?}: {}", io::Error::last_os_error());
    }
    Ok(())
}

/// Address space for all pieces: below everything else, or where a program without PIE has its heap there, anywhere.
fn reserve(bytes: usize, setup: &mut Setup) -> Result<*mut libc::c_void> {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
    let low = ptr::without_provenance_mut(LOW);
    for (place, fixed) in [(low, libc::MAP_FIXED_NOREPLACE), (ptr::null_mut(), 0)] {
        setup.mmap_calls += 1;
        // SAFETY: a new mapping, where nothing is.
        let start = unsafe { libc::mmap(place, bytes, libc::PROT_NONE, flags | fixed, -1, 0) };
        if start != libc::MAP_FAILED {
            return Ok(start);
        }
    }
    bail!("reserve {bytes} bytes: {}", io::Error::last_os_error())
}

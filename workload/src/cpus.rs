//! Which processors this process may run on, and keeping a thread on one of them. Knows nothing of what runs there.

use std::io;
use std::mem::{MaybeUninit, size_of};

use anyhow::{Result, ensure};

/// The processors that this thread may run on, by number.
///
/// # Errors
///
/// If the kernel refuses, above all where it has more processors than fit into a cpu_set_t (1024).
pub(crate) fn allowed() -> Result<Vec<usize>> {
    let mut set = MaybeUninit::<libc::cpu_set_t>::zeroed();
    // SAFETY: the kernel fills at most the given size of a cpu_set_t, of which every pattern of bytes is valid.
    let done = unsafe { libc::sched_getaffinity(0, size_of::<libc::cpu_set_t>(), set.as_mut_ptr()) };
    ensure!(done == 0, "sched_getaffinity: {}", io::Error::last_os_error());
    // SAFETY: zeroed, and filled by the successful call.
    let set = unsafe { set.assume_init() };
    // SAFETY: the numbers are below the set's size.
    Ok((0..libc::CPU_SETSIZE as usize).filter(|cpu| unsafe { libc::CPU_ISSET(*cpu, &set) }).collect())
}

/// Keeps the calling thread on one processor.
///
/// # Errors
///
/// If the kernel refuses.
pub(crate) fn stay_on(cpu: usize) -> Result<()> {
    ensure!(cpu < libc::CPU_SETSIZE as usize, "processor {cpu} does not fit into a cpu_set_t");
    // SAFETY: every pattern of bytes is a cpu_set_t.
    let mut set = unsafe { MaybeUninit::<libc::cpu_set_t>::zeroed().assume_init() };
    // SAFETY: the number was just checked against the set's size.
    unsafe { libc::CPU_SET(cpu, &mut set) };
    // SAFETY: the kernel reads a set of the given size, which lives across the call.
    let done = unsafe { libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &set) };
    ensure!(done == 0, "sched_setaffinity to processor {cpu}: {}", io::Error::last_os_error());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_stays_where_it_is_told() {
        let last = *allowed().unwrap().last().unwrap();
        let there = std::thread::spawn(move || stay_on(last).and_then(|()| allowed())).join().unwrap().unwrap();
        assert_eq!(there, [last]);
        assert!(stay_on(libc::CPU_SETSIZE as usize).is_err());
    }
}

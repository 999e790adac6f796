//! Threads that add no mm events of their own to the measured part.
//!
//! The C library maps a stack and mprotects its guard for every thread it starts, and Rust's runtime maps and mprotects
//! a signal stack in each; on exit both unmap or madvise. Threads here get a stack that was mapped and touched in
//! advance, which the C library then neither guards nor gives back.

use std::ffi::c_void;
use std::mem::MaybeUninit;
use std::ptr;
use std::sync::{Barrier, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};

use crate::memory::Area;
use crate::outcome;
use crate::setup::Setup;

/// 256 KiB: enough to format an error.
const STACK_PAGES: usize = 64;

/// The main thread and the stacks of those that will help it.
pub(crate) struct Team {
    stacks: Vec<Area>,
}

/// What one thread is to do. It lives on the heap of the main thread, which joins before it lets go.
struct Job<'a, F, T> {
    work: &'a F,
    member: usize,
    start: &'a Barrier,
    result: Mutex<Option<T>>,
}

impl Team {
    /// Prepares `size` members, of which the main thread is the first. 2 mmaps, 1 madvise and 64 touches for each of the
    /// others.
    ///
    /// # Errors
    ///
    /// If memory is short.
    pub(crate) fn new(size: usize, setup: &mut Setup) -> Result<Self> {
        let stacks = (1..size).map(|_| Area::touched(STACK_PAGES, setup)).collect::<Result<Vec<_>>>()?;
        setup.threads += stacks.len() as u64;
        Ok(Self { stacks })
    }

    /// Runs `work(member)` in all members at once, started together: member 0 is the calling thread. Gives the results
    /// in the order of members, and the time from the start to the last end. An error in one of several members ends
    /// the process, for the others may be waiting for it.
    ///
    /// # Errors
    ///
    /// If there is one member and its work fails.
    pub(crate) fn run<F, T>(&self, work: F) -> Result<(Vec<T>, Duration)>
    where
        F: Fn(usize) -> Result<T> + Sync,
        T: Send,
    {
        let mut results = Vec::with_capacity(self.stacks.len() + 1);
        if self.stacks.is_empty() {
            let begin = Instant::now();
            results.push(work(0)?);
            return Ok((results, begin.elapsed()));
        }

        let start = Barrier::new(self.stacks.len() + 1);
        let jobs: Vec<_> = (0..self.stacks.len())
            .map(|index| Job { work: &work, member: index + 1, start: &start, result: Mutex::new(None) })
            .collect();
        let threads: Vec<_> = jobs.iter().zip(&self.stacks).map(|(job, stack)| create(job, stack)).collect();
        start.wait();
        let begin = Instant::now();
        let own = work(0).unwrap_or_else(|error| outcome::die(&error));
        for thread in threads {
            join(thread);
        }
        let time = begin.elapsed();

        results.push(own);
        for job in jobs {
            let result = job.result.into_inner().unwrap_or_else(PoisonError::into_inner);
            results.push(result.ok_or_else(|| anyhow!("thread {} gave no result", job.member))?);
        }
        Ok((results, time))
    }
}

extern "C" fn enter<F, T>(job: *mut c_void) -> *mut c_void
where
    F: Fn(usize) -> Result<T> + Sync,
    T: Send,
{
    // SAFETY: `create` passes a pointer to a Job of these very types, which lives until this thread is joined.
    let job = unsafe { &*job.cast::<Job<'_, F, T>>() };
    job.start.wait();
    let result = (job.work)(job.member).unwrap_or_else(|error| outcome::die(&error));
    *job.result.lock().unwrap_or_else(PoisonError::into_inner) = Some(result);
    ptr::null_mut()
}

/// Ends the process if it fails: threads that run already hold borrows of the caller's.
fn create<F, T>(job: &Job<'_, F, T>, stack: &Area) -> libc::pthread_t
where
    F: Fn(usize) -> Result<T> + Sync,
    T: Send,
{
    let mut attributes = MaybeUninit::<libc::pthread_attr_t>::uninit();
    let mut thread = MaybeUninit::<libc::pthread_t>::uninit();
    // SAFETY: the attributes are initialised by the first call before the others use them; the stack is mapped, used by
    // this thread alone and never unmapped; the job outlives the thread, as `Team::run` joins it.
    let code = unsafe {
        match libc::pthread_attr_init(attributes.as_mut_ptr()) {
            0 => {}
            code => outcome::die(&failed("prepare", code)),
        }
        match libc::pthread_attr_setstack(attributes.as_mut_ptr(), stack.page(0).cast(), stack.len()) {
            0 => {}
            code => outcome::die(&failed("give a stack to", code)),
        }
        let argument = ptr::from_ref(job).cast_mut().cast();
        libc::pthread_create(thread.as_mut_ptr(), attributes.as_ptr(), enter::<F, T>, argument)
    };
    if code != 0 {
        outcome::die(&failed("create", code));
    }
    // SAFETY: both were initialised by the successful calls above; the attributes are destroyed once.
    unsafe {
        libc::pthread_attr_destroy(attributes.as_mut_ptr());
        thread.assume_init()
    }
}

fn join(thread: libc::pthread_t) {
    // SAFETY: the thread was created joinable by `create` and is joined once.
    let code = unsafe { libc::pthread_join(thread, ptr::null_mut()) };
    if code != 0 {
        outcome::die(&failed("join", code));
    }
}

fn failed(what: &str, code: libc::c_int) -> anyhow::Error {
    anyhow!("{what} a thread: {}", std::io::Error::from_raw_os_error(code))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_in_the_order_of_members() {
        for size in [1, 2, 5] {
            let mut setup = Setup::default();
            let team = Team::new(size, &mut setup).unwrap();
            let (results, _) = team.run(|member| Ok(member * 10)).unwrap();
            assert_eq!(results, (0..size).map(|member| member * 10).collect::<Vec<_>>());
            assert_eq!(setup.threads, size as u64 - 1);
        }
    }

    #[test]
    fn members_run_at_the_same_time() {
        let meet = Barrier::new(3);
        let team = Team::new(3, &mut Setup::default()).unwrap();
        let (leaders, _) = team.run(|_| Ok(meet.wait().is_leader())).unwrap();
        assert_eq!(leaders.iter().filter(|leader| **leader).count(), 1);
    }
}

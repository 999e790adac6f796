//! What each CPU answered last when another one asked it to flush.

/// CPUs whose answers are remembered.
pub const CPUS: u32 = 1024;

/// The last answer of one CPU, in a cache line of its own: CPUs answer at the same time.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Answer {
    /// When it had flushed, CLOCK_MONOTONIC nanoseconds.
    pub at_ns: u64,
    /// CPU that had asked.
    pub asked_by: u32,
    /// Unused, zero.
    pub pad: u32,
    /// Fills the line.
    pub room: [u64; 6],
}

const _: () = assert!(size_of::<Answer>() == 64);

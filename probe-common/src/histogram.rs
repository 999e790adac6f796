//! Buckets of every duration: powers of two from 256 ns to 8.6 s, and one for what is longer.

/// Binary logarithm of the first bucket's upper bound in nanoseconds (256 ns).
pub const FIRST_BOUND_LOG2: u32 = 8;
/// Binary logarithm of the last finite bound in nanoseconds (8.59 s).
pub const LAST_BOUND_LOG2: u32 = 33;
/// Finite bounds.
pub const FINITE: usize = (LAST_BOUND_LOG2 - FIRST_BOUND_LOG2 + 1) as usize;
/// All buckets, the last one for durations above the last bound.
pub const BUCKETS: usize = FINITE + 1;

/// One histogram of one mm and one series. Claimed by the kernel side, freed by the daemon.
///
/// Counters are 32 bits wide and wrap: the daemon reads differences, at least once in the 2^32 events that a wrap
/// takes. 128 bytes: two cache lines.
#[repr(C)]
#[cfg_attr(
    feature = "user",
    derive(zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::Immutable, zerocopy::KnownLayout)
)]
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// Index of the owner in the slot table.
    pub slot: u32,
    /// Series (see [`crate::series`]) plus one; zero while the row is free.
    pub series: u32,
    /// Exact sum of all durations, nanoseconds.
    pub sum_ns: u64,
    /// Events by bucket; the last entry is padding.
    pub buckets: [u32; BUCKETS + 1],
}

const _: () = assert!(size_of::<Row>() == 128);
const _: () = assert!(BUCKETS == 27);

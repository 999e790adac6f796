//! Threshold records: single events that took longer than a bound, sent through the ring.

/// Room of the ring, bytes. A record that finds none is counted as `ring_full`.
pub const RING_BYTES: u32 = 256 * 1024;

/// One event over its threshold.
#[repr(C)]
#[cfg_attr(
    feature = "user",
    derive(zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::Immutable, zerocopy::KnownLayout)
)]
#[derive(Clone, Copy, Debug)]
pub struct Record {
    /// Series of the duration, see [`crate::series`].
    pub series: u32,
    /// Operation of the task, see [`crate::series::OPERATIONS`].
    pub operation: u32,
    /// Process and thread.
    pub tgid: u32,
    /// Thread.
    pub tid: u32,
    /// Beginning, CLOCK_MONOTONIC nanoseconds.
    pub begin_ns: u64,
    /// How long, nanoseconds.
    pub duration_ns: u64,
    /// Identity of the mm it happened in: its slot, and the time at which the slot was claimed.
    pub slot_born_ns: u64,
    /// Slot of that mm.
    pub slot: u32,
    /// Unused, zero.
    pub pad: u32,
    /// Name of the thread.
    pub comm: [u8; 16],
}

const _: () = assert!(size_of::<Record>() == 64);

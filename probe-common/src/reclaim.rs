//! Batches of reclaim: what one task has unmapped of one mm and has yet to flush.

/// Most pairs of a task and an mm.
pub const BATCHES: u32 = 4096;
/// Mms of one batch that are remembered; what is beyond is counted as lost.
pub const BATCH_MMS: u32 = 64;

/// Key of the table of batches.
#[repr(C)]
#[cfg_attr(
    feature = "user",
    derive(zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::Immutable, zerocopy::KnownLayout)
)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BatchKey {
    /// Entry of the task that will flush.
    pub task: u32,
    /// Slot of the mm.
    pub slot: u32,
}

const _: () = assert!(size_of::<BatchKey>() == 8);

/// Pages of one mm in one task's batch.
#[repr(C)]
#[cfg_attr(
    feature = "user",
    derive(zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::Immutable, zerocopy::KnownLayout)
)]
#[derive(Clone, Copy, Debug)]
pub struct Batch {
    /// When the first page whose flush is outstanding was unmapped, CLOCK_MONOTONIC nanoseconds.
    pub since_ns: u64,
    /// When the mm's slot was claimed: with the key's slot, the identity of the mm.
    pub slot_born_ns: u64,
    /// Slot of the mm that came into the batch before; zero for the first.
    pub next: u32,
    /// Unused, zero.
    pub pad: u32,
}

const _: () = assert!(size_of::<Batch>() == 24);

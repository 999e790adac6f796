//! What a generation count of page tables would have seen: the state of a 2 MiB range of one mm, which is what one page-table
//! page maps.

/// Binary logarithm of a range's length.
pub const RANGE_SHIFT: u32 = 21;
/// Ranges that are remembered; a power of two. A range has one place, and drives out who is there.
pub const RANGES: u32 = 16 * 1024;
/// Ranges of one protection change that are looked at; what is beyond is counted as lost.
pub const RANGES_PER_CHANGE: u64 = 16;

/// `state`: nothing is known of what its pages allow.
pub const UNKNOWN: u32 = 0;
/// `state`: made not-writable.
pub const NOT_WRITABLE: u32 = 1;
/// `state`: made writable after it was made not-writable.
pub const WRITABLE: u32 = 2;

/// A range.
#[repr(C)]
#[cfg_attr(
    feature = "user",
    derive(zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::Immutable, zerocopy::KnownLayout)
)]
#[derive(Clone, Copy, Debug)]
pub struct Range {
    /// When its mm's slot was claimed: with `slot`, the identity of the mm. Zero while unused.
    pub born_ns: u64,
    /// Address divided by its length.
    pub number: u64,
    /// What of it was made not-writable last: first byte.
    pub start: u64,
    /// First byte behind.
    pub end: u64,
    /// What of it was changed last: first byte.
    pub changed_start: u64,
    /// First byte behind.
    pub changed_end: u64,
    /// Its mm's slot.
    pub slot: u32,
    /// One of the states.
    pub state: u32,
    /// 1 if a flush of all that was made not-writable is complete.
    pub flushed: u32,
    /// Full flushes of the mm when it was made not-writable.
    pub full_flushes: u32,
    /// Changes of the mm when this range was changed last.
    pub changed: u32,
    /// Unused, zero.
    pub pad: u32,
}

const _: () = assert!(size_of::<Range>() == 72);

//! Records: single events that took longer than a bound, and hazards, sent through the ring.

/// Room of the ring, bytes. A record that finds none is counted as `ring_full`.
pub const RING_BYTES: u32 = 512 * 1024;
/// The same where every event of the chosen processes is sent.
pub const TIMELINE_RING_BYTES: u32 = 16 * 1024 * 1024;

/// Return addresses of a record's stack.
pub const STACK: usize = 24;
/// Words of a record's detail.
pub const DETAILS: usize = 6;

/// `series` of a write fault inside another task's open window.
pub const STALE_WRITE: u32 = 1 << 8;
/// `series` of that window, when it closes.
pub const STALE_WINDOW: u32 = STALE_WRITE + 1;
/// `series` of a TLB flush, which ended when the record begins; sent where every event is.
pub const FLUSH: u32 = STALE_WRITE + 2;

/// A single event.
///
/// What `detail` holds depends on `series`:
///
/// | series | 0 | 1 | 2 | 3 | 4 | 5 |
/// |---|---|---|---|---|---|---|
/// | outer window | yields | preemptions | first byte | first byte behind | nanoseconds of shootdowns | |
/// | hold | nanoseconds on CPU plus one, or zero | waiters | nanoseconds that they have waited | | | |
/// | wait | operation of the last holder | | | | | |
/// | userfault | page | | | | | |
/// | stale write | page | since when the window is open | id of the window's task | outcome | `wp_bits` | flags of the VMA |
/// | stale window | first byte | first byte behind | path | | | |
/// | flush | first byte | first byte behind | kind | | | |
/// | shootdown | CPU that answered last plus one, or zero | | | | | |
#[repr(C)]
#[cfg_attr(
    feature = "user",
    derive(zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::Immutable, zerocopy::KnownLayout)
)]
#[derive(Clone, Copy, Debug)]
pub struct Record {
    /// Series of the duration, see [`crate::series`], or [`STALE_WRITE`], [`STALE_WINDOW`].
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
    /// Bytes of `stack` that are filled.
    pub stack_bytes: u32,
    /// Name of the thread.
    pub comm: [u8; 16],
    /// More, by series.
    pub detail: [u64; DETAILS],
    /// Kernel stack of the thread, innermost first.
    pub stack: [u64; STACK],
}

impl Record {
    /// The addresses of the stack.
    #[must_use]
    pub fn stack(&self) -> &[u64] {
        &self.stack[..(self.stack_bytes as usize / 8).min(STACK)]
    }
}

const _: () = assert!(size_of::<Record>() == 304);

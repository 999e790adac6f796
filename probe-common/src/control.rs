//! What the daemon tells the kernel side while it runs: what to leave out, to cost less.

/// Name of the global.
pub const CONTROL: &str = ".data";

/// One lock event in this many is counted, for as many, when mmscope costs too much; a power of two.
pub const LOCK_SAMPLING: u32 = 64;

/// Written by the daemon, read by the kernel side at every lock event.
#[repr(C)]
#[cfg_attr(
    feature = "user",
    derive(zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::Immutable, zerocopy::KnownLayout)
)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Control {
    /// Zero: every lock event is counted. Else a power of two: one in so many is, for as many.
    pub lock_sampling: u32,
    /// 1: records come without the task's stack.
    pub no_stacks: u32,
    /// Since when one in so many is counted, CLOCK_MONOTONIC nanoseconds: a hold from before counts once.
    pub sampling_since_ns: u64,
}

const _: () = assert!(size_of::<Control>() == 16);
const _: () = assert!(LOCK_SAMPLING.is_power_of_two());

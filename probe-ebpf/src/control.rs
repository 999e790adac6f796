//! What the daemon wants left out, to cost less: read at every event that it is about.

use crate::{
    kernel::random,
    maps::{control, get},
};

/// One lock event in so many is counted; zero if all are.
#[inline(always)]
pub(crate) fn lock_sampling() -> u32 {
    get!(control(), lock_sampling)
}

/// Whether only some lock events are counted.
#[inline(always)]
pub(crate) fn is_sampling() -> bool {
    lock_sampling() != 0
}

/// For how many a lock event counts that begins now; zero if others count for it.
#[inline(always)]
pub(crate) fn weight_of_new() -> u64 {
    let sampling = lock_sampling();
    if sampling == 0 {
        return 1;
    }
    if random() & sampling.wrapping_sub(1) == 0 { u64::from(sampling) } else { 0 }
}

/// For how many a hold counts that began then.
#[inline(always)]
pub(crate) fn weight_since(since_ns: u64) -> u64 {
    let sampling = lock_sampling();
    if sampling == 0 || since_ns < get!(control(), sampling_since_ns) { 1 } else { u64::from(sampling) }
}

/// Whether records come with the task's stack.
#[inline(always)]
pub(crate) fn wants_stacks() -> bool {
    get!(control(), no_stacks) == 0
}

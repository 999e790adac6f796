//! __mmdrop: the end of an mm_struct. exit_mmap is not: what still counts on the struct may take its lock after that
//! (khugepaged), and an exec that fails early, or a fork, gives up an mm without it.

use probe_common::relocation::arg;

use crate::{
    kernel::{Probed, argument},
    log::log,
    slots,
    turn::{Turn, entries},
};

/// What is gone already cannot go again.
#[inline(always)]
fn dropped<C: Probed>(ctx: &C, _turn: Turn) -> i32 {
    let mm = argument::<{ arg::MMDROP_MM }>(ctx);
    slots::retire(mm);
    log!(ctx, "mm {:x} is gone", mm);
    0
}

entries! {
    "__mmdrop": mmdrop_enter, mmdrop_enter_again, mmdrop_enter_last, mmdrop_enter_kprobe => dropped;
}

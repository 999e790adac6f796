//! handle_userfault: a thread waits for the handler of its userfaultfd.

use probe_common::relocation::arg;

use crate::{
    kernel::{Probed, argument},
    log::log,
    turn::{Turn, entries, exits},
    userfault,
};

#[inline(always)]
fn entered<C: Probed>(ctx: &C, turn: Turn) -> i32 {
    userfault::fault_begin::<C::Fields>(
        argument::<{ arg::USERFAULT_VMF }>(ctx),
        argument::<{ arg::USERFAULT_REASON }>(ctx),
        turn,
    );
    log!(ctx, "userfault, reason {:x}", argument::<{ arg::USERFAULT_REASON }>(ctx));
    0
}

#[inline(always)]
fn returned(ctx: &impl Probed, turn: Turn) -> i32 {
    userfault::fault_end(ctx.as_ptr(), turn);
    0
}

entries! {
    "handle_userfault": handle_userfault_enter, handle_userfault_enter_again, handle_userfault_enter_last, handle_userfault_enter_kprobe => entered;
}

exits! {
    "handle_userfault": handle_userfault_exit, handle_userfault_exit_again, handle_userfault_exit_last, handle_userfault_exit_kprobe => returned;
}

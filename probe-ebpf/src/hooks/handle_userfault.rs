//! handle_userfault: a thread waits for the handler of its userfaultfd.

use aya_ebpf::{
    EbpfContext as _,
    macros::{fentry, fexit},
    programs::{FEntryContext, FExitContext},
};
use probe_common::relocation::arg;

use crate::{
    kernel::{Typed, argument},
    log::log,
    turn::{Turn, programs},
    userfault,
};

#[inline(always)]
fn entered(ctx: &FEntryContext, turn: Turn) -> i32 {
    userfault::fault_begin::<Typed>(
        argument::<{ arg::USERFAULT_VMF }>(ctx),
        argument::<{ arg::USERFAULT_REASON }>(ctx),
        turn,
    );
    log!(ctx, "userfault, reason {:x}", argument::<{ arg::USERFAULT_REASON }>(ctx));
    0
}

#[inline(always)]
fn returned(ctx: &FExitContext, turn: Turn) -> i32 {
    userfault::fault_end(ctx.as_ptr(), turn);
    0
}

programs! {
    #[fentry(function = "handle_userfault")] FEntryContext: handle_userfault_enter, handle_userfault_enter_again, handle_userfault_enter_last => entered;
    #[fexit(function = "handle_userfault")] FExitContext: handle_userfault_exit, handle_userfault_exit_again, handle_userfault_exit_last => returned;
}

//! handle_userfault: a thread waits for the handler of its userfaultfd.

use aya_ebpf::{
    macros::{fentry, fexit},
    programs::{FEntryContext, FExitContext},
};
use probe_common::relocation::arg;

use crate::{
    kernel::{Typed, argument},
    log::log,
    userfault,
};

#[fentry(function = "handle_userfault")]
fn handle_userfault_enter(ctx: FEntryContext) -> i32 {
    userfault::fault_begin::<Typed>(
        argument::<{ arg::USERFAULT_VMF }>(&ctx),
        argument::<{ arg::USERFAULT_REASON }>(&ctx),
    );
    log!(&ctx, "userfault, reason {:x}", argument::<{ arg::USERFAULT_REASON }>(&ctx));
    0
}

#[fexit(function = "handle_userfault")]
fn handle_userfault_exit(_ctx: FExitContext) -> i32 {
    userfault::fault_end();
    0
}

//! mprotect_fixup: mprotect(2) on one VMA, where change_protection cannot be hooked (before 5.17).

use aya_ebpf::{
    EbpfContext as _,
    macros::{fentry, fexit},
    programs::{FEntryContext, FExitContext},
};
use probe_common::{
    relocation::{arg, field},
    series::PATH_MPROTECT,
};

use crate::{
    kernel::{Reader, Typed, argument},
    turn::{Turn, programs},
    window::{self, Change},
};

#[inline(always)]
fn entered(ctx: &FEntryContext, turn: Turn) -> i32 {
    let vma = argument::<{ arg::MPROTECT_FIXUP_VMA }>(ctx);
    // With the flags that it has already, nothing is changed.
    if Typed::u64::<{ field::VMA_FLAGS }>(vma) != argument::<{ arg::MPROTECT_FIXUP_FLAGS }>(ctx) {
        let change = Change {
            start: argument::<{ arg::MPROTECT_FIXUP_START }>(ctx),
            end: argument::<{ arg::MPROTECT_FIXUP_END }>(ctx),
            cp_flags: 0,
            vma_flags: argument::<{ arg::MPROTECT_FIXUP_FLAGS }>(ctx),
        };
        window::enter_context_of::<Typed>(PATH_MPROTECT, Typed::u64::<{ field::VMA_MM }>(vma), change, turn);
    }
    0
}

/// Zero once change_protection was called.
#[inline(always)]
fn returned(ctx: &FExitContext, _turn: Turn) -> i32 {
    window::leave_context(ctx.as_ptr(), argument::<{ arg::MPROTECT_FIXUP_RET }>(ctx) as i32 == 0);
    0
}

programs! {
    #[fentry(function = "mprotect_fixup")] FEntryContext: mprotect_fixup_enter, mprotect_fixup_enter_again, mprotect_fixup_enter_last => entered;
    #[fexit(function = "mprotect_fixup")] FExitContext: mprotect_fixup_exit, mprotect_fixup_exit_again, mprotect_fixup_exit_last => returned;
}

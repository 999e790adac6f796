//! mprotect_fixup: mprotect(2) on one VMA, where change_protection cannot be hooked (before 5.17).

use probe_common::{
    relocation::{arg, field},
    series::PATH_MPROTECT,
};

use crate::{
    kernel::{Probed, Reader as _, argument},
    turn::{Turn, entries, exits},
    window::{self, Change},
};

#[inline(always)]
fn entered<C: Probed>(ctx: &C, turn: Turn) -> i32 {
    let vma = argument::<{ arg::MPROTECT_FIXUP_VMA }>(ctx);
    // With the flags that it has already, nothing is changed.
    if C::Fields::u64::<{ field::VMA_FLAGS }>(vma) != argument::<{ arg::MPROTECT_FIXUP_FLAGS }>(ctx) {
        let change = Change {
            start: argument::<{ arg::MPROTECT_FIXUP_START }>(ctx),
            end: argument::<{ arg::MPROTECT_FIXUP_END }>(ctx),
            cp_flags: 0,
            vma_flags: argument::<{ arg::MPROTECT_FIXUP_FLAGS }>(ctx),
        };
        window::enter_context_of::<C::Fields>(PATH_MPROTECT, C::Fields::u64::<{ field::VMA_MM }>(vma), change, turn);
    }
    0
}

/// Zero once change_protection was called.
#[inline(always)]
fn returned(ctx: &impl Probed, _turn: Turn) -> i32 {
    window::leave_context(ctx.as_ptr(), argument::<{ arg::MPROTECT_FIXUP_RET }>(ctx) as i32 == 0);
    0
}

entries! {
    "mprotect_fixup": mprotect_fixup_enter, mprotect_fixup_enter_again, mprotect_fixup_enter_last, mprotect_fixup_enter_kprobe => entered;
}

exits! {
    "mprotect_fixup": mprotect_fixup_exit, mprotect_fixup_exit_again, mprotect_fixup_exit_last, mprotect_fixup_exit_kprobe => returned;
}

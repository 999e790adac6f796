//! do_wp_page: a write to a page that is mapped read-only.

use aya_ebpf::{
    EbpfContext as _,
    macros::{fentry, fexit},
    programs::{FEntryContext, FExitContext},
};
use probe_common::relocation::arg;

use crate::{
    kernel::{Typed, argument},
    turn::{Turn, programs},
    write_fault,
};

#[inline(always)]
fn entered(ctx: &FEntryContext, turn: Turn) -> i32 {
    write_fault::begin::<Typed>(argument::<{ arg::WP_PAGE_VMF }>(ctx), turn);
    0
}

/// A fault that was ended by an earlier program is no longer there.
#[inline(always)]
fn returned(ctx: &FExitContext, _turn: Turn) -> i32 {
    write_fault::end(ctx.as_ptr(), argument::<{ arg::WP_PAGE_RET }>(ctx));
    0
}

programs! {
    #[fentry(function = "do_wp_page")] FEntryContext: do_wp_page_enter, do_wp_page_enter_again, do_wp_page_enter_last => entered;
    #[fexit(function = "do_wp_page")] FExitContext: do_wp_page_exit, do_wp_page_exit_again, do_wp_page_exit_last => returned;
}

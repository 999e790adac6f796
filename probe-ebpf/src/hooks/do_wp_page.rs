//! do_wp_page: a write to a page that is mapped read-only.

use probe_common::relocation::arg;

use crate::{
    kernel::{Probed, argument},
    turn::{Turn, entries, exits},
    write_fault,
};

#[inline(always)]
fn entered<C: Probed>(ctx: &C, turn: Turn) -> i32 {
    write_fault::begin::<C::Fields>(argument::<{ arg::WP_PAGE_VMF }>(ctx), turn);
    0
}

/// A fault that was ended by an earlier program is no longer there.
#[inline(always)]
fn returned(ctx: &impl Probed, _turn: Turn) -> i32 {
    write_fault::end(ctx.as_ptr(), argument::<{ arg::WP_PAGE_RET }>(ctx));
    0
}

entries! {
    "do_wp_page": do_wp_page_enter, do_wp_page_enter_again, do_wp_page_enter_last, do_wp_page_enter_kprobe => entered;
}

exits! {
    "do_wp_page": do_wp_page_exit, do_wp_page_exit_again, do_wp_page_exit_last, do_wp_page_exit_kprobe => returned;
}

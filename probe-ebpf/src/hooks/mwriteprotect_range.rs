//! mwriteprotect_range: UFFDIO_WRITEPROTECT. Gives the windows inside it their path even where change_protection
//! cannot be hooked.

use probe_common::{
    relocation::arg,
    series::{PATH_UFFD_UNWP, PATH_UFFD_WP},
    task::NO_SLOT,
};

use crate::{
    kernel::{Probed, argument},
    log::log,
    turn::{Turn, entries, exits},
    window,
};

#[inline(always)]
fn entered(ctx: &impl Probed, turn: Turn) -> i32 {
    // A bool fills one byte of its register; the others may hold anything.
    let protects = argument::<{ arg::MWRITEPROTECT_ENABLE }>(ctx) & 0xff != 0;
    log!(ctx, "mwriteprotect_range, protects {}", u32::from(protects));
    let start = argument::<{ arg::MWRITEPROTECT_START }>(ctx);
    let end = start.wrapping_add(argument::<{ arg::MWRITEPROTECT_LEN }>(ctx));
    window::enter_context(if protects { PATH_UFFD_WP } else { PATH_UFFD_UNWP }, NO_SLOT, start, end, turn);
    0
}

#[inline(always)]
fn returned(ctx: &impl Probed, _turn: Turn) -> i32 {
    window::leave_context(ctx.as_ptr(), argument::<{ arg::MWRITEPROTECT_RET }>(ctx) as i32 == 0);
    0
}

entries! {
    "mwriteprotect_range": mwriteprotect_range_enter, mwriteprotect_range_enter_again, mwriteprotect_range_enter_last, mwriteprotect_range_enter_kprobe => entered;
}

exits! {
    "mwriteprotect_range": mwriteprotect_range_exit, mwriteprotect_range_exit_again, mwriteprotect_range_exit_last, mwriteprotect_range_exit_kprobe => returned;
}

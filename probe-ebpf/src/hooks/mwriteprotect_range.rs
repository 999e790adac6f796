//! mwriteprotect_range: UFFDIO_WRITEPROTECT. Gives the windows inside it their path even where change_protection
//! cannot be hooked.

use aya_ebpf::{
    macros::{fentry, fexit},
    programs::{FEntryContext, FExitContext},
};
use probe_common::{
    relocation::arg,
    series::{PATH_UFFD_UNWP, PATH_UFFD_WP},
};

use crate::{kernel::argument, log::log, window};

#[fentry(function = "mwriteprotect_range")]
fn mwriteprotect_range_enter(ctx: FEntryContext) -> i32 {
    // A bool fills one byte of its register; the others may hold anything.
    let protects = argument::<{ arg::MWRITEPROTECT_ENABLE }>(&ctx) & 0xff != 0;
    log!(&ctx, "mwriteprotect_range, protects {}", u32::from(protects));
    window::enter_context(if protects { PATH_UFFD_WP } else { PATH_UFFD_UNWP });
    0
}

#[fexit(function = "mwriteprotect_range")]
fn mwriteprotect_range_exit(_ctx: FExitContext) -> i32 {
    window::leave_context();
    0
}

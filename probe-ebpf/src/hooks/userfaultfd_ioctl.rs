//! userfaultfd_ioctl: what handlers ask for, how long it takes, and how it fails.

use aya_ebpf::{
    macros::{fentry, fexit},
    programs::{FEntryContext, FExitContext},
};
use probe_common::relocation::arg;

use crate::{kernel::argument, log::log, userfault};

#[fentry(function = "userfaultfd_ioctl")]
fn userfaultfd_ioctl_enter(ctx: FEntryContext) -> i32 {
    userfault::ioctl_begin(argument::<{ arg::UFFD_IOCTL_CMD }>(&ctx));
    0
}

#[fexit(function = "userfaultfd_ioctl")]
fn userfaultfd_ioctl_exit(ctx: FExitContext) -> i32 {
    userfault::ioctl_end(argument::<{ arg::UFFD_IOCTL_RET }>(&ctx) as i64);
    log!(&ctx, "userfaultfd ioctl returned {}", argument::<{ arg::UFFD_IOCTL_RET }>(&ctx) as i64);
    0
}

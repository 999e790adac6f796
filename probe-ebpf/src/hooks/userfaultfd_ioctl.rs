//! userfaultfd_ioctl: what handlers ask for, how long it takes, and how it fails.

use probe_common::relocation::{arg, field};

use crate::{
    kernel::{Probed, Raw, Reader as _, argument},
    log::log,
    turn::{Turn, entries, exits},
    userfault,
};

#[inline(always)]
fn entered<C: Probed>(ctx: &C, turn: Turn) -> i32 {
    // The context behind the file is of a type that only the kernel's own file knows.
    let context = C::Fields::u64::<{ field::FILE_PRIVATE_DATA }>(argument::<{ arg::UFFD_IOCTL_FILE }>(ctx));
    let mm = Raw::u64::<{ field::UFFD_CTX_MM }>(context);
    userfault::ioctl_begin(argument::<{ arg::UFFD_IOCTL_CMD }>(ctx), mm, turn);
    0
}

#[inline(always)]
fn returned(ctx: &impl Probed, turn: Turn) -> i32 {
    userfault::ioctl_end(argument::<{ arg::UFFD_IOCTL_RET }>(ctx) as i64, turn);
    log!(ctx, "userfaultfd ioctl returned {}", argument::<{ arg::UFFD_IOCTL_RET }>(ctx) as i64);
    0
}

entries! {
    "userfaultfd_ioctl": userfaultfd_ioctl_enter, userfaultfd_ioctl_enter_again, userfaultfd_ioctl_enter_last, userfaultfd_ioctl_enter_kprobe => entered;
}

exits! {
    "userfaultfd_ioctl": userfaultfd_ioctl_exit, userfaultfd_ioctl_exit_again, userfaultfd_ioctl_exit_last, userfaultfd_ioctl_exit_kprobe => returned;
}

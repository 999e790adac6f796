//! rwsem_down_read_slowpath and rwsem_down_write_slowpath: a contended acquisition, spinning included, for kernels
//! without lock:contention_begin (before 5.19).

use aya_ebpf::{
    EbpfContext as _,
    macros::{fentry, fexit},
    programs::{FEntryContext, FExitContext},
};
use probe_common::relocation::arg;

use crate::{
    kernel::argument,
    rwsem,
    turn::{Turn, programs},
};

#[inline(always)]
fn entered<const WRITE: bool>(ctx: &FEntryContext, turn: Turn) -> i32 {
    rwsem::wait_begin(argument::<{ arg::RWSEM }>(ctx), WRITE, turn);
    0
}

#[inline(always)]
fn returned(ctx: &FExitContext, turn: Turn) -> i32 {
    rwsem::wait_end(ctx.as_ptr(), argument::<{ arg::RWSEM }>(ctx), turn);
    0
}

programs! {
    #[fentry(function = "rwsem_down_read_slowpath")]
    FEntryContext: read_slowpath_enter, read_slowpath_enter_again, read_slowpath_enter_last => entered::<false>;
    #[fentry(function = "rwsem_down_write_slowpath")]
    FEntryContext: write_slowpath_enter, write_slowpath_enter_again, write_slowpath_enter_last => entered::<true>;
    #[fexit(function = "rwsem_down_read_slowpath")]
    FExitContext: read_slowpath_exit, read_slowpath_exit_again, read_slowpath_exit_last => returned;
    #[fexit(function = "rwsem_down_write_slowpath")]
    FExitContext: write_slowpath_exit, write_slowpath_exit_again, write_slowpath_exit_last => returned;
}

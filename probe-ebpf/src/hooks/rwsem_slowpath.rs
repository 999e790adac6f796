//! rwsem_down_read_slowpath and rwsem_down_write_slowpath: a contended acquisition, spinning included, for kernels
//! without lock:contention_begin (before 5.19).

use probe_common::relocation::arg;

use crate::{
    calls,
    kernel::{Probed, argument},
    rwsem,
    turn::{Turn, entries, exits_keeping},
};

#[inline(always)]
fn entered<const WRITE: bool>(ctx: &impl Probed, turn: Turn) -> i32 {
    rwsem::wait_begin(argument::<{ arg::RWSEM }>(ctx), WRITE, turn);
    0
}

#[inline(always)]
fn returned(ctx: &impl Probed, sem: u64, turn: Turn) -> i32 {
    rwsem::wait_end(ctx.as_ptr(), sem, turn);
    0
}

entries! {
    "rwsem_down_read_slowpath": read_slowpath_enter, read_slowpath_enter_again, read_slowpath_enter_last, read_slowpath_enter_kprobe => entered::<false>;
    "rwsem_down_write_slowpath": write_slowpath_enter, write_slowpath_enter_again, write_slowpath_enter_last, write_slowpath_enter_kprobe => entered::<true>;
}

exits_keeping! {
    "rwsem_down_read_slowpath" keeps calls::SLOWPATH [sem = argument::<{ arg::RWSEM }>]:
        read_slowpath_exit, read_slowpath_exit_again, read_slowpath_exit_last, read_slowpath_exit_kprobe, read_slowpath_exit_call => returned;
    "rwsem_down_write_slowpath" keeps calls::SLOWPATH [sem = argument::<{ arg::RWSEM }>]:
        write_slowpath_exit, write_slowpath_exit_again, write_slowpath_exit_last, write_slowpath_exit_kprobe, write_slowpath_exit_call => returned;
}

//! The functions of rw_semaphore, for kernels without mmap_lock tracepoints (before 5.11) and for those where these
//! cost more. All semaphores pass through them; the core picks out those of an mm.

use probe_common::relocation::arg;

use crate::{
    calls,
    kernel::{Probed, argument},
    rwsem,
    turn::{Turn, entries, exits_keeping},
};

/// An int fills half of its word.
#[inline(always)]
fn returned(ctx: &impl Probed) -> i32 {
    argument::<{ arg::RWSEM_RET }>(ctx) as i32
}

#[inline(always)]
fn down<const WRITE: bool>(ctx: &impl Probed, sem: u64, success: bool, turn: Turn) -> i32 {
    rwsem::acquired(ctx.as_ptr(), sem, WRITE, success, turn);
    0
}

#[inline(always)]
fn acquired<const WRITE: bool>(ctx: &impl Probed, sem: u64, turn: Turn) -> i32 {
    down::<WRITE>(ctx, sem, true, turn)
}

/// Zero, or minus EINTR.
#[inline(always)]
fn killable<const WRITE: bool>(ctx: &impl Probed, sem: u64, turn: Turn) -> i32 {
    down::<WRITE>(ctx, sem, returned(ctx) == 0, turn)
}

/// One, or zero if the lock was not free.
#[inline(always)]
fn tried<const WRITE: bool>(ctx: &impl Probed, sem: u64, turn: Turn) -> i32 {
    down::<WRITE>(ctx, sem, returned(ctx) != 0, turn)
}

#[inline(always)]
fn released<const WRITE: bool>(ctx: &impl Probed, turn: Turn) -> i32 {
    rwsem::released(ctx.as_ptr(), argument::<{ arg::RWSEM }>(ctx), WRITE, turn);
    0
}

/// A lock that is held for read already cannot be downgraded again.
#[inline(always)]
fn downgraded(ctx: &impl Probed, _turn: Turn) -> i32 {
    rwsem::downgraded(ctx.as_ptr(), argument::<{ arg::RWSEM }>(ctx));
    0
}

entries! {
    "up_read": up_read_enter, up_read_enter_again, up_read_enter_last, up_read_enter_kprobe => released::<false>;
    "up_write": up_write_enter, up_write_enter_again, up_write_enter_last, up_write_enter_kprobe => released::<true>;
    "downgrade_write": downgrade_write_enter, downgrade_write_enter_again, downgrade_write_enter_last, downgrade_write_enter_kprobe => downgraded;
}

exits_keeping! {
    "down_read" keeps calls::DOWN [sem = argument::<{ arg::RWSEM }>]:
        down_read_exit, down_read_exit_again, down_read_exit_last, down_read_exit_kprobe, down_read_exit_call => acquired::<false>;
    "down_write" keeps calls::DOWN [sem = argument::<{ arg::RWSEM }>]:
        down_write_exit, down_write_exit_again, down_write_exit_last, down_write_exit_kprobe, down_write_exit_call => acquired::<true>;
    "down_read_killable" keeps calls::DOWN [sem = argument::<{ arg::RWSEM }>]:
        down_read_killable_exit, down_read_killable_exit_again, down_read_killable_exit_last, down_read_killable_exit_kprobe, down_read_killable_exit_call => killable::<false>;
    "down_write_killable" keeps calls::DOWN [sem = argument::<{ arg::RWSEM }>]:
        down_write_killable_exit, down_write_killable_exit_again, down_write_killable_exit_last, down_write_killable_exit_kprobe, down_write_killable_exit_call => killable::<true>;
    "down_read_trylock" keeps calls::TRYLOCK [sem = argument::<{ arg::RWSEM }>]:
        down_read_trylock_exit, down_read_trylock_exit_again, down_read_trylock_exit_last, down_read_trylock_exit_kprobe, down_read_trylock_exit_call => tried::<false>;
    "down_write_trylock" keeps calls::TRYLOCK [sem = argument::<{ arg::RWSEM }>]:
        down_write_trylock_exit, down_write_trylock_exit_again, down_write_trylock_exit_last, down_write_trylock_exit_kprobe, down_write_trylock_exit_call => tried::<true>;
}

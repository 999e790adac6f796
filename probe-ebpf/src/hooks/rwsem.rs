//! The functions of rw_semaphore, for kernels without mmap_lock tracepoints (before 5.11) and for those where these
//! cost more. All semaphores pass through them; the core picks out those of an mm.

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

/// An int fills half of its word.
#[inline(always)]
fn returned(ctx: &FExitContext) -> i32 {
    argument::<{ arg::RWSEM_RET }>(ctx) as i32
}

#[inline(always)]
fn down<const WRITE: bool>(ctx: &FExitContext, success: bool, turn: Turn) -> i32 {
    rwsem::acquired(ctx.as_ptr(), argument::<{ arg::RWSEM }>(ctx), WRITE, success, turn);
    0
}

#[inline(always)]
fn acquired<const WRITE: bool>(ctx: &FExitContext, turn: Turn) -> i32 {
    down::<WRITE>(ctx, true, turn)
}

/// Zero, or minus EINTR.
#[inline(always)]
fn killable<const WRITE: bool>(ctx: &FExitContext, turn: Turn) -> i32 {
    down::<WRITE>(ctx, returned(ctx) == 0, turn)
}

/// One, or zero if the lock was not free.
#[inline(always)]
fn tried<const WRITE: bool>(ctx: &FExitContext, turn: Turn) -> i32 {
    down::<WRITE>(ctx, returned(ctx) != 0, turn)
}

#[inline(always)]
fn released<const WRITE: bool>(ctx: &FEntryContext, turn: Turn) -> i32 {
    rwsem::released(ctx.as_ptr(), argument::<{ arg::RWSEM }>(ctx), WRITE, turn);
    0
}

/// A lock that is held for read already cannot be downgraded again.
#[inline(always)]
fn downgraded(ctx: &FEntryContext, _turn: Turn) -> i32 {
    rwsem::downgraded(ctx.as_ptr(), argument::<{ arg::RWSEM }>(ctx));
    0
}

programs! {
    #[fexit(function = "down_read")] FExitContext: down_read_exit, down_read_exit_again, down_read_exit_last => acquired::<false>;
    #[fexit(function = "down_write")] FExitContext: down_write_exit, down_write_exit_again, down_write_exit_last => acquired::<true>;
    #[fexit(function = "down_read_killable")]
    FExitContext: down_read_killable_exit, down_read_killable_exit_again, down_read_killable_exit_last => killable::<false>;
    #[fexit(function = "down_write_killable")]
    FExitContext: down_write_killable_exit, down_write_killable_exit_again, down_write_killable_exit_last => killable::<true>;
    #[fexit(function = "down_read_trylock")]
    FExitContext: down_read_trylock_exit, down_read_trylock_exit_again, down_read_trylock_exit_last => tried::<false>;
    #[fexit(function = "down_write_trylock")]
    FExitContext: down_write_trylock_exit, down_write_trylock_exit_again, down_write_trylock_exit_last => tried::<true>;
    #[fentry(function = "up_read")] FEntryContext: up_read_enter, up_read_enter_again, up_read_enter_last => released::<false>;
    #[fentry(function = "up_write")] FEntryContext: up_write_enter, up_write_enter_again, up_write_enter_last => released::<true>;
    #[fentry(function = "downgrade_write")]
    FEntryContext: downgrade_write_enter, downgrade_write_enter_again, downgrade_write_enter_last => downgraded;
}

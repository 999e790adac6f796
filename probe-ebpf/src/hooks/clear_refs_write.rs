//! clear_refs_write: the soft-dirty walk, whose pending flush is counted by inline helpers.

use aya_ebpf::{
    macros::{fentry, fexit},
    programs::{FEntryContext, FExitContext},
};
use probe_common::series::PATH_SOFT_DIRTY;

use crate::window;

#[fentry(function = "clear_refs_write")]
fn clear_refs_write_enter(_ctx: FEntryContext) -> i32 {
    window::enter_context(PATH_SOFT_DIRTY);
    0
}

#[fexit(function = "clear_refs_write")]
fn clear_refs_write_exit(_ctx: FExitContext) -> i32 {
    window::leave_context();
    0
}

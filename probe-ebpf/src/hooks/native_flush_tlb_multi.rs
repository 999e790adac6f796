//! native_flush_tlb_multi (5.12 and later), native_flush_tlb_others before: a flush asks other CPUs, and waits for their
//! answers. (flush_tlb_multi, which calls it, is put into its callers by the compiler.) flush_tlb_func: one of them answers.

use probe_common::relocation::{arg, field};

use crate::{
    kernel::{Probed, Raw, Reader as _, argument},
    shootdown,
    turn::{entries_alone, exits_alone},
};

// All of them run where preemption is off: between get_cpu and put_cpu of flush_tlb_mm_range, or with interrupts off. They have
// no programs that step in.

#[inline(always)]
fn entered<C: Probed>(ctx: &C) -> i32 {
    let mm = C::Fields::u64::<{ field::FLUSH_INFO_MM }>(argument::<{ arg::FLUSH_MULTI_INFO }>(ctx));
    shootdown::begin::<C::Fields>(mm, argument::<{ arg::FLUSH_MULTI_MASK }>(ctx));
    0
}

#[inline(always)]
fn returned(ctx: &impl Probed) -> i32 {
    shootdown::end(ctx.as_ptr());
    0
}

#[inline(always)]
fn answered(ctx: &impl Probed) -> i32 {
    // Its type tells nothing (void *), and of its size only that it holds the number of any CPU.
    let asked_by = Raw::u32::<{ field::FLUSH_INFO_CPU }>(argument::<{ arg::FLUSH_FUNC_INFO }>(ctx)) & 0xffff;
    shootdown::answered(asked_by);
    0
}

entries_alone! {
    "native_flush_tlb_multi": flush_tlb_multi_enter, flush_tlb_multi_enter_kprobe => entered;
    "native_flush_tlb_others": flush_tlb_others_enter, flush_tlb_others_enter_kprobe => entered;
    "flush_tlb_func": flush_tlb_func_enter, flush_tlb_func_enter_kprobe => answered;
}

exits_alone! {
    "native_flush_tlb_multi": flush_tlb_multi_exit, flush_tlb_multi_exit_kprobe => returned;
    "native_flush_tlb_others": flush_tlb_others_exit, flush_tlb_others_exit_kprobe => returned;
}

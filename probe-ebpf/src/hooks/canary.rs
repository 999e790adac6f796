//! Programs that do nothing, for whatever function or tracepoint: how often they run tells what a hook would cost that was given
//! up.

use aya_ebpf::{
    macros::{btf_tracepoint, fentry, kprobe, raw_tracepoint},
    programs::{BtfTracePointContext, FEntryContext, ProbeContext, RawTracePointContext},
};

#[fentry]
fn canary_function(_: FEntryContext) -> i32 {
    0
}

#[btf_tracepoint]
fn canary_tracepoint(_: BtfTracePointContext) -> i32 {
    0
}

#[raw_tracepoint]
fn canary_tracepoint_raw(_: RawTracePointContext) -> i32 {
    0
}

#[kprobe]
fn canary_kprobe(_: ProbeContext) -> i32 {
    0
}

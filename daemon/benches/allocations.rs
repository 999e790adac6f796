//! How often each step of a tick, and a scrape, asks for memory: a line of JSON each. The same figures in every run on every
//! machine. `cargo xtask bench core` runs it.

mod ticks;

use std::alloc::System;

use mmscope::export::Format;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

use ticks::{MMS, Ticks, encode};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

fn main() {
    for mms in MMS {
        let mut ticks = Ticks::new(mms);
        let added = ticks.added();
        let named = counted("name", mms, || ticks.name(added));
        counted("judge", mms, || ticks.judge(&named));
        counted("fold", mms, || ticks.fold(&named));
        let snapshot = counted("snapshot", mms, || ticks.snapshot());
        counted("text", mms, || encode(&snapshot, Format::Prometheus));
        counted("openmetrics", mms, || encode(&snapshot, Format::OpenMetrics));
        counted("protobuf", mms, || encode(&snapshot, Format::Protobuf));
    }
}

fn counted<T>(step: &str, mms: usize, work: impl FnOnce() -> T) -> T {
    let region = Region::new(ALLOCATOR);
    let done = work();
    let stats = region.change();
    let line = serde_json::json!({
        "step": step,
        "mms": mms,
        "allocations": stats.allocations + stats.reallocations,
        "bytes": stats.bytes_allocated,
    });
    println!("{line}");
    done
}

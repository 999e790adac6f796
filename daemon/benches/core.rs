//! How long each step of a tick takes beyond the kernel side, and a scrape. `cargo xtask bench core` runs it.

mod ticks;

use std::{hint::black_box, time::Duration};

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use mmscope::export::Format;

use ticks::{MMS, Ticks, encode};

fn steps(criterion: &mut Criterion) {
    for mms in MMS {
        let mut ticks = Ticks::new(mms);
        // The group's name comes first in the folder of its results: xtask reads them from there.
        let mut group = criterion.benchmark_group(mms.to_string());
        group.sample_size(20).measurement_time(Duration::from_secs(3)).warm_up_time(Duration::from_secs(1));
        let added = ticks.added();
        group.bench_function("name", |bencher| {
            bencher.iter_batched(|| added.clone(), |added| ticks.name(added), BatchSize::LargeInput);
        });
        let named = ticks.name(added);
        group.bench_function("judge", |bencher| bencher.iter(|| ticks.judge(black_box(&named))));
        group.bench_function("fold", |bencher| bencher.iter(|| ticks.fold(black_box(&named))));
        group.bench_function("snapshot", |bencher| bencher.iter_with_large_drop(|| ticks.snapshot()));
        let snapshot = ticks.snapshot();
        for (name, format) in
            [("text", Format::Prometheus), ("openmetrics", Format::OpenMetrics), ("protobuf", Format::Protobuf)]
        {
            group.bench_function(name, |bencher| bencher.iter(|| encode(black_box(&snapshot), format)));
        }
    }
}

criterion_group!(core, steps);
criterion_main!(core);

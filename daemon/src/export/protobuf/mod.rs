//! The protobuf format of a scrape, in which histograms are native, with the classic buckets beside them.

mod client_model;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod strict;

use std::time::{Duration, SystemTime};

use probe_common::histogram::{BUCKETS, FINITE};
use prost::{
    Message as _,
    bytes::{BufMut as _, Bytes, BytesMut},
    encoding::{WireType, encode_key, encode_varint, encoded_len_varint},
};

use self::client_model::{
    Bucket, BucketSpan, Counter, Exemplar, Gauge, Histogram, LabelPair, Metric, MetricFamily, MetricType, Timestamp,
};
use super::{
    buckets::Buckets,
    catalogue::{Family, Kind},
    exemplars,
    families::Value,
    native::SCHEMA,
};
use crate::model::{self, Snapshot};

/// Number of MetricFamily's field `metric`.
const METRIC: u32 = 4;
/// Room for the length of a family, which is known at its end.
const LENGTH: usize = 10;

/// A family with all its series, its length before it; nothing if it has none.
pub(super) fn encode(family: &Family, snapshot: &Snapshot) -> Bytes {
    let mut out = BytesMut::new();
    (family.collect)(snapshot, &mut |values, value| {
        if out.is_empty() {
            out.put_bytes(0, LENGTH);
            describe(family, &mut out);
        }
        // One by one: all messages of a large family at once would take many times their bytes.
        let metric = metric(family, values, value);
        encode_key(METRIC, WireType::LengthDelimited, &mut out);
        encode_varint(metric.encoded_len() as u64, &mut out);
        // Room is made as it is needed.
        let _ = metric.encode(&mut out);
    });
    if out.is_empty() {
        return Bytes::new();
    }
    let length = (out.len() - LENGTH) as u64;
    let from = LENGTH - encoded_len_varint(length);
    encode_varint(length, &mut &mut out[from..LENGTH]);
    out.freeze().slice(from..)
}

fn describe(family: &Family, out: &mut BytesMut) {
    let kind = match family.kind {
        Kind::Counter => MetricType::Counter,
        Kind::Gauge => MetricType::Gauge,
        Kind::Histogram => MetricType::Histogram,
    };
    let described = MetricFamily {
        name: Some(family.name.to_owned()),
        help: Some(family.help.to_owned()),
        r#type: Some(kind.into()),
        metric: Vec::new(),
        unit: family.unit().map(str::to_owned),
    };
    let _ = described.encode(out);
}

fn pair(name: &str, value: &str) -> LabelPair {
    LabelPair { name: Some(name.to_owned()), value: Some(value.to_owned()) }
}

fn metric(family: &Family, values: &[&str], value: Value<'_>) -> Metric {
    let label = family.labels.iter().zip(values).map(|(name, value)| pair(name, value)).collect();
    let number = match value {
        Value::Buckets(buckets) => return Metric { label, histogram: Some(histogram(&buckets)), ..Metric::default() },
        Value::Whole(value) => Some(value as f64),
        Value::Seconds(value) | Value::Ratio(value) => Some(value),
    };
    match family.kind {
        Kind::Counter => Metric { label, counter: Some(Counter { value: number }), ..Metric::default() },
        _ => Metric { label, gauge: Some(Gauge { value: number }), ..Metric::default() },
    }
}

/// The counts of native buckets are no whole numbers (see `native`), which has fields of its own.
fn histogram(buckets: &Buckets<'_>) -> Histogram {
    let layout = buckets.layout();
    let native = layout.native(buckets.histogram);
    let count = buckets.histogram.count();
    let mut told: Vec<Exemplar> = Vec::new();
    let mut exemplars = buckets.exemplars().peekable();
    let mut sum = 0;
    let bucket = (0..BUCKETS).map(|n| {
        sum += buckets.histogram.buckets[n];
        let exemplar = exemplars.next_if(|exemplar| exemplar.bucket() == n);
        let exemplar = exemplar.map(|exemplar| self::exemplar(exemplar, buckets.value(exemplar.duration_ns)));
        told.extend(exemplar.clone());
        let upper_bound = if n == FINITE { f64::INFINITY } else { buckets.bound(n) };
        Bucket { cumulative_count: Some(sum), upper_bound: Some(upper_bound), exemplar }
    });
    let bucket = bucket.collect();
    // Prometheus takes none that is older than the one before it.
    told.sort_by_key(|exemplar| exemplar.timestamp.map(|at| (at.seconds, at.nanos)));
    let span = |(offset, length)| BucketSpan { offset: Some(offset), length: Some(length) };
    Histogram {
        sample_count: Some(count),
        sample_sum: Some(buckets.sum()),
        bucket,
        sample_count_float: Some(count as f64),
        schema: Some(SCHEMA),
        zero_threshold: Some(layout.zero_threshold),
        zero_count_float: Some(native.zero_count),
        positive_span: native.spans.into_iter().map(span).collect(),
        positive_count: native.counts,
        exemplars: told,
    }
}

fn exemplar(exemplar: &model::Exemplar, value: f64) -> Exemplar {
    let end = exemplar.end.duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
    Exemplar {
        label: exemplars::labels(exemplar).iter().map(|(name, value)| pair(name, value)).collect(),
        value: Some(value),
        timestamp: Some(Timestamp {
            seconds: i64::try_from(end.as_secs()).unwrap_or(i64::MAX),
            nanos: end.subsec_nanos().cast_signed(),
        }),
    }
}

#[cfg(test)]
mod tests;

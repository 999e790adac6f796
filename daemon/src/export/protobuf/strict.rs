//! What a protobuf exposition says, as series of a text format: for tests and fuzzers.

use prost::Message as _;

use super::client_model::{Histogram, Metric, MetricFamily, MetricType};
use crate::export::strict::Series;

/// Reads it to its end.
///
/// # Errors
///
/// What prost says of the bytes, or what is wrong with a family.
pub(crate) fn read(mut bytes: &[u8]) -> Result<Series, String> {
    let mut series = Series::new();
    while !bytes.is_empty() {
        let family = MetricFamily::decode_length_delimited(&mut bytes).map_err(|error| error.to_string())?;
        if family.metric.is_empty() {
            return Err(format!("{} has no series", family.name()));
        }
        for metric in &family.metric {
            tell(&family, metric, &mut series)?;
        }
    }
    Ok(series)
}

fn tell(family: &MetricFamily, metric: &Metric, series: &mut Series) -> Result<(), String> {
    let name = family.name();
    let labels: Vec<_> = metric.label.iter().map(|pair| (pair.name().to_owned(), pair.value().to_owned())).collect();
    let mut add = |suffix: &str, more: Option<(String, String)>, value: f64| {
        let labels = more.into_iter().chain(labels.iter().cloned()).collect();
        let is_new = series.insert((format!("{name}{suffix}"), labels), value).is_none();
        if is_new { Ok(()) } else { Err(format!("{name} {labels:?} is there twice", labels = metric.label)) }
    };
    match (family.r#type(), metric.counter, metric.gauge, &metric.histogram) {
        (MetricType::Counter, Some(counter), None, None) => add("", None, counter.value()),
        (MetricType::Gauge, None, Some(gauge), None) => add("", None, gauge.value()),
        (MetricType::Histogram, None, None, Some(histogram)) => {
            check_native(histogram).map_err(|why| format!("{name} {:?}: {why}", metric.label))?;
            for bucket in &histogram.bucket {
                let le = ("le".to_owned(), bucket.upper_bound().to_string());
                add("_bucket", Some(le), bucket.cumulative_count() as f64)?;
            }
            add("_sum", None, histogram.sample_sum())?;
            add("_count", None, histogram.sample_count() as f64)
        }
        _ => Err(format!("{name} is of another type than its series")),
    }
}

/// Whether the native buckets hold as many events as the classic ones.
fn check_native(histogram: &Histogram) -> Result<(), String> {
    let spans: usize = histogram.positive_span.iter().map(|span| span.length() as usize).sum();
    if spans != histogram.positive_count.len() {
        return Err(format!("spans of {spans} buckets, and {} buckets", histogram.positive_count.len()));
    }
    let told = histogram.positive_count.iter().sum::<f64>() + histogram.zero_count_float();
    let count = histogram.sample_count_float();
    // Beyond 2^53 a float has no fractions of an event any more.
    if (told - count).abs() > count * 1e-12 || count != histogram.sample_count() as f64 {
        return Err(format!("{told} events in native buckets, {count} in all"));
    }
    let is_ordered = histogram.exemplars.windows(2).all(|pair| {
        let at = |n: usize| pair[n].timestamp.map(|at| (at.seconds, at.nanos));
        at(0) <= at(1)
    });
    if is_ordered { Ok(()) } else { Err("exemplars are not in the order of their times".to_owned()) }
}

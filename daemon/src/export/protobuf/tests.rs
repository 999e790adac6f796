//! What is sent, read again; and a message of another implementation.

use std::sync::Arc;

use super::*;
use crate::export::{Format, Scrape, fixture};

/// All families of a scrape, which ends where a family does.
fn decoded(snapshot: &Arc<Snapshot>) -> Vec<MetricFamily> {
    let pieces: Vec<u8> = Scrape::new(snapshot.clone(), Format::Protobuf).flatten().collect();
    let mut rest = pieces.as_slice();
    let mut families = Vec::new();
    while !rest.is_empty() {
        families.push(MetricFamily::decode_length_delimited(&mut rest).unwrap());
    }
    families
}

fn family(families: &[MetricFamily], name: &str) -> MetricFamily {
    families.iter().find(|family| family.name() == name).cloned().unwrap_or_else(|| panic!("no {name}"))
}

#[test]
fn families_are_described_and_their_series_are_whole() {
    let families = decoded(&fixture::snapshot("mmload", true));
    let flushes = family(&families, "mmscope_tlb_flushes_total");
    assert_eq!((flushes.r#type(), flushes.unit.clone()), (MetricType::Counter, None));
    assert!(flushes.help().starts_with("TLB flushes of address spaces"));
    let told: Vec<_> =
        flushes.metric.iter().map(|metric| (metric.label[2].value(), metric.counter.unwrap().value())).collect();
    assert_eq!(told, [("range", 3.0), ("full", 1.0)]);
    let resident = family(&families, "process_resident_memory_bytes");
    assert_eq!(
        (resident.r#type(), resident.unit(), resident.metric[0].gauge.unwrap().value()),
        (MetricType::Gauge, "bytes", 33_554_432.0)
    );
    let seconds = family(&families, "mmscope_mmap_lock_operation_seconds_total");
    assert_eq!(seconds.metric[0].counter.unwrap().value(), 0.001_234_567);
}

#[test]
fn a_histogram_has_both_forms_and_its_exemplars() {
    let families = decoded(&fixture::snapshot("mmload", true));
    let holds = family(&families, "mmscope_mmap_lock_hold_seconds");
    let told = holds.metric[0].histogram.as_ref().unwrap();
    assert_eq!((told.sample_count(), told.sample_count_float(), told.sample_sum()), (2, 2.0, 9.7));
    assert_eq!(told.bucket.len(), BUCKETS);
    assert_eq!((told.bucket[FINITE - 1].cumulative_count(), told.bucket[FINITE - 1].upper_bound()), (1, 8.589_934_592));
    assert_eq!((told.bucket[FINITE].cumulative_count(), told.bucket[FINITE].upper_bound()), (2, f64::INFINITY));
    let length: u32 = told.positive_span.iter().map(BucketSpan::length).sum();
    assert_eq!(length as usize, told.positive_count.len());
    assert_eq!(told.positive_count.iter().sum::<f64>() + told.zero_count_float(), 2.0);
    assert_eq!((told.schema(), told.zero_threshold()), (3, (-23_f64).exp2()));
    // 0.54 to 1.07 s is told between the -7th and the first bound; beyond 8.59 s comes what ends with the 26th.
    let spans: Vec<_> = told.positive_span.iter().map(|span| (span.offset(), span.length())).collect();
    assert_eq!(spans, [(-6, 8), (24, 1)]);

    let at = fixture::end().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let expected = |value| {
        let labels = [("pid", "7"), ("tid", "8"), ("operation", "mprotect"), ("record", "ff-8-15")];
        let timestamp = Timestamp { seconds: at.as_secs() as i64, nanos: at.subsec_nanos() as i32 };
        Exemplar {
            label: labels.iter().map(|(name, value)| pair(name, value)).collect(),
            value: Some(value),
            timestamp: Some(timestamp),
        }
    };
    let of_buckets: Vec<_> = told.bucket.iter().filter_map(|bucket| bucket.exemplar.clone()).collect();
    assert_eq!(of_buckets, [expected(0.7), expected(9.0)]);
    assert_eq!(told.exemplars, of_buckets);
}

#[test]
fn names_of_any_bytes_come_through_unchanged() {
    let odd = fixture::odd();
    let families = decoded(&odd);
    let holds = family(&families, "mmscope_mmap_lock_hold_seconds");
    let names: Vec<&str> = holds.metric.iter().map(|metric| metric.label[0].value()).collect();
    let known: Vec<&str> = odd.subjects.keys().map(|subject| subject.comm.as_str()).collect();
    assert_eq!(names, known);
}

#[test]
fn what_cannot_be_measured_is_absent() {
    let families = decoded(&fixture::snapshot("mmload", false));
    assert!(!families.iter().any(|family| family.name().starts_with("mmscope_flush_window")));
    assert!(families.iter().all(|family| !family.metric.is_empty()), "no family is without series");
}

/// A message that another implementation wrote (Python's, from client_model's metrics.proto), with every field that is in use.
const OTHERS: &str = "0a09615f7365636f6e6473120162180422a6010a060a01631201643a9b01080311000000000000f83f1a2a08031100000000\
    0000f07f1a1d0a080a0370696412013711000000000000d03f1a080880e2cfaa06102a210000000000000840280631000000000000e03f4100\
    0000000000f03f6204080d100262040806100171000000000000e03f71000000000000f43f71000000000000d03f82011d0a080a03706964\
    12013711000000000000d03f1a080880e2cfaa06102a220b1a09090000000000000040220b12090900000000000010402a077365636f6e6473";

#[test]
fn fields_have_the_numbers_of_client_model() {
    let byte = |at| u8::from_str_radix(&OTHERS[at..at + 2], 16).unwrap();
    let bytes: Vec<u8> = (0..OTHERS.len()).step_by(2).map(byte).collect();
    let exemplar = Exemplar {
        label: vec![pair("pid", "7")],
        value: Some(0.25),
        timestamp: Some(Timestamp { seconds: 1_700_000_000, nanos: 42 }),
    };
    let span = |offset, length| BucketSpan { offset: Some(offset), length: Some(length) };
    let bucket =
        Bucket { cumulative_count: Some(3), upper_bound: Some(f64::INFINITY), exemplar: Some(exemplar.clone()) };
    let histogram = Histogram {
        sample_count: Some(3),
        sample_sum: Some(1.5),
        bucket: vec![bucket],
        sample_count_float: Some(3.0),
        schema: Some(3),
        zero_threshold: Some(0.5),
        zero_count_float: Some(1.0),
        positive_span: vec![span(-7, 2), span(3, 1)],
        positive_count: vec![0.5, 1.25, 0.25],
        exemplars: vec![exemplar],
    };
    let metric = [
        Metric { label: vec![pair("c", "d")], histogram: Some(histogram), ..Metric::default() },
        Metric { counter: Some(Counter { value: Some(2.0) }), ..Metric::default() },
        Metric { gauge: Some(Gauge { value: Some(4.0) }), ..Metric::default() },
    ];
    let family = MetricFamily {
        name: Some("a_seconds".to_owned()),
        help: Some("b".to_owned()),
        r#type: Some(MetricType::Histogram.into()),
        metric: metric.into(),
        unit: Some("seconds".to_owned()),
    };
    assert_eq!(MetricFamily::decode(bytes.as_slice()).unwrap(), family);
}

//! Numbers and names as a person reads them. Pure text.

use std::time::Duration;

use probe_common::histogram::{BUCKETS, FIRST_BOUND_LOG2};

use crate::anomaly::Class;

/// Between a number and its unit, and between thousands: narrow, and no line breaks at it.
pub(crate) const THIN: char = '\u{202f}';
/// In place of a number that there is none of.
pub(super) const NONE: &str = "–";

/// A duration in three digits.
pub(super) fn time(ns: u64) -> String {
    let (value, unit) = match ns {
        0 => return "0".to_owned(),
        1..1_000 => return format!("{ns}{THIN}ns"),
        1_000..1_000_000 => (ns as f64 / 1e3, "µs"),
        1_000_000..1_000_000_000 => (ns as f64 / 1e6, "ms"),
        _ => (ns as f64 / 1e9, "s"),
    };
    format!("{}{THIN}{unit}", three_digits(value))
}

fn three_digits(value: f64) -> String {
    match value {
        ..9.995 => format!("{value:.2}"),
        ..99.95 => format!("{value:.1}"),
        _ => count(value.round() as u64),
    }
}

/// A number with its thousands apart.
pub(super) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (n, digit) in digits.chars().enumerate() {
        if n > 0 && (digits.len() - n).is_multiple_of(3) && digits.len() > 4 {
            text.push(THIN);
        }
        text.push(digit);
    }
    text
}

/// Bytes.
pub(super) fn bytes(bytes: u64) -> String {
    match bytes {
        0..10_240 => format!("{}{THIN}B", count(bytes)),
        10_240..10_485_760 => format!("{}{THIN}KiB", three_digits(bytes as f64 / 1024.0)),
        _ => format!("{}{THIN}MiB", three_digits(bytes as f64 / 1_048_576.0)),
    }
}

/// A part of a whole.
pub(super) fn percent(part: f64) -> String {
    format!("{:.2}{THIN}%", part * 100.0)
}

/// A long time: "2 h 13 min".
pub(crate) fn span(time: Duration) -> String {
    let seconds = time.as_secs();
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    match seconds {
        0..60 => format!("{seconds}{THIN}s"),
        60..3_600 => format!("{minutes}{THIN}min {}{THIN}s", seconds % 60),
        3_600..86_400 => format!("{hours}{THIN}h {minutes}{THIN}min"),
        _ => format!("{days}{THIN}d {hours}{THIN}h"),
    }
}

/// Upper bound of the bucket in which a part of all events lies: "≤ 16.4 µs".
pub(super) fn quantile(buckets: &[u64; BUCKETS], part: f64) -> String {
    let all: u64 = buckets.iter().sum();
    if all == 0 {
        return NONE.to_owned();
    }
    let rank = ((all as f64 * part).ceil() as u64).clamp(1, all);
    let mut seen = 0;
    let reached = |count: &u64| {
        seen += count;
        seen >= rank
    };
    bound(buckets.iter().position(reached).unwrap_or(BUCKETS - 1))
}

/// What events of a bucket are not longer than.
pub(super) fn bound(bucket: usize) -> String {
    let log2 = FIRST_BOUND_LOG2 as usize + bucket;
    if bucket + 1 == BUCKETS {
        format!(">{THIN}{}", time(1 << (log2 - 1)))
    } else {
        format!("≤{THIN}{}", time(1 << log2))
    }
}

/// A part of an address: all but letters, digits and a few signs as %XX.
pub(super) fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for &byte in text.as_bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// What a class means, in a line. docs/anomalies.md has the rest.
pub(super) fn meaning(class: Class) -> &'static str {
    match class {
        Class::StaleWriteOverlap => "a write fault inside another thread's open window; exposed ones lose stores",
        Class::UnwarrantedFlushStorm => "flushes that nothing pending at their address called for",
        Class::LongWindow => "a page-table change waited long for its TLB flush",
        Class::NestedWindow => "windows of two threads at different addresses made a flush whole",
        Class::FlushEscalation => "a small range was flushed as the whole address space",
        Class::PteCycleUnflushed => "a range went read-only, writable, read-only without a flush between",
        Class::LockConvoy => "a long hold of mmap_lock with others waiting behind it",
        Class::ProtectionFlipFlop => "mprotect back and forth, across many CPUs",
        Class::UffdSlow => "a userfaultfd handler answers slowly",
        Class::UffdStuck => "a userfault that nobody answers",
        Class::UffdRefault => "the same page faults into userfaultfd again and again",
        Class::UffdErrorStorm => "userfaultfd ioctls that fail, many a second",
        Class::ShootdownStraggler => "a CPU that answers a TLB shootdown late",
        Class::ReclaimStale => "reclaim's batched flush is outstanding for long",
        Class::VersionExposed => "this kernel version has a known fault",
        Class::Blind => "mmscope itself sees less than it should",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_three_digits_and_a_unit() {
        let told: Vec<String> =
            [0, 999, 1_240, 65_536, 999_960, 1_000_000_000, 4_000_000_000_000].into_iter().map(time).collect();
        let told: Vec<String> = told.into_iter().map(|text| text.replace(THIN, "_")).collect();
        assert_eq!(told, ["0", "999_ns", "1.24_µs", "65.5_µs", "1000_µs", "1.00_s", "4000_s"]);
        assert_eq!(count(1_234).replace(THIN, "_"), "1234");
        assert_eq!(count(1_234_567).replace(THIN, "_"), "1_234_567");
        assert_eq!(percent(0.00251).replace(THIN, "_"), "0.25_%");
        assert_eq!(bytes(39 << 20).replace(THIN, "_"), "39.0_MiB");
    }

    #[test]
    fn long_times_have_two_units() {
        let told = |seconds| span(Duration::from_secs(seconds)).replace(THIN, "_");
        assert_eq!([told(59), told(61), told(7_980), told(200_000)], ["59_s", "1_min 1_s", "2_h 13_min", "2_d 7_h"]);
    }

    #[test]
    fn quantiles_are_bounds_of_buckets() {
        let mut buckets = [0; BUCKETS];
        assert_eq!(quantile(&buckets, 0.5), NONE);
        (buckets[2], buckets[26]) = (99, 1);
        let told = |part| quantile(&buckets, part).replace(THIN, "_");
        assert_eq!([told(0.5), told(0.99), told(1.0)], ["≤_1.02_µs", "≤_1.02_µs", ">_8.59_s"]);
    }

    #[test]
    fn addresses_hold_any_name() {
        assert_eq!(encoded("a b&c/ä"), "a%20b%26c/%C3%A4");
    }
}

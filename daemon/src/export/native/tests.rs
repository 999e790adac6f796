//! The bounds of what native and classic quantiles differ by, found with Prometheus's own arithmetic.

use super::*;

/// Upper bounds of the classic buckets.
fn classic_bounds() -> Vec<f64> {
    (0..FINITE).map(|n| f64::from(1 << FIRST_BOUND_LOG2) / 1e9 * (n as f64).exp2()).collect()
}

/// `histogram_quantile` of classic buckets.
fn classic_quantile(q: f64, histogram: &Histogram) -> f64 {
    let bounds = classic_bounds();
    let mut rank = q * histogram.count() as f64;
    for (n, &count) in histogram.buckets[..FINITE].iter().enumerate() {
        if count as f64 >= rank {
            let lower = if n == 0 { 0.0 } else { bounds[n - 1] };
            return lower + (bounds[n] - lower) * rank / count as f64;
        }
        rank -= count as f64;
    }
    bounds[FINITE - 1]
}

/// Buckets of a native histogram: lower and upper bound, and count.
fn buckets(native: &Native) -> Vec<(f64, f64, f64)> {
    let mut buckets = vec![(0.0, SECONDS.zero_threshold, native.zero_count)];
    let mut counts = native.counts.iter();
    let mut index = 0;
    for &(gap, length) in &native.spans {
        index += gap;
        for _ in 0..length {
            buckets.push((bound(index - 1), bound(index), *counts.next().unwrap()));
            index += 1;
        }
    }
    assert!(counts.next().is_none(), "as many counts as the spans have room for");
    buckets
}

/// `histogram_quantile` of a native histogram: Prometheus 3 takes events for spread evenly over the logarithm, 2 did not.
fn native_quantile(q: f64, native: &Native, count: u64, is_logarithmic: bool) -> (f64, (f64, f64)) {
    let mut rank = q * count as f64;
    for (lower, upper, count) in buckets(native) {
        if count >= rank && count > 0.0 {
            let part = rank / count;
            let is_logarithmic = is_logarithmic && lower > 0.0;
            let at = if is_logarithmic { lower * (upper / lower).powf(part) } else { lower + (upper - lower) * part };
            return (at, (lower, upper));
        }
        rank -= count;
    }
    panic!("no rank {rank}")
}

/// Different at every call, the same in every run.
fn random(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}

fn random_histogram(state: &mut u64) -> Histogram {
    let mut histogram = Histogram::default();
    for count in &mut histogram.buckets[..FINITE] {
        // From none to a billion, and of any size between.
        let size = random(state) % 31;
        *count = if size == 0 { 0 } else { random(state) % (1 << (size - 1)) };
    }
    histogram.buckets[5] += 1;
    histogram
}

#[test]
fn counts_are_exact() {
    let mut state = 1;
    for _ in 0..1_000 {
        let mut histogram = random_histogram(&mut state);
        histogram.buckets[FINITE] = random(&mut state) % 100;
        let native = SECONDS.native(&histogram);
        let sum = native.zero_count + native.counts.iter().sum::<f64>();
        assert!(sum == histogram.count() as f64, "{sum} of {}", histogram.count());
        assert!(native.counts.iter().all(|count| *count > 0.0));
    }
}

#[test]
fn quantiles_are_those_of_the_classic_buckets() {
    let mut state = 2;
    for _ in 0..1_000 {
        let histogram = random_histogram(&mut state);
        let native = SECONDS.native(&histogram);
        for q in [0.001, 0.01, 0.1, 0.5, 0.9, 0.95, 0.99, 0.999, 0.9999] {
            let classic = classic_quantile(q, &histogram);
            for (is_logarithmic, within) in [(false, 0.000_2), (true, 0.001_1)] {
                let (native, (lower, upper)) = native_quantile(q, &native, histogram.count(), is_logarithmic);
                let error = native / classic - 1.0;
                // Next to a classic bound, which is told a little higher.
                let is_next = classic_bounds().iter().any(|bound| lower < bound * 1.02 && *bound < upper);
                let most = if is_next { 0.016 } else { within };
                assert!(
                    (-within..=most).contains(&error),
                    "{error} at {q}: {native}, classic {classic} in {histogram:?}"
                );
            }
        }
    }
}

#[test]
fn each_bucket_is_eight_native_ones_up_to_a_bound_next_to_its_own() {
    let bounds = classic_bounds();
    for n in 0..FINITE {
        let mut histogram = Histogram::default();
        histogram.buckets[n] = 1;
        let told = buckets(&SECONDS.native(&histogram));
        let (lowest, highest) = (told[1].0, told.last().unwrap().1);
        assert!(highest >= bounds[n] && highest < bounds[n] * 1.016, "bucket {n} ends at {highest}");
        if n > 0 {
            assert!(lowest >= bounds[n - 1] && lowest < bounds[n - 1] * 1.016, "bucket {n} begins at {lowest}");
            assert_eq!(told.len(), 1 + 8);
        }
    }
    let mut histogram = Histogram::default();
    histogram.buckets[FINITE] = 3;
    let told = buckets(&SECONDS.native(&histogram));
    assert_eq!(told.len(), 2);
    assert!(told[1].0 > 8.59 && told[1].1 < 9.6 && told[1].2 == 3.0, "{told:?}");
}

#[test]
fn no_count_falls_when_events_are_added() {
    let mut state = 3;
    let mut histogram = random_histogram(&mut state);
    for _ in 0..1_000 {
        let before = buckets(&SECONDS.native(&histogram));
        histogram.buckets[(random(&mut state) % BUCKETS as u64) as usize] += random(&mut state) % 3;
        let after = buckets(&SECONDS.native(&histogram));
        for (lower, _, count) in before {
            assert!(after.iter().any(|(known, _, now)| *known == lower && *now >= count), "less at {lower}");
        }
    }
}

#[test]
fn numbers_have_bounds_that_are_native_ones() {
    let mut histogram = Histogram::default();
    histogram.buckets[..3].copy_from_slice(&[4, 2, 8]);
    let native = NUMBERS.native(&histogram);
    assert_eq!((NUMBERS.zero_threshold, native.zero_count), (0.5, 2.0), "half of those that are one");
    assert_eq!(native.spans, [(-7, 3 * 8)], "up to the bound of the third bucket");
    let octave = |n: usize| native.counts[n * 8..][..8].iter().sum::<f64>();
    assert_eq!((octave(0), octave(1), octave(2)), (2.0, 2.0, 8.0));
}

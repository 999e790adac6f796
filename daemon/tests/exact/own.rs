//! What a scrape says, summed over all subjects but the program that tests.

use std::collections::BTreeMap;

use crate::live::Scrape;

/// Sum over all subjects but this program, whose own doings the oracle leaves out too.
fn sum(scrape: &Scrape, metric: &str, labels: &[(&str, &str)]) -> i64 {
    let own: Vec<(&str, &str)> = labels.iter().copied().chain([("comm", crate::oracle::OWN_COMM)]).collect();
    (scrape.sum(metric, labels) - scrape.sum(metric, &own)) as i64
}

pub(crate) fn counts(scrape: &Scrape) -> BTreeMap<&'static str, i64> {
    let acquired =
        |mode, result| sum(scrape, "mmscope_mmap_lock_acquisitions_total", &[("mode", mode), ("result", result)]);
    let held = |mode| sum(scrape, "mmscope_mmap_lock_hold_seconds_count", &[("mode", mode)]);
    let flushes = |kind| sum(scrape, "mmscope_tlb_flushes_total", &[("kind", kind)]);
    let windows = |labels: &[(&str, &str)]| sum(scrape, "mmscope_flush_window_seconds_count", labels);
    // Reclaim's have no gather that could be counted; the guests' tests compare them with the kernel's batches.
    let reclaimed = windows(&[("kind", "outer"), ("path", "reclaim")]);
    BTreeMap::from([
        ("windows", windows(&[("kind", "outer")]) - reclaimed),
        ("flushes", flushes("range") + flushes("page")),
        ("full flushes", flushes("full")),
        ("reads acquired", acquired("read", "acquired")),
        ("writes acquired", acquired("write", "acquired")),
        ("failed", acquired("read", "failed") + acquired("write", "failed")),
        ("reads released", held("read")),
        ("writes ended", held("write")),
        ("userfaults", sum(scrape, "mmscope_userfault_seconds_count", &[])),
        ("ioctls", sum(scrape, "mmscope_uffd_ioctl_seconds_count", &[])),
    ])
}

pub(crate) fn mismatches(scrape: &Scrape) -> i64 {
    scrape.sum("mmscope_kernel_pending_mismatch_total", &[]) as i64
}

/// What a counter with one label gained, by that label; what gained nothing is left out.
pub(crate) fn gained(before: &Scrape, after: &Scrape, metric: &str, label: &str) -> BTreeMap<String, i64> {
    let of = |scrape: &Scrape, name: &str| scrape.sum(metric, &[(label, name)]) as i64;
    let names = after.labels(metric, label).into_iter();
    names.map(|name| (name.clone(), of(after, &name) - of(before, &name))).filter(|(_, gained)| *gained != 0).collect()
}

/// Where a metric grew, for the person who looks for a difference.
pub(crate) fn growth(before: &Scrape, after: &Scrape, metric: &str) -> Vec<String> {
    let lines = |scrape: &Scrape| -> BTreeMap<String, f64> {
        let series = scrape.text.lines().filter(|line| line.starts_with(metric));
        series
            .filter_map(|line| line.rsplit_once(' '))
            .map(|(name, value)| (name.to_owned(), value.parse().unwrap_or(0.0)))
            .collect()
    };
    let old = lines(before);
    lines(after)
        .into_iter()
        .map(|(name, value)| (value - old.get(&name).unwrap_or(&0.0), name))
        .filter(|(grown, _)| *grown != 0.0)
        .map(|(grown, name)| format!("{name} +{grown}"))
        .collect()
}

//! The figures that are compared, each by what it takes from the counts of a block. Pure.

use probe_common::series::{
    FAULT, FAULT_REASONS, FLUSH_KINDS, HOLD, INNER, IOCTL, OPERATIONS, OUTER, PATHS, SHOOTDOWN, VMAS, WAIT,
};
use serde::Serialize;

use crate::{intake::Counts, report::series_names};

/// What a figure is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Unit {
    /// Events in a second.
    #[serde(rename = "per second")]
    PerSecond,
    /// Seconds in a second.
    #[serde(rename = "seconds per second")]
    Share,
    /// Nanoseconds of an event, on average.
    #[serde(rename = "nanoseconds")]
    Each,
}

type Of = Box<dyn Fn(&Counts) -> u64>;

/// A figure.
pub(super) struct Figure {
    pub(super) name: String,
    pub(super) unit: Unit,
    /// The family of metrics that it belongs to: compared only where both recordings could measure it.
    pub(super) family: &'static str,
    of: Of,
    /// By what the sum is divided, where it is not the time.
    by: Option<Of>,
}

impl Figure {
    /// Its value in a block of so many seconds; none where nothing happened that could have one.
    pub(super) fn value(&self, counts: &Counts, seconds: f64) -> Option<f64> {
        let sum = (self.of)(counts) as f64;
        match (&self.by, self.unit) {
            (Some(by), _) => match by(counts) {
                0 => None,
                events => Some(sum / events as f64),
            },
            (None, Unit::Share) => Some(sum / 1e9 / seconds),
            (None, _) => Some(sum / seconds),
        }
    }
}

fn rate(name: String, family: &'static str, of: impl Fn(&Counts) -> u64 + 'static) -> Figure {
    Figure { name, unit: Unit::PerSecond, family, of: Box::new(of), by: None }
}

fn share(name: String, family: &'static str, of: impl Fn(&Counts) -> u64 + 'static) -> Figure {
    Figure { name, unit: Unit::Share, family, of: Box::new(of), by: None }
}

/// Every figure.
pub(super) fn figures() -> Vec<Figure> {
    let mut all = Vec::new();
    for (series, name) in series_names() {
        let family = family(series);
        // An inner window is one of the outer ones.
        if !(INNER..WAIT).contains(&series) {
            all.push(rate(name.clone(), family, move |counts| counts.histogram(series).count()));
        }
        all.push(Figure {
            name,
            unit: Unit::Each,
            family,
            of: Box::new(move |counts| counts.histogram(series).sum_ns),
            by: Some(Box::new(move |counts| counts.histogram(series).count())),
        });
    }
    let operations = "mmscope_mmap_lock_operation_seconds_total";
    for (n, operation) in OPERATIONS.iter().enumerate() {
        all.push(share(format!("mmap_lock held by {operation}"), operations, move |counts| counts.hold_ns[n]));
        all.push(share(format!("mmap_lock waited for by {operation}"), operations, move |counts| counts.wait_ns[n]));
    }
    for (n, kind) in FLUSH_KINDS.iter().enumerate() {
        all.push(rate(format!("TLB flushes, {kind}"), "mmscope_tlb_flushes_total", move |counts| counts.flushes[n]));
    }
    all.push(rate("pages flushed".to_owned(), "mmscope_tlb_flush_pages_total", |counts| counts.flush_pages));
    for (n, what) in ["unwarranted", "warranted"].into_iter().enumerate() {
        let name = format!("forced flushes, {what}");
        all.push(rate(name, "mmscope_forced_flushes_total", move |counts| counts.forced[n]));
    }
    let name = "ranges flushed as the whole mm".to_owned();
    all.push(rate(name, "mmscope_tlb_escalations_total", |counts| counts.escalated.iter().sum()));
    for (n, what) in ["read", "read failed", "write", "write failed"].into_iter().enumerate() {
        let name = format!("mmap_lock acquisitions, {what}");
        all.push(rate(name, "mmscope_mmap_lock_acquisitions_total", move |counts| counts.acquisitions[n]));
    }
    all.push(rate("mprotect calls".to_owned(), "mmscope_mprotect_vmas", |counts| counts.histogram(VMAS).count()));
    for (n, what) in ["without a flush", "with a flush"].into_iter().enumerate() {
        all.push(rate(format!("page-table cycles {what}"), "mmscope_pte_cycles_total", move |counts| counts.cycles[n]));
    }
    let errors = "mmscope_uffd_ioctl_errors_total";
    all.push(rate("failed userfaultfd ioctls".to_owned(), errors, |counts| counts.errors.values().sum()));
    all
}

/// The family of a series of durations.
fn family(series: u32) -> &'static str {
    const FAULTS: u32 = FAULT + FAULT_REASONS.len() as u32;
    const REQUESTS: u32 = VMAS - 1;
    const WINDOWS: u32 = INNER + PATHS.len() as u32;
    match series {
        OUTER..WINDOWS => "mmscope_flush_window_seconds",
        WAIT..HOLD => "mmscope_mmap_lock_wait_seconds",
        HOLD..FAULT => "mmscope_mmap_lock_hold_seconds",
        FAULT..FAULTS => "mmscope_userfault_seconds",
        IOCTL..=REQUESTS => "mmscope_uffd_ioctl_seconds",
        SHOOTDOWN => "mmscope_tlb_shootdown_seconds",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::CATALOGUE;

    #[test]
    fn every_figure_has_a_name_of_its_own_and_a_family() {
        let figures = figures();
        for (n, figure) in figures.iter().enumerate() {
            assert!(CATALOGUE.iter().any(|family| family.name == figure.family), "{} {}", figure.name, figure.family);
            let is_same = |other: &Figure| other.name == figure.name && other.unit == figure.unit;
            assert!(!figures[..n].iter().any(is_same), "{}", figure.name);
        }
    }

    #[test]
    fn what_did_not_happen_has_no_length() {
        let figures = figures();
        let of = |unit: Unit| figures.iter().find(|figure| figure.name == "shootdown" && figure.unit == unit).unwrap();
        let counts = Counts::default();
        assert_eq!((of(Unit::PerSecond).value(&counts, 2.0), of(Unit::Each).value(&counts, 2.0)), (Some(0.0), None));
    }
}

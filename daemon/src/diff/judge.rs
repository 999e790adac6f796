//! Whether a figure differs between two recordings by more than chance and more than either varies in itself. Pure.
//!
//! Blocks of both are compared by the test of Mann and Whitney, which looks at their order only: a single wild block weighs no
//! more than any other. As many figures are compared, its result is corrected by Holm's method. That a difference is not chance
//! does not make it one of what was changed: within a recording too there are slow drifts. So it must also be larger than the
//! difference between the first and the second half of either recording, and than a bound of the user's.

use statrs::stats_tests::{
    Alternative,
    mannwhitneyu::{MannWhitneyUMethod, mannwhitneyu},
};

use super::{
    blocks::Blocks,
    figures::{Figure, Unit, figures},
};
use crate::{export, intake::Counts};

/// How likely it may be, of all figures together, that one is taken for different by chance.
const CHANCE: f64 = 0.01;
/// Blocks in which a mean must have a value.
const LEAST: usize = 10;
/// Below this share of one processor, in both recordings, time is nobody's concern: where a few microseconds a second went depends on
/// what was in the caches.
const SHARE: f64 = 1e-4;
/// Commands that are compared one by one: the most active of both.
const COMMS: usize = 20;
/// All commands together.
pub(super) const ALL: &str = "all";

/// A figure that differs.
#[derive(Clone, Debug)]
pub struct Difference {
    /// Whose: a command, or "all".
    pub comm: String,
    /// What.
    pub figure: String,
    /// Of what both values are.
    pub unit: Unit,
    /// In the first recording.
    pub before: f64,
    /// In the second one.
    pub after: f64,
    /// Largest difference between halves of one recording, as a part of it.
    pub noise: f64,
    /// How likely a difference like it would come by chance, among all figures that were compared.
    pub chance: f64,
}

impl Difference {
    /// By how much of the first value the second one differs; infinite where that was zero.
    #[must_use]
    pub fn change(&self) -> f64 {
        change(self.before, self.after)
    }

    fn matters(&self) -> bool {
        !matches!(self.unit, Unit::Share) || self.before.max(self.after) >= SHARE
    }
}

fn change(before: f64, after: f64) -> f64 {
    if before == after { 0.0 } else { (after - before) / before }
}

/// What was compared, and what of it differs.
pub struct Compared {
    /// The largest first.
    pub differences: Vec<Difference>,
    /// Figures that had anything in either recording.
    pub figures: usize,
    /// Figures of means that had a value in too few blocks.
    pub rare: usize,
}

/// Compares all figures of all commands; a difference below `least`, a part of the whole, is none.
#[must_use]
pub fn compare(before: &Blocks, after: &Blocks, least: f64) -> Compared {
    let figures = figures();
    let measured =
        |figure: &&Figure| [before, after].into_iter().all(|blocks| export::is_measured(figure.family, blocks.hooks()));
    let mut all = Vec::new();
    let mut rare = 0;
    for comm in comms(before, after) {
        let of = |blocks: &Blocks| blocks.cuts.iter().map(|cut| (counts(cut, &comm), cut.seconds)).collect::<Vec<_>>();
        let (of_before, of_after) = (of(before), of(after));
        for figure in figures.iter().filter(measured) {
            let values = |cuts: &[(Counts, f64)]| -> Vec<f64> {
                cuts.iter().filter_map(|(counts, seconds)| figure.value(counts, *seconds)).collect()
            };
            let (x, y) = (values(&of_before), values(&of_after));
            if x.iter().chain(&y).all(|value| *value == 0.0) {
                continue;
            }
            if x.len().min(y.len()) < LEAST {
                rare += 1;
                continue;
            }
            all.push(Difference {
                comm: comm.clone(),
                figure: figure.name.clone(),
                unit: figure.unit,
                before: mean(&x),
                after: mean(&y),
                noise: drift(&x).max(drift(&y)),
                chance: chance(&x, &y),
            });
        }
    }
    let figures = all.len();
    correct(&mut all);
    all.retain(|told| told.chance < CHANCE && told.change().abs() > least.max(told.noise) && told.matters());
    all.sort_by(|a, b| size(b).total_cmp(&size(a)));
    Compared { differences: all, figures, rare }
}

/// Twice as much and half as much are of one size.
fn size(difference: &Difference) -> f64 {
    (difference.after / difference.before).ln().abs()
}

fn comms(before: &Blocks, after: &Blocks) -> Vec<String> {
    let mut activity = before.activity();
    for (comm, more) in after.activity() {
        *activity.entry(comm).or_default() += more;
    }
    let mut comms: Vec<_> = activity.into_iter().collect();
    comms.sort_by_key(|(_, activity)| std::cmp::Reverse(*activity));
    std::iter::once(ALL).chain(comms.into_iter().take(COMMS).map(|(comm, _)| comm)).map(str::to_owned).collect()
}

fn counts(cut: &super::blocks::Cut, comm: &str) -> Counts {
    if comm != ALL {
        return cut.comms.get(comm).cloned().unwrap_or_default();
    }
    let mut all = Counts::default();
    cut.comms.values().for_each(|counts| all += counts);
    all
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

/// By how much the halves of one recording differ, as a part of the smaller one's value.
fn drift(values: &[f64]) -> f64 {
    let (first, second) = values.split_at(values.len() / 2);
    let (first, second) = (mean(first), mean(second));
    change(first.min(second), first.max(second))
}

/// How likely two samples of one kind would differ as much.
fn chance(x: &[f64], y: &[f64]) -> f64 {
    // Where all are the same nothing can be ranked.
    if x.iter().chain(y).all(|value| *value == x[0]) {
        return 1.0;
    }
    let tested = mannwhitneyu(x, y, MannWhitneyUMethod::AsymptoticInclContinuityCorrection, Alternative::TwoSided);
    tested.map_or(1.0, |(_, chance)| chance)
}

/// Holm: the least likely one of n is taken n times, the next one n - 1 times.
fn correct(all: &mut [Difference]) {
    all.sort_by(|a, b| a.chance.total_cmp(&b.chance));
    let mut least = 0.0_f64;
    let count = all.len();
    for (n, told) in all.iter_mut().enumerate() {
        least = least.max((told.chance * (count - n) as f64).min(1.0));
        told.chance = least;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_overlaps_is_chance_and_what_lies_apart_is_not() {
        let low: Vec<f64> = (0..20).map(f64::from).collect();
        let high: Vec<f64> = (30..50).map(f64::from).collect();
        assert!(chance(&low, &high) < 1e-6);
        assert!(chance(&low, &low) > 0.9);
        assert_eq!(chance(&[3.0; 20], &[3.0; 20]), 1.0);
    }

    #[test]
    fn a_drift_is_the_same_up_and_down() {
        assert_eq!((drift(&[1.0, 1.0, 2.0, 2.0]), drift(&[2.0, 2.0, 1.0, 1.0])), (1.0, 1.0));
        assert_eq!((drift(&[0.0, 0.0]), drift(&[0.0, 1.0])), (0.0, f64::INFINITY));
    }

    #[test]
    fn the_more_is_compared_the_less_likely_each_must_be() {
        let told = |chance: f64| Difference {
            comm: String::new(),
            figure: String::new(),
            unit: Unit::Each,
            before: 1.0,
            after: 2.0,
            noise: 0.0,
            chance,
        };
        let mut all = [told(0.04), told(0.01), told(0.03)];
        correct(&mut all);
        let corrected: Vec<_> = all.iter().map(|told| (told.chance * 100.0).round()).collect();
        assert_eq!(corrected, [3.0, 6.0, 6.0]);
    }
}

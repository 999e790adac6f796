//! What is usual for one figure of one subject: the median of its own last looks, and how far from it the others lie. Robust: up
//! to half of the looks may be as unusual as they like. Pure.

/// How many of a history's looks pass before its median is taken anew.
const STALE: usize = 16;

/// The last looks of a figure.
#[derive(Debug)]
pub(super) struct Baseline {
    /// A ring.
    values: Vec<f32>,
    next: usize,
    since_taken: usize,
    usual: Option<Usual>,
}

/// What is usual.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Usual {
    pub(super) median: f32,
    /// Median distance from the median.
    pub(super) spread: f32,
}

impl Usual {
    /// Whether a value is so many times what is usual, and so many times as far from it as others are: what varies by nature
    /// is not unusual for that.
    pub(super) fn is_exceeded(self, value: f32, factor: f32) -> bool {
        value > factor * self.median && value > self.median + factor * self.spread
    }
}

impl Baseline {
    pub(super) fn new() -> Self {
        Self { values: Vec::new(), next: 0, since_taken: 0, usual: None }
    }

    /// Looks that are remembered.
    pub(super) fn looks(&self) -> usize {
        self.values.len()
    }

    /// What is usual; none before there were so many looks.
    pub(super) fn usual(&mut self, warm_up: usize) -> Option<Usual> {
        if self.values.len() < warm_up.max(1) {
            return None;
        }
        if self.usual.is_none() || self.since_taken >= self.values.len() / STALE {
            self.since_taken = 0;
            let mut values = self.values.clone();
            let median = median(&mut values);
            values.iter_mut().for_each(|value| *value = (*value - median).abs());
            self.usual = Some(Usual { median, spread: self::median(&mut values) });
        }
        self.usual
    }

    /// Adds a look; of more than `room` the oldest is forgotten.
    pub(super) fn add(&mut self, value: f32, room: usize) {
        self.since_taken += 1;
        if self.values.len() < room {
            self.values.push(value);
        } else if let Some(oldest) = self.values.get_mut(self.next) {
            *oldest = value;
            self.next = (self.next + 1) % room;
        }
    }
}

/// The upper one of two: an exact half of unusual looks is not yet the rule.
fn median(values: &mut [f32]) -> f32 {
    let middle = values.len() / 2;
    *values.select_nth_unstable_by(middle, f32::total_cmp).1
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(values: impl IntoIterator<Item = f32>, room: usize) -> Baseline {
        let mut baseline = Baseline::new();
        values.into_iter().for_each(|value| baseline.add(value, room));
        baseline
    }

    #[test]
    fn nothing_is_usual_before_the_warm_up() {
        let mut baseline = of([1.0; 9], 20);
        assert_eq!(baseline.usual(10), None);
        baseline.add(1.0, 20);
        assert_eq!(baseline.usual(10), Some(Usual { median: 1.0, spread: 0.0 }));
    }

    #[test]
    fn outliers_do_not_become_usual_and_a_new_level_does() {
        let mut baseline = of((0..100).map(|n| if n % 3 == 0 { 1e6 } else { 10.0 }), 100);
        assert_eq!(baseline.usual(1).unwrap().median, 10.0);
        for _ in 0..60 {
            baseline.add(1e6, 100);
        }
        assert_eq!(baseline.usual(1).unwrap().median, 1e6);
        assert_eq!(baseline.looks(), 100);
    }

    #[test]
    fn what_varies_by_nature_needs_more() {
        let steady = of([10.0; 50], 50).usual(1).unwrap();
        let wild = of((0..50).map(|n| [1.0, 10.0, 100.0][n % 3]), 50).usual(1).unwrap();
        assert_eq!((steady.median, wild.median), (10.0, 10.0));
        assert!(steady.is_exceeded(51.0, 5.0) && !steady.is_exceeded(50.0, 5.0));
        assert!(!wild.is_exceeded(54.0, 5.0) && wild.is_exceeded(500.0, 5.0), "{wild:?}");
    }

    proptest! {
        /// The median that is told is that of a time not long ago, and the room is kept.
        #[test]
        fn the_room_is_kept_and_the_median_is_one_of_the_values(
            values in prop::collection::vec(0.0_f32..1e9, 1..300),
            room in 1..100_usize,
        ) {
            let mut baseline = Baseline::new();
            for value in &values {
                baseline.add(*value, room);
                prop_assert!(baseline.looks() <= room);
                let usual = baseline.usual(1).unwrap();
                prop_assert!(values.contains(&usual.median) && usual.spread >= 0.0);
            }
            baseline.usual = None;
            let mut last: Vec<f32> = values.iter().rev().take(room).copied().collect();
            prop_assert_eq!(baseline.usual(1).unwrap().median, median(&mut last));
        }
    }
}

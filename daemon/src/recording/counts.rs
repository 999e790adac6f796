//! [`Counts`] on disk: only what is not zero, by numbers of our own, so that its fields may come and move.

use serde::{Deserialize, Serialize};

use probe_common::series::IOCTLS;

use crate::intake::{Counts, Histogram};

/// Filled buckets, with what is in them.
type Buckets = Vec<(u8, u64)>;

/// On disk: numbers by field and index, histograms by series, errors by request and errno.
#[derive(Debug, Default, Deserialize, PartialEq, Serialize)]
pub(super) struct Sparse {
    #[serde(rename = "n", default, skip_serializing_if = "Vec::is_empty")]
    numbers: Vec<(u8, u8, u64)>,
    #[serde(rename = "h", default, skip_serializing_if = "Vec::is_empty")]
    histograms: Vec<(u8, u64, Buckets)>,
    #[serde(rename = "e", default, skip_serializing_if = "Vec::is_empty")]
    errors: Vec<(u16, u16, u64)>,
}

/// Most that a count can be, far beyond what it is (a minute of ten thousand threads is 2^49 nanoseconds). More would overflow sums.
pub(super) const MOST: u64 = 1 << 52;

pub(super) fn counted(number: u64) -> Result<u64, String> {
    if number <= MOST { Ok(number) } else { Err(format!("{number} is more than can be counted")) }
}

/// One number, or several.
trait Numbers {
    fn numbers(&self) -> &[u64];
    fn numbers_mut(&mut self) -> &mut [u64];
}

impl Numbers for u64 {
    fn numbers(&self) -> &[u64] {
        std::slice::from_ref(self)
    }

    fn numbers_mut(&mut self) -> &mut [u64] {
        std::slice::from_mut(self)
    }
}

impl<const N: usize> Numbers for [u64; N] {
    fn numbers(&self) -> &[u64] {
        self
    }

    fn numbers_mut(&mut self) -> &mut [u64] {
        self
    }
}

/// Numbers on disk of the fields of [`Counts`]. One that was used is never used for something else.
macro_rules! fields {
    ($($number:literal $field:ident,)*) => {
        fn numbers(counts: &Counts) -> Vec<(u8, u8, u64)> {
            // A field that is missing here does not compile.
            let Counts { $($field,)* histograms: _, errors: _ } = counts;
            let fields = [$(($number, $field.numbers()),)*];
            let each = |(field, numbers): (u8, &[u64])| -> Vec<(u8, u8, u64)> {
                let numbers = numbers.iter().enumerate().filter(|(_, number)| **number != 0);
                numbers.map(|(index, number)| (field, index as u8, *number)).collect()
            };
            fields.into_iter().flat_map(each).collect()
        }

        fn field(counts: &mut Counts, number: u8) -> &mut [u64] {
            match number {
                $($number => counts.$field.numbers_mut(),)*
                _ => &mut [],
            }
        }
    };
}

fields! {
    1 acquisitions,
    2 flushes,
    3 flush_pages,
    4 forced,
    5 escalated,
    6 stale_writes,
    7 cycles,
    8 generations,
    9 changes,
    10 refaults,
    11 shootdowns,
    12 shootdown_cpus,
    13 waits_begun,
    14 waits_ended,
    15 downgrade_ns,
    16 windows_opened,
    17 windows_closed,
    18 faults_begun,
    19 faults_ended,
    20 wait_ns,
    21 hold_ns,
}

impl Sparse {
    pub(super) fn of(counts: &Counts) -> Self {
        let filled = |histogram: &Histogram| {
            let buckets = histogram.buckets.iter().enumerate().filter(|(_, count)| **count != 0);
            buckets.map(|(bucket, count)| (bucket as u8, *count)).collect()
        };
        Self {
            numbers: numbers(counts),
            histograms: counts
                .histograms()
                .map(|(series, histogram)| (series as u8, histogram.sum_ns, filled(histogram)))
                .collect(),
            errors: counts.errors.iter().map(|(&(request, errno), &count)| (request, errno, count)).collect(),
        }
    }

    pub(super) fn counts(&self) -> Result<Counts, String> {
        let mut counts = Counts::default();
        for &(number, index, value) in &self.numbers {
            let place = field(&mut counts, number).get_mut(usize::from(index));
            *place.ok_or_else(|| format!("there is no count {number}[{index}]"))? = counted(value)?;
        }
        for (series, sum_ns, buckets) in &self.histograms {
            if usize::from(*series) >= probe_common::series::COUNT {
                return Err(format!("there is no series {series}"));
            }
            let mut histogram = Histogram { sum_ns: counted(*sum_ns)?, ..Histogram::default() };
            for &(bucket, count) in buckets {
                let place = histogram.buckets.get_mut(usize::from(bucket));
                *place.ok_or_else(|| format!("there is no bucket {bucket}"))? = counted(count)?;
            }
            counts.add_histogram(u32::from(*series), &histogram);
        }
        for &(request, errno, count) in &self.errors {
            if usize::from(request) >= IOCTLS.len() {
                return Err(format!("there is no ioctl {request}"));
            }
            counts.errors.insert((request, errno), counted(count)?);
        }
        Ok(counts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_is_refused() {
        let sparse = |numbers, histograms| Sparse { numbers, histograms, errors: Vec::new() };
        for (number, index) in [(0, 0), (200, 0), (2, 3), (3, 1)] {
            assert!(sparse(vec![(number, index, 5)], vec![]).counts().is_err(), "{number}[{index}]");
        }
        assert!(sparse(vec![], vec![(99, 0, vec![])]).counts().is_err());
        assert!(sparse(vec![], vec![(0, 0, vec![(27, 1)])]).counts().is_err());
        assert!(sparse(vec![(2, 2, MOST + 1)], vec![]).counts().is_err());
        assert!(sparse(vec![], vec![(0, MOST + 1, vec![])]).counts().is_err());
        assert!(sparse(vec![], vec![(0, 0, vec![(26, MOST + 1)])]).counts().is_err());
        let errors = |request, count| Sparse { errors: vec![(request, 11, count)], ..Sparse::default() };
        assert!(errors(0, MOST + 1).counts().is_err() && errors(IOCTLS.len() as u16, 1).counts().is_err());
        assert!(errors(IOCTLS.len() as u16 - 1, MOST).counts().is_ok());
        assert_eq!(sparse(vec![(2, 2, 5)], vec![]).counts().unwrap().flushes, [0, 0, 5]);
    }
}

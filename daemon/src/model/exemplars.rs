//! Single events that stand for the buckets into which they fell. Pure; the time is passed in.

use std::{
    fmt,
    time::{Duration, SystemTime},
};

use probe_common::{
    event::Record,
    series::{FAULT, FAULT_REASONS, HOLD, INNER, OUTER, SHOOTDOWN, WAIT},
};

use crate::intake::Histogram;

/// Kept for each histogram: the latest of each bucket, and the latest of these.
const PER_HISTOGRAM: usize = 10;
/// How long one is kept.
const AGE: Duration = Duration::from_secs(5 * 60);

/// What leads from an exemplar to the log line of its record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordId {
    begin_ns: u64,
    tid: u32,
    series: u32,
}

impl From<&Record> for RecordId {
    fn from(record: &Record) -> Self {
        Self { begin_ns: record.begin_ns, tid: record.tid, series: record.series }
    }
}

/// No thread begins two events of one series at once.
impl fmt::Display for RecordId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}-{:x}-{:x}", self.begin_ns, self.tid, self.series)
    }
}

/// A single event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exemplar {
    /// Which record it is.
    pub id: RecordId,
    /// Process.
    pub tgid: u32,
    /// What the thread was doing, see `probe_common::series::OPERATIONS`.
    pub operation: u32,
    /// How long, nanoseconds.
    pub duration_ns: u64,
    /// When it ended.
    pub end: SystemTime,
}

impl Exemplar {
    /// What a record stands for, if it is one of a histogram's events; `end` is when it ended.
    #[must_use]
    pub fn of(record: &Record, end: SystemTime) -> Option<Self> {
        let is_counted = matches!(
            record.series,
            OUTER..INNER | WAIT..HOLD | HOLD..FAULT | SHOOTDOWN
        ) || (FAULT..FAULT + FAULT_REASONS.len() as u32).contains(&record.series);
        is_counted.then(|| Self {
            id: record.into(),
            tgid: record.tgid,
            operation: record.operation,
            duration_ns: record.duration_ns,
            end,
        })
    }

    /// Thread.
    #[must_use]
    pub fn tid(&self) -> u32 {
        self.id.tid
    }

    /// The bucket into which it fell.
    #[must_use]
    pub fn bucket(&self) -> usize {
        Histogram::bucket(self.duration_ns)
    }

    fn place(&self) -> (u32, usize) {
        (self.id.series, self.bucket())
    }
}

/// The exemplars of one subject, by series and bucket.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exemplars(Vec<Exemplar>);

impl Exemplars {
    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Those of one histogram, by bucket.
    #[must_use]
    pub fn of(&self, series: u32) -> &[Exemplar] {
        let from = self.0.partition_point(|known| known.id.series < series);
        let to = self.0.partition_point(|known| known.id.series <= series);
        &self.0[from..to]
    }

    /// Takes the place of the one in the same bucket, if it is not older.
    pub fn add(&mut self, new: Exemplar) {
        match self.0.binary_search_by_key(&new.place(), Exemplar::place) {
            Ok(at) if self.0[at].end <= new.end => self.0[at] = new,
            Ok(_) => {}
            Err(at) => {
                self.0.insert(at, new);
                if self.of(new.id.series).len() > PER_HISTOGRAM {
                    self.remove_oldest(new.id.series);
                }
            }
        }
    }

    fn remove_oldest(&mut self, series: u32) {
        let of_series = self.0.iter().enumerate().filter(|(_, known)| known.id.series == series);
        if let Some((at, _)) = of_series.min_by_key(|(_, known)| known.end) {
            self.0.remove(at);
        }
    }

    /// Takes those of another subject that is not told apart any more.
    pub fn merge(&mut self, other: Self) {
        other.0.into_iter().for_each(|exemplar| self.add(exemplar));
    }

    /// Forgets what is too old, or lies in the future of a clock that was set back.
    pub fn expire(&mut self, now: SystemTime) {
        self.0.retain(|known| now.duration_since(known.end).is_ok_and(|age| age <= AGE));
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use probe_common::event::STALE_WRITE;
    use zerocopy::FromZeros as _;

    use super::*;

    pub(crate) fn record(series: u32, begin_ns: u64, duration_ns: u64) -> Record {
        Record { series, tgid: 7, tid: 8, operation: 1, begin_ns, duration_ns, ..Record::new_zeroed() }
    }

    fn at(second: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(second)
    }

    fn exemplar(series: u32, duration_ns: u64, second: u64) -> Exemplar {
        Exemplar::of(&record(series, second, duration_ns), at(second)).unwrap()
    }

    #[test]
    fn the_latest_of_each_bucket_stays() {
        let mut kept = Exemplars::default();
        for (duration_ns, second) in [(300, 1), (400, 3), (350, 2), (600, 1)] {
            kept.add(exemplar(HOLD, duration_ns, second));
        }
        kept.add(exemplar(WAIT, 300, 9));
        let told: Vec<_> = kept.of(HOLD).iter().map(|exemplar| (exemplar.bucket(), exemplar.duration_ns)).collect();
        assert_eq!(told, [(1, 400), (2, 600)]);
        assert_eq!(kept.of(WAIT).len(), 1);
        assert!(kept.of(HOLD + 1).is_empty());
    }

    #[test]
    fn a_histogram_keeps_its_ten_latest() {
        let mut kept = Exemplars::default();
        kept.add(exemplar(WAIT, 1, 0));
        for n in 0..20 {
            kept.add(exemplar(HOLD, 1 << (8 + n), 100 - n));
        }
        let seconds: Vec<_> = kept.of(HOLD).iter().map(|exemplar| exemplar.end).collect();
        assert_eq!(seconds, (0..10).map(|n| at(100 - n)).collect::<Vec<_>>());
        assert_eq!(kept.of(WAIT).len(), 1, "the bound is one of each histogram");
    }

    #[test]
    fn old_ones_are_forgotten() {
        let mut kept = Exemplars::default();
        kept.add(exemplar(HOLD, 300, 100));
        kept.add(exemplar(HOLD, 600, 200));
        kept.expire(at(400));
        assert_eq!(kept.of(HOLD).len(), 2, "as old as may be");
        kept.expire(at(401));
        assert_eq!(kept.of(HOLD).len(), 1);
        kept.expire(at(0));
        assert!(kept.is_empty(), "the clock was set back");
    }

    #[test]
    fn only_events_of_histograms_stand_for_one() {
        let is_one = |series| Exemplar::of(&record(series, 1, 2), at(3)).is_some();
        assert!(
            [OUTER, INNER - 1, WAIT, WAIT + 1, HOLD, HOLD + 1, FAULT, FAULT + 2, SHOOTDOWN].into_iter().all(is_one)
        );
        assert!(![INNER, WAIT - 1, FAULT + 3, SHOOTDOWN + 1, STALE_WRITE].into_iter().any(is_one));
    }

    #[test]
    fn the_id_tells_records_apart() {
        let id = |series, begin_ns| RecordId::from(&record(series, begin_ns, 5)).to_string();
        assert_eq!(id(20, 255), "ff-8-14");
        assert_ne!(id(HOLD, 255), id(WAIT, 255));
    }
}

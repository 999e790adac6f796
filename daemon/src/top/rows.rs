//! The table of subjects: which columns there are, who is in it, in which order. Pure.

use std::{cmp::Ordering, collections::BTreeMap, time::Duration};

use super::told::{Active, Overview, Sums};
use crate::identity::Subject;

/// What a column tells, and what rows are sorted by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Column {
    /// Time in outer windows.
    #[default]
    Windows,
    /// Time for which mmap_lock was held.
    Held,
    /// Time for which it was waited for.
    Waited,
    /// Forced flushes.
    Forced,
    /// Time that threads waited for a userfaultfd handler.
    Faults,
    /// Hazards, since the start whatever the period.
    Hazards,
}

impl Column {
    /// From left to right.
    pub(super) const ALL: [Self; 6] =
        [Self::Windows, Self::Held, Self::Waited, Self::Forced, Self::Faults, Self::Hazards];

    /// Its head.
    pub(super) fn title(self) -> &'static str {
        ["WINDOWS", "HELD", "WAITED", "FORCED", "UFAULTS", "HAZARDS"][self as usize]
    }

    /// Its name where the page tells what is not measured; hazards always are.
    pub(super) fn measure(self) -> Option<&'static str> {
        [Some("windows"), Some("hold"), Some("wait"), Some("forced"), Some("userfaults"), None][self as usize]
    }

    /// Whether it is measured on this kernel.
    pub(super) fn is_there(self, told: &Overview) -> bool {
        self.measure().is_none_or(|measure| !told.subjects.not_measured.contains_key(measure))
    }

    /// Whether it is a number, and not a time.
    pub(super) fn is_count(self) -> bool {
        matches!(self, Self::Forced | Self::Hazards)
    }

    /// Its figure; none for hazards, which are no sum of a period.
    pub(super) fn of(self, sums: &Sums) -> Option<u64> {
        match self {
            Self::Windows => sums.windows_ns,
            Self::Held => sums.hold_ns,
            Self::Waited => sums.wait_ns,
            Self::Forced => sums.forced_flushes,
            Self::Faults => sums.userfaults_ns,
            Self::Hazards => None,
        }
    }
}

/// Of which time the figures are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Period {
    /// The last 15 minutes.
    #[default]
    Recent,
    /// Since the start.
    Start,
    /// Between the last two answers, in each second.
    Now,
}

impl Period {
    /// The one after it, round about.
    pub(super) fn next(self) -> Self {
        match self {
            Self::Recent => Self::Start,
            Self::Start => Self::Now,
            Self::Now => Self::Recent,
        }
    }
}

/// One subject.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Row {
    pub(super) subject: Subject,
    /// By [`Column`]; none: not measured, or not told.
    pub(super) cells: [Option<u64>; Column::ALL.len()],
}

/// What was added between two answers.
#[derive(Clone, Debug, Default)]
pub(super) struct Rates {
    pub(super) length: Duration,
    by_subject: BTreeMap<Subject, Sums>,
}

impl Rates {
    /// None between two runs, or two answers of one moment. "other" has none: who loses a place takes all its sums there at once.
    pub(super) fn between(before: &Overview, now: &Overview) -> Option<Self> {
        let length = now.host.uptime_ms.checked_sub(before.host.uptime_ms).filter(|length| *length > 0)?;
        if before.host.run != now.host.run {
            return None;
        }
        let then: BTreeMap<&Subject, &Sums> =
            before.subjects.rows.iter().filter_map(|row| Some((&row.subject, row.total.as_ref()?))).collect();
        let added = |row: &Active| {
            let (then, now) = (then.get(&row.subject)?, row.total.as_ref()?);
            Some((row.subject.clone(), difference(then, now, length)))
        };
        let told = now.subjects.rows.iter().filter(|row| !row.subject.is_other());
        Some(Self { length: Duration::from_millis(length), by_subject: told.filter_map(added).collect() })
    }
}

fn difference(then: &Sums, now: &Sums, ms: u64) -> Sums {
    let each_second = |then: Option<u64>, now: Option<u64>| {
        // A sum that went back is one of another place of the same name.
        let added = now?.checked_sub(then?)?;
        Some((added as f64 * 1_000.0 / ms as f64).round() as u64)
    };
    Sums {
        windows_ns: each_second(then.windows_ns, now.windows_ns),
        hold_ns: each_second(then.hold_ns, now.hold_ns),
        wait_ns: each_second(then.wait_ns, now.wait_ns),
        forced_flushes: each_second(then.forced_flushes, now.forced_flushes),
        userfaults_ns: each_second(then.userfaults_ns, now.userfaults_ns),
    }
}

/// Which rows, and how.
#[derive(Clone, Debug, Default)]
pub(super) struct Order {
    pub(super) by: Column,
    pub(super) is_reversed: bool,
    pub(super) period: Period,
    /// Part of a command or of a cgroup, whatever the case.
    pub(super) filter: String,
}

impl Order {
    /// What is sorted by: what was asked for, or the first that there is here.
    pub(super) fn by(&self, told: &Overview) -> Column {
        std::iter::once(self.by).chain(Column::ALL).find(|column| column.is_there(told)).unwrap_or(self.by)
    }

    /// Sorts by the next column to the right that there is here, or to the left, round about.
    pub(super) fn step(&mut self, told: &Overview, is_left: bool) {
        let (from, count) = (self.by(told) as usize, Column::ALL.len());
        let at = |steps: usize| Column::ALL[(from + if is_left { count - steps } else { steps }) % count];
        self.by = (1..=count).map(at).find(|column| column.is_there(told)).unwrap_or(self.by);
    }
}

/// The rows of an answer, those without any figure left out.
pub(super) fn rows(told: &Overview, rates: Option<&Rates>, order: &Order) -> Vec<Row> {
    let filter = order.filter.to_lowercase();
    let is_wanted = |subject: &Subject| {
        subject.comm.to_lowercase().contains(&filter) || subject.cgroup.to_lowercase().contains(&filter)
    };
    let row = |active: &Active| {
        let sums = match order.period {
            Period::Recent => active.recent,
            Period::Start => active.total?,
            Period::Now => *rates?.by_subject.get(&active.subject)?,
        };
        let cell = |column: Column| match column {
            Column::Hazards => Some(active.hazards),
            column => column.of(&sums).filter(|_| column.is_there(told)),
        };
        let cells = Column::ALL.map(cell);
        cells.iter().any(|cell| cell.unwrap_or(0) > 0).then(|| Row { subject: active.subject.clone(), cells })
    };
    let mut rows: Vec<Row> =
        told.subjects.rows.iter().filter(|active| is_wanted(&active.subject)).filter_map(row).collect();
    let by = order.by(told);
    rows.sort_by(|a, b| compared(a, b, by, order.is_reversed));
    rows
}

fn compared(a: &Row, b: &Row, by: Column, is_reversed: bool) -> Ordering {
    // What is not measured is below all that is.
    let by = by as usize;
    let sorted = b.cells[by].cmp(&a.cells[by]);
    let sorted = if is_reversed { sorted.reverse() } else { sorted };
    sorted.then_with(|| a.subject.cmp(&b.subject))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::top::fixture;

    fn names(told: &Overview, rates: Option<&Rates>, order: &Order) -> Vec<String> {
        rows(told, rates, order).into_iter().map(|row| row.subject.comm).collect()
    }

    #[test]
    fn rows_are_sorted_by_any_column_and_ties_by_name() {
        let told = fixture::overview();
        let sorted = |by, is_reversed| names(&told, None, &Order { by, is_reversed, ..Order::default() });
        assert_eq!(sorted(Column::Windows, false), ["postgres", "java", "cc1", "other"]);
        assert_eq!(sorted(Column::Windows, true), ["other", "cc1", "java", "postgres"]);
        assert_eq!(sorted(Column::Waited, false), ["java", "postgres", "cc1", "other"]);
        assert_eq!(sorted(Column::Hazards, false), ["java", "cc1", "other", "postgres"]);
    }

    #[test]
    fn a_filter_looks_at_commands_and_cgroups() {
        let told = fixture::overview();
        let filtered = |filter: &str| names(&told, None, &Order { filter: filter.to_owned(), ..Order::default() });
        assert_eq!(filtered("POST"), ["postgres"]);
        assert_eq!(filtered("system.slice"), ["postgres", "java"]);
        assert!(filtered("nobody").is_empty());
    }

    #[test]
    fn since_the_start_who_is_part_of_other_has_no_row() {
        let told = fixture::overview();
        let order = Order { period: Period::Start, ..Order::default() };
        assert_eq!(names(&told, None, &order), ["postgres", "java", "other"]);
    }

    #[test]
    fn what_is_not_measured_has_no_figure() {
        let mut told = fixture::overview();
        told.subjects.not_measured.insert("windows".to_owned(), "the hook is absent".to_owned());
        let mut order = Order::default();
        let rows = rows(&told, None, &order);
        assert!(rows.iter().all(|row| row.cells[0].is_none() && row.cells[1].is_some()));
        assert_eq!((order.by(&told), rows[0].subject.comm.as_str()), (Column::Held, "postgres"));
        order.step(&told, true);
        assert_eq!(order.by, Column::Hazards, "round about, past what is absent");
        order.step(&told, false);
        assert_eq!(order.by, Column::Held);
    }

    #[test]
    fn rates_are_differences_of_one_run_by_the_second() {
        let before = fixture::overview();
        let mut now = before.clone();
        now.host.uptime_ms += 2_000;
        let total = now.subjects.rows[0].total.as_mut().unwrap();
        total.hold_ns = total.hold_ns.map(|ns| ns + 3_000);
        let rates = Rates::between(&before, &now).unwrap();
        assert_eq!(rates.length, Duration::from_secs(2));
        let order = Order { period: Period::Now, ..Order::default() };
        let told = rows(&now, Some(&rates), &order);
        let postgres = told.iter().find(|row| row.subject.comm == "postgres").unwrap();
        assert_eq!(postgres.cells[1], Some(1_500));
        assert!(told.iter().all(|row| row.subject.comm != "other"));
        assert!(names(&now, None, &order).is_empty(), "nothing to compare with yet");
        assert!(Rates::between(&before, &before).is_none(), "no time has passed");
        now.host.run = Some(7.0);
        assert!(Rates::between(&before, &now).is_none(), "another run");
    }
}

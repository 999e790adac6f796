//! Histograms over time: a column for at least five seconds, the last 15 minutes of them.

use std::{collections::VecDeque, time::Duration};

use probe_common::histogram::BUCKETS;

use super::{Hazards, Heat};

/// How far back columns go.
pub const SPAN: Duration = Duration::from_secs(15 * 60);
/// A column is closed by the first tick that makes it so long. Where ticks are longer each has a column of its own.
const WIDTH: Duration = Duration::from_secs(5);
/// Most columns that can be in the span.
const COLUMNS: usize = (SPAN.as_secs() / WIDTH.as_secs()) as usize + 2;

/// What was added in some time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// Uptime at its beginning.
    pub from: Duration,
    /// Uptime at its end.
    pub to: Duration,
    /// Whether these durations were measured all the time, by [`Heat`].
    pub measured: [bool; Heat::ALL.len()],
    /// Events by [`Heat`] and by bucket of `probe_common::histogram`.
    pub buckets: [[u32; BUCKETS]; Heat::ALL.len()],
    /// Hazards by class.
    pub hazards: Hazards,
}

#[derive(Default)]
pub(super) struct Columns(VecDeque<Column>);

impl Columns {
    /// The column of what was added between these two uptimes.
    pub(super) fn at(&mut self, from: Duration, to: Duration, measured: [bool; Heat::ALL.len()]) -> &mut Column {
        while self.0.front().is_some_and(|column| column.to + SPAN <= to) || self.0.len() > COLUMNS {
            self.0.pop_front();
        }
        let is_open = self.0.back().is_some_and(|column| column.to.saturating_sub(column.from) < WIDTH);
        let mut column = match self.0.pop_back() {
            Some(open) if is_open => open,
            closed => {
                self.0.extend(closed);
                let (buckets, hazards) = Default::default();
                Column { from, to, measured, buckets, hazards }
            }
        };
        column.to = to;
        for (all, now) in column.measured.iter_mut().zip(measured) {
            *all &= now;
        }
        self.0.push_back(column);
        let last = self.0.len() - 1;
        &mut self.0[last]
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Column> {
        self.0.iter()
    }
}

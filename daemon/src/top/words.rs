//! Numbers as the columns of a terminal have them, and little charts. Pure text.

use std::time::Duration;

use super::told;
use crate::{terminal, web};

/// In place of what cannot be measured, or is not told.
pub(super) const ABSENT: &str = "n/a";

/// From this on a duration is told in hours.
const LONG_NS: u64 = 10_000_000_000_000;

/// A duration, at most eight columns wide.
pub(super) fn time(ns: u64) -> String {
    match ns {
        0 => "0".to_owned(),
        LONG_NS.. => format!("{:.1}h", ns as f64 / 3.6e12),
        _ => terminal::time(ns),
    }
}

/// A number, at most seven columns wide.
pub(super) fn count(number: u64) -> String {
    match number {
        0..10_000_000 => number.to_string(),
        10_000_000..1_000_000_000 => format!("{:.1}M", number as f64 / 1e6),
        1_000_000_000..1_000_000_000_000 => format!("{:.1}G", number as f64 / 1e9),
        _ => format!("{:.0}G", number as f64 / 1e9),
    }
}

/// A long time in two units, as the page has it, with the spaces of a terminal.
pub(super) fn span(time: Duration) -> String {
    web::span(time).replace(web::THIN, " ")
}

/// Bytes, in MiB.
pub(super) fn bytes(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}

/// A part of a whole.
pub(super) fn percent(part: f64) -> String {
    format!("{:.2} %", part * 100.0)
}

/// Upper bound of the bucket in which a part of all events lies.
pub(super) fn quantile(buckets: &[u64], part: f64) -> String {
    terminal::quantile(&told::histogram(buckets), part)
}

/// The end of a text that is too long, since the end of a cgroup's path tells most; `…` stands for the rest.
pub(super) fn tail(text: &str, width: usize, glyphs: Glyphs) -> String {
    let length = text.chars().count();
    if length <= width {
        return text.to_owned();
    }
    let end: String = text.chars().skip(length - width.saturating_sub(1)).collect();
    let whole = if glyphs == Glyphs::Ascii { format!("~{end}") } else { format!("…{end}") };
    whole.chars().take(width).collect()
}

/// The beginning of a text that is too long.
pub(super) fn head(text: &str, width: usize, glyphs: Glyphs) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let mut start: String = text.chars().take(width.saturating_sub(1)).collect();
    start.push(if glyphs == Glyphs::Ascii { '~' } else { '…' });
    start.chars().take(width).collect()
}

/// What little charts and marks are made of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Glyphs {
    /// Block elements.
    #[default]
    Blocks,
    /// For a locale that is not of UTF-8.
    Ascii,
}

impl Glyphs {
    /// From nothing to the most.
    fn levels(self) -> [char; 9] {
        match self {
            Self::Blocks => [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'],
            Self::Ascii => [' ', '.', ':', '-', '=', '+', '*', '#', '@'],
        }
    }

    /// Between two things of a line.
    pub(super) fn dot(self) -> &'static str {
        if self == Self::Ascii { "|" } else { "·" }
    }

    /// At the head of the column that rows are sorted by.
    pub(super) fn sorted(self, is_reversed: bool) -> &'static str {
        match (self, is_reversed) {
            (Self::Blocks, false) => "▼",
            (Self::Blocks, true) => "▲",
            (Self::Ascii, false) => "v",
            (Self::Ascii, true) => "^",
        }
    }

    /// A column for each value, as high as its logarithm: one event among a million is seen. Nothing alone is a space.
    pub(super) fn spark(self, values: &[u64]) -> String {
        let levels = self.levels();
        let most = values.iter().copied().max().unwrap_or_default() as f64;
        let level = |value: u64| match value {
            0 => 0,
            // A single bucket's events are all there are.
            value => ((value as f64 + 1.0).ln() / (most + 1.0).ln() * 8.0).ceil().clamp(1.0, 8.0) as usize,
        };
        values.iter().map(|&value| levels[level(value)]).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_fit_their_columns() {
        let times =
            [0, 1, 999, 1_500, 65_536, 2_000_000, 9_999_900_000_000, 10_000_000_000_000, u64::MAX / 2].map(time);
        assert_eq!(times[..6], ["0", "1ns", "999ns", "1.5us", "65.5us", "2.0ms"]);
        assert_eq!(times[6..8], ["9999.9s", "2.8h"]);
        assert!(times[..8].iter().all(|text| text.len() <= 8), "{times:?}");
        let counts = [0, 9_999_999, 10_000_000, 999_900_000, 3_000_000_000, 7_000_000_000_000].map(count);
        assert_eq!(counts, ["0", "9999999", "10.0M", "999.9M", "3.0G", "7000G"]);
        let spans = [59, 61, 7_980, 200_000].map(|seconds| span(Duration::from_secs(seconds)));
        assert_eq!(spans, ["59 s", "1 min 1 s", "2 h 13 min", "2 d 7 h"]);
    }

    #[test]
    fn a_path_keeps_its_end_and_a_sentence_its_beginning() {
        assert_eq!(tail("/system.slice/a.service", 10, Glyphs::Blocks), "…a.service");
        assert_eq!(tail("/system.slice/a.service", 9, Glyphs::Ascii), "~.service");
        assert_eq!(tail("/a", 2, Glyphs::Blocks), "/a");
        assert_eq!(tail("/abc", 0, Glyphs::Blocks), "");
        assert_eq!(head("held 2.1 s by mprotect", 8, Glyphs::Blocks), "held 2.…");
    }

    #[test]
    fn what_is_rare_is_seen_and_what_is_not_there_is_blank() {
        assert_eq!(Glyphs::Blocks.spark(&[0, 1, 1_000_000, 1_000]), " ▁█▅");
        assert_eq!(Glyphs::Ascii.spark(&[0, 1, 1_000_000, 1_000]), " .@+");
        assert_eq!(Glyphs::Blocks.spark(&[0, 7]), " █");
        assert_eq!(Glyphs::Blocks.spark(&[]), "");
    }
}

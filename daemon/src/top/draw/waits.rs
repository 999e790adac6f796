//! Who waited for mmap_lock because of whom: a line for each pair of operations, the longest first.

use ratatui::text::Line;

use super::{Look, title, wrapped};
use crate::top::{
    rows::Period,
    told::{Matrix, Overview},
    words,
};

/// Columns of the bars.
const BAR: usize = 24;

/// The view. Rates of pairs are not told: then it is the last 15 minutes.
pub(super) fn lines(told: &Overview, period: Period, width: usize) -> Vec<Line<'static>> {
    let (matrix, of) = match period {
        Period::Start => (&told.blame.total, "since start"),
        Period::Recent | Period::Now => (&told.blame.recent, "last 15 min"),
    };
    let mut lines = vec![title(format!("Time waited for mmap_lock, by operation of waiter and holder, {of}"))];
    if let Some(reason) = &told.blame.missing {
        lines.extend(wrapped(&format!("cannot be measured on this kernel: {reason}"), 2, width, Look::quiet()));
        return lines;
    }
    let pairs = pairs(matrix);
    if pairs.is_empty() {
        lines.push(Line::raw("  Nobody waited for mmap_lock."));
        return lines;
    }
    let all: u64 = pairs.iter().map(|(_, _, ns)| ns).sum();
    lines.push(title(format!("  {:<14} {:<14} {:>9} {:>8}", "WAITER", "HOLDER", "WAITED", "PART")));
    for (waiter, holder, ns) in pairs {
        let part = ns as f64 / all as f64;
        let bar = "#".repeat((part * BAR as f64).round() as usize);
        let (time, part) = (words::time(ns), words::percent(part));
        lines.push(Line::raw(format!("  {waiter:<14} {holder:<14} {time:>9} {part:>8}  {bar}")));
    }
    lines.push(Line::raw(format!("  {:<29} {:>9}", "all", words::time(all))));
    lines
}

fn pairs(matrix: &Matrix) -> Vec<(&str, &str, u64)> {
    let mut pairs = Vec::new();
    for (waiter, row) in matrix.waiters.iter().zip(&matrix.blocked_ns) {
        pairs.extend(matrix.holders.iter().zip(row).map(|(holder, ns)| (&**waiter, &**holder, *ns)));
    }
    pairs.retain(|(_, _, ns)| *ns > 0);
    pairs.sort_by_key(|(_, _, ns)| std::cmp::Reverse(*ns));
    pairs
}

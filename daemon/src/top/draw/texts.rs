//! Words that several views have, and the help.

use ratatui::text::Line;

use super::title;
use crate::identity::Subject;

/// Where a subject is, in words where there is no path.
pub(super) fn cgroup(subject: &Subject) -> &str {
    match &*subject.cgroup {
        "" if subject.is_other() => "all not told apart",
        "" => "cgroup unknown",
        "/" => "root cgroup",
        path => path,
    }
}

const KEYS: [(&str, &str); 13] = [
    ("1 2 3 4, Tab", "subjects; what is wrong; who waits for whom; hooks, losses"),
    ("Up Down PgUp PgDn", "select, or scroll; Home and End go to the ends"),
    ("Enter", "all of the selected subject; Esc goes back"),
    ("s S, Right Left", "sort by the next column, by the one before"),
    ("r", "reverse the order"),
    ("/", "filter by a part of command or cgroup; Esc clears it"),
    ("p", "last 15 min; since start; each second between two answers"),
    ("Space, f", "freeze; again: go on"),
    ("?, h", "this help"),
    ("q, Ctrl-C", "quit"),
    ("", ""),
    ("WINDOWS", "time in pending-flush windows, outer ones"),
    ("HELD WAITED", "time mmap_lock was held, and waited for"),
];

const MORE: [(&str, &str); 6] = [
    ("FORCED", "flushes that a pending flush forced a write fault to"),
    ("UFAULTS", "time that threads waited for a userfaultfd handler"),
    ("HAZARDS", "events of all hazard classes, since start"),
    ("n/a", "cannot be measured on this kernel, or is not told"),
    ("<=", "upper bound of a bucket: powers of two are counted"),
    ("charts", "a bucket or minute a column, as high as the logarithm"),
];

/// All keys, and what the columns mean.
pub(super) fn help() -> Vec<Line<'static>> {
    let mut lines = vec![title("Keys")];
    for (key, meaning) in KEYS.into_iter().chain(MORE) {
        lines.push(if key.is_empty() { title("Columns") } else { Line::raw(format!("{key:<18} {meaning}")) });
    }
    lines
}

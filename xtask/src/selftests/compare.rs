//! The same tests without and with mmscope, test by test. Knows nothing of how they were run or are told.

use super::guest::{End, TestResult};

/// What two runs of a test say together.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Verdict {
    /// With mmscope as without.
    Same,
    /// Without mmscope twice, and twice not the same: nothing follows.
    Flaky,
    /// Another result with mmscope.
    Differs,
}

/// A test's row.
pub(crate) struct Row {
    /// The call.
    pub(crate) test: String,
    /// Its result without mmscope.
    pub(crate) without: TestResult,
    /// Its result with mmscope.
    pub(crate) with: TestResult,
    /// What follows.
    pub(crate) verdict: Verdict,
    /// What is not the same: lines of one side only.
    pub(crate) differences: Vec<String>,
}

/// Compares one test: without, with, and without once more if that was done.
pub(crate) fn row(test: String, without: TestResult, with: TestResult, again: Option<&TestResult>) -> Row {
    let verdict = match again {
        Some(again) if !same(&without, again) => Verdict::Flaky,
        // Missing on both sides is no agreement: it was not tested.
        _ if same(&without, &with) && with.end != End::Missing => Verdict::Same,
        _ => Verdict::Differs,
    };
    let differences = match (verdict, again) {
        (Verdict::Flaky, Some(again)) => differences(&without, again, ["once without", "again without"]),
        _ => differences(&without, &with, ["without", "with"]),
    };
    Row { test, without, with, verdict, differences }
}

/// Whether two results are the same but for time and the order of lines: tests with threads print in any order.
fn same(a: &TestResult, b: &TestResult) -> bool {
    // How far a test came until it was killed is chance.
    a.end == b.end && (a.end == End::Timeout || sorted(&a.results) == sorted(&b.results))
}

fn sorted(results: &[String]) -> Vec<&str> {
    let mut sorted: Vec<&str> = results.iter().map(String::as_str).collect();
    sorted.sort_unstable();
    sorted
}

/// What each side alone has.
fn differences(a: &TestResult, b: &TestResult, names: [&str; 2]) -> Vec<String> {
    if a.end == End::Timeout && b.end == End::Timeout {
        return Vec::new();
    }
    let mut found = Vec::new();
    if a.end != b.end {
        found.push(format!("{}: {}; {}: {}", names[0], a.end.describe(), names[1], b.end.describe()));
    }
    let (mut left, mut right) = (sorted(&a.results).into_iter().peekable(), sorted(&b.results).into_iter().peekable());
    loop {
        let order = match (left.peek(), right.peek()) {
            (Some(a), Some(b)) => a.cmp(b),
            (Some(_), None) => std::cmp::Ordering::Less,
            (None, Some(_)) => std::cmp::Ordering::Greater,
            (None, None) => break,
        };
        if order.is_le() {
            let line = left.next();
            if order.is_lt() {
                found.extend(line.map(|line| format!("only {}: {line}", names[0])));
                continue;
            }
        }
        let line = right.next();
        if order.is_gt() {
            found.extend(line.map(|line| format!("only {}: {line}", names[1])));
        }
    }
    found
}

impl End {
    /// In two or three words.
    pub(crate) fn describe(self) -> String {
        match self {
            Self::Exit(code) => format!("exit {code}"),
            Self::Timeout => "timeout".to_owned(),
            Self::Missing => "not reached".to_owned(),
        }
    }
}

impl TestResult {
    /// In a few words: "exit 0: 102 ok, 12 skip".
    pub(crate) fn describe(&self) -> String {
        let counts = ["ok", "not ok", "skip", "xfail"].map(|verdict| {
            let of_it = |line: &&String| line.strip_prefix(verdict).is_some_and(|rest| rest.starts_with(' '));
            (self.results.iter().filter(of_it).count(), verdict)
        });
        let counts: Vec<String> = counts
            .iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, verdict)| format!("{count} {verdict}"))
            .collect();
        let end = self.end.describe();
        if counts.is_empty() { end } else { format!("{end}: {}", counts.join(", ")) }
    }
}

#[cfg(test)]
mod tests {
    use super::{Verdict, row};
    use crate::selftests::guest::{End, TestResult};

    fn result(code: u8, results: &[&str]) -> TestResult {
        TestResult {
            end: End::Exit(code),
            results: results.iter().map(|line| (*line).to_owned()).collect(),
            seconds: 1.0,
        }
    }

    #[test]
    fn order_and_time_are_no_difference() {
        let with = TestResult { seconds: 9.0, ..result(0, &["ok b", "ok a"]) };
        let row = row("x".to_owned(), result(0, &["ok a", "ok b"]), with, None);
        assert_eq!((row.verdict, row.differences.len()), (Verdict::Same, 0));
    }

    #[test]
    fn every_line_that_one_side_has_is_told() {
        let row = row("x".to_owned(), result(0, &["ok a", "ok b", "ok b"]), result(1, &["not ok a", "ok b"]), None);
        assert_eq!(row.verdict, Verdict::Differs);
        assert_eq!(
            row.differences,
            ["without: exit 0; with: exit 1", "only with: not ok a", "only without: ok a", "only without: ok b"]
        );
    }

    #[test]
    fn a_test_that_disagrees_with_itself_is_flaky() {
        let (a, b) = (result(0, &["ok a"]), result(1, &["not ok a"]));
        assert_eq!(row("x".to_owned(), a.clone(), b.clone(), Some(&b)).verdict, Verdict::Flaky);
        assert_eq!(row("x".to_owned(), a.clone(), a.clone(), Some(&b)).verdict, Verdict::Flaky);
        assert_eq!(row("x".to_owned(), a.clone(), b, Some(&a)).verdict, Verdict::Differs);
    }

    #[test]
    fn what_was_not_reached_is_not_the_same() {
        let missing = TestResult { end: End::Missing, results: Vec::new(), seconds: 0.0 };
        assert_eq!(row("x".to_owned(), missing.clone(), missing, None).verdict, Verdict::Differs);
    }

    #[test]
    fn a_result_in_few_words() {
        assert_eq!(result(1, &["ok a", "not ok b", "skip c", "ok d"]).describe(), "exit 1: 2 ok, 1 not ok, 1 skip");
        assert_eq!(result(0, &[]).describe(), "exit 0");
    }
}

//! The same tests without and with mmscope, test by test. Knows nothing of how they were run or are told.

use super::guest::{End, TestResult};

/// What a test's runs say together.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Verdict {
    /// With mmscope as without.
    Same,
    /// Without mmscope several times, and not always the same: nothing follows.
    Flaky,
    /// Another result with mmscope in a single one of several runs: nothing follows, and it is told.
    Once,
    /// Another result with mmscope.
    Differs,
}

/// Times more that a call is run on each side which ended otherwise with mmscope than without.
pub(super) const MORE_RUNS: usize = 3;

/// Runs with mmscope of which a single other result proves nothing.
const SEVERAL: usize = 1 + MORE_RUNS;

/// A test's row.
pub(crate) struct Row {
    /// The call.
    pub(crate) test: String,
    /// Its result without mmscope.
    pub(crate) without: TestResult,
    /// Its result with mmscope.
    pub(crate) with: TestResult,
    /// How often it was run without mmscope and with it.
    pub(crate) runs: [usize; 2],
    /// What follows.
    pub(crate) verdict: Verdict,
    /// What is not the same: lines of one side only.
    pub(crate) differences: Vec<String>,
}

/// Compares a test's runs without mmscope with those with it; there is one of each at least.
pub(crate) fn row(test: String, without: &[TestResult], with: &[TestResult]) -> Row {
    let usual = &without[0];
    let another = without.iter().find(|result| !same(usual, result));
    let others: Vec<&TestResult> = with.iter().filter(|result| !same(usual, result)).collect();
    let verdict = match (another, others.len()) {
        (Some(_), _) => Verdict::Flaky,
        // Missing on both sides is no agreement: it was not tested.
        (None, 0) if usual.end == End::Missing => Verdict::Differs,
        (None, 0) => Verdict::Same,
        (None, 1) if with.len() >= SEVERAL && others[0].end != End::Missing => Verdict::Once,
        (None, _) => Verdict::Differs,
    };
    let shown = others.first().copied().unwrap_or(&with[0]);
    let differences = match another {
        Some(another) => differences(usual, another, ["once without", "again without"]),
        None => differences(usual, shown, ["without", "with"]),
    };
    let runs = [without.len(), with.len()];
    Row { test, without: usual.clone(), with: shown.clone(), runs, verdict, differences }
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
    use super::{Row, Verdict, row};
    use crate::selftests::guest::{End, TestResult};

    fn result(code: u8, results: &[&str]) -> TestResult {
        TestResult {
            end: End::Exit(code),
            results: results.iter().map(|line| (*line).to_owned()).collect(),
            seconds: 1.0,
        }
    }

    fn compared(without: &[&TestResult], with: &[&TestResult]) -> Row {
        let owned = |results: &[&TestResult]| results.iter().map(|result| (*result).clone()).collect::<Vec<_>>();
        row("x".to_owned(), &owned(without), &owned(with))
    }

    #[test]
    fn order_and_time_are_no_difference() {
        let with = TestResult { seconds: 9.0, ..result(0, &["ok b", "ok a"]) };
        let row = compared(&[&result(0, &["ok a", "ok b"])], &[&with]);
        assert_eq!((row.verdict, row.differences.len()), (Verdict::Same, 0));
    }

    #[test]
    fn every_line_that_one_side_has_is_told() {
        let row = compared(&[&result(0, &["ok a", "ok b", "ok b"])], &[&result(1, &["not ok a", "ok b"])]);
        assert_eq!(row.verdict, Verdict::Differs);
        assert_eq!(
            row.differences,
            ["without: exit 0; with: exit 1", "only with: not ok a", "only without: ok a", "only without: ok b"]
        );
    }

    #[test]
    fn a_test_that_disagrees_with_itself_is_flaky() {
        let (a, b) = (result(0, &["ok a"]), result(1, &["not ok a"]));
        assert_eq!(compared(&[&a, &b], &[&b]).verdict, Verdict::Flaky);
        assert_eq!(compared(&[&a, &b], &[&a]).verdict, Verdict::Flaky);
        assert_eq!(compared(&[&a, &a], &[&b]).verdict, Verdict::Differs);
    }

    #[test]
    fn another_result_with_mmscope_differs_unless_it_is_a_single_one_of_several() {
        let (a, b) = (result(0, &["ok a"]), result(0, &["skip a"]));
        assert_eq!(compared(&[&a], &[&b]).verdict, Verdict::Differs);
        assert_eq!(compared(&[&a, &a, &a, &a], &[&b, &a]).verdict, Verdict::Differs, "too few runs");
        let once = compared(&[&a, &a, &a, &a], &[&b, &a, &a, &a]);
        assert_eq!((once.verdict, once.runs), (Verdict::Once, [4, 4]));
        assert_eq!(once.differences, ["only without: ok a", "only with: skip a"]);
        assert_eq!(compared(&[&a, &a, &a, &a], &[&b, &a, &a, &b]).verdict, Verdict::Differs);
        assert_eq!(compared(&[&a, &a, &b, &a], &[&b, &a, &a, &b]).verdict, Verdict::Flaky);
    }

    #[test]
    fn what_was_not_reached_is_not_the_same() {
        let missing = TestResult { end: End::Missing, results: Vec::new(), seconds: 0.0 };
        assert_eq!(compared(&[&missing], &[&missing]).verdict, Verdict::Differs);
        let a = result(0, &["ok a"]);
        assert_eq!(compared(&[&a], &[&missing, &a, &a, &a]).verdict, Verdict::Differs);
    }

    #[test]
    fn a_result_in_few_words() {
        assert_eq!(result(1, &["ok a", "not ok b", "skip c", "ok d"]).describe(), "exit 1: 2 ok, 1 not ok, 1 skip");
        assert_eq!(result(0, &[]).describe(), "exit 0");
    }
}

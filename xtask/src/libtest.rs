//! What libtest's programs say: how many tests passed, and what failed. Reads text only.

/// What libtest counted.
#[derive(Default, Debug, PartialEq, Clone, Copy)]
pub(crate) struct Counts {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
    pub(crate) ignored: u64,
    pub(crate) filtered: u64,
    /// Result lines seen.
    pub(crate) lines: u64,
}

/// What libtest says of failed tests, from a stage's output: all between the first "failures:" and the result. And what programs
/// say that are no libtest's: lines with "FAILED: " and why.
#[derive(Default)]
pub(crate) struct Failures {
    pub(crate) text: String,
    is_inside: bool,
}

impl Failures {
    /// What somebody else found.
    pub(crate) fn of(text: String) -> Self {
        Self { text, is_inside: false }
    }

    pub(crate) fn add_line(&mut self, line: &str) {
        if line.starts_with("test result: ") {
            self.is_inside = false;
        } else if line.trim_end() == "failures:" {
            self.is_inside = true;
        } else if self.is_inside || line.contains("FAILED: ") {
            self.text.push_str(line.trim_end());
            self.text.push('\n');
        }
    }
}

impl Counts {
    /// As if libtest had counted so.
    pub(crate) fn of(passed: u64, failed: u64) -> Self {
        Self { passed, failed, lines: 1, ..Self::default() }
    }

    /// Adds a line of output, if it is one of libtest's results:
    /// "test result: ok. 3 passed; 0 failed; 0 ignored; 0 measured; 1 filtered out; finished in 0.00s".
    pub(crate) fn add_line(&mut self, line: &str) {
        let Some((_, rest)) = line.split_once("test result: ") else { return };
        let Some((_, rest)) = rest.split_once(". ") else { return };
        self.lines += 1;
        for part in rest.split("; ") {
            let mut words = part.split_whitespace();
            let (Some(Ok(count)), Some(what)) = (words.next().map(str::parse::<u64>), words.next()) else { continue };
            match what {
                "passed" => self.passed += count,
                "failed" => self.failed += count,
                "ignored" => self.ignored += count,
                "filtered" => self.filtered += count,
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Counts, Failures};

    #[test]
    fn result_lines_are_summed_and_nothing_else() {
        let mut counts = Counts::default();
        for line in [
            "running 3 tests",
            "test x ... FAILED",
            "test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 2 filtered out; finished in 0.00s",
            "test result: FAILED. 1 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s",
        ] {
            counts.add_line(line);
        }
        assert_eq!(counts, Counts { passed: 4, failed: 2, ignored: 1, filtered: 2, lines: 2 });
    }

    #[test]
    fn what_failed_is_kept() {
        let mut failures = Failures::default();
        for line in [
            "test x ... FAILED",
            "disk: FAILED: no room",
            "failures:",
            "---- x stdout ----",
            "left: 1",
            "failures:",
            "    x",
            "test result: FAILED. 0 passed; 1 failed",
            "more",
        ] {
            failures.add_line(line);
        }
        assert_eq!(failures.text, "disk: FAILED: no room\n---- x stdout ----\nleft: 1\n    x\n");
    }
}

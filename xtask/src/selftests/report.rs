//! A comparison told: the table of a terminal and docs/selftests.md. Decides nothing.

use super::Comparison;
use super::compare::{Row, Verdict};

/// The table for a terminal, with what differs below each row and the sums last.
pub(crate) fn summary_table(comparisons: &[Comparison]) -> String {
    let all: Vec<[String; 5]> = comparisons.iter().flat_map(|c| c.rows.iter().map(|row| cells(c, row))).collect();
    let headings = HEADINGS.map(str::to_owned);
    let width =
        |column: usize| all.iter().chain([&headings]).map(|row| row[column].chars().count()).max().unwrap_or_default();
    let widths = [width(0), width(1), width(2), width(3), 0];
    let line = |row: &[String; 5]| {
        let padded = row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}"));
        padded.collect::<Vec<_>>().join("  ").trim_end().to_owned() + "\n"
    };
    let mut text = line(&headings);
    for comparison in comparisons {
        for row in &comparison.rows {
            text.push_str(&line(&cells(comparison, row)));
            for difference in &row.differences {
                text.push_str(&format!("    {difference}\n"));
            }
        }
    }
    for comparison in comparisons {
        text.push_str(&format!("\n{}\n", summary(comparison)));
        for problem in &comparison.problems {
            text.push_str(&format!("  problem: {problem}\n"));
        }
    }
    text.push_str(&format!("\n{}\n", sums(comparisons)));
    text
}

const HEADINGS: [&str; 5] = ["kernel", "test", "without mmscope", "with mmscope", "same?"];

fn cells(comparison: &Comparison, row: &Row) -> [String; 5] {
    let [without, with] = row.runs;
    let same = match row.verdict {
        Verdict::Same => "yes".to_owned(),
        Verdict::Flaky => "flaky without mmscope".to_owned(),
        Verdict::Once => format!("once not, in {with} runs (without: always, in {without})"),
        Verdict::Differs => "NO".to_owned(),
    };
    [short(&comparison.kernel), row.test.clone(), row.without.describe(), row.with.describe(), same]
}

/// "6.12.117" of "6.12.117+deb13-cloud-amd64".
fn short(release: &str) -> String {
    release.split('+').next().unwrap_or(release).trim_end_matches("-cloud-amd64").to_owned()
}

fn summary(comparison: &Comparison) -> String {
    let Comparison { kernel, source, rows, counted, seconds, .. } = comparison;
    let of = if source.exact { "" } else { " (the nearest older: there is none of its own version)" };
    let mut text = format!("{kernel}: {} calls of {} {}{of}", rows.len(), source.package, source.version);
    if let Some(counted) = counted {
        text.push_str(&format!(
            "; mmscope meanwhile, by {} hooks: {} TLB flushes, {} userfaults, {} acquisitions of mmap_lock",
            counted.hooks, counted.flushes, counted.userfaults, counted.acquisitions
        ));
    }
    let time = |of: fn(&Row) -> f64| rows.iter().map(of).sum::<f64>();
    let (without, with) = (time(|row| row.without.seconds), time(|row| row.with.seconds));
    text.push_str(&format!(
        "; the tests took {without:.0} s without and {with:.0} s with it, everything {seconds:.0} s"
    ));
    text
}

fn sums(comparisons: &[Comparison]) -> String {
    let count = |verdict: Verdict| {
        comparisons.iter().flat_map(|comparison| &comparison.rows).filter(|row| row.verdict == verdict).count()
    };
    let problems: usize = comparisons.iter().map(|comparison| comparison.problems.len()).sum();
    format!(
        "{} the same, {} flaky without mmscope, {} once not the same in several runs, {} different, {problems} other problems",
        count(Verdict::Same),
        count(Verdict::Flaky),
        count(Verdict::Once),
        count(Verdict::Differs),
    )
}

/// The page of the documentation.
pub(crate) fn page(comparisons: &[Comparison], command: &str) -> String {
    let mut text = format!(
        "# The kernel's own tests, with and without mmscope\n\n\
         Made by `{command}`.\n\n\
         The kernel's selftests of memory management (`tools/testing/selftests/mm`), in emulated guests of two processors \
         and 2 GiB: once without mmscope, once with `mmscope run` attached, once more without. Compared are each call's \
         exit code and each of its results. What fails in both is a matter of the test, the kernel or so small a machine. \
         A call whose runs without mmscope disagree is flaky by itself. One that ends otherwise with mmscope is run three times \
         more on each side: it is different if another run with mmscope ends otherwise too.\n\n{}.\n",
        sums(comparisons)
    );
    for comparison in comparisons {
        text.push_str(&format!("\n## {}\n\n{}.\n", short(&comparison.kernel), summary(comparison)));
        for problem in &comparison.problems {
            text.push_str(&format!("\nProblem: {problem}.\n"));
        }
        text.push_str("\n| test | without mmscope | with mmscope | same? |\n|---|---|---|---|\n");
        for row in &comparison.rows {
            let [_, test, without, with, same] = cells(comparison, row);
            text.push_str(&format!("| `{test}` | {without} | {with} | {same} |\n"));
        }
        let told: Vec<&Row> = comparison.rows.iter().filter(|row| !row.differences.is_empty()).collect();
        if !told.is_empty() {
            text.push_str("\nWhat is not the same:\n\n");
        }
        for row in told {
            for difference in &row.differences {
                text.push_str(&format!("- `{}`: {difference}\n", row.test));
            }
        }
        text.push_str("\nNot run:\n\n| test | why |\n|---|---|\n");
        for (program, reason) in &comparison.left_out {
            text.push_str(&format!("| `{program}` | {reason} |\n"));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{page, summary_table};
    use crate::selftests::Comparison;
    use crate::selftests::compare::row;
    use crate::selftests::guest::{End, TestResult};
    use crate::selftests::source::Source;

    fn comparison() -> Comparison {
        let result = |line: &str| TestResult { end: End::Exit(0), results: vec![line.to_owned()], seconds: 2.0 };
        Comparison {
            kernel: "6.18.15+deb13-cloud-amd64".to_owned(),
            source: Source { package: "linux-source-6.12".to_owned(), version: "6.12.1-1".to_owned(), exact: false },
            rows: vec![
                row("same".to_owned(), &[result("ok a")], &[result("ok a")]),
                row("other -x".to_owned(), &[result("ok a")], &[result("skip a")]),
            ],
            left_out: vec![("third".to_owned(), "needs what is not there".to_owned())],
            counted: None,
            problems: vec!["with mmscope: exit code 3".to_owned()],
            seconds: 10.0,
        }
    }

    #[test]
    fn the_table_tells_what_differs_and_sums_up() {
        let table = summary_table(&[comparison()]);
        let lines: Vec<&str> = table.lines().map(str::trim_end).collect();
        assert_eq!(lines[0], "kernel   test      without mmscope  with mmscope    same?");
        assert_eq!(lines[2], "6.18.15  other -x  exit 0: 1 ok     exit 0: 1 skip  NO");
        assert_eq!(lines[3..5], ["    only without: ok a", "    only with: skip a"]);
        assert!(table.contains("problem: with mmscope: exit code 3"));
        assert!(table.ends_with("1 the same, 0 flaky without mmscope, 0 once not the same in several runs, 1 different, 1 other problems\n"), "{table}");
    }

    #[test]
    fn the_page_names_its_command_and_what_was_left_out() {
        let page = page(&[comparison()], "cargo xtask selftests --write");
        assert!(page.contains("Made by `cargo xtask selftests --write`."));
        assert!(page.contains("| `other -x` | exit 0: 1 ok | exit 0: 1 skip | NO |"));
        assert!(page.contains("| `third` | needs what is not there |"));
        assert!(page.contains("the nearest older"));
    }
}

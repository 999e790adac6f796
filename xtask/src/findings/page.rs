//! docs/findings.md: the tables are written anew, between two marks; what people wrote around them stays.

use std::fmt::Write as _;
use std::fs;
use std::io;

use anyhow::{Context, Result};

use super::answers::Row;
use super::programs::PROGRAMS;
use crate::paths;

const PAGE: &str = "docs/findings.md";

/// In comments, which nobody sees on the page.
const BEGIN: &str = "<!-- findings: from here on written by the command below -->";
const END: &str = "<!-- findings: to here -->";

/// A kernel's table.
pub(super) fn table(release: &str, rows: &[Row]) -> String {
    let headings = Row::headings();
    let mut text = format!("### {release}\n\n| {} |\n|{}\n", headings.join(" | "), "---|".repeat(headings.len()));
    for row in rows {
        let _ = writeln!(text, "| {} |", row.cells().join(" | "));
    }
    text
}

/// Puts the tables into the page, which is made if there is none.
pub(super) fn write(tables: &str, command: &str) -> Result<()> {
    let path = paths::root().join(PAGE);
    let page = match fs::read_to_string(&path) {
        Ok(page) => page,
        Err(error) if error.kind() == io::ErrorKind::NotFound => format!("{INTRODUCTION}\n{BEGIN}\n{END}\n"),
        Err(error) => return Err(error).with_context(|| format!("read {}", path.display())),
    };
    let page = replaced(&page, &part(tables, command)).with_context(|| format!("write {}", path.display()))?;
    fs::write(&path, page).with_context(|| format!("write {}", path.display()))
}

/// What stands between the marks.
fn part(tables: &str, command: &str) -> String {
    let mut text = format!("## Measured\n\nMade by `{command}`.\n\n");
    for program in PROGRAMS {
        let _ = writeln!(text, "- {}: {}.", program.name, program.about);
    }
    let _ = write!(text, "\n{LEGEND}\n{tables}");
    text
}

/// The page with another part between its marks.
fn replaced(page: &str, part: &str) -> Result<String> {
    let (before, rest) = page.split_once(BEGIN).with_context(|| format!("it has no line {BEGIN}"))?;
    let (_, after) = rest.split_once(END).with_context(|| format!("it has no line {END}"))?;
    Ok(format!("{before}{BEGIN}\n{part}{END}{after}"))
}

const LEGEND: &str = "\
Each figure is the difference of two scrapes, before and after the load, summed over the program's own commands; \"most \
blocked\" and \"lost\" are about the whole guest. `-` is not measured on this kernel, by this version; 0 did not happen. \
The 99th percentile is the bound of its bucket. The guests are emulated, with a thread for each of two processors: \
counts and shares are what they are, times are those of an emulator.
";

const INTRODUCTION: &str = "\
# Findings

What mmscope tells of programs that people run. The tables are made by a command; what stands outside of the marks around \
them is written by hand and stays.

## What they say

Nothing yet.
";

#[cfg(test)]
mod tests {
    use super::{BEGIN, END, part, replaced};

    #[test]
    fn what_people_wrote_stays() {
        let page = format!("# Title\n\nProse.\n\n{BEGIN}\nold\n{END}\n\nMore prose.\n");
        let once = replaced(&page, "new\n").unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(once, format!("# Title\n\nProse.\n\n{BEGIN}\nnew\n{END}\n\nMore prose.\n"));
        assert_eq!(replaced(&once, "new\n").unwrap_or_default(), once);
        assert!(replaced("# No marks\n", "new\n").is_err());
    }

    #[test]
    fn the_command_that_made_it_is_told() {
        assert!(part("table\n", "cargo xtask findings --write").contains("Made by `cargo xtask findings --write`."));
    }
}

//! What came of a target: from libFuzzer's last lines to a row of the table.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use crate::paths;

/// One target's.
pub(super) struct Row {
    /// Its name.
    pub(super) target: &'static str,
    executions: u64,
    per_second: u64,
    /// Inputs in fuzz/corpus.
    kept: usize,
    /// Inputs that the run ended with.
    corpus: u64,
    /// Counters that were reached, and all there are.
    reached: (u64, u64),
    /// Inputs for which something does not hold.
    crashes: Vec<PathBuf>,
    has_ended_well: bool,
    /// What was said last.
    last: String,
}

/// The files of a folder.
pub(super) fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let failed = || format!("read {}", folder.display());
    let entries = fs::read_dir(folder).with_context(failed)?;
    entries.map(|entry| Ok(entry.with_context(failed)?.path())).collect()
}

impl Row {
    /// Reads what libFuzzer has said.
    pub(super) fn read(
        target: &'static str,
        log: &str,
        has_ended_well: bool,
        crashes: Vec<PathBuf>,
        kept: usize,
    ) -> Result<Self> {
        let counters = after(log, "modules (").or_else(|| after(log, "Loaded 1 modules   (")).unwrap_or_default();
        ensure!(counters > 0, "{target} was built without counters of its code: touch daemon/src/lib.rs, and again");
        let last: Vec<&str> =
            log.lines().filter(|line| line.contains("panicked at") || line.contains("ERROR:")).collect();
        let stat = |name: &str| after(log, &format!("stat::{name}:")).unwrap_or_default();
        let line = log.lines().rfind(|line| line.contains(" cov: ")).unwrap_or_default();
        Ok(Self {
            target,
            executions: stat("number_of_executed_units"),
            per_second: stat("average_exec_per_sec"),
            kept,
            corpus: after(line, " corp: ").unwrap_or_default(),
            reached: (after(line, " cov: ").unwrap_or_default(), counters),
            crashes,
            has_ended_well,
            last: last.join("\n"),
        })
    }

    /// Whether everything held.
    pub(super) fn is_good(&self) -> bool {
        self.has_ended_well && self.crashes.is_empty() && self.executions > 0
    }

    /// In a line.
    pub(super) fn problem(&self) -> String {
        format!("{}: {} inputs for which it does not hold", self.target, self.crashes.len())
    }

    /// Says what does not hold, and for which input.
    pub(super) fn explain(&self) {
        if !self.is_good() {
            eprintln!("fuzz: {}\n{}", self.problem(), self.last);
        }
        for crash in &self.crashes {
            let shown = crash.strip_prefix(paths::root()).unwrap_or(crash).display();
            eprintln!(
                "fuzz: {shown}: into fuzz/corpus/{} with it, and `cargo test -p mmscope --lib fuzzing` fails",
                self.target
            );
        }
    }
}

/// The number behind some words.
fn after(text: &str, words: &str) -> Option<u64> {
    let rest = text.split(words).nth(1)?.trim_start();
    rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

/// All rows.
pub(super) fn table(rows: &[Row]) -> String {
    let mut text =
        "| target | executions | per second | code reached | corpus at the end | kept in fuzz/corpus | crashes |\n\
                    |---|---|---|---|---|---|---|\n"
            .to_owned();
    for row in rows {
        let Row { target, executions, per_second, kept, corpus, reached: (reached, all), crashes, .. } = row;
        let crashes = crashes.len();
        let line = format!(
            "| {target} | {executions} | {per_second} | {reached} of {all} | {corpus} | {kept} | {crashes} |\n"
        );
        text.push_str(&line);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{Row, table};

    const LOG: &str = "INFO: Loaded 1 modules   (43210 inline 8-bit counters): 43210 [0x1, 0x2),\n\
        #4096\tpulse  cov: 1200 ft: 3000 corp: 80/9Kb lim: 4096 exec/s: 2048 rss: 30Mb\n\
        #40545\tDONE   cov: 1234 ft: 3456 corp: 99/10Kb lim: 4096 exec/s: 2534 rss: 32Mb\n\
        stat::number_of_executed_units: 40545\nstat::average_exec_per_sec:     2534\n";

    #[test]
    fn what_libfuzzer_says_is_read() {
        let row = Row::read("config", LOG, true, Vec::new(), 5).unwrap();
        assert!(row.is_good());
        assert!(table(&[row]).ends_with("| config | 40545 | 2534 | 1234 of 43210 | 99 | 5 | 0 |\n"));
        assert!(!Row::read("config", LOG, true, vec!["crash-1".into()], 5).unwrap().is_good());
        assert!(!Row::read("config", LOG, false, Vec::new(), 5).unwrap().is_good());
        assert!(
            Row::read("config", "Done 5 runs", true, Vec::new(), 5).is_err(),
            "without counters nothing is looked for"
        );
    }
}

//! A report as text, for a mail or a terminal. Pure.

use std::fmt::Write as _;

use probe_common::event::Record;

use super::{
    digest::Digest,
    episodes::Episode,
    facts::{self, Missing},
    names,
    tables::{Table, tables},
};
use crate::terminal;

/// Longest cell of words in a table; figures are never shortened.
const CELL: usize = 60;
/// Events of an alert: of an overlap both, of others enough to see what they have in common.
const EVENTS: usize = 2;
/// Columns of a paragraph.
const WIDTH: usize = 96;

/// The whole report; `file` is how the recording is called.
#[must_use]
pub fn text(digest: &Digest, file: &str) -> String {
    let mut text = String::from("mmscope report\n\n");
    for (label, value) in facts::facts(digest, file) {
        let _ = writeln!(text, "  {label:<12} {value}");
    }
    missing(&mut text, digest);
    heading(&mut text, "What was lost");
    let losses = facts::losses(digest);
    if losses.is_empty() {
        text.push_str("  nothing\n");
    }
    losses.iter().for_each(|line| paragraph(&mut text, 2, line));
    heading(&mut text, "What was wrong");
    if digest.episodes.is_empty() {
        text.push_str("  No alert was raised.\n");
    }
    digest.episodes.iter().for_each(|told| episode(&mut text, digest, told));
    if digest.episodes.over() > 0 {
        let _ = writeln!(text, "  {} less grave alerts are not told", digest.episodes.over());
    }
    for (class, reason) in &digest.unjudged {
        let _ = writeln!(text, "  not judged: {}, {reason}", class.name());
    }
    overlaps(&mut text, digest);
    tables(digest).iter().for_each(|told| table(&mut text, told));
    text
}

fn heading(text: &mut String, words: &str) {
    let _ = writeln!(text, "\n{words}\n{}", "-".repeat(words.len()));
}

/// Wrapped between words, each line so far to the right.
fn paragraph(text: &mut String, indent: usize, words: &str) {
    let mut column = 0;
    for word in words.split_whitespace() {
        let length = word.chars().count();
        if column == 0 || column + 1 + length > WIDTH {
            text.push_str(if column == 0 { "" } else { "\n" });
            text.extend(std::iter::repeat_n(' ', indent));
            column = indent;
        } else {
            text.push(' ');
            column += 1;
        }
        text.push_str(word);
        column += length;
    }
    text.push('\n');
}

fn missing(text: &mut String, digest: &Digest) {
    let missing = facts::missing(digest);
    if missing.is_empty() {
        return;
    }
    heading(text, "Hooks that were absent");
    for Missing { hook, reason, cost } in missing {
        paragraph(text, 2, &format!("{hook}: {reason}; {cost}"));
    }
    let unmeasured = facts::unmeasured(digest);
    if !unmeasured.is_empty() {
        paragraph(text, 2, &format!("Not measured, and in no figure below: {}", unmeasured.join(", ")));
    }
}

fn episode(text: &mut String, digest: &Digest, episode: &Episode) {
    let told = &episode.first;
    let _ = writeln!(text, "* {}: {} of {}", told.severity.name(), told.class.name(), episode.whom());
    let _ = writeln!(text, "  {}", episode.when());
    paragraph(text, 4, &told.text);
    told.evidence.iter().take(EVENTS).for_each(|record| event(text, digest, record));
}

fn event(text: &mut String, digest: &Digest, record: &Record) {
    let _ = writeln!(text, "    {}", terminal::record(record));
    for function in digest.stack(record) {
        let _ = writeln!(text, "      {function}");
    }
}

fn overlaps(text: &mut String, digest: &Digest) {
    if digest.overlaps.is_empty() {
        return;
    }
    heading(text, facts::OVERLAPS);
    paragraph(text, 0, facts::OF_OVERLAPS);
    for overlap in digest.overlaps.iter() {
        let _ = writeln!(text, "\n* {}: stale_write_overlap of {}", overlap.outcome, names::subject(&overlap.subject));
        overlap.events().for_each(|record| event(text, digest, record));
    }
}

fn table(text: &mut String, table: &Table) {
    heading(text, table.title);
    if !table.note.is_empty() {
        paragraph(text, 0, &table.note);
        text.push('\n');
    }
    let shown = |column: usize, cell: &str| match cell.char_indices().nth(CELL - 1) {
        Some((at, _)) if column < table.words && column + 1 < table.columns.len() => format!("{}…", &cell[..at]),
        _ => cell.to_owned(),
    };
    let rows: Vec<Vec<String>> = std::iter::once(&table.columns)
        .chain(&table.rows)
        .map(|row| row.iter().enumerate().map(|(column, cell)| shown(column, cell)).collect())
        .collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default();
    let widths: Vec<usize> = (0..table.columns.len()).map(width).collect();
    for row in &rows {
        let mut line = String::from(" ");
        for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
            let _ =
                if column < table.words { write!(line, " {cell:<width$}") } else { write!(line, " {cell:>width$}") };
        }
        let _ = writeln!(text, "{}", line.trim_end());
    }
}

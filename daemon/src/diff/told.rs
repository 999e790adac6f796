//! What a comparison came to, as text and as JSON. Pure.

use std::fmt::Write as _;

use serde_json::json;

use super::{
    blocks::Blocks,
    figures::Unit,
    judge::{self, Compared, Difference},
};
use crate::{
    export::{self, CATALOGUE},
    failure::Failure,
    terminal::time,
};

/// Two recordings, compared.
pub struct Diff<'a> {
    before: &'a Blocks,
    after: &'a Blocks,
    /// The largest first.
    pub differences: Vec<Difference>,
    /// Figures that were compared.
    pub figures: usize,
    rare: usize,
    least: f64,
}

impl<'a> Diff<'a> {
    /// Compares; a difference below `least`, a part of the whole, is none.
    #[must_use]
    pub fn new(before: &'a Blocks, after: &'a Blocks, least: f64) -> Self {
        let Compared { differences, figures, rare } = judge::compare(before, after, least);
        Self { before, after, differences, figures, rare, least }
    }

    /// Families that one of the two could not measure: nothing is known of their difference.
    fn unmeasured(&self) -> Vec<&'static str> {
        let both = [self.before, self.after];
        let families = CATALOGUE.iter().filter(|family| !family.needs.is_empty());
        let unmeasured = families.filter(|family| both.iter().any(|of| !export::is_measured(family.name, of.hooks())));
        unmeasured.map(|family| family.name).collect()
    }

    /// For a person.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        for (which, blocks) in [("before", self.before), ("after", self.after)] {
            let length = humantime::format_duration(std::time::Duration::from_secs(blocks.length.as_secs()));
            let (kernel, count) = (&blocks.header.host.release, blocks.cuts.len());
            let _ = writeln!(text, "{which:<7} {}: kernel {kernel}, {length} in {count} blocks", blocks.name);
        }
        let least = self.least * 100.0;
        match self.differences.len() {
            0 => {
                let _ = writeln!(text, "\nNone of {} figures differs by more than noise and {least} %.", self.figures);
            }
            n => {
                let _ = writeln!(text, "\n{n} of {} figures differ by more than noise and {least} %:\n", self.figures);
                self.rows(&mut text);
            }
        }
        if self.rare > 0 {
            let _ = writeln!(text, "\n{} means were left out: they have a value in too few blocks.", self.rare);
        }
        let unmeasured = self.unmeasured();
        if !unmeasured.is_empty() {
            let _ = writeln!(text, "\nNot compared, as not both could measure it: {}", unmeasured.join(", "));
        }
        text
    }

    fn rows(&self, text: &mut String) {
        let _ = writeln!(
            text,
            "  {:<16} {:<40} {:>12} {:>12} {:>9} {:>8} {:>9}",
            "command", "figure", "before", "after", "change", "noise", "chance"
        );
        for told in &self.differences {
            let figure = match told.unit {
                Unit::PerSecond => format!("{} /s", told.figure),
                Unit::Share => format!("{} s/s", told.figure),
                Unit::Each => format!("{}, mean", told.figure),
            };
            let _ = writeln!(
                text,
                "  {:<16} {figure:<40} {:>12} {:>12} {:>9} {:>8} {:>9.0e}",
                told.comm,
                value(told.unit, told.before),
                value(told.unit, told.after),
                percent(told.change()),
                percent(told.noise).trim_start_matches('+'),
                told.chance
            );
        }
    }

    /// For a program.
    ///
    /// # Errors
    ///
    /// When it cannot be written as JSON.
    pub fn json(&self) -> Result<String, Failure> {
        let of = |blocks: &Blocks| {
            json!({
                "file": blocks.name,
                "kernel": blocks.header.host.release,
                "host": blocks.header.node,
                "seconds": blocks.length.as_secs_f64(),
                "blocks": blocks.cuts.len(),
            })
        };
        // JSON has no infinite numbers: what was zero before has no change.
        let finite = |value: f64| value.is_finite().then_some(value);
        let differences = self.differences.iter().map(|told| {
            json!({
                "command": told.comm,
                "figure": told.figure,
                "unit": told.unit,
                "before": told.before,
                "after": told.after,
                "change": finite(told.change()),
                "noise": finite(told.noise),
                "chance": told.chance,
            })
        });
        let all = json!({
            "before": of(self.before),
            "after": of(self.after),
            "figures": self.figures,
            "least": self.least,
            "differences": differences.collect::<Vec<_>>(),
            "means_left_out": self.rare,
            "not_compared": self.unmeasured(),
        });
        let text = serde_json::to_string_pretty(&all);
        let text = text.map_err(|error| Failure::System(format!("write JSON: {error}")))?;
        Ok(text + "\n")
    }
}

fn value(unit: Unit, value: f64) -> String {
    match unit {
        Unit::PerSecond => format!("{value:.1}"),
        Unit::Share => format!("{value:.4}"),
        Unit::Each => time(value as u64),
    }
}

fn percent(part: f64) -> String {
    if part.is_finite() { format!("{:+.0} %", part * 100.0) } else { "from 0".to_owned() }
}

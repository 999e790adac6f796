//! What the governor came to, for those who tell it.

use std::{sync::Arc, time::Duration};

use super::Level;
use crate::plan::HookState;

/// How things are.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Governed {
    /// What is given up.
    pub level: Level,
    /// Why; none while nothing is.
    pub reason: Option<String>,
    /// Of the host's CPU time; none where there is no budget.
    pub budget: Option<f64>,
    /// What programs took of it at the last look; none where the kernel does not tell.
    pub ratio: Option<f64>,
    /// Time spent at each level so far.
    pub spent: [Duration; Level::ALL.len()],
    /// Each hook of the table, in its order; none where nothing has changed since the start.
    pub hooks: Option<Arc<Vec<HookState>>>,
}

impl Governed {
    /// One line for a person.
    #[must_use]
    pub fn line(&self) -> String {
        let reason = self.reason.as_deref().map(|reason| format!(" ({reason})")).unwrap_or_default();
        format!("level {}: {}{reason}", self.level.number(), self.level.words())
    }
}

/// A part of the whole for a person: "1.25 %".
#[must_use]
pub fn percent(part: f64) -> String {
    format!("{} %", (part * 10_000.0).round() / 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_tells_level_and_reason() {
        let reason = Some(format!("{} of the host's CPU time, budget {}", percent(0.0251), percent(0.01)));
        let governed = Governed { level: Level::Hazards, reason, ..Governed::default() };
        assert_eq!(
            governed.line(),
            "level 2: no stacks, no hazards of write faults, shootdowns and reclaim (2.51 % of the host's CPU time, budget 1 %)"
        );
        assert_eq!(Governed::default().line(), "level 0: everything is measured");
    }
}

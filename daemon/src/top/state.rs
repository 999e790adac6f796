//! What is shown, and what keys and answers make of it. Pure: keys and answers come in, and the time with them.

use std::time::Duration;

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::{
    rows::{self, Order, Period, Rates, Row},
    told::{About, Overview},
};
use crate::identity::Subject;

/// Longest filter.
pub(super) const LONGEST_FILTER: usize = 40;

/// The pages of the screen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum View {
    /// The table, and how durations were distributed.
    #[default]
    Subjects,
    /// Alerts and hazards.
    Wrong,
    /// Who waits because of whom.
    Waits,
    /// Hooks, cost, losses.
    Itself,
}

impl View {
    pub(super) const ALL: [Self; 4] = [Self::Subjects, Self::Wrong, Self::Waits, Self::Itself];

    pub(super) fn title(self) -> &'static str {
        ["subjects", "wrong", "waits", "hooks and losses"][self as usize]
    }
}

/// What comes of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Stay,
    Leave,
}

/// Something that a source tells.
pub(super) enum Update {
    /// All of the front page.
    Told(Box<Overview>),
    /// A subject's page.
    About(Box<About>),
    /// Nobody of that name is told apart any more.
    Nobody(Subject),
    /// No answer, and why.
    Failed(String),
}

/// One subject alone.
#[derive(Debug)]
pub(super) struct Detail {
    pub(super) subject: Subject,
    /// None until it was told.
    pub(super) about: Option<Box<About>>,
    /// Nobody tells it apart.
    pub(super) is_nobody: bool,
}

/// All of it.
#[derive(Debug, Default)]
pub(super) struct State {
    /// Whom it asks, for people.
    pub(super) source: String,
    /// The last answer, or the one that was frozen.
    pub(super) told: Option<Box<Overview>>,
    pub(super) rates: Option<Rates>,
    pub(super) detail: Option<Detail>,
    pub(super) view: View,
    pub(super) order: Order,
    /// The filter is being typed.
    pub(super) is_typing: bool,
    /// None: whoever is at the top.
    selected: Option<Subject>,
    /// Lines that a text is scrolled by.
    pub(super) scroll: usize,
    pub(super) is_frozen: bool,
    pub(super) has_help: bool,
    /// Why there is no answer.
    pub(super) trouble: Option<String>,
    /// Since the last answer.
    pub(super) age: Duration,
    /// Rows of the table on the screen, and lines that a text goes on beyond it.
    pub(super) room: Room,
}

/// What the last drawing had room for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Room {
    pub(super) rows: usize,
    pub(super) most_scroll: usize,
}

impl State {
    pub(super) fn new(source: String) -> Self {
        Self { source, ..Self::default() }
    }

    /// Takes what a source tells.
    pub(super) fn take(&mut self, update: Update) {
        match update {
            Update::Failed(why) => self.trouble = Some(why),
            Update::Told(told) => {
                (self.trouble, self.age) = (None, Duration::ZERO);
                if !self.is_frozen || self.told.is_none() {
                    // At the end of a recording the last difference stays.
                    let is_later = self.told.as_ref().is_none_or(|before| before.host.uptime_ms != told.host.uptime_ms);
                    if is_later {
                        self.rates = self.told.as_ref().and_then(|before| Rates::between(before, &told));
                    }
                    self.told = Some(told);
                }
            }
            Update::About(about) => {
                let is_frozen = self.is_frozen;
                if let Some(detail) = self.detail.as_mut().filter(|detail| detail.subject == about.subject)
                    // What was opened while all stands still is told once.
                    && (!is_frozen || detail.about.is_none())
                {
                    (detail.about, detail.is_nobody) = (Some(about), false);
                }
            }
            Update::Nobody(subject) => {
                if let Some(detail) = self.detail.as_mut().filter(|detail| detail.subject == subject) {
                    detail.is_nobody = true;
                }
            }
        }
    }

    /// Whose page is wanted beside the front page.
    pub(super) fn wanted(&self) -> Option<&Subject> {
        self.detail.as_ref().map(|detail| &detail.subject)
    }

    /// Whether the figures are not those of now.
    pub(super) fn is_old(&self) -> bool {
        self.trouble.is_some()
    }

    /// Rows of the table.
    pub(super) fn rows(&self) -> Vec<Row> {
        self.told.as_ref().map(|told| rows::rows(told, self.rates.as_ref(), &self.order)).unwrap_or_default()
    }

    /// The row that Enter opens.
    pub(super) fn selected(&self, rows: &[Row]) -> usize {
        let chosen = self.selected.as_ref();
        chosen.and_then(|subject| rows.iter().position(|row| row.subject == *subject)).unwrap_or_default()
    }

    /// Takes what was drawn.
    pub(super) fn drawn(&mut self, room: Room) {
        self.room = room;
        self.scroll = self.scroll.min(room.most_scroll);
    }

    /// Takes a key.
    pub(super) fn key(&mut self, key: KeyEvent) -> Outcome {
        if key.modifiers.contains(KeyModifiers::CONTROL) {
            return if matches!(key.code, KeyCode::Char('c')) { Outcome::Leave } else { Outcome::Stay };
        }
        if self.is_typing {
            self.type_filter(key.code);
            return Outcome::Stay;
        }
        if self.has_help {
            match key.code {
                KeyCode::Up | KeyCode::Down | KeyCode::PageUp | KeyCode::PageDown => self.go(key.code),
                _ => (self.has_help, self.scroll) = (false, 0),
            }
            return Outcome::Stay;
        }
        match key.code {
            KeyCode::Char('q') => return Outcome::Leave,
            KeyCode::Char('?' | 'h') | KeyCode::F(1) => (self.has_help, self.scroll) = (true, 0),
            KeyCode::Char(' ' | 'f') => self.is_frozen = !self.is_frozen,
            KeyCode::Char('p') => self.order.period = self.order.period.next(),
            KeyCode::Char(digit @ '1'..='4') => self.show(View::ALL[digit as usize - '1' as usize]),
            KeyCode::Tab => self.show(View::ALL[(self.view as usize + 1) % View::ALL.len()]),
            KeyCode::BackTab => self.show(View::ALL[(self.view as usize + View::ALL.len() - 1) % View::ALL.len()]),
            KeyCode::Esc | KeyCode::Backspace => self.back(),
            KeyCode::Up | KeyCode::Down | KeyCode::PageUp | KeyCode::PageDown | KeyCode::Home | KeyCode::End => {
                self.go(key.code);
            }
            code if self.has_table() => self.table_key(code),
            _ => {}
        }
        Outcome::Stay
    }

    /// Whether the table is on the screen.
    pub(super) fn has_table(&self) -> bool {
        self.view == View::Subjects && self.detail.is_none() && !self.has_help
    }

    fn table_key(&mut self, code: KeyCode) {
        match code {
            KeyCode::Char('s') | KeyCode::Right => self.sort(false),
            KeyCode::Char('S') | KeyCode::Left => self.sort(true),
            KeyCode::Char('r') => self.order.is_reversed = !self.order.is_reversed,
            KeyCode::Char('/') => self.is_typing = true,
            KeyCode::Enter => {
                let rows = self.rows();
                if let Some(row) = rows.get(self.selected(&rows)) {
                    let subject = row.subject.clone();
                    self.selected = Some(subject.clone());
                    self.detail = Some(Detail { subject, about: None, is_nobody: false });
                    self.scroll = 0;
                }
            }
            _ => {}
        }
    }

    fn sort(&mut self, is_left: bool) {
        if let Some(told) = &self.told {
            self.order.step(told, is_left);
        }
    }

    fn type_filter(&mut self, code: KeyCode) {
        match code {
            KeyCode::Enter => self.is_typing = false,
            KeyCode::Esc => (self.is_typing, self.order.filter) = (false, String::new()),
            KeyCode::Backspace => {
                self.order.filter.pop();
            }
            KeyCode::Char(letter) if self.order.filter.chars().count() < LONGEST_FILTER => {
                self.order.filter.push(letter);
            }
            _ => {}
        }
    }

    fn show(&mut self, view: View) {
        (self.view, self.detail, self.scroll) = (view, None, 0);
    }

    fn back(&mut self) {
        self.scroll = 0;
        if self.detail.take().is_none() {
            if self.view == View::Subjects {
                self.order.filter.clear();
                self.selected = None;
            } else {
                self.view = View::Subjects;
            }
        }
    }

    fn go(&mut self, code: KeyCode) {
        let is_table = self.has_table();
        let rows = if is_table { self.rows() } else { Vec::new() };
        let (at, last) = if is_table {
            (self.selected(&rows), rows.len().saturating_sub(1))
        } else {
            (self.scroll, self.room.most_scroll)
        };
        let page = self.room.rows.saturating_sub(1).max(1);
        let to = match code {
            KeyCode::Up => at.saturating_sub(1),
            KeyCode::Down => at + 1,
            KeyCode::PageUp => at.saturating_sub(page),
            KeyCode::PageDown => at + page,
            KeyCode::Home => 0,
            _ => last,
        };
        let to = to.min(last);
        if is_table {
            // Whoever is at the top, and not who was when the key was pressed.
            self.selected = rows.get(to).filter(|_| to > 0).map(|row| row.subject.clone());
        } else {
            self.scroll = to;
        }
    }

    /// Of which time the figures are, for people.
    pub(super) fn period(&self) -> String {
        match (self.order.period, &self.rates) {
            (Period::Recent, _) => "last 15 min".to_owned(),
            (Period::Start, _) => "since start".to_owned(),
            (Period::Now, None) => "each second: needs two answers".to_owned(),
            (Period::Now, Some(rates)) => format!("each second of the last {:.1} s", rates.length.as_secs_f64()),
        }
    }
}

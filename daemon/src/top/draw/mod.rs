//! What a state looks like: a pure function of it onto cells. Nothing is told by colour alone.

mod itself;
mod subject;
mod subjects;
#[cfg(test)]
mod tests;
mod texts;
mod waits;
mod wrong;

use ratatui::{
    buffer::Buffer,
    layout::{Constraint, Layout, Rect},
    style::{Color, Modifier, Style},
    text::{Line, Span},
    widgets::{Paragraph, Widget as _},
};

use super::{
    state::{Room, State, View},
    told::Overview,
    words::{self, Glyphs},
};

/// Less than this is no room for figures.
const LEAST: (u16, u16) = (40, 10);

/// How things look on this terminal.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::top) struct Look {
    pub(in crate::top) has_colour: bool,
    pub(in crate::top) glyphs: Glyphs,
}

impl Look {
    fn coloured(self, colour: Color) -> Style {
        if self.has_colour { Style::new().fg(colour) } else { Style::new() }
    }

    fn bold() -> Style {
        Style::new().add_modifier(Modifier::BOLD)
    }

    fn reversed() -> Style {
        Style::new().add_modifier(Modifier::REVERSED)
    }

    /// Beside what matters.
    fn quiet() -> Style {
        Style::new().add_modifier(Modifier::DIM)
    }

    fn of_severity(self, severity: &str) -> Style {
        match severity {
            "critical" => self.coloured(Color::Red).add_modifier(Modifier::BOLD | Modifier::REVERSED),
            "warning" => self.coloured(Color::Yellow).add_modifier(Modifier::BOLD),
            _ => Style::new(),
        }
    }
}

/// Draws it, and says what there was room for.
pub(in crate::top) fn draw(buffer: &mut Buffer, state: &State, look: Look) -> Room {
    let area = buffer.area;
    if area.width < LEAST.0 || area.height < LEAST.1 {
        Line::raw(format!("too small: needs {} x {}", LEAST.0, LEAST.1)).render(area, buffer);
        return Room::default();
    }
    let [head, tabs, body, foot] =
        Layout::vertical([Constraint::Length(2), Constraint::Length(1), Constraint::Min(0), Constraint::Length(1)])
            .areas(area);
    heads(state, look, head, buffer);
    self::tabs(state, look, tabs, buffer);
    Line::styled(keys(state), Look::quiet()).render(foot, buffer);
    let lines = |lines: Vec<Line<'static>>, buffer: &mut Buffer| scrolled(lines, state, body, buffer);
    let Some(told) = state.told.as_deref() else {
        return lines(vec![Line::raw("No answer yet.")], buffer);
    };
    let width = usize::from(body.width);
    if state.has_help {
        return lines(texts::help(), buffer);
    }
    if let Some(detail) = &state.detail {
        return lines(subject::lines(detail, look, width), buffer);
    }
    match state.view {
        View::Subjects => subjects::draw(told, state, look, body, buffer),
        View::Wrong => lines(wrong::lines(told, look, width), buffer),
        View::Waits => lines(waits::lines(told, state.order.period, width), buffer),
        View::Itself => lines(itself::lines(told, width), buffer),
    }
}

/// A text that may be longer than its place.
fn scrolled(lines: Vec<Line<'static>>, state: &State, area: Rect, buffer: &mut Buffer) -> Room {
    let rows = usize::from(area.height);
    let most_scroll = lines.len().saturating_sub(rows);
    let scroll = state.scroll.min(most_scroll);
    let shown: Vec<Line<'_>> = lines.into_iter().skip(scroll).take(rows).collect();
    Paragraph::new(shown).render(area, buffer);
    if scroll < most_scroll {
        // In the line below, beside the keys.
        let below = Rect { y: area.bottom(), height: 1, ..area };
        Line::styled(" more ", Look::reversed()).right_aligned().render(below.intersection(buffer.area), buffer);
    }
    Room { rows, most_scroll }
}

/// Whose figures, of when; and what is wrong.
fn heads(state: &State, look: Look, area: Rect, buffer: &mut Buffer) {
    let [first, second] = Layout::vertical([Constraint::Length(1); 2]).areas(area);
    let right = standing(state);
    let right_width = right.width() as u16;
    let [left_area, right_area] =
        Layout::horizontal([Constraint::Min(0), Constraint::Length(right_width)]).areas(first);
    let dot = look.glyphs.dot();
    let mut left = vec![Span::styled("mmscope top", Look::bold())];
    if let Some(told) = &state.told {
        left.push(Span::raw(format!(" {dot} {}", whose(told, dot))));
    } else {
        left.push(Span::raw(format!(" {dot} {}", state.source)));
    }
    Line::from(left).render(left_area, buffer);
    right.render(right_area, buffer);
    let line = match (&state.trouble, &state.told) {
        (Some(why), _) => Line::styled(format!("connection lost, trying again: {why}"), Look::bold()),
        (None, Some(told)) => wrong::summary(told, look),
        (None, None) => Line::default(),
    };
    line.render(second, buffer);
}

fn whose(told: &Overview, dot: &str) -> String {
    let up = words::span(std::time::Duration::from_millis(told.host.uptime_ms));
    let host = if told.host.host.is_empty() { String::new() } else { format!("{} {dot} ", told.host.host) };
    let since = match &told.host.replay {
        Some(replay) if replay.has_ended => format!("recording {}, at its end, {up}", replay.file),
        Some(replay) => format!("recording {}, x{}, at {up}", replay.file, replay.speed),
        None if told.host.ticks == 0 => "no look at the kernel yet".to_owned(),
        None => format!("watching for {up}"),
    };
    // The release is the first to find no room.
    format!("{host}{since} {dot} kernel {}", told.host.kernel)
}

/// Whether the figures move.
fn standing(state: &State) -> Line<'static> {
    let age = words::span(state.age);
    let text = match (state.is_old(), state.is_frozen) {
        (true, _) => format!(" OLD, of {age} ago "),
        (false, true) => " FROZEN ".to_owned(),
        (false, false) => return Line::default(),
    };
    Line::styled(text, Look::reversed())
}

fn tabs(state: &State, look: Look, area: Rect, buffer: &mut Buffer) {
    let mut spans = Vec::new();
    for (n, view) in View::ALL.into_iter().enumerate() {
        let is_shown = state.view == view && state.detail.is_none();
        let style = if is_shown { Look::reversed() } else { Style::new() };
        spans.push(Span::styled(format!(" {} {} ", n + 1, view.title()), style));
    }
    Line::from(spans).render(area, buffer);
    if let Some(told) = &state.told {
        itself::summary(told, look).right_aligned().render(area, buffer);
    }
}

fn keys(state: &State) -> &'static str {
    if state.is_typing {
        "Type a part of a command or cgroup   Enter keep   Esc clear"
    } else if state.has_help {
        "Up Down scroll   any other key: back"
    } else if state.detail.is_some() {
        "Esc back   Up Down scroll   Space freeze   ? help   q quit"
    } else if state.view == View::Subjects {
        "s sort r reverse / filter p period Enter detail Space freeze ? help q quit"
    } else {
        "1-4 Tab views  Up Down scroll  p period  Space freeze  ? help  q quit"
    }
}

/// A sentence over as many lines as it takes, those after the first further in.
fn wrapped(text: &str, indent: usize, width: usize, style: Style) -> Vec<Line<'static>> {
    let (first, further) = (" ".repeat(indent), " ".repeat(indent + 2));
    let options = textwrap::Options::new(width.max(20)).initial_indent(&first).subsequent_indent(&further);
    textwrap::wrap(text, options).into_iter().map(|line| Line::styled(line.into_owned(), style)).collect()
}

fn title(text: impl Into<String>) -> Line<'static> {
    Line::styled(text.into(), Look::bold())
}

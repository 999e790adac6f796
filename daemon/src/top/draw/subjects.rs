//! The first view: how durations were distributed, and the table of subjects.

use ratatui::{
    buffer::Buffer,
    layout::{Constraint, Layout, Rect},
    style::{Modifier, Style},
    text::{Line, Span},
    widgets::{Paragraph, Widget as _},
};

use super::{Look, texts};
use crate::{
    identity::Subject,
    top::{
        rows::{Column, Row},
        state::{Room, State},
        told::{Durations, Overview},
        words,
    },
};

/// Columns of a figure.
const FIGURE: usize = 9;
/// Columns of a command: the kernel's names have 15 bytes.
const COMMAND: usize = 15;
/// Where the buckets of 1 us, 1 ms and 1 s are, in 27 columns.
const RULER: &str = "  1us       1ms       1s   ";

/// Draws it.
pub(super) fn draw(told: &Overview, state: &State, look: Look, area: Rect, buffer: &mut Buffer) -> Room {
    let rows = state.rows();
    let selected = state.selected(&rows);
    let notes = notes(told, state, rows.get(selected));
    let heights = [
        Constraint::Length(1 + told.durations.len() as u16),
        Constraint::Length(1),
        Constraint::Min(0),
        Constraint::Length(notes.len() as u16),
    ];
    let [durations, head, table, foot] = Layout::vertical(heights).areas(area);
    Paragraph::new(self::durations(told, look)).render(durations, buffer);
    let by = state.order.by(told);
    self::head(by, state, look, usize::from(area.width)).render(head, buffer);
    let room = usize::from(table.height);
    let first = (selected + 1).saturating_sub(room);
    let lines = rows.iter().enumerate().skip(first).take(room).map(|(n, row)| {
        let style = if n == selected { Look::reversed() } else { Style::new() };
        line(row, look, usize::from(area.width)).style(style)
    });
    Paragraph::new(lines.collect::<Vec<_>>()).render(table, buffer);
    if rows.is_empty() {
        Line::raw(empty(told, state)).render(table, buffer);
    }
    Paragraph::new(notes.into_iter().map(|note| Line::styled(note, Look::quiet())).collect::<Vec<_>>())
        .render(foot, buffer);
    Room { rows: room, most_scroll: 0 }
}

fn durations(told: &Overview, look: Look) -> Vec<Line<'static>> {
    let head = format!("{:<14}{RULER} {:>8} {:>9} {:>9} {:>9}", "LAST 15 MIN", "EVENTS", "HALF", "99 %", "LONGEST");
    let mut lines = vec![Line::styled(head, Look::bold())];
    lines.extend(told.durations.iter().map(|durations| duration(durations, look)));
    lines
}

fn duration(Durations { name, buckets, missing }: &Durations, look: Look) -> Line<'static> {
    let title = match &**name {
        "windows" => "windows",
        "holds" => "lock held",
        "waits" => "lock waited",
        other => other,
    };
    let text = match (buckets, missing) {
        (None, Some(_)) => format!("{title:<14}cannot be measured here: view 4 tells why"),
        (None, None) => format!("{title:<14}no look at the kernel yet"),
        (Some(buckets), _) => {
            let spark = look.glyphs.spark(buckets);
            let count = words::count(buckets.iter().sum());
            let [half, most, longest] = [0.5, 0.99, 1.0].map(|part| words::quantile(buckets, part));
            format!("{title:<14}{spark:<27} {count:>8} {half:>9} {most:>9} {longest:>9}")
        }
    };
    Line::raw(text)
}

fn head(by: Column, state: &State, look: Look, width: usize) -> Line<'static> {
    let subject = width.saturating_sub(FIGURE * Column::ALL.len());
    let mut spans = vec![Span::raw(format!("{:<subject$}", "COMMAND         CGROUP"))];
    for column in Column::ALL {
        let is_sorted = column == by;
        let mark = if is_sorted { look.glyphs.sorted(state.order.is_reversed) } else { "" };
        let style = if is_sorted { Style::new().add_modifier(Modifier::UNDERLINED) } else { Style::new() };
        let text = format!("{}{mark}", column.title());
        spans.push(Span::raw(" ".repeat(FIGURE.saturating_sub(text.chars().count()))));
        spans.push(Span::styled(text, style));
    }
    Line::from(spans).style(Look::bold())
}

fn line(row: &Row, look: Look, width: usize) -> Line<'static> {
    let room = width.saturating_sub(FIGURE * Column::ALL.len() + COMMAND + 1);
    let comm = words::head(&row.subject.comm, COMMAND, look.glyphs);
    let cgroup = words::tail(texts::cgroup(&row.subject), room, look.glyphs);
    let mut text = format!("{comm:<COMMAND$} {cgroup:<room$}");
    for column in Column::ALL {
        let cell = match row.cells[column as usize] {
            None => words::ABSENT.to_owned(),
            Some(count) if column.is_count() => words::count(count),
            Some(ns) => words::time(ns),
        };
        text.push_str(&format!("{cell:>FIGURE$}"));
    }
    Line::raw(text)
}

/// What has to be known when reading the table.
fn notes(told: &Overview, state: &State, selected: Option<&Row>) -> Vec<String> {
    let mut notes = vec![format!("{}; {} subjects have metrics of their own", state.period(), told.subjects.count)];
    if state.is_typing {
        notes[0] = format!("filter: {}_", state.order.filter);
    } else if !state.order.filter.is_empty() {
        notes[0] = format!("{}; only with \"{}\": Esc shows all", state.period(), state.order.filter);
    }
    let absent: Vec<&str> = Column::ALL
        .into_iter()
        .filter(|column| column.measure().is_some_and(|measure| told.subjects.not_measured.contains_key(measure)))
        .map(Column::title)
        .collect();
    if !absent.is_empty() {
        notes.push(format!("{}: cannot be measured on this kernel, view 4 tells why", absent.join(", ")));
    }
    // Its cgroup had no room in the row.
    notes.extend(selected.map(|row| format!("selected: {}", name(&row.subject))));
    notes
}

fn empty(told: &Overview, state: &State) -> &'static str {
    if !state.order.filter.is_empty() {
        "No subject has this in its name or cgroup, and did anything in this period."
    } else if told.subjects.rows.is_empty() {
        "No subject was active yet."
    } else {
        "Nobody did anything in this period."
    }
}

/// For people: the name of whom a page is about.
pub(super) fn name(subject: &Subject) -> String {
    format!("{}  {}", subject.comm, texts::cgroup(subject))
}

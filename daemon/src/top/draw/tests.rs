//! Screens, cell by cell: as text at 80 x 24, and which styles carry what colours do elsewhere.

use std::time::Duration;

use ratatui::{Terminal, backend::TestBackend, crossterm::event::KeyCode, style::Color};

use super::*;
use crate::top::{fixture, state::Update};

const SIZE: (u16, u16) = (80, 24);

fn shown(keys: &[KeyCode]) -> State {
    let mut state = State::new("http://127.0.0.1:10942".to_owned());
    state.take(Update::Told(Box::new(fixture::overview())));
    for &key in keys {
        state.key(key.into());
    }
    state
}

fn drawn(state: &mut State, look: Look, (width, height): (u16, u16)) -> (Buffer, String) {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    let mut room = Room::default();
    terminal.draw(|frame| room = draw(frame.buffer_mut(), state, look)).unwrap();
    state.drawn(room);
    let buffer = terminal.backend().buffer().clone();
    let rows = buffer.content.chunks(usize::from(width));
    let text: Vec<String> =
        rows.map(|row| row.iter().map(|cell| cell.symbol()).collect::<String>().trim_end().to_owned()).collect();
    (buffer, text.join("\n"))
}

fn text(state: &mut State) -> String {
    drawn(state, Look::default(), SIZE).1
}

fn typed(text: &str) -> Vec<KeyCode> {
    text.chars().map(KeyCode::Char).collect()
}

#[test]
fn subjects() {
    insta::assert_snapshot!(text(&mut shown(&[])));
}

#[test]
fn subjects_in_a_locale_without_block_characters() {
    let look = Look { glyphs: Glyphs::Ascii, ..Look::default() };
    let (_, text) = drawn(&mut shown(&typed("sr")), look, SIZE);
    assert!(text.is_ascii(), "{text}");
    insta::assert_snapshot!(text);
}

#[test]
fn a_filter_that_is_typed() {
    insta::assert_snapshot!(text(&mut shown(&typed("/jav"))));
}

#[test]
fn wrong() {
    insta::assert_snapshot!(text(&mut shown(&typed("2"))));
}

#[test]
fn waits() {
    insta::assert_snapshot!(text(&mut shown(&typed("3"))));
    assert!(text(&mut shown(&typed("3p"))).contains("Nobody waited for mmap_lock"));
}

#[test]
fn itself() {
    insta::assert_snapshot!(text(&mut shown(&typed("4"))));
}

#[test]
fn one_subject() {
    let mut state = shown(&[KeyCode::Down, KeyCode::Enter]);
    assert!(text(&mut state).contains("No answer yet."));
    state.take(Update::About(Box::new(fixture::about("java"))));
    insta::assert_snapshot!(drawn(&mut state, Look::default(), (80, 50)).1);
    text(&mut state);
    state.key(KeyCode::End.into());
    let scrolled = text(&mut state);
    assert!(scrolled.contains("12:00:01.500 hold write") && !scrolled.ends_with("more"), "{scrolled}");
}

#[test]
fn help() {
    let mut state = shown(&typed("?"));
    let text = text(&mut state);
    assert_eq!(state.room.most_scroll, 0, "all of it fits: {text}");
    assert!(text.lines().skip(3).all(|line| line.chars().count() < 80), "nothing is cut off: {text}");
    insta::assert_snapshot!(text);
}

#[test]
fn a_daemon_that_went_away_leaves_old_figures_and_says_so() {
    let mut state = shown(&[]);
    state.take(Update::Failed("connect: Connection refused (os error 111)".to_owned()));
    state.age = Duration::from_secs(12);
    let text = text(&mut state);
    assert!(text.contains("OLD, of 12 s ago"), "{text}");
    assert!(text.contains("connection lost, trying again: connect: Connection refused"), "{text}");
    assert!(text.contains("postgres"), "{text}");
}

#[test]
fn what_is_frozen_is_marked() {
    assert!(text(&mut shown(&typed("f"))).lines().next().unwrap().ends_with("FROZEN"));
}

#[test]
fn what_is_not_measured_is_named_and_is_no_zero() {
    let text = text(&mut shown(&[]));
    let java = text.lines().find(|line| line.starts_with("java")).unwrap();
    assert!(java.contains("n/a"), "{java}");
    assert!(text.contains("UFAULTS: cannot be measured on this kernel"), "{text}");
    assert!(text.contains("userfaults    cannot be measured here"), "{text}");
}

#[test]
fn a_daemon_of_before_tells_less_and_nothing_of_it_is_zero() {
    let mut told = fixture::overview();
    told.subjects.not_measured.clear();
    told.subjects.rows.iter_mut().for_each(|row| row.recent.userfaults_ns = None);
    let mut state = State::default();
    state.take(Update::Told(Box::new(told)));
    let text = text(&mut state);
    assert!(text.lines().find(|line| line.starts_with("java")).unwrap().contains("n/a"), "{text}");
}

#[test]
fn colours_are_used_where_there_are_some_and_weight_elsewhere() {
    let cell = |look: Look| drawn(&mut shown(&[]), look, SIZE).0[(1, 1)].clone();
    let coloured = cell(Look { has_colour: true, ..Look::default() });
    assert_eq!(coloured.fg, Color::Red);
    let plain = drawn(&mut shown(&[]), Look::default(), SIZE).0;
    assert!(plain.content.iter().all(|cell| cell.fg == Color::Reset && cell.bg == Color::Reset));
    assert!(plain[(1, 1)].modifier.contains(Modifier::REVERSED), "critical");
    assert!(plain[(0, 9)].modifier.contains(Modifier::REVERSED), "the selected row");
}

#[test]
fn names_are_text_and_move_no_cursor() {
    let mut told = fixture::overview();
    told.subjects.rows[0].subject.comm = "\u{1b}[2Jevil\r\n".to_owned();
    told.wrong.alerts[0].text = "\u{1b}]0;title\u{7}".to_owned();
    let mut state = State::default();
    state.take(Update::Told(Box::new(told)));
    for keys in ["1", "2"] {
        for key in typed(keys) {
            state.key(key.into());
        }
        let (buffer, _) = drawn(&mut state, Look::default(), SIZE);
        assert!(buffer.content.iter().all(|cell| !cell.symbol().contains(char::is_control)));
    }
}

#[test]
fn any_size_can_be_drawn() {
    for keys in ["1", "2", "3", "4", "?"] {
        for size in [(1, 1), (39, 9), (40, 10), (60, 12), (200, 60)] {
            let mut state = shown(&typed(keys));
            let (_, text) = drawn(&mut state, Look::default(), size);
            assert_eq!(text.contains("too small") || size.0 < 20, size.0 < 40, "{size:?}: {text}");
        }
    }
    let mut state = shown(&[KeyCode::Enter]);
    state.take(Update::About(Box::new(fixture::about("postgres"))));
    drawn(&mut state, Look::default(), (40, 10));
}

#[test]
fn the_selected_row_is_always_on_the_screen() {
    let mut told = fixture::overview();
    let row = told.subjects.rows[1].clone();
    for n in 0..60 {
        let mut row = row.clone();
        row.subject.comm = format!("job{n:02}");
        told.subjects.rows.push(row);
    }
    let mut state = State::default();
    state.take(Update::Told(Box::new(told)));
    drawn(&mut state, Look::default(), SIZE);
    state.key(KeyCode::PageDown.into());
    state.key(KeyCode::PageDown.into());
    let rows = state.rows();
    let name = rows[state.selected(&rows)].subject.comm.clone();
    let text = text(&mut state);
    assert!(text.lines().any(|line| line.starts_with(&name)), "{name}: {text}");
}

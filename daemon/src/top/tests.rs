//! Keys and answers, and what is shown then.

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::{
    fixture,
    rows::{Column, Period},
    state::{LONGEST_FILTER, Outcome, Room, State, Update, View},
};

fn press(state: &mut State, keys: &[KeyCode]) {
    for &key in keys {
        assert_eq!(state.key(KeyEvent::from(key)), Outcome::Stay, "{key}");
    }
}

fn typed(text: &str) -> Vec<KeyCode> {
    text.chars().map(KeyCode::Char).collect()
}

fn names(state: &State) -> Vec<String> {
    state.rows().into_iter().map(|row| row.subject.comm).collect()
}

fn shown() -> State {
    let mut state = State::new("http://127.0.0.1:10942".to_owned());
    state.take(Update::Told(Box::new(fixture::overview())));
    state.drawn(Room { rows: 3, most_scroll: 5 });
    state
}

fn selected(state: &State) -> String {
    let rows = state.rows();
    rows[state.selected(&rows)].subject.comm.clone()
}

#[test]
fn q_and_control_c_leave_but_a_q_in_a_filter_does_not() {
    let mut state = shown();
    assert_eq!(state.key(KeyEvent::from(KeyCode::Char('q'))), Outcome::Leave);
    press(&mut state, &typed("/q"));
    assert_eq!(state.order.filter, "q");
    assert_eq!(state.key(KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL)), Outcome::Leave);
}

#[test]
fn a_filter_is_typed_kept_and_cleared() {
    let mut state = shown();
    press(&mut state, &typed("/posx"));
    press(&mut state, &[KeyCode::Backspace, KeyCode::Enter]);
    assert_eq!((state.order.filter.as_str(), state.is_typing), ("pos", false));
    assert_eq!(names(&state), ["postgres"]);
    press(&mut state, &[KeyCode::Esc]);
    assert_eq!(names(&state).len(), 4);
    press(&mut state, &typed(&format!("/{}", "a".repeat(99))));
    assert_eq!(state.order.filter.len(), LONGEST_FILTER);
    press(&mut state, &[KeyCode::Esc]);
    assert_eq!((state.order.filter.as_str(), state.is_typing), ("", false));
}

#[test]
fn a_selection_stays_with_its_subject_and_without_one_it_is_the_top() {
    let mut state = shown();
    assert_eq!(selected(&state), "postgres");
    press(&mut state, &[KeyCode::Char('s'), KeyCode::Char('s')]);
    assert_eq!((state.order.by, selected(&state).as_str()), (Column::Waited, "java"));
    press(&mut state, &[KeyCode::Down]);
    assert_eq!(selected(&state), "postgres");
    press(&mut state, &[KeyCode::Left, KeyCode::Left]);
    assert_eq!((state.order.by, selected(&state).as_str()), (Column::Windows, "postgres"));
    press(&mut state, &[KeyCode::End]);
    assert_eq!(selected(&state), "other");
    press(&mut state, &[KeyCode::PageUp]);
    assert_eq!(selected(&state), "java", "a page less one");
    press(&mut state, &[KeyCode::Home, KeyCode::Char('r')]);
    assert_eq!(selected(&state), "other", "reversed");
}

#[test]
fn a_subject_is_opened_told_and_left() {
    let mut state = shown();
    press(&mut state, &[KeyCode::Down, KeyCode::Enter]);
    assert_eq!(state.wanted().map(|subject| subject.comm.as_str()), Some("java"));
    let about = fixture::about("java");
    state.take(Update::About(Box::new(fixture::about("postgres"))));
    assert!(state.detail.as_ref().unwrap().about.is_none(), "that is another one's");
    state.take(Update::About(Box::new(about)));
    assert!(state.detail.as_ref().unwrap().about.is_some());
    let subject = state.wanted().unwrap().clone();
    state.take(Update::Nobody(subject));
    assert!(state.detail.as_ref().unwrap().is_nobody);
    press(&mut state, &[KeyCode::Down, KeyCode::Down]);
    assert_eq!(state.scroll, 2);
    press(&mut state, &[KeyCode::Esc]);
    assert!(state.wanted().is_none() && selected(&state) == "java");
}

#[test]
fn what_is_frozen_does_not_move_and_goes_on_from_the_latest() {
    let mut state = shown();
    press(&mut state, &[KeyCode::Char(' ')]);
    let mut later = fixture::overview();
    later.host.uptime_ms += 2_000;
    state.take(Update::Told(Box::new(later.clone())));
    assert_eq!(state.told.as_ref().unwrap().host.uptime_ms, fixture::overview().host.uptime_ms);
    press(&mut state, &[KeyCode::Char('f')]);
    state.take(Update::Told(Box::new(later)));
    assert_eq!(state.told.as_ref().unwrap().host.uptime_ms, fixture::overview().host.uptime_ms + 2_000);
    assert!(state.rates.is_some());
}

#[test]
fn without_an_answer_the_last_figures_stay_and_are_old() {
    let mut state = shown();
    state.take(Update::Failed("connect: refused".to_owned()));
    assert!(state.is_old() && names(&state).len() == 4);
    state.take(Update::Told(Box::new(fixture::overview())));
    assert!(!state.is_old());
}

#[test]
fn views_go_round_and_help_goes_with_any_key() {
    let mut state = shown();
    press(&mut state, &[KeyCode::Tab]);
    assert_eq!(state.view, View::Wrong);
    press(&mut state, &[KeyCode::BackTab, KeyCode::BackTab]);
    assert_eq!(state.view, View::Itself);
    press(&mut state, &[KeyCode::Char('3'), KeyCode::Char('?'), KeyCode::Down]);
    assert!(state.has_help && state.scroll == 1);
    press(&mut state, &[KeyCode::Char('q')]);
    assert_eq!((state.has_help, state.view, state.scroll), (false, View::Waits, 0));
    press(&mut state, &[KeyCode::Esc]);
    assert_eq!(state.view, View::Subjects);
}

#[test]
fn periods_go_round() {
    let mut state = shown();
    let mut told = Vec::new();
    for _ in 0..3 {
        told.push(state.period());
        press(&mut state, &[KeyCode::Char('p')]);
    }
    assert_eq!(told, ["last 15 min", "since start", "each second: needs two answers"]);
    assert_eq!(state.order.period, Period::Recent);
}

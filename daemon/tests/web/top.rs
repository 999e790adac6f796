//! `mmscope top` in a real terminal, by its keys, against a replay that has come to its end: what the screen says is what the metrics
//! say at that time.

use std::{
    collections::BTreeSet,
    process::{Command, Stdio},
};

use crate::{
    client::{PASSWORD, Server, TLS, user},
    terminal::{Terminal, line},
};

/// Rows of the table that 80 x 24 have room for.
const ROWS: usize = 12;

/// The columns, by metric: those that are times in seconds, and those that are numbers.
const COLUMNS: [(&str, bool); 6] = [
    ("mmscope_flush_window_seconds_sum", true),
    ("mmscope_mmap_lock_hold_seconds_sum", true),
    ("mmscope_mmap_lock_wait_seconds_sum", true),
    ("mmscope_forced_flushes_total", false),
    ("mmscope_userfault_seconds_sum", true),
    ("mmscope_hazards_total", false),
];

/// A host that does little tells few subjects apart.
const MANY: &str = "series_cap = 20000\nseries_idle = 20000\n";

/// A series of a scrape: name, labels as they stand, value.
fn series(scrape: &str) -> impl Iterator<Item = (&str, &str, f64)> {
    scrape.lines().filter(|line| !line.starts_with('#')).filter_map(|line| {
        let (name, rest) = line.split_once('{')?;
        let (labels, value) = rest.split_once("} ")?;
        Some((name, labels, value.split_whitespace().next()?.parse().ok()?))
    })
}

/// Sum of a metric over what has all of these labels.
fn sum(scrape: &str, name: &str, wanted: &[&str]) -> f64 {
    let has = |labels: &str| wanted.iter().all(|label| labels.split(',').any(|told| told == *label));
    series(scrape).filter(|(told, labels, _)| *told == name && has(labels)).fold(0.0, |sum, (_, _, value)| sum + value)
}

/// A duration as the screen has it.
fn time(seconds: f64) -> String {
    let ns = (seconds * 1e9).round() as u64;
    match ns {
        0 => "0".to_owned(),
        1..1_000 => format!("{ns}ns"),
        1_000..1_000_000 => format!("{:.1}us", ns as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1}ms", ns as f64 / 1e6),
        _ => format!("{:.1}s", ns as f64 / 1e9),
    }
}

/// Command and figures.
type Row = (String, Vec<String>);

/// Whoever the metrics tell apart and have figures of, by one column, the largest first.
fn by_metrics(scrape: &str, by: usize) -> Vec<Row> {
    let whose = |labels: &str| {
        let label = |name: &str| labels.split(',').find(|label| label.starts_with(name)).map(str::to_owned);
        Some((label("comm=")?, label("cgroup=")?))
    };
    let subjects: BTreeSet<(String, String)> = series(scrape)
        // Hazards have subjects that are told apart nowhere else.
        .filter(|(name, _, _)| *name == "mmscope_mmap_lock_hold_seconds_sum")
        .filter_map(|(_, labels, _)| whose(labels))
        .collect();
    let mut rows: Vec<(f64, Row)> = Vec::new();
    for (comm, cgroup) in subjects {
        let figures = COLUMNS.map(|(name, _)| {
            let mut labels = vec![&*comm, &*cgroup];
            labels.extend((name == COLUMNS[0].0).then_some("kind=\"outer\""));
            sum(scrape, name, &labels)
        });
        if figures.iter().any(|figure| *figure > 0.0) {
            let text = COLUMNS
                .iter()
                .zip(figures)
                .map(|((_, is_time), figure)| if *is_time { time(figure) } else { figure.to_string() });
            let name = comm.trim_start_matches("comm=").trim_matches('"').to_owned();
            rows.push((figures[by], (name, text.collect())));
        }
    }
    rows.sort_by(|a, b| b.0.total_cmp(&a.0));
    rows.into_iter().map(|(_, row)| row).collect()
}

/// The table on the screen.
fn table(screen: &str) -> Vec<Row> {
    let rows = screen.lines().skip_while(|line| !line.starts_with("COMMAND")).skip(1);
    let rows = rows.take_while(|line| line.split_whitespace().count() >= 8 && !line.contains(';'));
    rows.map(|line| {
        let name: String = line.chars().take(15).collect();
        let words: Vec<&str> = line.split_whitespace().collect();
        (name.trim().to_owned(), words[words.len() - 6..].iter().map(|word| (*word).to_owned()).collect())
    })
    .collect()
}

/// Whether anything on the screen has a colour, of its own or behind it.
fn has_colours(terminal: &Terminal) -> bool {
    let screen = terminal.coloured();
    screen.contains("\u{1b}[38;") || screen.contains("\u{1b}[48;")
}

fn url(server: &Server) -> String {
    format!("{}://{}", server.scheme, server.address)
}

/// Waits until the table is this one. A screen that is just being drawn is half of one and half of another.
fn table_is(terminal: &Terminal, wanted: &[Row]) {
    terminal.until(&format!("{wanted:?}"), |screen| (table(screen) == wanted).then_some(()));
}

/// Waits for a line that begins with this word, and has this figure at a place.
fn line_is(terminal: &Terminal, first: &str, at: usize, figure: &str) {
    terminal.until(&format!("{first} with {figure}"), |screen| {
        let lines = screen.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
        lines.filter(|words| words.first() == Some(&first)).any(|words| words.get(at) == Some(&figure)).then_some(())
    });
}

#[test]
fn the_screen_says_what_the_metrics_say() {
    let server = Server::with(MANY, "", "");
    let terminal = Terminal::of(&[("LC_ALL", "C.UTF-8")], &["top", "--url", &url(&server)]);
    let first = terminal.until("the first screen", |screen| {
        let is_whole = screen.contains("last 15 min; ") && screen.contains("? help q quit") && screen.contains('█');
        is_whole.then(|| screen.to_owned())
    });
    assert_eq!(first.lines().count(), 24);
    assert!(first.starts_with("mmscope top · recording hazards.mmrec, at its end"), "{first}");
    assert!(has_colours(&terminal), "a warning is yellow: {:?}", terminal.coloured());

    let scrape = server.curl("/metrics", &[]).body;
    terminal.press(&["p"]);
    terminal.shows("since start; ");
    let (by_windows, by_holds) = (by_metrics(&scrape, 0), by_metrics(&scrape, 1));
    assert!(by_windows.len() > ROWS, "more subjects than there is room for: {by_windows:?}");
    table_is(&terminal, &by_windows[..ROWS]);
    terminal.press(&["End"]);
    table_is(&terminal, &by_windows[by_windows.len() - ROWS..]);
    terminal.press(&["Home", "s"]);
    terminal.shows("HELD▼");
    table_is(&terminal, &by_holds[..ROWS]);
    terminal.press(&["r"]);
    terminal.shows("HELD▲");
    table_is(&terminal, &by_holds.iter().rev().take(ROWS).cloned().collect::<Vec<_>>());
    terminal.press(&["r", "/", "n", "e", "s", "Enter"]);
    terminal.shows("only with \"nes\"");
    let nested: Vec<Row> = by_holds.iter().filter(|(name, _)| name == "nested").cloned().collect();
    assert_eq!(nested.len(), 1);
    table_is(&terminal, &nested);

    terminal.press(&["Enter"]);
    terminal.shows("Pending-flush windows, by path");
    line_is(&terminal, "HELD", 2, &nested[0].1[1]);
    let writes = sum(&scrape, "mmscope_mmap_lock_hold_seconds_count", &["comm=\"nested\"", "mode=\"write\""]);
    terminal.until(&format!("{writes} holds for write"), |screen| {
        let mut rows = screen.lines().map(|line| line.split_whitespace().take(2).collect::<Vec<_>>());
        let is_there = rows.any(|row| row == ["write", &writes.to_string()]);
        if !is_there {
            terminal.press(&["Down"]);
        }
        is_there.then_some(())
    });
    // Two of these at once are another key.
    terminal.press(&["Escape"]);
    terminal.shows("only with \"nes\"");
    terminal.press(&["Escape"]);
    table_is(&terminal, &by_holds[..ROWS]);

    terminal.press(&["Space"]);
    terminal.shows("FROZEN");
    terminal.press(&["Space"]);
    terminal.until("it goes on", |screen| (!screen.contains("FROZEN")).then_some(()));

    terminal.press(&["2"]);
    for class in ["nested_window", "flush_escalation"] {
        let total = sum(&scrape, "mmscope_hazards_total", &[&format!("class=\"{class}\"")]);
        line_is(&terminal, class, 2, &total.to_string());
    }
    terminal.press(&["4", "End"]);
    let lost: Vec<_> = series(&scrape).filter(|(name, _, lost)| *name == "mmscope_lost_total" && *lost > 0.0).collect();
    assert!(!lost.is_empty());
    for (_, label, lost) in lost {
        let reason = label.trim_start_matches("reason=").trim_matches('"');
        terminal.shows(&format!(" {lost} {reason}: "));
    }
    terminal.press(&["?"]);
    terminal.shows("time in pending-flush windows");
    terminal.press(&["x"]);
    terminal.shows("Losses since the start");
    terminal.press(&["q"]);
    let left = terminal.shows("as it was");
    assert!(left.contains("left with 0") && !left.contains("mmscope top"), "{left}");
}

#[test]
fn a_daemon_that_goes_away_is_waited_for_and_a_signal_gives_the_terminal_back() {
    let mut server = Server::with(MANY, "", "");
    let terminal = Terminal::of(&[("LC_ALL", "C")], &["top", "--interval=200ms", "--url", &url(&server)]);
    let first = terminal.until("the first screen", |screen| {
        (screen.contains("last 15 min; ") && screen.contains("? help q quit")).then(|| screen.to_owned())
    });
    assert!(first.is_ascii(), "a locale without block characters: {first}");
    server.end();
    terminal.shows("connection lost, trying again: connect: ");
    terminal.until("OLD", |screen| screen.lines().next()?.contains(" OLD, of ").then_some(()));
    table_is(&terminal, &table(&first));
    server.start_again();
    terminal
        .until("figures of now", |screen| (!screen.contains("OLD, of") && !screen.contains("lost, try")).then_some(()));
    terminal.press(&["Down", "Enter"]);
    terminal.shows("Pending-flush windows, by path");
    terminal.signal(nix::sys::signal::Signal::SIGTERM);
    let left = terminal.shows("as it was");
    assert!(left.contains("left with 0"), "{left}");
}

#[test]
fn over_tls_with_a_password_and_without_colours() {
    let server = Server::with(MANY, &format!("{TLS}{}", user()), "");
    let (ca, address) = (server.path("ca.pem"), url(&server));
    let with = |password: &str| {
        let password = line(server.folder.path(), "password", password);
        let args = [
            "top",
            "--url",
            &address,
            "--ca-file",
            ca.to_str().unwrap(),
            "--username=scraper",
            "--password-file",
            &password,
        ];
        Terminal::of(&[("NO_COLOR", "1")], &args)
    };
    let terminal = with(PASSWORD);
    terminal.shows("last 15 min; ");
    assert!(!has_colours(&terminal), "{:?}", terminal.coloured());
    terminal.press(&["C-c"]);
    terminal.shows("as it was");
    let refused = with("wrong").shows("left with 69");
    assert!(refused.contains("the answer is HTTP 401") && !refused.contains("wrong"), "{refused}");
}

#[test]
fn what_cannot_be_drawn_on_is_refused_in_a_sentence() {
    let mut top = Command::new(env!("CARGO_BIN_EXE_mmscope"));
    let output = top.arg("top").stdin(Stdio::null()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(64));
    assert!(said.starts_with("mmscope: top: standard output is no terminal") && said.lines().count() == 1, "{said}");
    let refused = Terminal::of(&[("TERM", "dumb")], &["top"]).shows("left with 64");
    assert!(refused.starts_with("mmscope: top: TERM is \"dumb\": such a terminal cannot be drawn on"), "{refused}");
}

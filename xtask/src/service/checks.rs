//! What must be true of the facts. Each check is a row that can fail, and one that the script did not come to has failed. Pure.

use super::facts::Facts;
use super::rights;

/// A row of the table.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) what: &'static str,
    pub(super) wanted: String,
    pub(super) seen: String,
    pub(super) is_good: bool,
}

/// What the packages were made with.
pub(super) struct Expected<'a> {
    pub(super) second_version: &'a str,
    /// Bound of `systemd-analyze security`.
    pub(super) exposure: f64,
    /// The script had the steps of the long form.
    pub(super) is_long: bool,
}

/// Parts of lines at which a warning or an error of mmscope's is no fault: docs/service.md has them with their reasons.
pub(super) const DOCUMENTED: &[(&str, &str)] = &[
    ("not read again", "the bad configuration file of this test"),
    ("these keep their values", "the key of this test that takes a restart"),
    ("stop file: everything is detached", "the stop file of this test"),
    (
        "reason=\"this kernel has no ",
        "a hook that this kernel does not have: what it would answer is absent, and told to be",
    ),
    ("reason=\"before 5.17 it takes a struct by value", "the same"),
    ("over the budget", "an emulated host is slow: the probes cost more of its time than of a real one's"),
];

/// All rows, in the order of the script.
pub(super) fn judge(facts: &Facts, expected: &Expected<'_>) -> Vec<Row> {
    let mut rows = Vec::new();
    for (what, name, wanted) in EQUAL {
        rows.push(equal(facts, what, name, wanted));
    }
    if expected.is_long {
        for (what, name, wanted) in EQUAL_LONG {
            rows.push(equal(facts, what, name, wanted));
        }
    }
    rows.push(equal(facts, "upgraded to the second version", "upgrade_version", expected.second_version));
    for (what, name, wanted) in CONTAIN {
        let seen = facts.get(name);
        let is_good = seen.is_some_and(|seen| seen.contains(wanted));
        rows.push(row(what, format!("… {wanted} …"), seen, is_good));
    }
    for (what, name) in EMPTY {
        let seen = facts.get(name);
        rows.push(row(what, "nothing".to_owned(), seen, seen.is_some_and(|seen| seen.trim().is_empty())));
    }
    rows.push(exposure(facts, expected.exposure));
    rows.push(programs(facts, "as many programs after SIGKILL as before", "kill_programs_after"));
    rows.push(programs(facts, "as many programs after the watchdog", "wedge_programs"));
    rows.push(complaints(facts));
    rows.extend(rights::judge(facts, expected.is_long));
    rows
}

const EQUAL: &[(&str, &str, &str)] = &[
    ("dpkg -i", "install_code", "0"),
    ("active when dpkg has ended: READY=1 came", "active", "active"),
    ("enabled", "enabled", "enabled"),
    ("the socket is not", "socket_enabled", "disabled"),
    ("the cost of the probes is measured", "measured", "yes"),
    ("ready", "ready", "ready"),
    ("systemctl reload", "reload_code", "0"),
    ("SIGHUP, good file: its time is told", "reload_newer", "yes"),
    ("SIGHUP, good file: told as good", "reload_good", "1"),
    ("SIGHUP, good file: the budget is another", "reload_budget", "yes"),
    ("SIGHUP, bad file: told as bad", "bad_told", "yes"),
    ("SIGHUP, bad file: the time of the good one stays", "bad_kept", "yes"),
    ("SIGHUP, bad file: active", "bad_active", "active"),
    ("the file mended: told as good", "good_again", "yes"),
    ("SIGKILL: started again, metrics served", "kill_restarted", "yes"),
    ("SIGKILL: starts by systemd", "kill_restarts", "1"),
    ("SIGKILL: processes afterwards", "kill_processes", "2"),
    ("a bound of alerts is read again", "bound_lowered", "yes"),
    ("an alert by that bound, its stacks with names", "alert", "yes"),
    ("SIGSTOP: started again, metrics served", "wedge_restarted", "yes"),
    ("SIGSTOP: by the watchdog", "wedge_watchdog", "yes"),
    ("dpkg -i of a higher version", "upgrade_code", "0"),
    ("upgrade: started again, metrics served", "upgrade_restarted", "yes"),
    ("upgrade: the changed conffile is kept", "upgrade_kept", "subjects = 77"),
    ("dpkg --purge", "purge_code", "0"),
    ("purged: programs in the kernel", "purge_programs", "0"),
    ("purged: the unit", "purge_unit", "not-found"),
    ("purged: the user stays, as its files might", "purge_user", "mmscope"),
    ("purged: failed units", "purge_failed", "0"),
];

const EQUAL_LONG: &[(&str, &str, &str)] = &[
    ("stop file: everything is given up", "stop_level", "yes"),
    ("stop file: links that remain", "stop_links", "0"),
    ("stop file removed: everything is back", "stop_over", "yes"),
    ("stopped: programs in the kernel", "socket_stopped_programs", "0"),
    ("started by its socket", "socket_got", "healthy"),
    ("started by its socket: active", "socket_active", "yes"),
    ("dpkg --remove", "remove_code", "0"),
    ("removed: not running", "remove_active", "inactive"),
    ("removed: the configuration", "remove_config", "kept"),
];

const CONTAIN: &[(&str, &str, &str)] = &[
    ("the user, without a shell", "user", ":/usr/sbin/nologin"),
    ("Type", "type", "notify"),
    ("STATUS=", "status", "hooks attached"),
    ("STATUS=: the governor's level", "status", "level "),
    ("metrics", "metrics", "mmscope_build_info{version="),
    ("metrics: windows", "metrics", "mmscope_flush_window_seconds_bucket{"),
    ("metrics: the budget is kept to", "metrics", "mmscope_overhead_budget_ratio 0.01"),
    ("SIGHUP, good file: the log names what changed", "reload_log", "subjects,overhead_budget,anomaly.raise_looks"),
    ("SIGHUP, good file: the log names what takes a restart", "reload_log", "record.hold"),
    ("SIGHUP, bad file: the log names file and line", "bad_log", "/etc/mmscope/mmscope.toml: line 1"),
    ("SIGHUP, bad file: the log names the key", "bad_log", "tik"),
    ("the manager heard of the reload", "manager", "Reloaded mmscope"),
];

const EMPTY: &[(&str, &str)] = &[
    ("purged: files that remain", "purge_left"),
    ("the kernel's log about programs and refused system calls", "kernel"),
];

fn row(what: &'static str, wanted: String, seen: Option<&str>, is_good: bool) -> Row {
    let seen = seen.unwrap_or("the script did not come that far");
    Row { what, wanted, seen: short(seen), is_good }
}

fn equal(facts: &Facts, what: &'static str, name: &str, wanted: &str) -> Row {
    let seen = facts.get(name);
    row(what, wanted.to_owned(), seen, seen == Some(wanted))
}

/// A text as one line of a table.
fn short(text: &str) -> String {
    const MOST: usize = 160;
    let mut lines = text.lines();
    let first = lines.next().unwrap_or_default();
    let more = lines.count();
    let mut line: String = first.chars().take(MOST).collect();
    if line.len() < first.len() {
        line.push('…');
    }
    if more > 0 { format!("{line} and {more} lines more") } else { line }
}

fn exposure(facts: &Facts, bound: f64) -> Row {
    let seen = facts.get("exposure");
    let is_good = seen.and_then(|seen| seen.parse::<f64>().ok()).is_some_and(|level| level <= bound);
    row("systemd-analyze security", format!("at most {bound:.1}"), seen, is_good)
}

fn programs(facts: &Facts, what: &'static str, name: &str) -> Row {
    let (before, after) = (facts.get("kill_programs_before"), facts.get(name));
    let count: Option<u32> = before.and_then(|count| count.parse().ok());
    row(what, before.unwrap_or("some").to_owned(), after, count.is_some_and(|count| count > 0) && before == after)
}

/// Warnings and errors that nothing explains.
fn complaints(facts: &Facts) -> Row {
    let what = "warnings and errors that are not documented";
    let Some(text) = facts.get("complaints") else { return row(what, "none".to_owned(), None, false) };
    let is_known = |line: &&str| DOCUMENTED.iter().any(|(part, _)| line.contains(part));
    let unknown: Vec<&str> = text.lines().filter(|line| !is_known(line)).collect();
    let seen = if unknown.is_empty() { "none".to_owned() } else { unknown.join("\n") };
    row(what, "none".to_owned(), Some(&seen), unknown.is_empty())
}

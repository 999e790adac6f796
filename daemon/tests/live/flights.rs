//! What a flight recorder writes, on request and at an alert, and what a report makes of it.

use std::{
    fs,
    path::{Path, PathBuf},
};

use nix::sys::signal::Signal;

use crate::live::*;

pub(crate) fn settings(folder: &Path, more: &str) -> String {
    format!("[flight_recorder]\ndirectory = {:?}\n{more}", folder.display().to_string())
}

/// The whole file whose name ends so, once there is one.
pub(crate) fn flight(folder: &Path, cause: &str) -> PathBuf {
    await_some("a file of the flight recorder", || {
        let names = fs::read_dir(folder).ok()?.filter_map(|entry| Some(entry.ok()?.path()));
        names.into_iter().find(|path| path.display().to_string().ends_with(&format!("-{cause}.mmrec")))
    })
}

/// What `mmscope report` prints, and the page that it writes.
pub(crate) fn report(flight: &Path) -> (String, String) {
    let page = flight.with_extension("html");
    let printed = mmscope().arg("report").arg(flight).output().unwrap();
    assert!(printed.status.success(), "{}", String::from_utf8_lossy(&printed.stderr));
    let written = mmscope().arg("report").arg(flight).arg("-o").arg(&page).status().unwrap();
    assert!(written.success());
    (String::from_utf8(printed.stdout).unwrap(), fs::read_to_string(page).unwrap())
}

#[test]
fn who_owns_the_process_can_ask_for_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let mut daemon = Daemon::configured(&settings(folder.path(), ""), &[]);
    let load = Load::named("flown");
    load.run(&["munmap", "--cycles", "100", "--pages", "4"]);
    daemon.settled();
    daemon.signal(Signal::SIGUSR1);
    let (text, page) = report(&flight(folder.path(), "request"));
    for part in ["a flight recorder was written", "flown"] {
        assert!(text.contains(part) && page.contains(part), "{part} in {text}");
    }
    daemon.signal(Signal::SIGTERM);
    assert!(daemon.end().success());
}

#[test]
fn without_a_flight_recorder_the_signal_changes_nothing() {
    let mut daemon = Daemon::start(&[]);
    daemon.signal(Signal::SIGUSR1);
    await_some("a word on it", || (!daemon.said(&["there is no flight recorder"]).is_empty()).then_some(()));
    daemon.signal(Signal::SIGTERM);
    assert!(daemon.end().success());
}

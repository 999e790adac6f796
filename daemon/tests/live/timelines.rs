//! Every single event of chosen processes, and files that an alert leaves: where every hook attaches.

use std::{
    io::{BufRead as _, BufReader, Read as _},
    process::{Command, Stdio},
};

use mmscope::recording::{Frame, Reader};
use nix::sys::signal::Signal;
use probe_common::{
    event::{FLUSH, Record},
    lost,
    series::{HOLD, OUTER, PATH_MPROTECT},
};

use crate::{
    flights::{flight, report, settings},
    live::*,
};

#[test]
fn an_alert_leaves_a_recording_whose_report_names_subject_hazard_and_stacks() {
    let folder = tempfile::tempdir().unwrap();
    let bounds = "[anomaly]\nuffd_stuck_age = \"1s\"\n";
    let daemon = Daemon::configured(&settings(folder.path(), &format!("severity = \"critical\"\n{bounds}")), &[]);
    // Whether a write comes while the window is open is chance.
    let met = Load::named("met");
    let is_met = [("class", "stale_write_overlap"), ("outcome", "mitigated"), ("comm", "met")];
    await_some("a write inside a window", || {
        met.run(&["uffd-overlap", "--case", "first-pages", "--rounds", "20"]);
        (daemon.settled().sum("mmscope_hazards_total", &is_met) > 0.0).then_some(())
    });
    let stuck = Load::named("stuck");
    stuck.run(&["uffd-missing", "--faults", "1", "--delay-us", "4000000"]);
    let (text, page) = report(&flight(folder.path(), "uffd_stuck"));
    let parts = [
        "critical: uffd_stuck of stuck",
        "mitigated: stale_write_overlap of met",
        "handle_mm_fault+",
        "userfaultfd_ioctl+",
    ];
    for part in parts {
        assert!(text.contains(part), "{part} in {text}");
    }
    assert!(page.contains("stale_write_overlap of met") && page.contains("uffd_stuck"));
    drop(daemon);
}

/// What `mmscope record --timeline` wrote of a command, and what it lost.
fn timeline(comm: &str, load: &mut Waiting) -> (Vec<Record>, u64, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("timeline.mmrec");
    let mut mmscope = mmscope();
    mmscope.args(["record", "--timeline", "--comm", comm, "-o"]).arg(&path).stderr(Stdio::piped());
    let mut child = mmscope.spawn().unwrap();
    let mut said = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    said.read_line(&mut line).unwrap();
    assert!(line.contains("recording to"), "{line}");
    load.go();
    let pid = nix::unistd::Pid::from_raw(i32::try_from(child.id()).unwrap());
    nix::sys::signal::kill(pid, Signal::SIGTERM).unwrap();
    assert!(await_some("end of the recording", || child.try_wait().unwrap()).success());
    let _ = said.read_to_string(&mut line);
    let (mut records, mut full) = (Vec::new(), 0);
    for frame in Reader::new(std::fs::File::open(&path).unwrap()).unwrap() {
        let Frame::Sight(sight) = frame else { continue };
        assert!(sight.records.iter().all(|(subject, _)| subject.comm == comm), "others are not chosen");
        records.extend(sight.records.iter().map(|(_, record)| *record));
        full = sight.lost[lost::RING_FULL as usize];
    }
    (records, full, folder)
}

#[test]
fn a_timeline_has_every_event_of_the_chosen_command() {
    let load = Load::named("chosen");
    let mut load = load.waiting(&["mprotect", "--cycles", "50"]);
    let (records, lost, folder) = timeline("chosen", &mut load);
    assert_eq!(lost, 0);
    let of = |series: u32| records.iter().filter(|record| record.series == series).count();
    // Two mprotects a cycle; the language's start has some more of its own.
    let windows = of(OUTER + PATH_MPROTECT);
    assert!((100..120).contains(&windows), "{windows} windows");
    // Where flushes are inline there is no event of them.
    let flushes = if cfg!(target_arch = "aarch64") { 0 } else { 50 };
    assert!(of(HOLD + 1) >= windows && of(FLUSH) >= flushes, "{} holds, {} flushes", of(HOLD + 1), of(FLUSH));
    let trace = folder.path().join("trace.pftrace");
    let mut mmscope: Command = mmscope();
    mmscope.args(["export", "--perfetto", "-o"]).arg(&trace).arg(folder.path().join("timeline.mmrec"));
    let output = mmscope.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let bytes = std::fs::read(&trace).unwrap();
    assert!(bytes.windows(15).any(|window| window == b"window mprotect"));
}

//! What is told apart from noise, and what is not.

use std::{fs, path::PathBuf, time::Duration};

use probe_common::{histogram::BUCKETS, series::OUTER};

use super::*;
use crate::{
    intake::{Counts, Histogram},
    plan::{HOOKS, HookState, Tier},
    recording::{self, Reader},
};

const LEAST: f64 = 0.1;

/// A recording of so many commands, with counts that scatter as `scatter` has them around the same values.
fn noisy(random: &mut fastrand::Rng, scatter: f64, mprotects: f64) -> Blocks {
    let cut = |random: &mut fastrand::Rng| {
        let comms = ["a", "b", "c", "d"].map(|comm| {
            let mut around = |mean: f64| (mean * (scatter * (random.f64() + random.f64() - 1.0)).exp()) as u64;
            let mut counts = Counts {
                acquisitions: [around(4000.0), 0, around(3000.0), 0],
                flushes: [around(2000.0), around(500.0), around(80.0)],
                cycles: [around(30.0), around(70.0)],
                ..Counts::default()
            };
            let windows = around(1000.0 * if comm == "b" { mprotects } else { 1.0 });
            let mut buckets = [0; BUCKETS];
            buckets[4] = windows;
            counts.add_histogram(OUTER, &Histogram { buckets, sum_ns: windows * around(3000.0) });
            (comm.to_owned(), counts)
        });
        Cut { seconds: 1.0, comms: comms.into() }
    };
    let mut header = recording::fuzzing::header();
    header.host.hooks = vec![HookState::Attached(Tier::F); HOOKS.len()];
    Blocks {
        name: "a.mmrec".to_owned(),
        header,
        cuts: (0..24).map(|_| cut(random)).collect(),
        length: Duration::from_secs(24),
    }
}

#[test]
fn noise_is_not_taken_for_a_difference() {
    let mut random = fastrand::Rng::with_seed(7);
    let mut found = 0;
    for scatter in [0.05, 0.3, 1.0, 2.0] {
        for _ in 0..25 {
            let (before, after) = (noisy(&mut random, scatter, 1.0), noisy(&mut random, scatter, 1.0));
            found += usize::from(!compare(&before, &after, LEAST).differences.is_empty());
        }
    }
    // One comparison in a hundred may.
    assert!(found <= 1, "{found} of 100");
}

#[test]
fn twice_as_many_are_found_in_noise_and_nothing_else_is() {
    let mut random = fastrand::Rng::with_seed(8);
    let (before, after) = (noisy(&mut random, 0.4, 1.0), noisy(&mut random, 0.4, 2.0));
    let diff = Diff::new(&before, &after, LEAST);
    let found: Vec<_> = diff.differences.iter().map(|told| (&*told.comm, &*told.figure)).collect();
    assert_eq!(found, [("b", "window mprotect, outer"), ("all", "window mprotect, outer")]);
    assert!((0.7..1.4).contains(&diff.differences[0].change()), "{}", diff.differences[0].change());
    let text = diff.text();
    assert!(text.contains("window mprotect, outer /s") && text.contains("2 of "), "{text}");
    let json: serde_json::Value = serde_json::from_str(&diff.json().unwrap()).unwrap();
    assert_eq!(json["differences"][0]["command"], "b");
    assert_eq!(json["differences"][0]["unit"], "per second");
}

#[test]
fn what_drifts_within_a_recording_is_no_difference_between_two() {
    let mut random = fastrand::Rng::with_seed(9);
    let mut before = noisy(&mut random, 0.1, 1.0);
    let after = noisy(&mut random, 0.1, 1.6);
    let found = |before: &Blocks| compare(before, &after, LEAST).differences.len();
    assert_eq!(found(&before), 2);
    // Twice as many already in the second half of the first recording.
    let slow = noisy(&mut random, 0.1, 2.2);
    before.cuts[16..].clone_from_slice(&slow.cuts[16..]);
    assert_eq!(found(&before), 0);
}

#[test]
fn what_only_one_could_measure_is_named_and_not_compared() {
    let mut random = fastrand::Rng::with_seed(10);
    let before = noisy(&mut random, 0.1, 1.0);
    let mut after = noisy(&mut random, 0.1, 3.0);
    let at = HOOKS.iter().position(|hook| hook.name == "tlb_gather_mmu").unwrap();
    after.header.host.hooks[at] = HookState::Absent("refused".to_owned());
    let diff = Diff::new(&before, &after, LEAST);
    assert!(diff.differences.iter().all(|told| !told.figure.starts_with("window")), "{:?}", diff.differences);
    assert!(diff.text().contains("Not compared") && diff.text().contains("mmscope_flush_window_seconds"));
}

fn recorded(name: &str) -> Result<Blocks, String> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/recordings").join(name);
    let bytes = fs::read(path).unwrap();
    let ticks = Reader::new(&bytes[..]).unwrap().filter(|frame| matches!(frame, Frame::Sight(_))).count();
    Blocks::read(Reader::new(&bytes[..]).unwrap(), name.to_owned(), ticks)
}

#[test]
fn two_runs_of_one_workload_do_not_differ() {
    let (before, after) = (recorded("steady.mmrec").unwrap(), recorded("again.mmrec").unwrap());
    let diff = Diff::new(&before, &after, LEAST);
    assert!(diff.figures > 50, "{}", diff.figures);
    assert!(diff.differences.is_empty(), "{}", diff.text());
}

#[test]
fn a_workload_with_twice_the_mprotects_differs_in_that_and_what_follows_from_it() {
    let (before, after) = (recorded("steady.mmrec").unwrap(), recorded("doubled.mmrec").unwrap());
    let diff = Diff::new(&before, &after, LEAST);
    let text = diff.text();
    let told =
        |comm: &str, figure: &str| diff.differences.iter().find(|told| told.comm == comm && told.figure == figure);
    for figure in ["mprotect calls", "window mprotect, outer"] {
        let told = told("changes", figure).unwrap_or_else(|| panic!("{figure}: {text}"));
        assert!((0.8..1.1).contains(&told.change()), "{text}");
    }
    // Whoever did the same as before is not told of.
    assert!(diff.differences.iter().all(|told| ["changes", "all"].contains(&&*told.comm)), "{text}");
    for other in ["zap", "munmap", "exit", "userfault", "exec"] {
        assert!(diff.differences.iter().all(|told| !told.figure.contains(other)), "{other}: {text}");
    }
}

#[test]
fn a_short_recording_is_refused() {
    let bytes = fs::read(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/recordings/steady.mmrec")).unwrap();
    let refused = Blocks::read(Reader::new(&bytes[..]).unwrap(), "a".to_owned(), 17).err().unwrap();
    assert!(refused.contains("17 ticks") && refused.contains("18"), "{refused}");
}

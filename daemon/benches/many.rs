//! A host with many cgroups whose processes come and go: names, sums and scrapes at its worst. A line of JSON; `cargo xtask bench
//! many` runs it. Nothing is loaded into a kernel: cgroups are folders, and what the kernel side would tell is made up.

use std::{
    env, fs,
    os::unix::fs::MetadataExt as _,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use mmscope::{
    config::Config,
    export::{Format, Scrape},
    identity::{Identity, Subject},
    intake::{Counts, Histogram, Owner},
    model::{Limits, Model, Snapshot},
    plan::{HOOKS, HookState, Tier},
};
use probe_common::{
    lost,
    series::{HOLD, OUTER, WAIT},
};

/// Commands among the processes.
const COMMS: usize = 50;
/// Address spaces that stay, and do something at each tick.
const STAYING: usize = 2_000;
const TICKS: usize = 100;

fn number(variable: &str, default: usize) -> usize {
    env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

fn main() {
    let (cgroups, processes) = (number("CGROUPS", 20_000), number("PROCESSES", 100_000));
    // In memory where that can be had, as cgroups are.
    let root = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).expect("a folder for cgroups");
    let ids = make_cgroups(root.path(), cgroups);
    let config = Config::default();
    let before_kib = resident_kib();
    let mut identity = Identity::new(root.path().to_owned(), &config, None);
    let mut model = Model::new(Limits::of(&config));
    let (mut events, mut scrapes, mut most_series, mut most_bytes) = (0, Vec::new(), 0, 0);
    let (mut naming, mut folding) = (Vec::new(), Vec::new());
    for tick in 0..TICKS {
        let new = processes / TICKS;
        let owners = (0..STAYING).chain(STAYING + tick * new..STAYING + (tick + 1) * new);
        let owners: Vec<Owner> = owners.map(|n| owner(n, ids[n * 7_919 % ids.len()])).collect();
        let start = Instant::now();
        identity.begin_tick(start);
        let subjects: Vec<Subject> = owners.iter().map(|owner| identity.subject(Some(owner))).collect();
        naming.push(start.elapsed());
        let added: Vec<Counts> = (0..owners.len()).map(counts).collect();
        events += added.iter().map(|counts| counts.flushes[0]).sum::<u64>();
        let start = Instant::now();
        model.fold(Duration::from_secs(tick as u64), subjects.iter().zip(&added));
        folding.push(start.elapsed());
        if tick % 10 == 9 {
            let (snapshot, start) = (snapshot(&model, &identity), Instant::now());
            let text = Scrape::new(snapshot, Format::OpenMetrics).text();
            scrapes.push(start.elapsed());
            most_series = most_series.max(text.lines().filter(|line| !line.starts_with('#')).count());
            most_bytes = most_bytes.max(text.len());
        }
    }
    let told = model.subjects();
    let summed: u64 = told.values().map(|counts| counts.flushes[0]).sum();
    assert_eq!(summed, events, "nothing twice, nothing lost");
    assert!(most_series <= config.series_cap, "{most_series} series");
    let worst_ms = |times: &[Duration]| times.iter().max().map_or(0.0, |time| time.as_secs_f64() * 1e3);
    let median_ms = |times: &mut Vec<Duration>| {
        times.sort();
        times[times.len() / 2].as_secs_f64() * 1e3
    };
    let line = serde_json::json!({
        "cgroups": cgroups,
        "processes": processes,
        "subjects": model.figures().told,
        "series": most_series,
        "scrape_bytes": most_bytes,
        "memory_kib": resident_kib().saturating_sub(before_kib),
        "name_worst_ms": worst_ms(&naming),
        "name_ms": median_ms(&mut naming),
        "fold_worst_ms": worst_ms(&folding),
        "fold_ms": median_ms(&mut folding),
        "scrape_worst_ms": worst_ms(&scrapes),
        "forgotten": identity.names().forgotten.iter().sum::<u64>(),
    });
    println!("{line}");
}

/// Folders in the place of cgroups, each in a pod's, which are as many again; their ids.
fn make_cgroups(root: &Path, cgroups: usize) -> Vec<u64> {
    let mount = root.join("sys/fs/cgroup");
    fs::create_dir_all(root.join("proc/self")).expect("a folder of a process");
    let mounts = "30 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n";
    fs::write(root.join("proc/self/mountinfo"), mounts).expect("mounts");
    let make = |n: usize| {
        let pod = format!("kubepods-burstable-pod{:08x}_0000_4000_8000_{n:012x}.slice", n % 100);
        let path = mount.join(format!("kubepods.slice/{pod}/cri-containerd-{n:064x}.scope"));
        fs::create_dir_all(&path).expect("a cgroup");
        fs::metadata(&path).expect("a cgroup").ino()
    };
    (0..cgroups).map(make).collect()
}

fn owner(n: usize, cgroup_id: u64) -> Owner {
    let mut comm = [0; 16];
    let name = format!("worker-{}", n % COMMS);
    comm[..name.len()].copy_from_slice(name.as_bytes());
    // A process that is gone: there is no /proc of it.
    Owner { comm, tgid: 1_000_000 + n as u32, cgroup_id, born_ns: n as u64 }
}

/// What a short process does; a few do much.
fn counts(n: usize) -> Counts {
    let times = if n < 40 { 5_000 } else { 40 };
    let mut counts = Counts {
        acquisitions: [times, 0, times, 0],
        flushes: [times, 0, 0],
        flush_pages: times,
        windows_opened: times,
        windows_closed: times,
        ..Counts::default()
    };
    counts.hold_ns[0] = 900 * times;
    for series in [OUTER, OUTER + 5, OUTER + 6, HOLD, HOLD + 1, WAIT] {
        counts.add_histogram(series, &Histogram::of_shortest(times, 200));
    }
    counts
}

fn snapshot(model: &Model, identity: &Identity) -> Arc<Snapshot> {
    Arc::new(Snapshot {
        subjects: model.subjects(),
        subject_figures: model.figures(),
        names: identity.names(),
        hooks: vec![HookState::Attached(Tier::F); HOOKS.len()],
        lost: vec![0; lost::COUNT],
        ..Snapshot::default()
    })
}

/// Most memory that was resident so far.
fn resident_kib() -> u64 {
    let status = procfs::process::Process::myself().and_then(|process| process.status());
    status.ok().and_then(|status| status.vmhwm).unwrap_or_default()
}

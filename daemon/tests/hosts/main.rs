//! On a host of some kind, whatever it refuses: what `mmscope doctor` says, and known work that is counted to the event or named
//! as what cannot be measured here. `cargo xtask hosts` makes the hosts and a table of what is printed.
//!
//! Each check prints one line `host: {..}` of JSON. `HOST_CHECKS` names those to run, `HOST_ARGS` has arguments for mmscope,
//! `HOST_CGROUP` the folders of a cgroup, with colons between, and `HOST_CGROUP_NAME` what it has to be told as. With `HOST_FAILS`
//! mmscope must not start, and say this.

#[path = "../live/mod.rs"]
mod live;
mod loads;

use std::{collections::BTreeSet, env, fs, process::ExitCode};

use live::{Daemon, Load, Scrape, mmscope};
use serde_json::{Value, json};

fn main() -> ExitCode {
    if let Some(load) = env::args().nth(1) {
        loads::run(&load);
        return ExitCode::SUCCESS;
    }
    let args = words("HOST_ARGS");
    let report = doctor(&args);
    if let Ok(expected) = env::var("HOST_FAILS") {
        return verdict([("refusal", refusal(&args, &expected))].into());
    }
    let host = Host::start(&args, &report);
    let checks = env::var("HOST_CHECKS").unwrap_or_else(|_| "windows,locks,waits,userfaults,cgroup".to_owned());
    let mut verdicts = Vec::new();
    for name in checks.split(',').filter(|name| !name.is_empty()) {
        let check = CHECKS.iter().find(|(known, _)| *known == name).unwrap_or_else(|| panic!("no check {name}")).1;
        let result = check(&host);
        verdicts.push((name.to_owned(), result));
    }
    let lost = host.lost();
    verdicts.push(("losses".to_owned(), lost));
    drop(host);
    verdict(verdicts.iter().map(|(name, result)| (name.as_str(), result.clone())).collect())
}

type Verdict = Result<(), String>;

type Check = (&'static str, fn(&Host) -> Verdict);

const CHECKS: &[Check] = &[
    ("windows", windows),
    ("locks", locks),
    ("waits", waits),
    ("userfaults", userfaults),
    ("cgroup", cgroup),
    ("huge", |host| of_own_load(host, "huge")),
    ("hugetlb", |host| of_own_load(host, "hugetlb")),
    ("numa", numa),
    ("five-level", |_| five_level(true)),
    ("four-level", |_| five_level(false)),
];

fn words(variable: &str) -> Vec<String> {
    env::var(variable).unwrap_or_default().split_whitespace().map(str::to_owned).collect()
}

fn verdict(verdicts: Vec<(&str, Verdict)>) -> ExitCode {
    for (name, result) in &verdicts {
        match result {
            Ok(()) => println!("test {name} ... ok"),
            Err(problem) => println!("test {name} ... FAILED\n{name}: {problem}"),
        }
    }
    let failed = verdicts.iter().filter(|(_, result)| result.is_err()).count();
    let word = if failed == 0 { "ok" } else { "FAILED" };
    let passed = verdicts.len() - failed;
    println!("test result: {word}. {passed} passed; {failed} failed; 0 ignored; 0 measured; 0 filtered out");
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn told(line: &Value) {
    println!("host: {line}");
}

/// What doctor says, as text for the page and as JSON.
fn doctor(args: &[String]) -> Value {
    let text = mmscope().arg("doctor").args(args).output().unwrap();
    let said = String::from_utf8_lossy(&text.stdout).into_owned() + &String::from_utf8_lossy(&text.stderr);
    told(&json!({"check": "doctor", "text": said, "code": text.status.code()}));
    let report = mmscope().args(["doctor", "--json"]).args(args).output().unwrap();
    let report: Value = serde_json::from_slice(&report.stdout).unwrap_or_default();
    let hooks = report["hooks"].as_array().map(Vec::as_slice).unwrap_or_default();
    let tiers = ["F", "K", "T"].map(|tier| (tier, hooks.iter().filter(|hook| hook["tier"] == tier).count()));
    let tiers: Vec<String> =
        tiers.iter().filter(|(_, count)| *count > 0).map(|(tier, n)| format!("{n} {tier}")).collect();
    let is_missing = |hook: &&Value| {
        let reason = hook["reason"].as_str().unwrap_or_default();
        hook["attached"] == false && !reason.starts_with("not needed: ") && hook["instead"] == json!([])
    };
    told(&json!({
        "check": "attached",
        "tiers": tiers,
        "missing": hooks.iter().filter(is_missing).count(),
        "absent": report["absent_families"],
    }));
    report
}

/// It does not start, says why in one line, and leaves nothing behind.
fn refusal(args: &[String], expected: &str) -> Verdict {
    let mut command = mmscope();
    let (code, said) = live::failing(command.args(["run", "--web.listen-address=127.0.0.1:0"]).args(args));
    told(&json!({"check": "refusal", "code": code, "text": said}));
    match said.contains(expected) && said.lines().count() == 1 && code > 0 {
        true => Ok(()),
        false => Err(format!("exit code {code}: {said}")),
    }
}

struct Host {
    daemon: Daemon,
    /// Hooks that are attached.
    attached: BTreeSet<String>,
    absent: BTreeSet<String>,
}

/// How reasons end of what began before the probes were there.
const OLDER: &str = "_older_than_attach";

impl Host {
    fn start(args: &[String], report: &Value) -> Self {
        let absent = report["absent_families"].as_array().into_iter().flatten();
        let absent = absent.filter_map(|name| Some(name.as_str()?.to_owned())).collect();
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let hooks = report["hooks"].as_array().into_iter().flatten();
        let attached = hooks.filter(|hook| hook["attached"] == true);
        let attached = attached.filter_map(|hook| Some(hook["hook"].as_str()?.to_owned())).collect();
        Self { daemon: Daemon::start(&args), attached, absent }
    }

    /// Compares a count of one command with what is known of it, unless doctor says that it cannot be measured here.
    fn compare(&self, check: &str, family: &str, own: f64, known: f64, missed: f64) -> Verdict {
        if self.absent.contains(family) {
            told(&json!({"check": check, "absent": family}));
            return match own == 0.0 && !self.daemon.scrape().has(family) {
                true => Ok(()),
                false => Err(format!("{family} is absent by doctor's word, and told")),
            };
        }
        told(&json!({"check": check, "own": own, "known": known, "missed": missed}));
        // What the kernel skipped, and said so, may be missing; nothing else.
        match (known - missed..=known).contains(&own) {
            true => Ok(()),
            false => Err(format!("{own} of {known}, {missed} missed")),
        }
    }

    fn lost(&self) -> Verdict {
        let scrape = self.daemon.settled();
        let reasons = scrape.labels("mmscope_lost_total", "reason");
        let lost = reasons.iter().map(|reason| (reason, scrape.sum("mmscope_lost_total", &[("reason", reason)])));
        let known = |reason: &str| live::FORGOTTEN.contains(&reason) || reason.ends_with(OLDER);
        let lost: Vec<String> = lost
            .filter(|(reason, count)| *count > 0.0 && !known(reason))
            .map(|(reason, count)| format!("{reason} {count}"))
            .collect();
        let missed = scrape.missed();
        told(&json!({"check": "losses", "lost": lost, "missed": missed}));
        if lost.is_empty() || missed > 0.0 { Ok(()) } else { Err(lost.join(", ")) }
    }
}

const WINDOWS: &str = "mmscope_flush_window_seconds";

fn count_of(family: &str) -> String {
    format!("{family}_count")
}

fn windows(host: &Host) -> Verdict {
    let load = Load::named("host-windows");
    let mut load = load.waiting(&["mprotect", "--cycles", "500"]);
    let before = host.daemon.settled();
    let known = load.go()["mprotect_calls"].as_f64().unwrap();
    let after = host.daemon.settled();
    let missed = after.missed() - before.missed();
    let comm = ("comm", "host-windows");
    let of = |metric: &str, labels: &[(&str, &str)]| after.sum(metric, labels) - before.sum(metric, labels);
    // Where change_protection is not seen windows have no path of their own.
    let outer = of(&count_of(WINDOWS), &[comm, ("kind", "outer")]);
    let flushes = of("mmscope_tlb_flushes_total", &[comm, ("kind", "range")]);
    let all = of("mmscope_tlb_flushes_total", &[comm]);
    let flushes = if flushes == 0.0 { all } else { flushes };
    host.compare("windows", WINDOWS, outer, known, missed).and(host.compare(
        "flushes",
        "mmscope_tlb_flushes_total",
        flushes,
        known,
        missed,
    ))
}

fn locks(host: &Host) -> Verdict {
    let load = Load::named("host-locks");
    let mut load = load.waiting(&["mprotect", "--cycles", "400"]);
    let before = host.daemon.settled();
    let known = load.go()["mprotect_calls"].as_f64().unwrap();
    let after = host.daemon.settled();
    let family = "mmscope_mmap_lock_acquisitions_total";
    let labels = [("comm", "host-locks"), ("mode", "write"), ("result", "acquired")];
    let own = after.sum(family, &labels) - before.sum(family, &labels);
    host.compare("locks", family, own, known, after.missed() - before.missed())
}

/// Writers that hold the lock long, and wait for each other and for readers: waits must be seen, of either mode.
fn waits(host: &Host) -> Verdict {
    let family = "mmscope_mmap_lock_wait_seconds";
    if host.absent.contains(family) {
        told(&json!({"check": "waits", "absent": family}));
        return Ok(());
    }
    let load = Load::named("host-waits");
    let seen = |scrape: &Scrape, mode| scrape.sum(&count_of(family), &[("comm", "host-waits"), ("mode", mode)]);
    let scrape = live::await_some("waits of both modes", || {
        load.run(&[
            "lock-hold",
            "--writers",
            "2",
            "--readers",
            "2",
            "--ops",
            "20",
            "--pages",
            "2048",
            "--write-op",
            "munmap",
        ]);
        let scrape = host.daemon.settled();
        (seen(&scrape, "write") > 0.0 && seen(&scrape, "read") > 0.0).then_some(scrape)
    });
    told(&json!({"check": "waits", "read": seen(&scrape, "read"), "write": seen(&scrape, "write")}));
    Ok(())
}

fn userfaults(host: &Host) -> Verdict {
    let load = Load::named("host-uffd");
    let known = 200.0;
    let mut load = match live::is_supported(live::WRITE_PROTECTION) {
        true => load.waiting(&["uffd", "--missing", "130", "--wp", "70"]),
        false => load.waiting(&["uffd-missing", "--faults", "200"]),
    };
    let before = host.daemon.settled();
    load.go();
    let after = host.daemon.settled();
    let family = "mmscope_userfault_seconds";
    let of = |scrape: &Scrape| scrape.sum(&count_of(family), &[("comm", "host-uffd")]);
    host.compare("userfaults", family, of(&after) - of(&before), known, after.missed() - before.missed())
}

/// A process that stays and one that is gone before anybody has looked are told by the same cgroup.
fn cgroup(host: &Host) -> Verdict {
    let folders = env::var("HOST_CGROUP").unwrap_or_else(|_| "/sys/fs/cgroup/host.slice/known.service".to_owned());
    let name = env::var("HOST_CGROUP_NAME").unwrap_or_else(|_| "/host.slice/known.service".to_owned());
    let mut first = ":".to_owned();
    for folder in folders.split(':') {
        fs::create_dir_all(folder).unwrap_or_else(|error| panic!("{folder}: {error}"));
        first.push_str(&format!(" && echo $$ > {folder}/cgroup.procs"));
    }
    let (stays, leaves) = (Load::named("host-stays"), Load::named("host-leaves"));
    let mut waiting = stays.waiting_in(&first, &["mprotect", "--cycles", "50"]);
    waiting.go();
    let script = format!("{first} && exec {} mprotect --cycles 50 > /dev/null", leaves.path().display());
    assert!(std::process::Command::new("sh").args(["-c", &script]).status().unwrap().success());
    let scrape = host.daemon.settled();
    let family = "mmscope_mmap_lock_acquisitions_total";
    let cgroup_of = |comm: &str| {
        let cgroups: BTreeSet<String> = scrape.labels(family, "cgroup").into_iter().collect();
        let has = |cgroup: &String| scrape.sum(family, &[("comm", comm), ("cgroup", cgroup)]) >= 100.0;
        cgroups.into_iter().find(has)
    };
    // Where no name is seen, one that is gone before anybody has looked has that of the shell that it began as.
    let of_the_dead =
        cgroup_of("host-leaves").or_else(|| cgroup_of("sh").filter(|_| !host.attached.contains("task_rename")));
    let names = [cgroup_of("host-stays"), of_the_dead];
    told(&json!({"check": "cgroup", "expected": name, "stays": names[0], "leaves": names[1]}));
    match names.iter().all(|told| told.as_ref() == Some(&name)) {
        true => Ok(()),
        false => Err(format!("{names:?}, expected {name}")),
    }
}

/// Protections of huge pages, by this program under another name.
fn of_own_load(host: &Host, kind: &str) -> Verdict {
    let mut load = loads::Own::start(kind);
    let before = host.daemon.settled();
    // Huge page tables may be shared: where that has a gather of its own, it is a second window of each change.
    let windows = if kind == "hugetlb" && host.attached.contains("tlb_gather_mmu_vma") { 2.0 } else { 1.0 };
    let known = windows * load.go();
    let after = host.daemon.settled();
    let comm = loads::comm(kind);
    let labels = [("comm", comm.as_str()), ("kind", "outer"), ("path", "mprotect")];
    let of = |scrape: &Scrape| scrape.sum(&count_of(WINDOWS), &labels);
    host.compare(kind, WINDOWS, of(&after) - of(&before), known, after.missed() - before.missed())
}

/// What NUMA balancing protects is a window each: as many as there were calls, by the kernel's own kprobe.
fn numa(host: &Host) -> Verdict {
    // Nothing is called from before the first look until after it, nor around the second one.
    loads::Balancing::off();
    host.daemon.settled();
    let calls = loads::Calls::of("change_prot_numa");
    let before = host.daemon.settled();
    let balancing = loads::Balancing::on();
    let mut load = loads::Own::start("numa");
    load.go();
    drop(balancing);
    drop(load);
    let after = host.daemon.settled();
    // mmscope leaves itself out.
    let known = calls.end_without(host.daemon.pid());
    let of = |scrape: &Scrape| scrape.sum(&count_of(WINDOWS), &[("kind", "outer"), ("path", "numa")]);
    let own = of(&after) - of(&before);
    if known == 0.0 {
        return Err("nothing was balanced".to_owned());
    }
    host.compare("numa", WINDOWS, own, known, after.missed() - before.missed())
}

fn five_level(wanted: bool) -> Verdict {
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap();
    // The flag is there where the kernel uses it.
    let is_on = cpuinfo.lines().any(|line| line.starts_with("flags") && line.split(' ').any(|flag| flag == "la57"));
    told(&json!({"check": "paging", "levels": if is_on { 5 } else { 4 }}));
    if is_on == wanted { Ok(()) } else { Err(format!("five levels: {is_on}")) }
}

//! What must hold on every kernel, whatever can be attached: pages, endings, bad input, families that are absent.

use std::{fs, os::unix::process::CommandExt as _, process::Command, time::Instant};

use nix::sys::signal::Signal;

use crate::live::*;

/// One line, and nothing attached by it.
fn fails_with(code: i32, needles: &[&str], command: &mut Command) {
    let before = loaded_programs();
    let (got, stderr) = failing(command);
    assert_eq!(got, code, "{stderr}");
    assert_eq!(stderr.lines().count(), 1, "one line: {stderr}");
    for needle in needles {
        assert!(stderr.contains(needle), "{needle:?} in {stderr}");
    }
    nothing_left_attached(before);
}

/// The kernel frees programs a little after their last descriptor is closed.
fn nothing_left_attached(before: usize) {
    await_some("end of what was attached", || (loaded_programs() <= before).then_some(()));
}

#[test]
fn unknown_flags_and_values_are_refused() {
    fails_with(64, &["--web.listen-addr"], mmscope().args(["run", "--web.listen-addr=:1"]));
    fails_with(64, &["xml", "--log.format"], mmscope().args(["run", "--log.format=xml"]));
    fails_with(64, &["slash"], mmscope().args(["run", "--web.telemetry-path=m"]));
    fails_with(64, &["subcommand"], mmscope().args(["fly"]));
}

#[test]
fn an_address_that_cannot_be_served_on_is_refused() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    fails_with(69, &[&address, "in use"], mmscope().args(["run", "--web.listen-address", &address]));
    fails_with(69, &["nowhere"], mmscope().args(["run", "--web.listen-address", "nowhere"]));
}

#[test]
fn a_configuration_that_cannot_be_used_is_refused() {
    let folder = open_folder();
    let missing = folder.path().join("missing.toml");
    fails_with(66, &["missing.toml"], mmscope().args(["run", "--config.file"]).arg(&missing));
    let bad = folder.path().join("bad.toml");
    fs::write(&bad, "# comment\ntick = \"never\"\n").unwrap();
    fails_with(78, &["bad.toml", "line 2", "never"], mmscope().args(["run", "--config.file"]).arg(&bad));
    let check = mmscope().args(["run", "--config.check", "--config.file"]).arg(&bad).status().unwrap();
    assert_eq!(check.code(), Some(78));
}

#[test]
fn an_object_of_another_build_is_refused() {
    let folder = open_folder();
    let text = folder.path().join("text.o");
    fs::write(&text, "no ELF").unwrap();
    fails_with(65, &["text.o"], mmscope().args(["run", "--web.listen-address=127.0.0.1:0", "--object"]).arg(&text));
    // The right object but for one bit of its layout's mark.
    let mut object = fs::read(std::env::var_os("MMSCOPE_OBJECT").expect("MMSCOPE_OBJECT")).unwrap();
    let mark = probe_common::abi::ABI.to_le_bytes();
    let at = object.windows(8).position(|bytes| bytes == mark).expect("the mark");
    object[at] ^= 1;
    let other = folder.path().join("other.o");
    fs::write(&other, object).unwrap();
    fails_with(
        65,
        &["other.o", "another build"],
        mmscope().args(["run", "--web.listen-address=127.0.0.1:0", "--object"]).arg(&other),
    );
}

#[test]
fn without_privileges_it_says_what_it_needs() {
    let folder = open_folder();
    let copy = folder.path().join("mmscope");
    fs::copy(program("MMSCOPE_BIN"), &copy).unwrap();
    for subcommand in ["run", "doctor"] {
        let mut command = Command::new(&copy);
        command.arg(subcommand).uid(65534).gid(65534);
        fails_with(77, &["root", "CAP_BPF"], &mut command);
    }
}

/// In a root folder with nothing but the (static) program there is no /sys: to it, the kernel has no BTF.
#[test]
fn a_kernel_without_btf_is_told_apart() {
    let root = open_folder();
    fs::copy(program("MMSCOPE_BIN"), root.path().join("mmscope")).unwrap();
    let mut command = Command::new("chroot");
    command.arg(root.path()).args(["/mmscope", "run", "--web.listen-address=127.0.0.1:0"]);
    fails_with(69, &["BTF", "/sys/kernel/btf/vmlinux"], &mut command);
}

#[test]
fn pages_are_served() {
    let daemon = Daemon::usual();
    assert!(daemon.get("/", "").unwrap().contains("<a href=\"metrics\">"));
    assert_eq!(daemon.get("/-/healthy", "").unwrap(), "healthy\n");
    assert_eq!(daemon.get("/-/ready", "").unwrap(), "ready\n");
    assert!(matches!(daemon.get("/nowhere", ""), Err(ureq::Error::StatusCode(404))));
    let open_metrics = daemon.get("/metrics", "application/openmetrics-text; version=1.0.0").unwrap();
    assert!(open_metrics.ends_with("# EOF\n"));
    let prometheus = daemon.get("/metrics", "text/plain").unwrap();
    assert!(!prometheus.contains("# EOF") && prometheus.contains("# TYPE mmscope_lost_total counter"));
}

/// Holds with waiters behind them, on any kernel: the alert comes with the tasks that held, and what they were in.
#[test]
fn alerts_have_their_evidence_with_stacks() {
    let load = Load::named("evident");
    let daemon = Daemon::configured(
        "[record]\nhold = \"1ms\"\n[anomaly]\nraise_looks = 1\nlock_convoy_hold = \"1ms\"\nlock_convoy_lost = \"1ms\"\n",
        &[],
    );
    let raised = || daemon.said(&["evidence: hold of mmap_lock", "class=\"lock_convoy\"", "evident"]);
    let evidence = await_some("alert with its evidence", || {
        load.run(&[
            "lock-hold",
            "--writers",
            "2",
            "--readers",
            "1",
            "--ops",
            "20",
            "--pages",
            "4096",
            "--write-op",
            "munmap",
        ]);
        raised().into_iter().next()
    });
    // From the function that released the lock outward, each with its name.
    let stack = evidence.split("stack=\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap();
    let functions: Vec<&str> = stack.split(" < ").collect();
    assert!(functions.len() > 2 && functions.iter().all(|function| function.contains("+0x")), "{evidence}");
    assert!(
        functions.iter().any(|function| {
            ["do_syscall_64+", "el0t_64_sync+"].iter().any(|call| function.starts_with(call))
                || function.contains("page_fault+")
        }),
        "{evidence}"
    );
    assert!(!stack.contains("bpf_"), "{evidence}");
}

/// What waits for whom on any kernel, told to a webhook and as an Alertmanager wants it: raised with a stack, and cleared.
#[test]
fn alerts_are_told_to_webhooks_and_alertmanagers() {
    let receiver = Receiver::start();
    let load = Load::named("told");
    let daemon = Daemon::configured(
        &format!(
            "[record]\nhold = \"1ms\"\n\
             [anomaly]\nraise_looks = 1\nlock_convoy_hold = \"1ms\"\nlock_convoy_lost = \"1ms\"\nclear_after = \"10s\"\n\
             [[notify.webhook]]\nname = \"hook\"\nurl = \"http://{0}/hook\"\ngroup_wait = \"0s\"\ncool_down = \"0s\"\n\
             [[notify.alertmanager]]\nname = \"am\"\nurls = [\"http://{0}\"]\n",
            receiver.address
        ),
        &[],
    );
    let about = |alerts: &serde_json::Value, comm: &str| -> Vec<serde_json::Value> {
        let is_it = |alert: &&serde_json::Value| alert["comm"] == comm || alert["labels"]["comm"] == comm;
        alerts.as_array().unwrap().iter().filter(is_it).cloned().collect()
    };
    let to_hook = || receiver.got("/hook").into_iter().filter(|body| body["class"] == "lock_convoy");
    let hooked = || to_hook().flat_map(|body| about(&body["alerts"], "told")).collect::<Vec<_>>();
    let raised = await_some("raised alert", || {
        let args = ["lock-hold", "--writers", "2", "--readers", "1", "--ops", "20", "--pages", "4096"];
        load.run(&[&args[..], &["--write-op", "munmap"]].concat());
        hooked().into_iter().find(|alert| alert["state"] == "raised")
    });
    let stack = raised["evidence"][0]["stack"].as_array().unwrap();
    assert!(stack.len() > 2 && stack[0].as_str().unwrap().contains("+0x"), "{raised:#}");
    let cleared = await_some("cleared alert", || hooked().into_iter().find(|alert| alert["state"] == "cleared"));
    assert!(cleared["ends_at"].as_str().unwrap() > cleared["starts_at"].as_str().unwrap(), "{cleared:#}");
    assert!(cleared["sequence"].as_u64() > raised["sequence"].as_u64());

    let all_managed = || receiver.got("/api/v2/alerts").into_iter().flat_map(|body| about(&body, "told"));
    let is_convoy = |alert: &serde_json::Value| alert["labels"]["alertname"] == "MmscopeLockConvoy";
    let managed = || all_managed().filter(is_convoy).collect::<Vec<_>>();
    // Told as raised, it lasts for a while without being told again; as cleared, it ended before that.
    await_some("both states", || {
        let all = managed();
        let is_ended = |one: &serde_json::Value, other: &serde_json::Value| {
            one["startsAt"] == other["startsAt"] && one["endsAt"].as_str() > other["endsAt"].as_str()
        };
        all.iter().any(|one| all.iter().any(|other| is_ended(one, other))).then_some(())
    });
    let scrape = daemon.settled();
    for sink in ["hook", "am"] {
        assert!(scrape.sum("mmscope_notifications_sent_total", &[("sink", sink)]) >= 2.0, "{sink}");
        assert_eq!(scrape.sum("mmscope_notification_failures_total", &[("sink", sink)]), 0.0, "{sink}");
        assert_eq!(scrape.sum("mmscope_notifications_dropped_total", &[("sink", sink)]), 0.0, "{sink}");
    }
}

/// A hold over its bound, from its bucket to the line of the log that tells of it.
#[test]
fn an_exemplar_leads_to_the_record_of_its_event() {
    let load = Load::named("exemplary");
    let daemon = Daemon::configured("[record]\nhold = \"1us\"\n", &[]);
    let line = await_some("exemplar", || {
        load.run(&["munmap", "--cycles", "20", "--pages", "256"]);
        let scrape = daemon.get("/metrics", "application/openmetrics-text; version=1.0.0").unwrap();
        let is_one = |line: &&str| {
            line.starts_with("mmscope_mmap_lock_hold_seconds_bucket{")
                && line.contains("\"exemplary\"")
                && line.contains(" # ")
        };
        scrape.lines().find(is_one).map(str::to_owned)
    });
    let label = |name: &str| line.split(&format!("{name}=\"")).nth(1).unwrap().split('"').next().unwrap().to_owned();
    let (record, tgid) = (format!("record={}", label("record")), format!("tgid={} ", label("pid")));
    let told = await_some("line of the log", || daemon.said(&[&record, &tgid]).into_iter().next());
    let value: f64 = line.split("} ").last().unwrap().split(' ').next().unwrap().parse().unwrap();
    let duration_ns = told.split("duration_ns=").nth(1).unwrap().split(' ').next().unwrap();
    assert_eq!(value, duration_ns.parse::<f64>().unwrap() / 1e9, "{told}");
    assert!(value <= label("le").parse().unwrap_or(f64::INFINITY), "{line}");
}

#[test]
fn a_signal_detaches_and_ends_with_zero() {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let before = loaded_programs();
        let mut daemon = Daemon::start(&[]);
        assert!(daemon.scrape().sum("mmscope_probe_attached", &[]) > 0.0, "something is attached");
        // A connection that stays open must not hold it up.
        let _open = std::net::TcpStream::connect(&daemon.address).unwrap();
        let signalled = Instant::now();
        daemon.signal(signal);
        assert_eq!(daemon.end().code(), Some(0));
        eprintln!("{signal}: gone after {:?}", signalled.elapsed());
        nothing_left_attached(before);
    }
}

/// Every map is in the sum that is told at start, and what happens later makes none of them larger.
#[test]
fn tables_take_what_the_kernel_says_and_never_more() {
    let daemon = Daemon::start(&[]);
    let at_start = daemon.map_bytes();
    let told = |scrape: &Scrape| scrape.sum("mmscope_map_bytes", &[]);
    assert!(at_start > 0.0);
    assert_eq!(told(&daemon.scrape()), at_start);
    let line = daemon.said(&["tables of the kernel side", "for any number of processes"]).pop().unwrap();
    assert!(line.contains(&format!("bytes={at_start}")), "{line} of {at_start} bytes");
    Load::named("many-mms").run(&["live", "--processes", "200", "--pause-ms", "100", "--seconds", "1"]);
    let scrape = daemon.settled();
    assert!(scrape.sum("mmscope_mmap_lock_acquisitions_total", &[("comm", "live-0")]) > 0.0, "{}", scrape.text);
    assert_eq!((told(&scrape), daemon.map_bytes()), (at_start, at_start));
}

#[test]
fn every_absent_hook_has_a_reason_and_its_families_are_absent() {
    let daemon = Daemon::usual();
    let scrape = daemon.settled();
    let report = doctor(&[]);
    for hook in report["hooks"].as_array().unwrap() {
        let name = hook["hook"].as_str().unwrap();
        let attached = hook["attached"].as_bool().unwrap();
        let shown = scrape.sum("mmscope_probe_attached", &[("probe", name)]);
        assert_eq!(shown, f64::from(u8::from(attached)), "{name}");
        if !attached {
            let reason = hook["reason"].as_str().unwrap();
            assert!(!reason.is_empty());
            assert!(scrape.text.contains(&format!("probe=\"{name}\",tier=\"\"")), "{name}");
        }
    }
    for family in report["absent_families"].as_array().unwrap() {
        let family = family.as_str().unwrap();
        assert!(!scrape.has(family), "{family} cannot be measured");
    }
}

#[test]
fn tiers_that_are_switched_off_are_done_without() {
    let report = doctor(&["--without=fentry", "--without=kprobe", "--without=tp-btf"]);
    for hook in report["hooks"].as_array().unwrap() {
        let attached = hook["attached"].as_bool().unwrap();
        let is_tracepoint = hook["kind"] == "tracepoint";
        assert!(attached <= is_tracepoint, "{hook}");
    }
    let ways = ["fentry", "kprobe", "tp-btf", "raw-tracepoint"].map(|way| format!("--without={way}"));
    let (code, stderr) = failing(mmscope().arg("doctor").args(ways));
    assert_eq!(code, 69, "{stderr}");
    assert!(stderr.contains("switched off"), "{stderr}");
}

/// Page faults that find no per-VMA lock take mmap_lock for read as well, on any kernel; how many do so differs from
/// run to run by a few.
const STRAY_FAULTS: f64 = 5.0;

/// Every call of mincore is one read acquisition, counted by the workload itself.
fn read_locks(args: &[&str]) {
    let load = Load::named("lock-reads");
    let daemon = Daemon::start(args);
    let mut load = load.waiting(&["lock-readers", "--ops", "20000"]);
    let before = daemon.settled();
    let calls = load.go()["mincore_calls"].as_f64().unwrap();
    let scrape = daemon.settled();
    let comm = ("comm", "lock-reads");
    let added = |metric: &str, labels: &[(&str, &str)]| scrape.sum(metric, labels) - before.sum(metric, labels);
    let read = added("mmscope_mmap_lock_acquisitions_total", &[comm, ("mode", "read"), ("result", "acquired")]);
    let held = added("mmscope_mmap_lock_hold_seconds_count", &[comm, ("mode", "read")]);
    assert_eq!(calls, 20_000.0);
    assert!((calls..=calls + STRAY_FAULTS).contains(&read), "{read} acquisitions for {calls} calls");
    assert_eq!(held, read, "every acquisition has its release");
    assert!(added("mmscope_mmap_lock_operation_seconds_total", &[comm, ("operation", "other")]) > 0.0);
    assert_eq!(scrape.lost(), before.lost(), "nothing lost: {}", scrape.text);
}

#[test]
fn read_locks_are_counted() {
    read_locks(&[]);
}

#[test]
fn read_locks_are_counted_by_raw_tracepoints_too() {
    read_locks(&["--without=tp-btf"]);
}

#[test]
fn write_locks_are_exact_by_operation() {
    let load = Load::named("lock-writes");
    let daemon = Daemon::usual();
    let mut load = load.waiting(&["mprotect", "--cycles", "700"]);
    let before = daemon.settled();
    let counts = load.go();
    let scrape = daemon.settled();
    assert_eq!(counts["mprotect_calls"], 1400);
    let write = |scrape: &Scrape| {
        scrape.sum(
            "mmscope_mmap_lock_acquisitions_total",
            &[("comm", "lock-writes"), ("mode", "write"), ("result", "acquired")],
        )
    };
    assert_eq!(write(&scrape) - write(&before), 1400.0);
}

#[test]
fn a_contended_lock_shows_waits() {
    let load = Load::named("lock-contended");
    let daemon = Daemon::usual();
    let mut load = load.waiting(&["lock-hold", "--writers", "1", "--readers", "2", "--seconds", "2"]);
    load.go();
    let scrape = daemon.settled();
    let comm = ("comm", "lock-contended");
    let waits = scrape.sum("mmscope_mmap_lock_wait_seconds_count", &[comm]);
    let waited = scrape.sum("mmscope_mmap_lock_wait_seconds_sum", &[comm]);
    let acquired = scrape.sum("mmscope_mmap_lock_acquisitions_total", &[comm]);
    assert!(waits > 0.0 && waits < acquired, "{waits} waits of {acquired} acquisitions");
    assert!(waited > 0.0 && waited < 60.0, "{waited} s waited");
    let by_operation = scrape.sum("mmscope_mmap_lock_operation_seconds_total", &[comm, ("phase", "wait")]);
    assert!((by_operation - waited).abs() < 1e-6, "{by_operation} by operation, {waited} in all");
}

#[test]
fn own_activity_is_left_out() {
    let daemon = Daemon::usual();
    let scrape = daemon.settled();
    assert!(!scrape.labels("mmscope_mmap_lock_acquisitions_total", "comm").iter().any(|comm| comm == "mmscope"));
}

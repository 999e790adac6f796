//! Live in a guest with a stock kernel, where every hook attaches: each kind of number against the workload's own
//! count, to the event.

#[path = "live/budget.rs"]
mod budget;
#[path = "live/bursts.rs"]
mod bursts;
#[path = "live/everywhere.rs"]
mod everywhere;
#[path = "live/flights.rs"]
mod flights;
#[path = "live/huge.rs"]
mod huge;
mod live;
#[path = "live/reclaim.rs"]
mod reclaim;
#[path = "live/recordings.rs"]
mod recordings;
#[path = "live/reuse.rs"]
mod reuse;
#[path = "live/shootdowns.rs"]
mod shootdowns;
#[path = "live/timelines.rs"]
mod timelines;
#[path = "live/trace.rs"]
mod trace;

use std::collections::BTreeSet;

use live::{Daemon, Load, Scrape, doctor};

const WINDOWS: &str = "mmscope_flush_window_seconds_count";
const FLUSHES: &str = "mmscope_tlb_flushes_total";

fn windows(scrape: &Scrape, comm: &str, path: &str, kind: &str) -> f64 {
    scrape.sum(WINDOWS, &[("comm", comm), ("path", path), ("kind", kind)])
}

fn flushes(scrape: &Scrape, comm: &str, kind: &str) -> f64 {
    scrape.sum(FLUSHES, &[("comm", comm), ("kind", kind)])
}

/// A command's flushes of one kind are as many, or not told at all where they are instructions in the midst of other functions.
fn are_flushed(before: &Scrape, scrape: &Scrape, comm: &str, kind: &str, expected: f64) {
    if cfg!(target_arch = "aarch64") {
        assert!(!scrape.has(FLUSHES), "arm64 tells of flushes");
    } else {
        assert_eq!(flushes(scrape, comm, kind) - flushes(before, comm, kind), expected, "{kind} flushes");
    }
}

fn ioctls(scrape: &Scrape, comm: &str, ioctl: &str) -> f64 {
    scrape.sum("mmscope_uffd_ioctl_seconds_count", &[("comm", comm), ("ioctl", ioctl)])
}

/// A counter of one command with one more label.
fn labelled(scrape: &Scrape, metric: &str, comm: &str, label: &str, value: &str) -> f64 {
    scrape.sum(metric, &[("comm", comm), (label, value)])
}

/// After the work, nothing is open and nothing was lost.
fn is_clean(scrape: &Scrape, comm: &str, lost_before: f64) {
    assert_eq!(scrape.sum("mmscope_flush_windows_open", &[("comm", comm)]), 0.0, "windows open");
    assert_eq!(scrape.sum("mmscope_userfaults_in_flight", &[("comm", comm)]), 0.0, "faults in flight");
    let lost: Vec<&str> =
        scrape.text.lines().filter(|line| line.starts_with("mmscope_lost_total") && !line.ends_with(" 0")).collect();
    assert_eq!(scrape.lost(), lost_before, "lost: {lost:?}");
}

/// Hooks of functions that 5.10 does not have, with nothing in their place.
const ABSENT_ON_5_10: &[&str] = &["flush_tlb_func", "try_to_migrate_one"];

/// Hooks of what is done inline on arm64, in the order of the table, with nothing in their place.
const ABSENT_ON_ARM64: &[&str] = &[
    "flush_tlb_mm_range",
    "clear_refs_write:exit",
    "clear_refs_write",
    "native_flush_tlb_multi:exit",
    "native_flush_tlb_multi",
    "native_flush_tlb_others:exit",
    "native_flush_tlb_others",
    "flush_tlb_func",
    "tlb_flush",
];

/// And before 6.6, where reclaim flushes each page at once.
const ABSENT_WITHOUT_BATCHES: &[&str] = &[
    "arch_tlbbatch_flush",
    "try_to_unmap_flush",
    "flush_tlb_batched_pending",
    "try_to_unmap_one",
    "try_to_migrate_one",
];

/// What follows from it.
const FAMILIES_ABSENT_ON_ARM64: &[&str] = &[
    "mmscope_tlb_flushes_total",
    "mmscope_tlb_flush_pages_total",
    "mmscope_tlb_shootdown_seconds",
    "mmscope_tlb_shootdown_cpus_total",
];

#[test]
fn every_hook_attaches() {
    let report = doctor(&[]);
    let absent: Vec<&str> = report["hooks"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|hook| hook["attached"] == false)
        .filter(|hook| !hook["reason"].as_str().unwrap().starts_with("not needed: "))
        .filter(|hook| hook["instead"].as_array().unwrap().is_empty())
        .map(|hook| hook["hook"].as_str().unwrap())
        .collect();
    let families: Vec<&str> =
        report["absent_families"].as_array().unwrap().iter().map(|family| family.as_str().unwrap()).collect();
    if cfg!(target_arch = "aarch64") {
        let of_reclaim = if leaves_no_flush() { ABSENT_WITHOUT_BATCHES } else { &[] };
        let expected: BTreeSet<&str> = ABSENT_ON_ARM64.iter().chain(of_reclaim).copied().collect();
        assert_eq!(absent.into_iter().collect::<BTreeSet<_>>(), expected);
        assert_eq!(families, FAMILIES_ABSENT_ON_ARM64);
        return;
    }
    let expected = if attached("native_flush_tlb_others") { ABSENT_ON_5_10 } else { &[] };
    assert_eq!(absent, expected);
    assert!(families.is_empty(), "{families:?}");
}

#[test]
fn mprotect_windows_and_flushes_are_exact() {
    let load = Load::named("exact-mprotect");
    let daemon = Daemon::usual();
    let mut load = load.waiting(&["mprotect", "--cycles", "500"]);
    let before = daemon.settled();
    let counts = load.go();
    let scrape = daemon.settled();
    assert_eq!(counts["mprotect_calls"], 1000);
    let comm = "exact-mprotect";
    for kind in ["outer", "inner"] {
        let added = windows(&scrape, comm, "mprotect", kind) - windows(&before, comm, "mprotect", kind);
        assert_eq!(added, 1000.0, "{kind} windows");
    }
    are_flushed(&before, &scrape, comm, "range", 1000.0);
    are_flushed(&before, &scrape, comm, "full", 0.0);
    // From the second time on that the page is made read-only, it has been through a cycle, each flushed by its own mprotect.
    assert_eq!(labelled(&scrape, "mmscope_pte_cycles_total", comm, "flushed", "true"), 499.0);
    assert_eq!(labelled(&scrape, "mmscope_pte_cycles_total", comm, "flushed", "false"), 0.0);
    is_clean(&scrape, comm, before.lost());
}

/// The same for a command that starts and ends while watched: what its start and end do is known from one that does
/// nothing else.
#[test]
fn a_whole_command_is_exact_under_its_own_name() {
    let (idle, load) = (Load::named("whole-idle"), Load::named("whole-load"));
    let daemon = Daemon::usual();
    let before = daemon.settled();
    idle.run(&["noop"]);
    load.run(&["mprotect", "--cycles", "500"]);
    let scrape = daemon.settled();
    let added =
        windows(&scrape, "whole-load", "mprotect", "outer") - windows(&scrape, "whole-idle", "mprotect", "outer");
    assert_eq!(added, 1000.0);
    assert_eq!(windows(&scrape, "whole-load", "exit", "outer"), 1.0);
    is_clean(&scrape, "whole-load", before.lost());
}

/// Whether doctor attaches a hook here.
fn attached(name: &str) -> bool {
    let report = doctor(&[]);
    let hooks = report["hooks"].as_array().unwrap();
    hooks.iter().any(|hook| hook["hook"] == name && hook["attached"] == true)
}

#[test]
fn windows_of_many_vmas_are_one_each() {
    let load = Load::named("exact-vmas");
    let daemon = Daemon::usual();
    let mut load = load.waiting(&["mprotect-vmas", "--cycles", "100", "--vmas", "7"]);
    let before = daemon.settled();
    let counts = load.go();
    let scrape = daemon.settled();
    assert_eq!(counts["mprotect_calls"], 200);
    // Before 5.17 each VMA is flushed by itself.
    let windows_a_call = if attached("mprotect_fixup") { 7.0 } else { 1.0 };
    for kind in ["outer", "inner"] {
        let windows = |scrape: &Scrape| windows(scrape, "exact-vmas", "mprotect", kind);
        assert_eq!(windows(&scrape) - windows(&before), 200.0 * windows_a_call, "{kind}");
    }
    let vmas = |what: &str| {
        let of = |scrape: &Scrape| scrape.sum(&format!("mmscope_mprotect_vmas_{what}"), &[("comm", "exact-vmas")]);
        of(&scrape) - of(&before)
    };
    assert_eq!((vmas("count"), vmas("sum")), (200.0, 1400.0));
}

#[test]
fn windows_of_many_threads_are_exact() {
    let load = Load::named("exact-threads");
    let daemon = Daemon::usual();
    let mut load = load.waiting(&["flip", "--threads", "4", "--cycles", "500"]);
    let before = daemon.settled();
    let counts = load.go();
    let scrape = daemon.settled();
    let calls = counts["mprotect_calls"].as_f64().unwrap();
    assert_eq!(calls, 4000.0);
    let windows = |scrape: &Scrape| windows(scrape, "exact-threads", "mprotect", "outer");
    let counted = windows(&scrape) - windows(&before);
    // Threads preempt each other: where the kernel does so inside programs, what it skipped is missing, and nothing else.
    let missed = scrape.missed() - before.missed();
    assert!((calls - missed..=calls).contains(&counted), "{counted} of {calls} windows, {missed} missed");
    if missed == 0.0 {
        is_clean(&scrape, "exact-threads", before.lost());
    }
}

#[test]
fn zaps_are_exact() {
    let load = Load::named("exact-zap");
    let daemon = Daemon::usual();
    let mut load = load.waiting(&["dontneed", "--cycles", "300", "--pages", "4"]);
    let before = daemon.settled();
    let counts = load.go();
    let scrape = daemon.settled();
    assert_eq!(counts["madvise_calls"], 300);
    let comm = "exact-zap";
    assert_eq!(windows(&scrape, comm, "zap", "outer") - windows(&before, comm, "zap", "outer"), 300.0);
    assert_eq!(windows(&scrape, comm, "zap", "inner"), 0.0, "no protection changed");
    are_flushed(&before, &scrape, comm, "range", 300.0);
}

/// A flush of one thread's whose address space is in use on another CPU too asks that one; if it answers, it is the one that
/// answers last. While something else runs there the kernel need not ask it: how often it did is the trace's to say.
#[test]
fn shootdowns_are_exact_and_name_who_answered_last() {
    let load = Load::named("exact-shoot");
    let daemon = Daemon::configured("[record]\nwindow = \"1us\"\n", &[]);
    if cfg!(target_arch = "aarch64") {
        // The processor asks the others by itself.
        assert!(!daemon.settled().has("mmscope_tlb_shootdown_seconds"));
        return;
    }
    let mut load = load.waiting(&["dontneed", "--cycles", "200", "--bystander"]);
    let asks = ["native_flush_tlb_multi", "native_flush_tlb_others"].into_iter().find(|name| attached(name)).unwrap();
    // Arming and disarming a trace is work of the kernel's own: before and after what is compared.
    let watch = shootdowns::Watch::start(asks, attached("flush_tlb_func"));
    let before = daemon.settled();
    let told = |words: &[&str]| daemon.said(&[&["shootdown", "exact-shoot"], words].concat()).len();
    // The set-up's flushes.
    let (told_before, named_before) = (told(&[]), told(&["answered last"]));
    let counts = load.go();
    let scrape = daemon.settled();
    let seen = watch.end("exact-shoot");
    let added = |metric| {
        let of = |scrape: &Scrape| scrape.sum(metric, &[("comm", "exact-shoot")]);
        (of(&scrape) - of(&before)) as usize
    };
    assert!(seen.asked > 0 && seen.answered != Some(0), "{seen:?}");
    assert_eq!(added("mmscope_tlb_shootdown_seconds_count"), seen.asked, "{seen:?}");
    // The one other CPU may have gone lazy, and out of the mask, just when it was to be asked.
    let cpus = added("mmscope_tlb_shootdown_cpus_total");
    assert!((1..=seen.asked).contains(&cpus), "{cpus} CPUs, {seen:?}");
    assert_eq!(told(&[]) - told_before, seen.asked, "{seen:?}");
    if let Some(answered) = seen.answered {
        let named = format!("CPU {} answered last", counts["bystander_cpu"]);
        assert_eq!(told(&[&named]) - named_before, answered, "{seen:?}");
    }
    is_clean(&scrape, "exact-shoot", before.lost());
}

/// Before 6.6 reclaim of arm64 flushes each page at once, and no window is open: doctor names what it would be seen by.
fn leaves_no_flush() -> bool {
    let leaves = reclaim::Offsets::read().flush.is_some();
    if !leaves {
        if cfg!(target_arch = "x86_64") {
            panic!("a kernel of a PC without arch_tlbbatch_flush");
        }
        assert!(!attached("try_to_unmap_flush") && !attached("arch_tlbbatch_flush"));
    }
    !leaves
}

/// Reclaim of pages that two address spaces map: each is one window of each batch with pages of it.
#[test]
fn reclaim_of_several_mms_is_a_window_of_each() {
    const PAGES: u64 = 700;
    if leaves_no_flush() {
        return;
    }
    let swap = reclaim::Swap::on();
    let group = reclaim::Group::new();
    let file = reclaim::SharedFile::new(PAGES * 4096);
    let third = reclaim::ThirdProcessor::on();
    // A flush is put off for who is in use on another processor. Who takes the pages is on the first one, and each of the
    // bystanders needs one of its own: where two take turns, but one of them is in use.
    let loads = [(Load::named("reclaim-one"), "3"), (Load::named("reclaim-two"), "5")];
    let daemon = Daemon::usual();
    let (path, pages) = (file.path(), PAGES.to_string());
    let waiting = loads.each_ref().map(|(load, processors)| {
        let first = format!("{} && taskset -p {processors} $$ > /dev/null", group.joining());
        let words = ["pageout", "--cycles", "0", "--pages", &pages, "--file", path.to_str().unwrap()];
        load.waiting_in(&first, &words)
    });
    let offsets = reclaim::Offsets::read();
    let watch = reclaim::Watch::start(&offsets);
    let before = daemon.settled();
    let name = std::thread::Builder::new().name("taker".to_owned());
    let take = || {
        let mut first = nix::sched::CpuSet::new();
        first.set(0).unwrap();
        nix::sched::sched_setaffinity(nix::unistd::Pid::from_raw(0), &first).unwrap();
        group.take();
    };
    std::thread::scope(|scope| {
        name.spawn_scoped(scope, take).unwrap();
    });
    let scrape = daemon.settled();
    drop(waiting);
    // Without memory.reclaim, a group's own tasks take from it too when they return to user mode.
    let batches = watch.end(&["taker", "reclaim-one", "reclaim-two", "bystander"], &offsets);
    assert!(batches.of_several > 0, "{batches:?}");
    let outer = |scrape: &Scrape| scrape.sum(WINDOWS, &[("path", "reclaim"), ("kind", "outer")]) as usize;
    let added = outer(&scrape) - outer(&before);
    if offsets.count.is_some() {
        assert_eq!(added, batches.mms, "{batches:?}");
    } else {
        assert!((batches.flushed..=batches.mms).contains(&added), "{added}, {batches:?}");
    }
    for load in ["reclaim-one", "reclaim-two"] {
        assert!(windows(&scrape, load, "reclaim", "outer") > 0.0, "{load}: {batches:?}");
        is_clean(&scrape, load, before.lost());
    }
    drop((group, file, third, swap));
}

/// Whatever reclaim makes of a request, each of its batches with pages of one mm is one window.
#[test]
fn reclaim_windows_are_the_kernel_s_batches() {
    const CYCLES: u32 = 40;
    if leaves_no_flush() {
        return;
    }
    let swap = reclaim::Swap::on();
    let load = Load::named("exact-reclaim");
    let daemon = Daemon::usual();
    let mut load = load.waiting(&["pageout", "--cycles", &CYCLES.to_string(), "--pages", "96"]);
    let offsets = reclaim::Offsets::read();
    let watch = reclaim::Watch::start(&offsets);
    let before = daemon.settled();
    load.go();
    let scrape = daemon.settled();
    let batches = watch.end(&["exact-reclaim"], &offsets).flushed;
    let outer = |scrape: &Scrape| windows(scrape, "exact-reclaim", "reclaim", "outer");
    assert!(batches >= CYCLES as usize, "{batches} batches");
    assert_eq!(outer(&scrape) - outer(&before), batches as f64);
    assert_eq!(windows(&scrape, "exact-reclaim", "reclaim", "inner"), 0.0);
    is_clean(&scrape, "exact-reclaim", before.lost());
    drop((load, swap));
}

#[test]
fn soft_dirty_walks_are_windows() {
    let load = Load::named("exact-softdirty");
    let daemon = Daemon::usual();
    if !live::is_supported(live::SOFT_DIRTY) {
        eprintln!("left out: this kernel has no soft-dirty bits");
        return;
    }
    let mut load = load.waiting(&["clear-refs", "--cycles", "60"]);
    let before = daemon.settled();
    let counts = load.go();
    let scrape = daemon.settled();
    assert_eq!(counts["clear_refs_writes"], 60);
    assert_eq!(windows(&scrape, "exact-softdirty", "soft_dirty", "outer"), 60.0);
    are_flushed(&before, &scrape, "exact-softdirty", "full", 60.0);
    is_clean(&scrape, "exact-softdirty", before.lost());
}

#[test]
fn userfaults_and_ioctls_are_exact() {
    let load = Load::named("exact-uffd");
    let daemon = Daemon::usual();
    let has_write_protection = live::is_supported(live::WRITE_PROTECTION);
    let mut load = match has_write_protection {
        true => load.waiting(&["uffd", "--missing", "230", "--wp", "170"]),
        false => load.waiting(&["uffd-missing", "--faults", "230"]),
    };
    let before = daemon.settled();
    let counts = load.go();
    let scrape = daemon.settled();
    let comm = "exact-uffd";
    let faults = |reason| scrape.sum("mmscope_userfault_seconds_count", &[("comm", comm), ("reason", reason)]);
    assert_eq!(faults("missing"), 230.0);
    assert_eq!(faults("wp"), if has_write_protection { 170.0 } else { 0.0 });
    let told = &counts["ioctls"];
    for ioctl in ["api", "register", "unregister", "copy", "wake"] {
        assert_eq!(ioctls(&scrape, comm, ioctl), told[ioctl].as_f64().unwrap(), "{ioctl}");
    }
    if !has_write_protection {
        is_clean(&scrape, comm, before.lost());
        return;
    }
    let protecting = told["writeprotect_wp"].as_f64().unwrap();
    let unprotecting = told["writeprotect_unwp"].as_f64().unwrap();
    assert_eq!(ioctls(&scrape, comm, "writeprotect"), protecting + unprotecting);
    assert_eq!(windows(&scrape, comm, "uffd_wp", "outer"), protecting);
    // Giving up the registration un-protects once more, from 6.0 on. Whether a page that becomes writable by it needs a
    // flush is each kernel's own choice, and then only is there an inner window.
    let unprotected = windows(&scrape, comm, "uffd_unwp", "outer");
    assert!([unprotecting, unprotecting + 1.0].contains(&unprotected), "{unprotected} of {unprotecting}");
    let flushed = windows(&scrape, comm, "uffd_unwp", "inner");
    assert!(flushed <= unprotected, "{flushed} of {unprotected}");
    assert_eq!(scrape.sum("mmscope_uffd_ioctl_errors_total", &[("comm", comm)]), 0.0);
    is_clean(&scrape, comm, before.lost());
}

#[test]
fn failed_ioctls_are_told_by_errno() {
    let load = Load::named("exact-errors");
    let daemon = Daemon::usual();
    let mut load = load.waiting(&["uffd-errors", "--eexist", "40", "--einval", "5"]);
    load.go();
    let scrape = daemon.settled();
    let failed = |errno| {
        let labels = [("comm", "exact-errors"), ("ioctl", "copy"), ("errno", errno)];
        scrape.sum("mmscope_uffd_ioctl_errors_total", &labels)
    };
    assert_eq!(failed("EEXIST"), 40.0);
    assert_eq!(failed("EINVAL"), 5.0);
}

/// A child has an address space of its own twice: that of the fork, and that of its exec.
#[test]
fn short_lived_processes_are_told_under_their_name() {
    let load = Load::named("exact-forks");
    let daemon = Daemon::usual();
    let before = daemon.settled();
    let counts = load.run(&["forkexec", "--count", "100"]);
    let scrape = daemon.settled();
    assert_eq!(counts["execs"], 100);
    assert_eq!(windows(&scrape, "exact-forks", "exit", "outer"), 201.0);
    is_clean(&scrape, "exact-forks", before.lost());
}

/// Until its exec a vforked child works in its parent's address space, which does not end with it.
#[test]
fn a_vforked_child_has_one_address_space_of_its_own() {
    let load = Load::named("exact-vforks");
    let daemon = Daemon::usual();
    let before = daemon.settled();
    let counts = load.run(&["forkexec", "--vfork", "--count", "80"]);
    let scrape = daemon.settled();
    assert_eq!(counts["vforks"], 80);
    assert_eq!(windows(&scrape, "exact-vforks", "exit", "outer"), 81.0);
    is_clean(&scrape, "exact-vforks", before.lost());
}

/// What was made for a child that never was is gone, and with it its slot: nobody's process ends to tell it.
#[test]
fn a_refused_fork_leaves_nothing() {
    let load = Load::named("exact-refused");
    let daemon = Daemon::usual();
    let mut load = load.waiting(&["refused-forks", "--count", "300"]);
    let before = daemon.settled();
    let counts = load.go();
    let scrape = daemon.settled();
    assert_eq!(counts["refused_forks"], 300);
    let slots = |scrape: &Scrape| scrape.sum("mmscope_map_entries", &[("map", "mm_slots")]);
    assert!(slots(&scrape) < slots(&before) + 100.0, "{} slots, {} before", slots(&scrape), slots(&before));
    let writes = [("comm", "exact-refused"), ("mode", "write"), ("result", "acquired")];
    let acquired = |scrape: &Scrape| scrape.sum("mmscope_mmap_lock_acquisitions_total", &writes);
    // The parent's and the child's; some kernels take the child's once more to find that nothing is in it.
    let acquired = acquired(&scrape) - acquired(&before);
    assert!(acquired == 600.0 || acquired == 900.0, "{acquired} acquisitions");
}

/// Processes of one address space are one subject, whatever their number, and none of their ends is its.
#[test]
fn processes_that_share_an_address_space_are_charged_to_it() {
    let load = Load::named("exact-share");
    let daemon = Daemon::usual();
    let mut load = load.waiting(&["share", "--children", "4", "--cycles", "300"]);
    let before = daemon.settled();
    let counts = load.go();
    let scrape = daemon.settled();
    assert_eq!(counts["mprotect_calls"], 2400);
    let comm = "exact-share";
    assert_eq!(windows(&scrape, comm, "mprotect", "outer") - windows(&before, comm, "mprotect", "outer"), 2400.0);
    assert_eq!(windows(&scrape, comm, "exit", "outer") - windows(&before, comm, "exit", "outer"), 0.0);
    is_clean(&scrape, comm, before.lost());
}

/// What others do to an address space is its own, by the operation of who does it: here this test, by /proc and ptrace's
/// way of reading memory.
#[test]
fn work_on_another_process_is_charged_to_that_process() {
    const CLEARED: u32 = 40;
    const READS: u32 = 500;
    let load = Load::named("exact-remote");
    let daemon = Daemon::usual();
    let mut load = load.waiting(&["mprotect", "--cycles", "1"]);
    load.go();
    let comm = ("comm", "exact-remote");
    let before = daemon.settled();
    let proc = std::path::PathBuf::from(format!("/proc/{}", load.pid()));
    for _ in 0..CLEARED {
        std::fs::write(proc.join("clear_refs"), "4").unwrap();
    }
    let maps = std::fs::read_to_string(proc.join("maps")).unwrap();
    let base = usize::from_str_radix(maps.split('-').next().unwrap(), 16).unwrap();
    // From 6.17 on maps takes the VMAs' own locks; this takes the mm's on all kernels.
    let mut word = [0; 8];
    let pagemap = std::fs::File::open(proc.join("pagemap")).unwrap();
    std::os::unix::fs::FileExt::read_exact_at(&pagemap, &mut word, (base / 4096 * 8) as u64).unwrap();
    let middle = daemon.settled();
    let mut byte = [0];
    for _ in 0..READS {
        let there = nix::sys::uio::RemoteIoVec { base, len: 1 };
        let pid = nix::unistd::Pid::from_raw(load.pid());
        let mut here = [std::io::IoSliceMut::new(&mut byte)];
        assert_eq!(nix::sys::uio::process_vm_readv(pid, &mut here, &[there]).unwrap(), 1);
    }
    let scrape = daemon.settled();
    let cleared = windows(&middle, comm.1, "soft_dirty", "outer") - windows(&before, comm.1, "soft_dirty", "outer");
    // Where flushes are instructions in the midst of other functions such a window has no end that could be seen.
    let expected = if cfg!(target_arch = "aarch64") { 0 } else { CLEARED };
    assert_eq!(cleared, f64::from(expected));
    let reads = |scrape: &Scrape| {
        let labels = [comm, ("mode", "read"), ("result", "acquired")];
        scrape.sum("mmscope_mmap_lock_acquisitions_total", &labels)
    };
    assert_eq!(reads(&scrape) - reads(&middle), f64::from(READS));
    let spent = |who| {
        let labels = [("comm", who), ("operation", "proc_reader"), ("phase", "hold")];
        let of = |scrape: &Scrape| scrape.sum("mmscope_mmap_lock_operation_seconds_total", &labels);
        of(&scrape) - of(&before)
    };
    assert!(spent(comm.1) > 0.0, "{}", scrape.text);
    let own = std::fs::read_to_string("/proc/self/comm").unwrap();
    assert_eq!(spent(own.trim()), 0.0);
    is_clean(&scrape, comm.1, before.lost());
}

/// khugepaged has no address space: what it does to another's is that one's, by the operation of a kernel thread.
#[test]
fn khugepaged_is_charged_to_whose_pages_it_collapses() {
    let daemon = Daemon::usual();
    let before = daemon.settled();
    let huge = huge::HugePages::collapsing();
    let scrape = daemon.settled();
    drop(huge);
    let own = std::fs::read_to_string(format!("/proc/{}/comm", std::process::id())).unwrap();
    let labels = [("comm", own.trim()), ("operation", "kthread"), ("phase", "hold")];
    let held = |scrape: &Scrape| scrape.sum("mmscope_mmap_lock_operation_seconds_total", &labels);
    assert!(held(&scrape) > held(&before), "{}", scrape.text);
    let names = scrape.labels("mmscope_mmap_lock_acquisitions_total", "comm");
    assert!(names.iter().all(|name| name != "khugepaged"), "{names:?}");
}

#[test]
fn operations_are_told_by_system_call() {
    let load = Load::named("operations");
    let daemon = Daemon::usual();
    load.run(&["munmap", "--cycles", "50"]);
    load.run(&["uffd-missing", "--faults", "20"]);
    let scrape = daemon.settled();
    for operation in ["mmap", "munmap", "exec", "exit", "uffd_ioctl", "fault", "brk"] {
        let labels = [("comm", "operations"), ("operation", operation), ("phase", "hold")];
        assert!(scrape.sum("mmscope_mmap_lock_operation_seconds_total", &labels) > 0.0, "{operation}");
    }
}

/// What doctor says on each kernel, word for word.
#[test]
fn doctor_says_what_it_said_before() {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    let of_arm64 = [
        ("6.1.", include_str!("../../docs/hosts/arm64-6.1.txt")),
        ("6.12.", include_str!("../../docs/hosts/arm64-6.12.txt")),
        ("7.", include_str!("../../docs/hosts/arm64-7.txt")),
    ];
    let of_pcs = [
        ("5.10.", include_str!("doctor/5.10.txt")),
        ("6.1.", include_str!("doctor/6.1.txt")),
        ("6.12.", include_str!("doctor/6.12.txt")),
        ("6.18.", include_str!("doctor/6.18.txt")),
        ("7.", include_str!("doctor/7.txt")),
    ];
    let texts: &[_] = if cfg!(target_arch = "aarch64") { &of_arm64 } else { &of_pcs };
    let known = texts.iter().find(|(version, _)| release.starts_with(version));
    let (_, text) = known
        .unwrap_or_else(|| panic!("no text for {release}: add one to daemon/tests/doctor, or of arm64 to docs/hosts"));
    live::doctor_says(text);
}

/// Short-lived processes of two names at once: each has an address space by its fork, and every tenth another by its exec. Their
/// mm_structs come from the same few places in memory; that they do is counted beside.
#[test]
fn storm_of_processes_is_charged_to_the_right_names() {
    // The one has twice as many as the other.
    let children = live::number("STORM_PROCESSES", 300).div_ceil(3);
    let (one, other) = (Load::named("storm-one"), Load::named("storm-other"));
    let daemon = Daemon::usual();
    let before = daemon.settled();
    let mms = reuse::Watch::start();
    std::thread::scope(|scope| {
        for (load, children) in [(&one, 2 * children), (&other, children)] {
            let count = children.to_string();
            scope.spawn(move || load.run(&["forkexec", "--exec-every", "10", "--count", &count]));
        }
    });
    let reused = mms.end(&["storm-one", "storm-other"]);
    let scrape = daemon.settled();
    let mut expected = 0;
    for (name, children) in [("storm-one", 2 * children), ("storm-other", children)] {
        let mms = children + children.div_ceil(10) + 1;
        expected += mms;
        assert_eq!(windows(&scrape, name, "exit", "outer"), mms as f64, "{name}");
        is_clean(&scrape, name, before.lost());
    }
    let by_trace = reused.mms as u64..=(reused.mms + reused.by_others) as u64;
    assert!(by_trace.contains(&expected), "{expected} address spaces, {reused:?} by the kernel's own trace");
    let children = 3 * children;
    let told = (reused.mms, reused.addresses, reused.shared);
    println!(
        "storm: {}",
        serde_json::json!({"children": children, "mms": told.0, "addresses": told.1, "shared": told.2})
    );
    assert!(reused.addresses < reused.mms, "no address was used twice: {reused:?}");
    assert!(reused.shared > 0, "no address had both names: {reused:?}");
}

/// By how many open files a system may differ from itself a while later.
const SLACK: u64 = 100;

/// Attached and detached again and again while somebody works: nothing is left in the kernel.
#[test]
fn storm_of_attaching_leaves_nothing_behind() {
    let turns = live::number("STORM_ATTACH", 3);
    let load = Load::named("storm-attach");
    let mut work = std::process::Command::new("sh")
        .args(["-c", "renice -n 19 -p $$ >/dev/null && exec \"$@\"", "sh"])
        .arg(load.path())
        .args(["flip", "--threads", "2", "--cycles", "100000000"])
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let bursts = bursts::Bursts::of(&work);
    let (programs, maps, files) = (live::loaded_programs(), live::loaded_maps(), live::open_files());
    for turn in 0..turns {
        let mut daemon = Daemon::start(&[]);
        assert!(daemon.scrape().sum("mmscope_probe_attached", &[]) > 0.0, "turn {turn}");
        daemon.signal(nix::sys::signal::Signal::SIGTERM);
        assert_eq!(daemon.end().code(), Some(0), "turn {turn}");
    }
    live::await_some("end of what was attached", || {
        (live::loaded_programs() <= programs && live::loaded_maps() <= maps).then_some(())
    });
    assert!(work.try_wait().unwrap().is_none(), "the work went on all the time");
    bursts.end();
    work.kill().unwrap();
    work.wait().unwrap();
    let files_after = live::open_files();
    assert!(files_after < files + SLACK, "{files} open files before, {files_after} after");
    println!("storm: {}", serde_json::json!({"attached": turns, "files_before": files, "files_after": files_after}));
}

/// Ways of starting that together load every program there is.
const EVERY_PROGRAM: &[&[&str]] = &[
    &[],
    &["--mmap-lock=tracepoints"],
    &["--mmap-lock=rwsem"],
    &["--without=tp-btf", "--mmap-lock=tracepoints"],
    &["--without=fentry", "--mmap-lock=rwsem"],
];

/// Where fentry is not to be had every function is probed by kprobes, and nothing of them is left behind.
#[test]
fn kprobes_take_the_place_of_fentry() {
    let states = |report: &serde_json::Value| -> Vec<(String, String)> {
        let text = |value: &serde_json::Value| value.as_str().unwrap_or("-").to_owned();
        report["hooks"].as_array().unwrap().iter().map(|hook| (text(&hook["hook"]), text(&hook["tier"]))).collect()
    };
    let (by_fentry, by_kprobes) = (doctor(&[]), doctor(&["--without=fentry"]));
    let expected = states(&by_fentry).into_iter().map(|(hook, tier)| (hook, tier.replace('F', "K")));
    assert_eq!(states(&by_kprobes), expected.collect::<Vec<_>>(), "{by_kprobes}");
    assert_eq!(by_kprobes["kprobes_because"], "fexit switched off");
    assert_eq!(by_kprobes["kprobe_misses_told"], true);
    let events = std::fs::read_to_string("/sys/kernel/tracing/kprobe_events").unwrap();
    assert!(!events.contains("mmscope_"), "{events}");
}

/// By how much a program may be larger for the verifier than docs/verifier.md says, before that page must be made anew.
const GROWTH: f64 = 1.1;

/// Every program loads, and none has grown beyond its budget: docs/verifier.md, `program | kernel ...`. That is of PCs.
#[test]
fn programs_keep_to_their_verifier_budget() {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    let mut found = std::collections::BTreeMap::new();
    for args in EVERY_PROGRAM {
        for (name, count) in doctor(args)["programs"].as_object().unwrap() {
            found.insert(name.clone(), count.as_u64());
        }
    }
    println!("verifier: {}", serde_json::json!({ "kernel": release.trim(), "programs": found }));
    assert!(!found.is_empty());
    if cfg!(target_arch = "aarch64") {
        return;
    }
    let page = include_str!("../../docs/verifier.md");
    let cells = |line: &str| line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect::<Vec<_>>();
    let mut lines = page.lines().filter(|line| line.starts_with("| ")).map(cells);
    let version: String = release.split('.').take(2).collect::<Vec<_>>().join(".");
    let head = lines.next().expect("a table");
    let column = head.iter().position(|cell| *cell == version || *cell == release.split('.').next().unwrap());
    let column = column.unwrap_or_else(|| panic!("docs/verifier.md has no column for {version}"));
    let mut budgets = 0;
    for line in lines {
        let Some(budget) = line[column].parse::<u64>().ok() else { continue };
        budgets += 1;
        let count = found.get(&line[0]).copied().flatten();
        let count = count.unwrap_or_else(|| panic!("{} was loaded on {version} and no longer is", line[0]));
        assert!(count as f64 <= budget as f64 * GROWTH, "{}: {count} instructions, budget {budget}", line[0]);
    }
    let told = found.values().flatten().count();
    assert_eq!(budgets, told, "programs in docs/verifier.md and programs loaded on {version}");
}

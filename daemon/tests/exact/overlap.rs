//! Write faults inside other tasks' open windows, against a trace of the same run: every probe event of the kernel in one
//! order (its trace ring, by a counter that all processors share), from which windows, forced flushes and outcomes are told
//! anew. Shares nothing with mmscope: which flush was forced is told by the VMA's flags and the kernel's own count of pending
//! flushes, where mmscope looks at the page-table entry.
//!
//! A window may open or close between the trace's look at a write fault and the program's: then each is right in what it
//! says. The trace knows those faults, and only by them may the two differ.

use std::{
    collections::BTreeMap,
    fs,
    process::{Command, Stdio},
};

use serde_json::{Value, json};

use crate::{
    live::{self, Daemon, Scrape},
    oracle,
    trace::{Event, Trace},
};

/// Of each case.
const ROUNDS: u64 = 60;
/// Runs of a case, until one agrees: a program may also be late in telling of a window, which the trace cannot see.
const RUNS: u32 = 3;
/// Of so many forced flushes at most one may be undecided, or no difference is explained by them.
const DECIDED: i64 = 20;
/// What a case must have of something.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Must {
    /// Some.
    Some,
    /// None at all.
    None,
    /// As it comes: a window may open while a write fault is under way already, and some kernels split huge pages.
    Any,
}

/// Case, and what it must have of forced flushes that were warranted, of ones that were not, of writes inside a window.
const CASES: &[(&str, [Must; 3])] = &[
    ("first-pages", [Must::Some, Must::Any, Must::Some]),
    ("last-pages", [Must::Some, Must::Any, Must::Some]),
    ("disjoint", [Must::None, Must::Some, Must::None]),
    ("handler", [Must::Some, Must::Any, Must::Some]),
    (HUGE, [Must::Any; 3]),
    ("writes-only", NOTHING),
    ("plain", NOTHING),
];
const HUGE: &str = "huge";
const NOTHING: [Must; 3] = [Must::None; 3];
/// VM_UFFD_WP, include/linux/mm.h.
const VM_UFFD_WP: u64 = 0x1000;
/// MM_CP_UFFD_WP and MM_CP_UFFD_WP_RESOLVE, include/linux/mm.h.
const UFFD_WP: u64 = 1 << 2 | 1 << 3;

/// What a write fault calls first, of what is a function of its own, once it copies the page: behind its check for pending
/// flushes, and before the copy's own flush.
const COPYING: &[&str] = &["wp_page_copy", "__mem_cgroup_charge"];

/// What is compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Outcome {
    warranted: i64,
    unwarranted: i64,
    mitigated: i64,
    exposed: i64,
    reused: i64,
}

impl Outcome {
    /// Whether the two are the same but for so many faults, which may be of either kind. That a flush was forced is decided where
    /// it is seen.
    fn agrees(self, other: Self, undecided: i64, has_flushes: bool) -> bool {
        let forced = |outcome: Self| outcome.warranted + outcome.unwarranted;
        let about = |a: i64, b: i64| (a - b).abs() <= undecided;
        (forced(self) == forced(other) || !has_flushes && about(forced(self), forced(other)))
            && about(self.warranted, other.warranted)
            && about(self.mitigated, other.mitigated)
            && about(self.exposed, other.exposed)
            && about(self.reused, other.reused)
    }
}

/// Runs all cases; how many passed, and what was wrong with the others.
pub(crate) fn run(daemon: &Daemon) -> (u32, Vec<String>) {
    if !live::is_supported(live::WRITE_PROTECTION) {
        println!("overlap: left out, userfaultfd has no write protection here");
        return (0, Vec::new());
    }
    let output = crate::live::mmscope().args(["doctor", "--facts"]).output().unwrap();
    let facts: Value = serde_json::from_slice(&output.stdout).unwrap();
    let trace = Trace::new("counter", &events(&facts));
    let has_flushes = oracle::has_flushes(&facts);
    let mut passed = 0;
    let mut problems = Vec::new();
    // Kernels with PREEMPT_RT have no transparent huge pages.
    let has_huge_pages = crate::live::exists("/sys/kernel/mm/transparent_hugepage");
    let cases = CASES.iter().filter(|(case, _)| *case != HUGE || has_huge_pages);
    let pairs = cases.map(|&(case, must)| (vec![case], must));
    // Two processes: the window of one is none of the other's.
    for (cases, must) in pairs.chain([(vec!["window-only", "writes-only"], NOTHING)]) {
        // What is wrong is wrong in every run.
        match again(RUNS, || one(daemon, &trace, &cases, must, has_flushes)) {
            Ok(()) => passed += 1,
            Err(problem) => problems.push(format!("{}: {problem}", cases.join(" and "))),
        }
    }
    (passed, problems)
}

/// Runs until one is good, at most so often; the last one's problem.
pub(crate) fn again(runs: u32, mut run: impl FnMut() -> Result<(), String>) -> Result<(), String> {
    let mut last = run();
    for _ in 1..runs {
        match &last {
            Ok(()) => return last,
            Err(problem) => println!("once more: {problem}"),
        }
        last = run();
    }
    last
}

fn one(daemon: &Daemon, trace: &Trace, cases: &[&str], must: [Must; 3], has_flushes: bool) -> Result<(), String> {
    let before = daemon.settled();
    trace.start();
    let loads: Vec<_> = cases
        .iter()
        .map(|case| {
            Command::new("mmload")
                .args(["uffd-overlap", "--case", case, "--rounds", &ROUNDS.to_string()])
                .stdout(Stdio::piped())
                .spawn()
                .unwrap()
        })
        .collect();
    let mut unsupported = false;
    for load in loads {
        let output = load.wait_with_output().unwrap();
        unsupported |= !output.status.success();
    }
    let events = trace.stop()?;
    let after = daemon.settled();
    if unsupported {
        return Err("the load failed".to_owned());
    }
    let own = own(&before, &after);
    let Replay { outcome: seen, undecided } = replay(&events, has_flushes);
    println!(
        "overlap: {}",
        json!({
            "case": cases.join("+"),
            "warranted": [own.warranted, seen.warranted],
            "unwarranted": [own.unwarranted, seen.unwarranted],
            "mitigated": [own.mitigated, seen.mitigated],
            "exposed": [own.exposed, seen.exposed],
            "reused": [own.reused, seen.reused],
            "undecided": undecided,
        })
    );
    let may_differ = if undecided * DECIDED > seen.warranted + seen.unwarranted { 0 } else { undecided };
    if !own.agrees(seen, may_differ, has_flushes) {
        return Err(format!("own {own:?}, by the trace {seen:?}, undecided {undecided}"));
    }
    let has = [seen.warranted, seen.unwarranted, seen.mitigated];
    let is_so = |(must, count): (Must, i64)| must == Must::Any || (must == Must::Some) == (count > 0);
    if !must.into_iter().zip(has).all(is_so) {
        return Err(format!("warranted, unwarranted, mitigated: {has:?}, and should be: {must:?}"));
    }
    Ok(())
}

fn own(before: &Scrape, after: &Scrape) -> Outcome {
    let gained = |metric: &str, label: &str, value: &str| {
        (after.sum(metric, &[(label, value)]) - before.sum(metric, &[(label, value)])) as i64
    };
    let forced = |warranted| gained("mmscope_forced_flushes_total", "warranted", warranted);
    let hazards = |outcome| gained("mmscope_hazards_total", "outcome", outcome);
    Outcome {
        warranted: forced("true"),
        unwarranted: forced("false"),
        mitigated: hazards("mitigated"),
        exposed: hazards("exposed"),
        reused: hazards("reused"),
    }
}

#[derive(Default)]
struct Window {
    mm: u64,
    ranges: Vec<(u64, u64)>,
    is_uffd: bool,
}

impl Window {
    fn covers(&self, mm: u64, page: u64) -> bool {
        self.mm == mm && self.ranges.iter().any(|(start, end)| *start < page + 4096 && page < *end)
    }
}

struct WriteFault {
    mm: u64,
    page: u64,
    is_uffd_wp: bool,
    is_pending: bool,
    is_covered: bool,
    is_met: bool,
    is_handed_over: bool,
    /// The copy has begun.
    is_past_check: bool,
    flushes: Vec<Flush>,
    /// Its task has gone on since.
    is_looked_at: bool,
    /// A window over the page opened or closed before that.
    is_undecided: bool,
    /// The forced flush is seen.
    has_flushes: bool,
}

/// A flush of the page.
struct Flush {
    is_pending: bool,
    is_past_check: bool,
    /// A window of userfaultfd's was open over the page.
    is_late: bool,
}

impl WriteFault {
    /// Whether the first flush was the one for what is pending elsewhere. A copy has one of its own, which comes last. Where flushes
    /// are not seen, the kernel's rule tells.
    fn is_forced(&self) -> bool {
        if !self.has_flushes {
            return self.is_uffd_wp && self.is_pending && !self.is_handed_over;
        }
        match &self.flushes[..] {
            [] => false,
            [only] => self.is_uffd_wp && (self.is_pending || only.is_pending) && !only.is_past_check,
            _ => true,
        }
    }

    /// The flush of a copy.
    fn copy(&self) -> Option<&Flush> {
        self.flushes.get(usize::from(self.is_forced()))
    }
}

/// Whether another task has a window of userfaultfd's open over a page.
fn is_open(windows: &BTreeMap<u32, Window>, task: u32, mm: u64, page: u64) -> bool {
    covering(windows, task, mm, page).any(|window| window.is_uffd)
}

/// Windows of other tasks over a page.
fn covering(windows: &BTreeMap<u32, Window>, task: u32, mm: u64, page: u64) -> impl Iterator<Item = &Window> {
    windows.iter().filter(move |(other, window)| **other != task && window.covers(mm, page)).map(|(_, window)| window)
}

/// Whether another task has a window of the mm open.
fn is_any_of(windows: &BTreeMap<u32, Window>, task: u32, mm: u64) -> bool {
    windows.iter().any(|(other, window)| *other != task && window.mm == mm)
}

/// What happened by the trace.
#[derive(Default)]
struct Replay {
    outcome: Outcome,
    /// Write faults that met a window, or did not, by a hair.
    undecided: i64,
}

/// Tells again what happened.
fn replay(events: &[Event], has_flushes: bool) -> Replay {
    let mut windows: BTreeMap<u32, Window> = BTreeMap::new();
    let mut faults: BTreeMap<u32, WriteFault> = BTreeMap::new();
    let Replay { mut outcome, mut undecided } = Replay::default();
    for event in events {
        let task = event.task;
        if let Some(fault) = faults.get_mut(&task) {
            fault.is_looked_at = true;
        }
        match event.name.as_str() {
            "gather" => {
                windows.insert(task, Window { mm: event.get("mm"), ..Window::default() });
            }
            "change" => {
                let window = windows.entry(task).or_default();
                if event.has("mm") {
                    // Before 5.17 the change is its own window.
                    *window = Window { mm: event.get("mm"), ..Window::default() };
                }
                window.ranges.push((event.get("start"), event.get("end")));
                window.is_uffd |= event.get("flags") & UFFD_WP != 0;
            }
            "finished" | "changed" => {
                windows.remove(&task);
            }
            "wp" => {
                let (mm, page) = (event.get("mm"), event.get("addr") & !0xfff);
                let is_pending = event.get("pending") != 0;
                faults.insert(
                    task,
                    WriteFault {
                        mm,
                        page,
                        is_uffd_wp: event.get("vmflags") & VM_UFFD_WP != 0,
                        is_pending,
                        is_covered: covering(&windows, task, mm, page).next().is_some(),
                        is_met: is_pending && covering(&windows, task, mm, page).any(|window| window.is_uffd),
                        is_handed_over: false,
                        is_past_check: false,
                        flushes: Vec::new(),
                        is_looked_at: false,
                        is_undecided: false,
                        has_flushes,
                    },
                );
            }
            "uffd" => {
                if let Some(fault) = faults.get_mut(&task) {
                    fault.is_handed_over = true;
                }
            }
            "copy" => {
                if let Some(fault) = faults.get_mut(&task) {
                    fault.is_past_check = true;
                }
            }
            "flush" => {
                let Some(fault) = faults.get_mut(&task) else { continue };
                let (mm, page) = (fault.mm, fault.page);
                let is_open = is_open(&windows, task, mm, page);
                if event.get("mm") != fault.mm
                    || event.get("start") != fault.page
                    || event.get("end") != fault.page + 4096
                {
                    continue;
                }
                let is_pending = event.get("pending") != 0;
                fault.flushes.push(Flush {
                    is_pending,
                    is_past_check: fault.is_past_check,
                    is_late: is_open && is_pending,
                });
            }
            "wpret" => {
                let Some(fault) = faults.remove(&task) else { continue };
                undecided += i64::from(fault.is_undecided && !fault.is_handed_over);
                if fault.is_forced() {
                    let is_warranted = fault.is_pending && fault.is_covered;
                    outcome.warranted += i64::from(is_warranted);
                    outcome.unwarranted += i64::from(!is_warranted);
                }
                if !fault.is_met || fault.is_handed_over {
                    continue;
                }
                if fault.is_forced() {
                    outcome.mitigated += 1;
                } else if let Some(copy) = fault.copy() {
                    // A window that closed before the copy was put in place was flushed in time.
                    outcome.exposed += i64::from(copy.is_late);
                } else if is_open(&windows, task, fault.mm, fault.page) {
                    outcome.reused += 1;
                }
            }
            _ => {}
        }
        for (&task, fault) in faults.iter_mut().filter(|(_, fault)| !fault.is_looked_at) {
            let is_covered = covering(&windows, task, fault.mm, fault.page).next().is_some();
            fault.is_undecided |= is_covered != fault.is_covered;
            // The kernel looks at its count after both of us.
            fault.is_undecided |= !has_flushes && is_any_of(&windows, task, fault.mm) != fault.is_pending;
        }
    }
    Replay { outcome, undecided }
}

/// The events of a kernel with these facts.
fn events(facts: &Value) -> Vec<String> {
    let at = |member: &str| facts["members"][member].as_u64().unwrap();
    let (vma, address) = (at("vm_fault.vma"), at("vm_fault.address"));
    let (vm_mm, vm_flags) = (at("vm_area_struct.vm_mm"), at("vm_area_struct.vm_flags"));
    let pending = at("mm_struct.tlb_flush_pending");
    let change = facts["functions"]["change_protection"].as_str().unwrap_or_default();
    let mut events = vec![
        format!(
            "p:one/wp do_wp_page addr=+{address}($arg1):u64 mm=+{vm_mm}(+{vma}($arg1)):u64 \
             vmflags=+{vm_flags}(+{vma}($arg1)):u64 pending=+{pending}(+{vm_mm}(+{vma}($arg1))):u32"
        ),
        "r64:one/wpret do_wp_page".to_owned(),
        "p:one/uffd handle_userfault".to_owned(),
    ];
    if oracle::has_flushes(facts) {
        events.push(format!(
            "p:one/flush flush_tlb_mm_range mm=$arg1:u64 start=$arg2:u64 end=$arg3:u64 pending=+{pending}($arg1):u32"
        ));
    }
    if change.contains("mmu_gather") {
        let flags = if change.contains("pgprot_t") { "$arg6" } else { "$arg5" };
        events.push("p:one/gather tlb_gather_mmu mm=$arg2:u64".to_owned());
        events.push("r64:one/finished tlb_finish_mmu".to_owned());
        events.push(format!("p:one/change change_protection start=$arg3:u64 end=$arg4:u64 flags={flags}:u64"));
    } else {
        events.push(format!(
            "p:one/change change_protection mm=+{vm_mm}($arg1):u64 start=$arg2:u64 end=$arg3:u64 flags=$arg5:u64"
        ));
        events.push("r64:one/changed change_protection".to_owned());
    }
    let symbols = fs::read_to_string("/proc/kallsyms").unwrap();
    let is_there = |name: &&&str| symbols.lines().any(|line| line.split_whitespace().nth(2) == Some(**name));
    if let Some(function) = COPYING.iter().find(is_there) {
        events.push(format!("p:one/copy {function}"));
    }
    events
}

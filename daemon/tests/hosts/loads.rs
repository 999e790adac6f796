//! Loads that mmload has not: protections of huge pages, and memory that NUMA balancing works on. Each runs in a process of its
//! own, which is this program under another name.

use std::{
    env,
    ffi::c_void,
    fs,
    io::{BufRead as _, BufReader, Write as _},
    num::NonZeroUsize,
    process::{Child, Command, Stdio},
    ptr::NonNull,
    time::{Duration, Instant},
};

use nix::{
    sched::{CpuSet, sched_setaffinity},
    sys::mman::{MapFlags, MmapAdvise, ProtFlags, madvise, mmap_anonymous, mprotect},
    unistd::Pid,
};

use crate::live::{append_kprobe, await_some, forget_kprobes};

const HUGE: usize = 2 << 20;
const PAGE: usize = 4096;
const CYCLES: u32 = 200;
/// How long NUMA balancing has time to scan what moves between nodes.
const BALANCED: Duration = Duration::from_secs(20);

/// The command's name of a load.
pub(crate) fn comm(kind: &str) -> String {
    format!("host-{kind}")
}

/// A load that has made ready and waits.
pub(crate) struct Own {
    child: Child,
    lines: BufReader<std::process::ChildStdout>,
}

impl Own {
    pub(crate) fn start(kind: &str) -> Self {
        let path = env::temp_dir().join(comm(kind));
        fs::copy("/proc/self/exe", &path).unwrap();
        let mut child = Command::new(&path).arg(kind).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap());
        let mut own = Self { child, lines };
        assert_eq!(own.line(), "ready", "{kind}");
        own
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.lines.read_line(&mut line).unwrap();
        line.trim().to_owned()
    }

    /// Lets it work; how many protections it has changed.
    pub(crate) fn go(&mut self) -> f64 {
        self.child.stdin.as_mut().unwrap().write_all(b"go\n").unwrap();
        self.line().parse().unwrap()
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The process of a load.
pub(crate) fn run(kind: &str) {
    let area = match kind {
        "huge" => transparent(),
        "hugetlb" => map(2 * HUGE, MapFlags::MAP_PRIVATE | MapFlags::MAP_HUGETLB),
        _ => map(16 * HUGE, MapFlags::MAP_PRIVATE),
    };
    let bytes = if kind == "numa" { 16 * HUGE } else { 2 * HUGE };
    touch(area, bytes, 1);
    if kind == "huge" {
        assert!(has_huge_pages(), "no transparent huge page");
    }
    println!("ready");
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).unwrap();
    let changed = if kind == "numa" { wander(area, bytes) } else { protect(area, bytes) };
    println!("{changed}");
    // Until it is killed.
    let _ = std::io::stdin().read_line(&mut line);
}

fn map(bytes: usize, flags: MapFlags) -> NonNull<c_void> {
    let access = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
    // SAFETY: a mapping of our own.
    unsafe { mmap_anonymous(None, NonZeroUsize::new(bytes).unwrap(), access, flags) }.unwrap()
}

/// Room for two huge pages, at a huge page's boundary.
fn transparent() -> NonNull<c_void> {
    let start = map(4 * HUGE, MapFlags::MAP_PRIVATE);
    let skipped = start.as_ptr().addr().next_multiple_of(HUGE) - start.as_ptr().addr();
    // SAFETY: inside the mapping.
    let start = unsafe { start.byte_add(skipped) };
    // SAFETY: changes no contents.
    unsafe { madvise(start, 2 * HUGE, MmapAdvise::MADV_HUGEPAGE) }.unwrap();
    start
}

fn has_huge_pages() -> bool {
    let rollup = fs::read_to_string("/proc/self/smaps_rollup").unwrap();
    let line = rollup.lines().find(|line| line.starts_with("AnonHugePages:"));
    line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok()).is_some_and(|kib| kib > 0)
}

fn touch(area: NonNull<c_void>, bytes: usize, value: u8) {
    for page in (0..bytes).step_by(PAGE) {
        // SAFETY: inside the mapping.
        unsafe { area.cast::<u8>().add(page).write_volatile(value) };
    }
}

fn protect(area: NonNull<c_void>, bytes: usize) -> u32 {
    for cycle in 0..CYCLES {
        // SAFETY: nobody has a reference into it.
        unsafe { mprotect(area, bytes, ProtFlags::PROT_READ) }.unwrap();
        // SAFETY: as above.
        unsafe { mprotect(area, bytes, ProtFlags::PROT_READ | ProtFlags::PROT_WRITE) }.unwrap();
        touch(area, PAGE, cycle as u8);
    }
    2 * CYCLES
}

/// Works on its memory from one processor after the other.
fn wander(area: NonNull<c_void>, bytes: usize) -> u32 {
    let processors = std::thread::available_parallelism().unwrap().get();
    let begin = Instant::now();
    for turn in 0.. {
        let mut one = CpuSet::new();
        one.set(turn * (processors / 2).max(1) % processors).unwrap();
        sched_setaffinity(Pid::from_raw(0), &one).unwrap();
        let turn_ends = Instant::now() + Duration::from_secs(1);
        while Instant::now() < turn_ends {
            touch(area, bytes, turn as u8);
        }
        if begin.elapsed() > BALANCED && balanced() > 0 {
            break;
        }
        assert!(begin.elapsed() < crate::live::PATIENCE, "nothing is balanced");
    }
    0
}

/// Entries that NUMA balancing has protected so far.
fn balanced() -> u64 {
    let vmstat = fs::read_to_string("/proc/vmstat").unwrap();
    let line = vmstat.lines().find_map(|line| line.strip_prefix("numa_pte_updates "));
    line.and_then(|count| count.trim().parse().ok()).unwrap_or(0)
}

/// NUMA balancing, switched on and impatient. Dropping it switches it off.
pub(crate) struct Balancing;

impl Balancing {
    const SWITCH: &str = "/proc/sys/kernel/numa_balancing";

    /// Kernels switch it on by themselves where there are nodes.
    pub(crate) fn off() {
        fs::write(Self::SWITCH, "0").unwrap();
    }

    pub(crate) fn on() -> Self {
        for (name, value) in [("scan_delay_ms", "10"), ("scan_period_min_ms", "50"), ("scan_size_mb", "16")] {
            let path = format!("/sys/kernel/debug/sched/numa_balancing/{name}");
            fs::write(&path, value).unwrap_or_else(|error| panic!("{path}: {error}"));
        }
        fs::write(Self::SWITCH, "1").unwrap();
        Self
    }
}

impl Drop for Balancing {
    fn drop(&mut self) {
        let _ = fs::write(Self::SWITCH, "0");
    }
}

/// Calls of a function, as a kprobe of the kernel's own counts them.
pub(crate) struct Calls;

impl Calls {
    const EVENT: &str = "/sys/kernel/tracing/events/hosts/calls";
    const BY_TASK: &str = "hist:keys=common_pid";

    pub(crate) fn of(function: &str) -> Self {
        append_kprobe(&format!("p:hosts/calls {function}"));
        Self::write("trigger", Self::BY_TASK);
        Self::write("enable", "1");
        Self
    }

    /// Ends it; how often all called it but the threads of one process.
    pub(crate) fn end_without(self, process: u32) -> f64 {
        let threads = fs::read_dir(format!("/proc/{process}/task")).unwrap();
        let threads: Vec<String> = threads.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        Self::write("enable", "0");
        let counts = fs::read_to_string(format!("{}/hist", Self::EVENT)).unwrap();
        assert!(counts.contains("Dropped: 0"), "{counts}");
        Self::write("trigger", &format!("!{}", Self::BY_TASK));
        await_some("end of the calls", || fs::write(format!("{}/enable", Self::EVENT), "0").ok());
        forget_kprobes("hosts");
        by_others(&counts, &threads)
    }

    fn write(file: &str, text: &str) {
        let path = format!("{}/{file}", Self::EVENT);
        fs::write(&path, text).unwrap_or_else(|error| panic!("{path}: {error}"));
    }
}

/// The sum of lines as `{ common_pid:        228 } hitcount:        389`.
fn by_others(counts: &str, threads: &[String]) -> f64 {
    let count = |line: &str| -> Option<f64> {
        let (task, count) = line.strip_prefix("{ common_pid: ")?.split_once("} hitcount:")?;
        let is_left_out = threads.iter().any(|thread| thread == task.trim());
        (!is_left_out).then(|| count.trim().parse().unwrap())
    };
    counts.lines().filter_map(count).sum()
}

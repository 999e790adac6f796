//! The independent count: kprobe and trace events of the kernel. Knows the kernel's functions and nothing of how mmscope
//! hooks them. How events are counted is in `tally.rs`.
//!
//! Locks are counted at other places than mmscope's: where the kernel has mmap_lock tracepoints, at start_locking, which
//! mmscope does not use; before 5.11, at the rw_semaphore functions by semaphore, of which those are an mm's whose mm
//! was met in exit_mmap or find_vma.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use crate::tally::{self, Event, Tallies, Tally};

/// Name of this program, whose doings are left out on both sides.
pub(crate) const OWN_COMM: &str = "exact-test";

/// Functions of rw_semaphore at whose entry something of a lock happens.
const RWSEM: &[(&str, &str)] = &[
    ("read", "down_read"),
    ("read_killable", "down_read_killable"),
    ("read_try", "down_read_trylock"),
    ("write", "down_write"),
    ("write_killable", "down_write_killable"),
    ("write_try", "down_write_trylock"),
    ("up_read", "up_read"),
    ("up_write", "up_write"),
    ("downgrade", "downgrade_write"),
];

/// An argument that is the same at every hit: for events that are only counted.
const CONSTANT: &str = "\\1:u64";

/// Whether flushes are calls: on arm64 they are instructions, and neither side can count them.
pub(crate) fn has_flushes(facts: &serde_json::Value) -> bool {
    facts["functions"]["flush_tlb_mm_range"].is_string()
}

pub(crate) struct Oracle {
    tally: Tally,
    has_lock_events: bool,
    has_flushes: bool,
    lock_offset: u64,
}

impl Oracle {
    pub(crate) fn new() -> Self {
        let output = crate::live::mmscope().args(["doctor", "--facts"]).output().unwrap();
        let facts: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let prototype = facts["functions"]["change_protection"].as_str().unwrap_or_default();
        let has_lock_events = Path::new(tally::TRACING).join("events/mmap_lock/mmap_lock_start_locking").exists();
        let mut events = vec![
            Event::kprobe("windows", "tlb_finish_mmu", CONSTANT),
            Event::kprobe("clear_refs", "clear_refs_write", "+u0($arg2):u8"),
            Event::kprobe("userfaults", "handle_userfault", CONSTANT),
            Event::kprobe("ioctls", "userfaultfd_ioctl", CONSTANT),
        ];
        let has_flushes = has_flushes(&facts);
        if has_flushes {
            events.push(Event::kprobe("flushes", "flush_tlb_mm_range", CONSTANT));
            events.push(Event::kprobe("full", "flush_tlb_mm_range", "$arg3:u64").only("key == 0xffffffffffffffff"));
        }
        if !prototype.contains("mmu_gather") {
            // Before 5.17 it counts its pending flush itself.
            events.push(Event::kprobe("changes", "change_protection", CONSTANT));
        }
        if has_lock_events {
            events.push(Event::trace("start", "mmap_lock/mmap_lock_start_locking", "write"));
            events.push(Event::trace("returned", "mmap_lock/mmap_lock_acquire_returned", "write,success"));
            events.push(Event::trace("released", "mmap_lock/mmap_lock_released", "write"));
        } else {
            events.extend(RWSEM.iter().map(|(name, function)| Event::kprobe(name, function, "$arg1:u64")));
            events.push(Event::kprobe("mm_exit", "exit_mmap", "$arg1:u64"));
            events.push(Event::kprobe("mm_fault", "find_vma", "$arg1:u64"));
        }
        Self {
            tally: Tally::new(events, &[OWN_COMM, "mmscope"]),
            has_lock_events,
            has_flushes,
            lock_offset: facts["members"]["mm_struct.mmap_lock"].as_u64().unwrap(),
        }
    }

    /// Arms all events. It patches the kernel's text, which flushes TLBs itself: long before what is to be counted.
    pub(crate) fn arm(&self) {
        self.tally.arm();
    }

    /// Remembers where the events stand.
    pub(crate) fn begin(&self) -> Tallies {
        self.tally.begin()
    }

    /// What was counted since `begin`, by the names of the table; what is not to be counted here is not in it.
    pub(crate) fn counts(&self, begin: &Tallies) -> Reading {
        let tallies = self.tally.since(begin);
        let all = |name: &str| tallies.hits(name, |_| true);
        let mut counts = BTreeMap::from([
            // A write of "4" asks for soft-dirty bits, whose pending count needs no gather.
            (
                "windows",
                all("windows") + tallies.hits("clear_refs", |keys| keys[0] == u64::from(b'4')) + all("changes"),
            ),
            ("userfaults", all("userfaults")),
            ("ioctls", all("ioctls")),
        ]);
        if self.has_flushes {
            counts.extend([("flushes", all("flushes") - all("full")), ("full flushes", all("full"))]);
        }
        counts.extend(if self.has_lock_events { locks_by_events(&tallies) } else { self.locks_by_semaphore(&tallies) });
        Reading { counts, problems: tallies.problems }
    }

    fn locks_by_semaphore(&self, tallies: &Tallies) -> BTreeMap<&'static str, i64> {
        let mms: BTreeSet<u64> = ["mm_exit", "mm_fault"].iter().flat_map(|name| tallies.keys(name)).collect();
        let of = |name: &str| tallies.hits(name, |keys| mms.contains(&keys[0].wrapping_sub(self.lock_offset)));
        let reads_tried = of("read") + of("read_killable") + of("read_try");
        let writes_tried = of("write") + of("write_killable") + of("write_try");
        let (up_reads, up_writes, downgrades) = (of("up_read"), of("up_write"), of("downgrade"));
        // Nothing is held before and after: what was acquired is what was given up.
        let (reads, writes) = (up_reads - downgrades, up_writes + downgrades);
        BTreeMap::from([
            ("reads acquired", reads),
            ("writes acquired", writes),
            ("failed", reads_tried - reads + writes_tried - writes),
            ("reads released", up_reads),
            ("writes ended", writes),
        ])
    }
}

fn locks_by_events(tallies: &Tallies) -> BTreeMap<&'static str, i64> {
    let started = |write: u64| tallies.hits("start", |keys| keys[0] == write);
    let failed = |write: u64| tallies.hits("returned", |keys| keys == [write, 0]);
    let released = |write: u64| tallies.hits("released", |keys| keys[0] == write);
    let (reads, writes) = (started(0) - failed(0), started(1) - failed(1));
    BTreeMap::from([
        ("reads acquired", reads),
        ("writes acquired", writes),
        ("failed", failed(0) + failed(1)),
        ("reads released", released(0)),
        // Those that did not end with a release ended with a downgrade, which no start announced.
        ("writes ended", released(1) + tallies.hits("returned", |keys| keys == [0, 1]) - reads),
    ])
}

/// What the oracle counted, and what makes it wrong.
pub(crate) struct Reading {
    pub(crate) counts: BTreeMap<&'static str, i64>,
    pub(crate) problems: Vec<String>,
}

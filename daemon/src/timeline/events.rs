//! From records to what a timeline shows: slices and instants, and which of them lead to which. Pure; knows no format.

use std::collections::BTreeMap;

use probe_common::{
    event::{FLUSH, Record, STALE_WINDOW, STALE_WRITE},
    series::{FAULT, FAULT_REASONS, FLUSH_KINDS, HOLD, INNER, OPERATIONS, OUTCOMES, OUTER, PATHS, SHOOTDOWN, WAIT},
};

use crate::{anomaly::is_window_of, identity::Subject};

/// What kind of thing an event is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Window,
    Hold,
    Wait,
    Fault,
    WriteFault,
    Shootdown,
    Flush,
    /// A hold for which others waited came to its end.
    Release,
}

impl Kind {
    pub(super) fn category(self) -> &'static str {
        match self {
            Self::Window => "window",
            Self::Hold => "hold",
            Self::Wait => "wait",
            Self::Fault => "userfault",
            Self::WriteFault => "write_fault",
            Self::Shootdown => "shootdown",
            Self::Flush => "flush",
            Self::Release => "release",
        }
    }

    /// Whether it is a moment and not a time.
    pub(super) fn is_instant(self) -> bool {
        matches!(self, Self::Flush | Self::Release)
    }
}

/// An mm: its slot, and when that was claimed.
pub(super) type Mm = (u32, u64);

/// Something that a thread did.
#[derive(Clone, Debug)]
pub(super) struct Event {
    pub(super) kind: Kind,
    pub(super) name: String,
    pub(super) begin_ns: u64,
    pub(super) end_ns: u64,
    pub(super) mm: Mm,
    pub(super) record: Record,
    /// Flows that begin here or pass through.
    pub(super) flows: Vec<u64>,
    /// Flows that end here.
    pub(super) ends: Vec<u64>,
}

/// All events in the order of their beginnings, and whose the mms are.
#[derive(Default)]
pub(super) struct Events {
    pub(super) all: Vec<Event>,
    pub(super) mms: BTreeMap<Mm, Subject>,
    /// Records that no slice can be made of.
    pub(super) unknown: u64,
}

impl Events {
    pub(super) fn take(&mut self, subject: &Subject, record: &Record) {
        let mm = (record.slot, record.slot_born_ns);
        self.mms.entry(mm).or_insert_with(|| subject.clone());
        // The window that a write fault met is there as a window of its own.
        if record.series == STALE_WINDOW {
            return;
        }
        let Some((kind, name)) = described(record) else {
            self.unknown += 1;
            return;
        };
        let end_ns = record.begin_ns.saturating_add(record.duration_ns);
        let (flows, ends) = (Vec::new(), Vec::new());
        self.all.push(Event { kind, name, begin_ns: record.begin_ns, end_ns, mm, record: *record, flows, ends });
    }

    /// Orders them and finds what leads to what.
    pub(super) fn connect(&mut self) {
        self.all.sort_by_key(|event| (event.begin_ns, std::cmp::Reverse(event.end_ns)));
        let mut next = 1;
        self.connect_windows(&mut next);
        self.connect_waits(&mut next);
        self.all.sort_by_key(|event| (event.begin_ns, std::cmp::Reverse(event.end_ns)));
    }

    fn indexes(&self, kind: Kind) -> Vec<usize> {
        (0..self.all.len()).filter(|&at| self.all[at].kind == kind).collect()
    }

    /// From a window to the last flush that its thread did in it, and to the write faults that met it.
    fn connect_windows(&mut self, next: &mut u64) {
        let by_thread = |event: &Event| (event.record.tid, event.mm);
        let mut flushes: BTreeMap<_, Vec<usize>> = BTreeMap::new();
        for at in self.indexes(Kind::Flush) {
            flushes.entry(by_thread(&self.all[at])).or_default().push(at);
        }
        let faults = self.indexes(Kind::WriteFault);
        for at in self.indexes(Kind::Window) {
            let (begin_ns, end_ns) = (self.all[at].begin_ns, self.all[at].end_ns);
            let own = flushes.get(&by_thread(&self.all[at])).map_or(&[][..], |own| own);
            let until = own.partition_point(|&flush| self.all[flush].begin_ns <= end_ns);
            if let Some(&flush) = own[..until].last().filter(|&&flush| self.all[flush].begin_ns >= begin_ns) {
                self.connect_two(at, flush, next);
            }
            for &fault in &faults {
                if is_window_of(&self.all[at].record, &self.all[fault].record) {
                    self.connect_two(at, fault, next);
                }
            }
        }
    }

    /// From a wait to the end of the last hold before it was over: a flow goes forward in time, and the hold began before.
    fn connect_waits(&mut self, next: &mut u64) {
        let mut holds: BTreeMap<Mm, Vec<usize>> = BTreeMap::new();
        for at in self.indexes(Kind::Hold) {
            holds.entry(self.all[at].mm).or_default().push(at);
        }
        holds.values_mut().for_each(|of_mm| of_mm.sort_by_key(|&at| self.all[at].end_ns));
        let mut releases: BTreeMap<usize, Event> = BTreeMap::new();
        for at in self.indexes(Kind::Wait) {
            let (begin_ns, end_ns, mm) = (self.all[at].begin_ns, self.all[at].end_ns, self.all[at].mm);
            let of_mm = holds.get(&mm).map_or(&[][..], |of_mm| of_mm);
            let until = of_mm.partition_point(|&hold| self.all[hold].end_ns <= end_ns);
            let Some(&hold) = of_mm[..until].last().filter(|&&hold| self.all[hold].end_ns >= begin_ns) else {
                continue;
            };
            let flow = *next;
            *next += 1;
            self.all[at].flows.push(flow);
            let release = releases.entry(hold).or_insert_with(|| release(&self.all[hold]));
            release.ends.push(flow);
        }
        self.all.extend(releases.into_values());
    }

    fn connect_two(&mut self, from: usize, to: usize, next: &mut u64) {
        self.all[from].flows.push(*next);
        self.all[to].ends.push(*next);
        *next += 1;
    }
}

fn release(hold: &Event) -> Event {
    Event {
        kind: Kind::Release,
        name: "released to who waited".to_owned(),
        begin_ns: hold.end_ns,
        flows: Vec::new(),
        ends: Vec::new(),
        ..hold.clone()
    }
}

/// What a task was doing.
pub(super) fn operation(number: u64) -> &'static str {
    usize::try_from(number).ok().and_then(|number| OPERATIONS.get(number)).copied().unwrap_or("unknown")
}

fn described(record: &Record) -> Option<(Kind, String)> {
    const FAULTS: u32 = FAULT + FAULT_REASONS.len() as u32 - 1;
    let word = |words: &[&'static str], number: u64| {
        usize::try_from(number).ok().and_then(|number| words.get(number)).copied().unwrap_or("other")
    };
    let from = |first: u32| u64::from(record.series - first);
    let modes = ["read", "write"];
    Some(match record.series {
        OUTER..INNER => (Kind::Window, format!("window {}", word(&PATHS, from(OUTER)))),
        WAIT..HOLD => (Kind::Wait, format!("wait for mmap_lock, {}", word(&modes, from(WAIT)))),
        HOLD..FAULT => (Kind::Hold, format!("mmap_lock, {}", word(&modes, from(HOLD)))),
        FAULT..=FAULTS => (Kind::Fault, format!("userfault {}", word(&FAULT_REASONS, from(FAULT)))),
        SHOOTDOWN => (Kind::Shootdown, "shootdown".to_owned()),
        STALE_WRITE => (Kind::WriteFault, format!("write fault, {}", word(&OUTCOMES, record.detail[3]))),
        FLUSH => (Kind::Flush, format!("flush {}", word(&FLUSH_KINDS, record.detail[2]))),
        _ => return None,
    })
}

#[cfg(test)]
pub(super) mod tests {
    use probe_common::series::{OP_MPROTECT, PATH_UFFD_UNWP};
    use zerocopy::FromZeros as _;

    use super::*;

    pub(in crate::timeline) fn record(series: u32, tid: u32, begin_ns: u64, duration_ns: u64) -> Record {
        let mut record = Record::new_zeroed();
        (record.series, record.tgid, record.tid) = (series, 7, tid);
        (record.begin_ns, record.duration_ns) = (begin_ns, duration_ns);
        (record.slot, record.slot_born_ns, record.operation) = (3, 30, OP_MPROTECT);
        record.comm[..4].copy_from_slice(b"load");
        record
    }

    pub(in crate::timeline) fn connected(records: &[Record]) -> Events {
        let mut events = Events::default();
        let subject = Subject { comm: "load".to_owned(), cgroup: "/".to_owned() };
        records.iter().for_each(|record| events.take(&subject, record));
        events.connect();
        events
    }

    /// Pairs of names: from, to.
    fn flows(events: &Events) -> Vec<(String, String)> {
        let mut pairs = Vec::new();
        for from in &events.all {
            for flow in &from.flows {
                let to = events.all.iter().find(|event| event.ends.contains(flow)).unwrap();
                pairs.push((format!("{} {}", from.record.tid, from.name), format!("{} {}", to.record.tid, to.name)));
            }
        }
        pairs
    }

    #[test]
    fn a_window_leads_to_its_flush_and_to_the_write_that_met_it() {
        let mut write = record(STALE_WRITE, 12, 120, 30);
        (write.detail[1], write.detail[2]) = (100, 7 << 32 | 11);
        let events = connected(&[
            record(OUTER + PATH_UFFD_UNWP, 11, 100, 100),
            write,
            record(FLUSH, 12, 130, 0),
            record(FLUSH, 11, 150, 0),
            record(FLUSH, 11, 190, 0),
            record(FLUSH, 11, 210, 0),
        ]);
        let told = flows(&events);
        let pair = |from: &str, to: &str| (from.to_owned(), to.to_owned());
        assert_eq!(
            told,
            [pair("11 window uffd_unwp", "11 flush range"), pair("11 window uffd_unwp", "12 write fault, mitigated")]
        );
        let flush = events.all.iter().find(|event| !event.ends.is_empty() && event.kind == Kind::Flush).unwrap();
        assert_eq!(flush.begin_ns, 190, "the last one in it");
    }

    #[test]
    fn a_wait_leads_to_the_end_of_the_hold_before_it() {
        let events = connected(&[
            record(HOLD + 1, 11, 100, 50),
            record(WAIT, 12, 110, 45),
            record(WAIT, 13, 120, 33),
            record(HOLD, 14, 10, 20),
        ]);
        let told = flows(&events);
        assert_eq!(told.len(), 2);
        assert!(told.iter().all(|(from, to)| from.contains("wait") && to == "11 released to who waited"), "{told:?}");
        let release = events.all.iter().find(|event| event.kind == Kind::Release).unwrap();
        assert_eq!((release.begin_ns, release.ends.len()), (150, 2));
    }

    #[test]
    fn what_is_not_known_is_counted() {
        assert_eq!(connected(&[record(9_999, 1, 1, 1)]).unknown, 1);
    }
}

//! A timeline in the format of Perfetto's viewer. Pure.
//!
//! Each thread is a track below its process, each mm one of its own with its windows and its lock below it; what is lost is a
//! counter, and a mark where it grew. Times are the kernel side's clock.

use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime},
};

use probe_common::{event::DETAILS, lost::REASONS};
use prost::Message as _;

use super::{
    events::{Event, Events, Kind, Mm, operation},
    lanes::lanes,
    messages::{
        CLOCK_MONOTONIC, CLOCK_REALTIME, Clock, ClockSnapshot, CounterDescriptor, DebugAnnotation, ProcessDescriptor,
        SEQ_CLEARED, ThreadDescriptor, Trace, TracePacket, TrackDescriptor, TrackEvent, Type,
    },
};
use crate::{identity::printable, replay::Names};

/// All packets are of one sequence.
const SEQUENCE: u32 = 1;
/// Begin of the numbers of each kind of track.
const PROCESSES: u64 = 1 << 40;
const THREADS: u64 = 2 << 40;
const LANES: u64 = 3 << 40;
const LOSSES: u64 = 4 << 40;
/// UNIT_COUNT.
const COUNT: i32 = 2;

/// A look: the kernel side's clock, the wall clock, and all that was lost so far.
pub(super) struct Look {
    pub(super) clock_ns: u64,
    pub(super) wall: SystemTime,
    pub(super) lost: Vec<u64>,
}

/// The bytes of a trace.
pub(super) fn trace(events: &Events, looks: &[Look], names: &Names) -> Vec<u8> {
    let mut writer = Writer { packets: Vec::new(), names, next_lane: LANES };
    writer.clocks(looks);
    writer.threads(events);
    writer.mms(events);
    writer.losses(looks);
    Trace { packet: writer.packets }.encode_to_vec()
}

struct Writer<'a> {
    packets: Vec<TracePacket>,
    names: &'a Names,
    next_lane: u64,
}

impl Writer<'_> {
    /// What the kernel side's clock showed at which time of the day.
    fn clocks(&mut self, looks: &[Look]) {
        let Some(look) = looks.first() else { return };
        let since = look.wall.duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
        let clock = |clock_id, timestamp| Clock { clock_id: Some(clock_id), timestamp: Some(timestamp) };
        let wall_ns = u64::try_from(since.as_nanos()).unwrap_or(u64::MAX);
        self.packets.push(TracePacket {
            clock_snapshot: Some(ClockSnapshot {
                clocks: vec![clock(CLOCK_MONOTONIC, look.clock_ns), clock(CLOCK_REALTIME, wall_ns)],
                primary_trace_clock: Some(CLOCK_MONOTONIC),
            }),
            trusted_packet_sequence_id: Some(SEQUENCE),
            sequence_flags: Some(SEQ_CLEARED),
            ..TracePacket::default()
        });
    }

    fn describe(&mut self, track: TrackDescriptor) {
        self.packets.push(TracePacket {
            track_descriptor: Some(track),
            trusted_packet_sequence_id: Some(SEQUENCE),
            ..TracePacket::default()
        });
    }

    fn event(&mut self, at_ns: u64, event: TrackEvent) {
        self.packets.push(TracePacket {
            timestamp: Some(at_ns),
            timestamp_clock_id: Some(CLOCK_MONOTONIC),
            track_event: Some(event),
            trusted_packet_sequence_id: Some(SEQUENCE),
            ..TracePacket::default()
        });
    }

    fn threads(&mut self, events: &Events) {
        let mut threads: BTreeMap<(u32, u32), Vec<usize>> = BTreeMap::new();
        for (at, event) in events.all.iter().enumerate() {
            threads.entry((event.record.tgid, event.record.tid)).or_default().push(at);
        }
        let mut last_process = None;
        for ((tgid, tid), of_thread) in threads {
            // A program's name comes with its exec: the last one is the one that it is known by.
            let name = of_thread.last().map(|&at| printable(&events.all[at].record.comm));
            let pid = tgid.cast_signed();
            if last_process != Some(tgid) {
                self.describe(TrackDescriptor {
                    uuid: Some(PROCESSES | u64::from(tgid)),
                    process: Some(ProcessDescriptor { pid: Some(pid), process_name: name.clone() }),
                    ..TrackDescriptor::default()
                });
                last_process = Some(tgid);
            }
            let track = THREADS | u64::from(tid);
            self.describe(TrackDescriptor {
                uuid: Some(track),
                parent_uuid: Some(PROCESSES | u64::from(tgid)),
                thread: Some(ThreadDescriptor { pid: Some(pid), tid: Some(tid.into()), thread_name: name }),
                ..TrackDescriptor::default()
            });
            for (n, lane) in lanes(&events.all, of_thread.into_iter()).into_iter().enumerate() {
                let track = if n == 0 { track } else { self.lane(track, "at the same time") };
                self.slices(&events.all, &lane, track, true);
            }
        }
    }

    /// Windows and holds again, by the mm that they are of: there all threads are seen together.
    fn mms(&mut self, events: &Events) {
        let mut mms: BTreeMap<Mm, Vec<usize>> = BTreeMap::new();
        for (at, event) in events.all.iter().enumerate() {
            mms.entry(event.mm).or_default().push(at);
        }
        for (mm, of_mm) in mms {
            let comm = events.mms.get(&mm).map_or("unknown", |subject| &subject.comm);
            let track = self.next_lane;
            self.next_lane += 1;
            let name = format!("mm of {comm} ({}.{})", mm.0, mm.1);
            self.describe(TrackDescriptor { uuid: Some(track), name: Some(name), ..TrackDescriptor::default() });
            for (name, kinds) in [("windows", &[Kind::Window][..]), ("mmap_lock", &[Kind::Hold, Kind::Wait])] {
                let of_kind = of_mm.iter().copied().filter(|&at| kinds.contains(&events.all[at].kind));
                for lane in lanes(&events.all, of_kind).into_iter().filter(|lane| !lane.is_empty()) {
                    let track = self.lane(track, name);
                    self.slices(&events.all, &lane, track, false);
                }
            }
        }
    }

    /// A track below another one; below none if that is zero.
    fn lane(&mut self, parent: u64, name: &str) -> u64 {
        let uuid = self.next_lane;
        self.next_lane += 1;
        self.describe(TrackDescriptor {
            uuid: Some(uuid),
            parent_uuid: (parent != 0).then_some(parent),
            name: Some(name.to_owned()),
            ..TrackDescriptor::default()
        });
        uuid
    }

    /// Slices that nest, in the order in which they begin and end. The threads' own have stacks and flows, the mms' say who.
    fn slices(&mut self, all: &[Event], lane: &[usize], track: u64, is_thread: bool) {
        let mut open: Vec<u64> = Vec::new();
        for &at in lane {
            let event = &all[at];
            while let Some(end_ns) = open.pop_if(|end_ns| *end_ns <= event.begin_ns && !event.kind.is_instant()) {
                self.event(end_ns, ended(track));
            }
            let kind = if event.kind.is_instant() { Type::Instant } else { Type::SliceBegin };
            let told = if is_thread { self.told(event, track, kind) } else { seen(event, track, kind) };
            self.event(event.begin_ns, told);
            if !event.kind.is_instant() {
                open.push(event.end_ns);
            }
        }
        while let Some(end_ns) = open.pop() {
            self.event(end_ns, ended(track));
        }
    }

    fn told(&self, event: &Event, track: u64, kind: Type) -> TrackEvent {
        let mut notes = notes(event);
        let stack = event.record.stack().iter();
        let stack = stack.map(|address| self.names.get(address).cloned().unwrap_or_else(|| format!("{address:#x}")));
        let stack = crate::kernel::from_traced(stack.collect());
        if !stack.is_empty() {
            let array_values = stack.into_iter().map(|name| words("", name)).collect();
            notes.push(DebugAnnotation { name: Some("stack".to_owned()), array_values, ..DebugAnnotation::default() });
        }
        TrackEvent {
            debug_annotations: notes,
            r#type: Some(kind.into()),
            track_uuid: Some(track),
            categories: vec![event.kind.category().to_owned()],
            name: Some(event.name.clone()),
            flow_ids: event.flows.clone(),
            terminating_flow_ids: event.ends.clone(),
            ..TrackEvent::default()
        }
    }

    /// A counter for each reason for which something was lost, and for records always: a zero that was measured.
    fn losses(&mut self, looks: &[Look]) {
        let last = looks.last().map_or(&[][..], |look| &look.lost);
        let told = REASONS
            .iter()
            .enumerate()
            .filter(|&(n, reason)| *reason == "ring_full" || last.get(n).copied().unwrap_or_default() > 0);
        for (n, reason) in told {
            let track = LOSSES | n as u64;
            self.describe(TrackDescriptor {
                uuid: Some(track),
                name: Some(format!("lost: {reason}")),
                counter: Some(CounterDescriptor { unit: Some(COUNT) }),
                ..TrackDescriptor::default()
            });
            let marks = self.lane(0, &format!("lost: {reason}, where it grew"));
            let mut before = None;
            for look in looks {
                let so_far = look.lost.get(n).copied().unwrap_or_default();
                if before == Some(so_far) {
                    continue;
                }
                let value = i64::try_from(so_far).unwrap_or(i64::MAX);
                self.event(
                    look.clock_ns,
                    TrackEvent {
                        r#type: Some(Type::Counter.into()),
                        track_uuid: Some(track),
                        counter_value: Some(value),
                        ..TrackEvent::default()
                    },
                );
                let more = so_far - before.unwrap_or_default();
                if more > 0 {
                    self.event(look.clock_ns, lost(marks, reason, more));
                }
                before = Some(so_far);
            }
        }
    }
}

fn ended(track: u64) -> TrackEvent {
    TrackEvent { r#type: Some(Type::SliceEnd.into()), track_uuid: Some(track), ..TrackEvent::default() }
}

fn lost(track: u64, reason: &str, more: u64) -> TrackEvent {
    TrackEvent {
        r#type: Some(Type::Instant.into()),
        track_uuid: Some(track),
        categories: vec!["lost".to_owned()],
        name: Some(format!("{more} lost until here: {reason}")),
        ..TrackEvent::default()
    }
}

/// An event as its mm has it: what, and by whom.
fn seen(event: &Event, track: u64, kind: Type) -> TrackEvent {
    let by = format!("{} {}", printable(&event.record.comm), event.record.tid);
    TrackEvent {
        debug_annotations: notes(event),
        r#type: Some(kind.into()),
        track_uuid: Some(track),
        categories: vec!["mm".to_owned()],
        name: Some(format!("{} by {by}", event.name)),
        ..TrackEvent::default()
    }
}

fn words(name: &str, text: String) -> DebugAnnotation {
    let name = (!name.is_empty()).then(|| name.to_owned());
    DebugAnnotation { name, string_value: Some(text), ..DebugAnnotation::default() }
}

fn number(name: &str, value: u64) -> DebugAnnotation {
    DebugAnnotation { name: Some(name.to_owned()), uint_value: Some(value), ..DebugAnnotation::default() }
}

fn address(name: &str, value: u64) -> DebugAnnotation {
    DebugAnnotation { name: Some(name.to_owned()), pointer_value: Some(value), ..DebugAnnotation::default() }
}

/// What an event's record tells beside its times.
fn notes(event: &Event) -> Vec<DebugAnnotation> {
    let detail: [u64; DETAILS] = event.record.detail;
    let mut notes = vec![words("operation", operation(event.record.operation.into()).to_owned())];
    match event.kind {
        Kind::Window => notes.extend([
            address("from", detail[2]),
            address("to", detail[3]),
            number("yields", detail[0]),
            number("preemptions", detail[1]),
            number("shootdowns_ns", detail[4]),
        ]),
        Kind::Hold | Kind::Release => {
            notes.extend(detail[0].checked_sub(1).map(|ns| number("on_cpu_ns", ns)));
            notes.push(number("waiters", detail[1]));
        }
        Kind::Wait => notes.push(words("holder", operation(detail[0]).to_owned())),
        Kind::Fault => notes.push(address("page", detail[0])),
        Kind::WriteFault => {
            notes.extend([address("page", detail[0]), number("window_tid", u64::from(detail[2] as u32))])
        }
        Kind::Shootdown => notes.extend(detail[0].checked_sub(1).map(|cpu| number("last_cpu", cpu))),
        Kind::Flush => notes.extend([address("from", detail[0]), address("to", detail[1])]),
    }
    notes
}

#[cfg(test)]
mod tests;

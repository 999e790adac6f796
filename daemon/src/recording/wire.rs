//! What frames say, as they lie on disk: CBOR of types that are this file's own, so that others may change. A field that is
//! added has a default, and then [`super::VERSION`] goes up all the same: older readers would pass over it.

use std::{
    collections::{BTreeMap, HashMap},
    time::{Duration, SystemTime},
};

use probe_common::event::{DETAILS, Record, STACK};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{
    End, Header, Reason,
    counts::{Sparse, counted},
    hooks::{WireGoverned, WireHook, governed, hook, wire_governed, wire_hook},
    numbers::{measured, ns},
};
use crate::{
    anomaly::{self, Class, MmLook},
    config,
    identity::Subject,
    intake::{ProgramFigures, TableFigures, TableSize, table_name},
    model::ProcessFigures,
    plan::{HOOKS, HookState, NOT_NEEDED},
    scope::Sight,
};

/// Runs of a program, and their nanoseconds.
type Runs = (u64, u64);

#[derive(Deserialize, Serialize)]
struct WireHeader {
    build: String,
    started_ns: u64,
    release: String,
    version: String,
    has_anon_exclusive: bool,
    has_task_times: bool,
    has_inline_changes: bool,
    hooks: Vec<WireHook>,
    tick_ns: u64,
    window_ns: u64,
    hold_ns: u64,
    wait_ns: u64,
    fault_ns: u64,
    /// Name, entries at most, bytes.
    tables: Vec<(String, u64, u64)>,
    /// From version 2 on, as the next one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    node: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    timeline: Option<String>,
    /// From version 3 on: keys of the table `[anomaly]` with their values, as a configuration file has them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    bounds: Vec<(String, String)>,
    /// Classes that were not judged.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    disabled: Vec<String>,
}

/// What ticks refer to by places in the header.
pub(super) struct Terms {
    /// As the header has them, in this build's order.
    hooks: Vec<HookState>,
    /// The recording's own order of hooks: it may be by a build with others.
    names: Vec<String>,
    /// The recording's own order of tables; none is one that this build has no name for.
    tables: Vec<Option<TableSize>>,
}

#[derive(Deserialize, Serialize)]
struct WireSight {
    uptime_ns: u64,
    wall_ns: u64,
    /// The kernel side's clock.
    clock_ns: Option<u64>,
    /// Command and cgroup; others name them by their place here.
    subjects: Vec<(String, String)>,
    mms: Vec<WireMm>,
    records: Vec<WireRecord>,
    lost: Vec<u64>,
    pending_mismatches: Option<u64>,
    /// Place in the header's tables, entries.
    tables: Vec<(u8, Option<u64>)>,
    /// Place in the header's hooks, runs with nanoseconds, misses.
    programs: Vec<(u16, Option<Runs>, Option<u64>)>,
    blocked_ns: Vec<(u32, u64)>,
    process: Option<WireProcess>,
    governed: WireGoverned,
}

#[derive(Deserialize, Serialize)]
struct WireMm {
    #[serde(rename = "s")]
    subject: u32,
    #[serde(rename = "p")]
    tgid: u32,
    #[serde(rename = "c")]
    counts: Sparse,
    #[serde(rename = "f", default, skip_serializing_if = "Option::is_none")]
    fault_age_ns: Option<u64>,
    #[serde(rename = "i", default, skip_serializing_if = "Option::is_none")]
    since_ioctl_ns: Option<u64>,
    #[serde(rename = "r", default, skip_serializing_if = "Option::is_none")]
    reclaim_age_ns: Option<u64>,
}

#[derive(Deserialize, Serialize)]
struct WireRecord {
    subject: u32,
    series: u32,
    operation: u32,
    tgid: u32,
    tid: u32,
    begin_ns: u64,
    duration_ns: u64,
    slot_born_ns: u64,
    slot: u32,
    comm: [u8; 16],
    detail: Vec<u64>,
    stack: Vec<u64>,
}

/// Processor seconds, resident bytes, virtual bytes, open descriptors, their limit, start since the epoch.
type WireProcess = (f64, u64, u64, u64, u64, f64);

#[derive(Deserialize, Serialize)]
struct WireEnd {
    reason: String,
    sights: u64,
}

/// As bytes.
fn write(value: &impl Serialize) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    ciborium::into_writer(value, &mut bytes).map_err(|error| error.to_string())?;
    Ok(bytes)
}

fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    ciborium::from_reader(bytes).map_err(|error| error.to_string())
}

fn since_epoch(time: SystemTime) -> u64 {
    ns(time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default())
}

fn wall(ns: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_nanos(ns)
}

pub(super) fn header(header: &Header) -> Result<Vec<u8>, String> {
    let hooks = HOOKS.iter().zip(&header.host.hooks).map(|(hook, state)| wire_hook(hook.name, state));
    write(&WireHeader {
        build: header.build.clone(),
        started_ns: since_epoch(header.started),
        node: header.node.clone(),
        timeline: header.timeline.clone(),
        bounds: header
            .anomaly
            .iter()
            .flat_map(config::Anomaly::shown)
            .map(|(key, value)| (key.to_owned(), value))
            .collect(),
        disabled: header
            .anomaly
            .iter()
            .flat_map(|anomaly| &anomaly.disabled)
            .map(|class| class.name().to_owned())
            .collect(),
        release: header.host.release.clone(),
        version: header.host.version.clone(),
        has_anon_exclusive: header.host.has_anon_exclusive,
        has_task_times: header.host.has_task_times,
        has_inline_changes: header.host.has_inline_changes,
        hooks: hooks.collect(),
        tick_ns: ns(header.tick),
        window_ns: ns(header.record.window),
        hold_ns: ns(header.record.hold),
        wait_ns: ns(header.record.wait),
        fault_ns: ns(header.record.fault),
        tables: header.tables.iter().map(|table| (table.name.to_owned(), table.capacity, table.bytes)).collect(),
    })
}

pub(super) fn read_header(bytes: &[u8]) -> Result<(Header, Terms), String> {
    let wire: WireHeader = read(bytes)?;
    // No fault of the host's: what is told by such a hook alone is absent, and that says enough.
    let unknown =
        || Ok(HookState::Absent(format!("{NOT_NEEDED}mmscope {}, which recorded this, has no such hook", wire.build)));
    let known = |name: &str| wire.hooks.iter().find(|known| known.0 == name);
    let hooks = HOOKS.iter().map(|of| known(of.name).map_or_else(unknown, hook));
    let host = anomaly::Host {
        hooks: hooks.collect::<Result<_, _>>()?,
        release: wire.release,
        version: wire.version,
        has_anon_exclusive: wire.has_anon_exclusive,
        has_task_times: wire.has_task_times,
        has_inline_changes: wire.has_inline_changes,
    };
    let tables = wire.tables.iter();
    let tables: Vec<Option<TableSize>> = tables
        .map(|&(ref name, capacity, bytes)| table_name(name).map(|name| TableSize { name, capacity, bytes }))
        .collect();
    let header = Header {
        build: wire.build,
        started: wall(wire.started_ns),
        node: wire.node,
        timeline: wire.timeline,
        host,
        tick: Duration::from_nanos(wire.tick_ns),
        record: config::Record {
            window: Duration::from_nanos(wire.window_ns),
            hold: Duration::from_nanos(wire.hold_ns),
            wait: Duration::from_nanos(wire.wait_ns),
            fault: Duration::from_nanos(wire.fault_ns),
        },
        anomaly: bounds(&wire.bounds, &wire.disabled)?,
        tables: tables.iter().copied().flatten().collect(),
    };
    let names = wire.hooks.into_iter().map(|(name, _, _)| name).collect();
    let terms = Terms { hooks: header.host.hooks.clone(), names, tables };
    Ok((header, terms))
}

/// What alerts were judged by. A class that this build does not have cannot be judged by it either.
fn bounds(bounds: &[(String, String)], disabled: &[String]) -> Result<Option<config::Anomaly>, String> {
    if bounds.is_empty() {
        return Ok(None);
    }
    let class = |name: &String| Class::all().find(|class| class.name() == name);
    config::Anomaly::from_shown(disabled.iter().filter_map(class).collect(), bounds).map(Some)
}

/// Places of subjects, as they are met.
#[derive(Default)]
struct Places<'a> {
    known: HashMap<&'a Subject, u32>,
    subjects: Vec<(String, String)>,
}

impl<'a> Places<'a> {
    fn place(&mut self, subject: &'a Subject) -> u32 {
        *self.known.entry(subject).or_insert_with(|| {
            self.subjects.push((subject.comm.clone(), subject.cgroup.clone()));
            self.subjects.len() as u32 - 1
        })
    }
}

pub(super) fn sight(sight: &Sight, header: &Header) -> Result<Vec<u8>, String> {
    let mut places = Places::default();
    let mms = sight.mms.iter().map(|mm| WireMm {
        subject: places.place(&mm.subject),
        tgid: mm.tgid,
        counts: Sparse::of(&mm.counts),
        fault_age_ns: mm.fault_age.map(ns),
        since_ioctl_ns: mm.since_ioctl.map(ns),
        reclaim_age_ns: mm.reclaim_age.map(ns),
    });
    let mms = mms.collect();
    let records = sight.records.iter().map(|(subject, record)| wire_record(places.place(subject), record)).collect();
    let programs = HOOKS.iter().enumerate().filter_map(|(place, hook)| {
        let figures = sight.programs.get(hook.name)?;
        Some((place as u16, figures.runs, figures.misses))
    });
    let place = |size: &TableSize| header.tables.iter().position(|known| known == size);
    let tables = sight.tables.iter().map(|table| {
        let place = place(&table.size).ok_or_else(|| format!("the table {} is not in the header", table.size.name))?;
        Ok((place as u8, table.entries))
    });
    write(&WireSight {
        uptime_ns: ns(sight.uptime),
        wall_ns: since_epoch(sight.wall),
        clock_ns: sight.clock_ns,
        mms,
        records,
        lost: sight.lost.clone(),
        pending_mismatches: sight.pending_mismatches,
        tables: tables.collect::<Result<_, String>>()?,
        programs: programs.collect(),
        blocked_ns: (0..).zip(&sight.blocked_ns).filter(|(_, ns)| **ns != 0).map(|(place, ns)| (place, *ns)).collect(),
        process: sight.process.map(wire_process),
        governed: wire_governed(&sight.governed, &header.host.hooks),
        subjects: places.subjects,
    })
}

pub(super) fn read_sight(bytes: &[u8], terms: &Terms) -> Result<Sight, String> {
    let wire: WireSight = read(bytes)?;
    let subjects = wire.subjects.into_iter().map(|(comm, cgroup)| Subject { comm, cgroup });
    let subjects: Vec<Subject> = subjects.collect();
    let subject =
        |place: u32| subjects.get(place as usize).cloned().ok_or_else(|| format!("there is no subject {place}"));
    let mms = wire.mms.iter().map(|mm| {
        Ok(MmLook {
            subject: subject(mm.subject)?,
            tgid: mm.tgid,
            counts: mm.counts.counts()?,
            fault_age: mm.fault_age_ns.map(Duration::from_nanos),
            since_ioctl: mm.since_ioctl_ns.map(Duration::from_nanos),
            reclaim_age: mm.reclaim_age_ns.map(Duration::from_nanos),
        })
    });
    let records = wire.records.iter().map(|wire| Ok((subject(wire.subject)?, record(wire)?)));
    // A table or a hook that this build has not is not told.
    let tables = wire.tables.iter().filter_map(|&(place, entries)| {
        let size = (*terms.tables.get(usize::from(place))?)?;
        Some(TableFigures { entries, size })
    });
    let programs = wire.programs.iter().filter_map(|&(place, runs, misses)| {
        let name = terms.names.get(usize::from(place))?;
        let hook = HOOKS.iter().find(|hook| hook.name == name)?;
        let misses = misses.map(counted).transpose();
        Some(misses.map(|misses| (hook.name, ProgramFigures { runs, misses })))
    });
    Ok(Sight {
        uptime: Duration::from_nanos(wire.uptime_ns),
        wall: wall(wire.wall_ns),
        clock_ns: wire.clock_ns,
        mms: mms.collect::<Result<_, String>>()?,
        records: records.collect::<Result<_, String>>()?,
        lost: wire.lost.into_iter().map(counted).collect::<Result<_, _>>()?,
        pending_mismatches: wire.pending_mismatches,
        tables: tables.collect(),
        programs: programs.collect::<Result<BTreeMap<_, _>, String>>()?,
        blocked_ns: blocked(&wire.blocked_ns)?,
        process: wire.process.map(process).transpose()?,
        governed: governed(wire.governed, &terms.hooks)?,
    })
}

fn blocked(sparse: &[(u32, u64)]) -> Result<Vec<u64>, String> {
    let mut all = vec![0; probe_common::series::BLOCKED as usize];
    for &(place, ns) in sparse {
        *all.get_mut(place as usize).ok_or_else(|| format!("there is no pair of operations {place}"))? = ns;
    }
    Ok(all)
}

fn wire_record(subject: u32, record: &Record) -> WireRecord {
    WireRecord {
        subject,
        series: record.series,
        operation: record.operation,
        tgid: record.tgid,
        tid: record.tid,
        begin_ns: record.begin_ns,
        duration_ns: record.duration_ns,
        slot_born_ns: record.slot_born_ns,
        slot: record.slot,
        comm: record.comm,
        detail: record.detail.to_vec(),
        stack: record.stack().to_vec(),
    }
}

fn record(wire: &WireRecord) -> Result<Record, String> {
    if wire.detail.len() > DETAILS || wire.stack.len() > STACK {
        return Err(format!("a record has {} details and {} addresses", wire.detail.len(), wire.stack.len()));
    }
    let mut record = Record {
        series: wire.series,
        operation: wire.operation,
        tgid: wire.tgid,
        tid: wire.tid,
        begin_ns: wire.begin_ns,
        duration_ns: wire.duration_ns,
        slot_born_ns: wire.slot_born_ns,
        slot: wire.slot,
        stack_bytes: wire.stack.len() as u32 * 8,
        comm: wire.comm,
        detail: [0; DETAILS],
        stack: [0; STACK],
    };
    record.detail[..wire.detail.len()].copy_from_slice(&wire.detail);
    record.stack[..wire.stack.len()].copy_from_slice(&wire.stack);
    Ok(record)
}

fn wire_process(process: ProcessFigures) -> WireProcess {
    let ProcessFigures { cpu_seconds, resident_bytes, virtual_bytes, open_fds, max_fds, start_seconds } = process;
    (cpu_seconds, resident_bytes, virtual_bytes, open_fds, max_fds, start_seconds)
}

fn process(process: WireProcess) -> Result<ProcessFigures, String> {
    let (cpu_seconds, resident_bytes, virtual_bytes, open_fds, max_fds, start_seconds) = process;
    let (cpu_seconds, start_seconds) = (measured(cpu_seconds)?, measured(start_seconds)?);
    Ok(ProcessFigures { cpu_seconds, resident_bytes, virtual_bytes, open_fds, max_fds, start_seconds })
}

pub(super) fn names(names: &[(u64, String)]) -> Result<Vec<u8>, String> {
    write(&names)
}

pub(super) fn read_names(bytes: &[u8]) -> Result<Vec<(u64, String)>, String> {
    read(bytes)
}

pub(super) fn end(end: &End) -> Result<Vec<u8>, String> {
    write(&WireEnd { reason: end.reason.name().to_owned(), sights: end.sights })
}

pub(super) fn read_end(bytes: &[u8]) -> Result<End, String> {
    let wire: WireEnd = read(bytes)?;
    let reason = Reason::ALL.into_iter().find(|reason| reason.name() == wire.reason);
    Ok(End { reason: reason.ok_or_else(|| format!("there is no reason {}", wire.reason))?, sights: wire.sights })
}

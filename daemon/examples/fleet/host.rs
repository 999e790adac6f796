//! One host: what a recording has seen, again and again, under names of the host's own.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, SystemTime},
};

use mmscope::{
    config::Config,
    identity::Subject,
    intake::ProgramFigures,
    model::Snapshot,
    recording::{Frame, Header, Reader},
    scope::{Scope, Sight},
};

/// Pods are replaced after so long.
const POD: Duration = Duration::from_secs(600);

/// Events of a tick (10 s) up to which a host is idle: a fifth of what makes one subject busy (docs/subjects.md).
const IDLE: u64 = 100;

/// A recording in memory.
pub(crate) struct Tape {
    header: Header,
    sights: Vec<Sight>,
}

impl Tape {
    pub(crate) fn read(bytes: &[u8]) -> Result<Self, String> {
        let mut reader = Reader::new(bytes).map_err(|error| error.to_string())?;
        let sights = reader.by_ref().filter_map(|frame| match frame {
            Frame::Sight(sight) => Some(*sight),
            Frame::Names(_) => None,
        });
        let sights: Vec<Sight> = sights.collect();
        Self::of(reader.header().clone(), sights)
    }

    /// Its ticks in which little happened, with their times put together.
    pub(crate) fn idle(&self) -> Result<Self, String> {
        let activity = |sight: &Sight| sight.mms.iter().map(|mm| mm.counts.activity()).sum::<u64>();
        let mut sights: Vec<Sight> = self.sights.iter().filter(|sight| activity(sight) <= IDLE).cloned().collect();
        let ticks = 1_u32..;
        sights.iter_mut().zip(ticks).for_each(|(sight, n)| sight.uptime = self.header.tick * n);
        Self::of(self.header.clone(), sights)
    }

    fn of(header: Header, sights: Vec<Sight>) -> Result<Self, String> {
        if sights.is_empty() { Err("has no ticks".to_owned()) } else { Ok(Self { header, sights }) }
    }
}

/// What only grows since the start, over all rounds of the tape.
#[derive(Clone, Default)]
struct Totals {
    uptime: Duration,
    lost: Vec<u64>,
    blocked_ns: Vec<u64>,
    mismatches: u64,
    cpu_seconds: f64,
    programs: BTreeMap<&'static str, ProgramFigures>,
}

/// A host.
pub(crate) struct Host {
    n: usize,
    tape: Arc<Tape>,
    scope: Scope,
    /// The next sight.
    place: usize,
    /// What the rounds before came to, and where this one begins.
    before: Totals,
    last: Totals,
    snapshot: Option<Arc<Snapshot>>,
}

impl Host {
    pub(crate) fn new(n: usize, tape: Arc<Tape>) -> Self {
        let scope = Scope::new(&Config::default(), tape.header.host.clone());
        // No two at the same place.
        let place = n * 97 % tape.sights.len();
        Self { n, tape, scope, place, before: Totals::default(), last: Totals::default(), snapshot: None }
    }

    pub(crate) fn snapshot(&self) -> Option<Arc<Snapshot>> {
        self.snapshot.clone()
    }

    /// Sees what comes next on the tape. Its time is the tape's, so that an idle host is idle however fast it is played.
    pub(crate) fn tick(&mut self) {
        let mut sight = self.tape.sights[self.place].clone();
        self.place += 1;
        let round = self.carry(&mut sight);
        self.last = round;
        if self.place == self.tape.sights.len() {
            self.place = 0;
            self.before = self.last.clone();
        }
        // What happened in the past may be told with the time of now.
        let wall = SystemTime::now();
        sight.wall = wall;
        let generation = (sight.uptime.as_secs() + self.n as u64 * 7) / POD.as_secs();
        for mm in &mut sight.mms {
            self.rename(&mut mm.subject, generation);
        }
        for (subject, _) in &mut sight.records {
            self.rename(subject, generation);
        }
        self.snapshot = Some(Arc::new(self.scope.see(&sight).snapshot));
    }

    /// Half of the commands run in pods, which are replaced; the others in services.
    fn rename(&self, subject: &mut Subject, generation: u64) {
        if subject.is_other() || subject.comm.starts_with('[') {
            return;
        }
        let sum: usize = subject.comm.bytes().map(usize::from).sum();
        let below = subject.cgroup.trim_end_matches('/');
        subject.cgroup = match sum % 4 {
            0 | 1 => format!("/kubepods.slice/kubepods-pod{:04x}_{generation:04x}.slice{below}", self.n),
            2 => format!("/system.slice/{}.service", subject.comm),
            _ => format!("/user.slice/user-{}.slice{below}", 1000 + self.n % 3),
        };
    }

    /// Adds what the rounds before came to.
    fn carry(&self, sight: &mut Sight) -> Totals {
        let add = |now: &mut Vec<u64>, before: &[u64]| {
            now.iter_mut().zip(before).for_each(|(now, before)| *now = now.wrapping_add(*before));
        };
        sight.uptime += self.before.uptime;
        add(&mut sight.lost, &self.before.lost);
        add(&mut sight.blocked_ns, &self.before.blocked_ns);
        if let Some(mismatches) = &mut sight.pending_mismatches {
            *mismatches += self.before.mismatches;
        }
        if let Some(process) = &mut sight.process {
            process.cpu_seconds += self.before.cpu_seconds;
        }
        for (name, figures) in &mut sight.programs {
            let Some(before) = self.before.programs.get(name) else { continue };
            if let (Some(now), Some(before)) = (&mut figures.runs, before.runs) {
                *now = (now.0 + before.0, now.1 + before.1);
            }
            if let (Some(now), Some(before)) = (&mut figures.misses, before.misses) {
                *now += before;
            }
        }
        Totals {
            uptime: sight.uptime,
            lost: sight.lost.clone(),
            blocked_ns: sight.blocked_ns.clone(),
            mismatches: sight.pending_mismatches.unwrap_or_default(),
            cpu_seconds: sight.process.map_or(0.0, |process| process.cpu_seconds),
            programs: sight.programs.clone(),
        }
    }
}

//! From a configuration to attached probes, and from a tick to what it saw, with names and times. The clocks are read here.

use std::{
    path::Path,
    time::{Duration, Instant, SystemTime},
};

use crate::{
    anomaly::{Host, MmLook},
    attach::{self, Loaded, Source, Thresholds, Timeline},
    books::Books,
    cli::ProbeArgs,
    config::Config,
    failure::Failure,
    governor::Governed,
    identity::{Identity, Names},
    intake::{Intake, Observation, TableSize},
    memory,
    model::ProcessFigures,
    plan::{self, Plan},
    privileges,
    scope::Sight,
};

/// Looks at attached probes.
pub struct Observer {
    intake: Intake,
    identity: Identity,
    has_pending: bool,
    start: Instant,
}

/// With a timeline every event of those that it names is sent, whatever the configuration's bounds.
///
/// Attaches what can be attached: the object, which detaches when it is dropped, who looks at it, and the host as it is.
///
/// # Errors
///
/// When nothing can be measured here or the object cannot be loaded, with everything detached.
pub fn start(
    config: &Config,
    args: &ProbeArgs,
    timeline: Option<&Timeline>,
) -> Result<(Loaded, Observer, Host), Failure> {
    let facts = plan::read_facts(Path::new("/"), args.btf.as_deref())?;
    let plan = Plan::new(&facts);
    privileges::raise_memlock();
    let thresholds = timeline.map_or_else(|| Thresholds::of(&config.record), |_| Timeline::THRESHOLDS);
    let (targets, object) = (&facts.targets, args.object.as_deref());
    let source = Source { plan: &plan, targets, thresholds, timeline, object };
    let (loaded, mut intake, hooks) = attach::start(&source, &args.allowed(), |loaded| Intake::new(&mut loaded.ebpf))?;
    for note in plan::notes(&facts, &plan) {
        tracing::info!("{note}");
    }
    intake.programs(loaded.programs());
    intake.attached(monotonic_ns()?);
    memory::give_back();
    let observer = Observer {
        intake,
        identity: Identity::new("/".into(), config, plan.controller.as_deref()),
        has_pending: plan.has_pending,
        start: Instant::now(),
    };
    let host = Host {
        hooks,
        release: facts.release,
        version: facts.version,
        has_anon_exclusive: facts.has_anon_exclusive,
        has_task_times: plan.has_task_times,
        has_inline_changes: plan.inline_changes,
    };
    Ok((loaded, observer, host))
}

impl Observer {
    /// When it began: uptimes are counted from there.
    #[must_use]
    pub fn start(&self) -> Instant {
        self.start
    }

    /// What is known of names.
    #[must_use]
    pub fn names(&self) -> Names {
        self.identity.names()
    }

    /// What the tables of the kernel side take.
    #[must_use]
    pub fn tables(&self) -> &[TableSize] {
        self.intake.sizes()
    }

    /// Does what the kernel side's books need when programs come or go.
    pub fn keep(&mut self, books: Books) {
        match books {
            Books::SettleHazards => self.intake.settle_hazards(),
            Books::SettleWaits => self.intake.settle_waits(),
            Books::Forget => self.intake.forget(),
            Books::Changing => self.intake.changing(),
            // Without a clock all that ends without a beginning stays older than the probes.
            Books::Attached(programs) => {
                self.intake.programs(programs);
                self.intake.attached(monotonic_ns().unwrap_or(0));
            }
        }
    }

    /// Looks once.
    pub fn look(&mut self, now: Instant) -> Sight {
        let observation = self.intake.tick();
        self.identity.begin_tick(now);
        self.named(observation, now - self.start)
    }

    fn named(&mut self, observation: Observation, uptime: Duration) -> Sight {
        // Without a clock there are no ages.
        let clock_ns = monotonic_ns().ok();
        let since = |ns: u64| Some(Duration::from_nanos(clock_ns?.saturating_sub(ns)));
        let identity = &mut self.identity;
        let mms = observation.mms.into_iter().map(|mm| MmLook {
            subject: identity.subject(mm.owner.as_ref()),
            tgid: mm.owner.as_ref().map_or(0, |owner| owner.tgid),
            counts: mm.counts,
            fault_age: mm.fault_since_ns.and_then(since),
            since_ioctl: mm.uffd_ioctl_ns.and_then(since),
            reclaim_age: mm.reclaim_since_ns.and_then(since),
        });
        let mms = mms.collect();
        let records = observation.records.iter();
        let records = records.map(|told| (identity.subject(told.owner.as_ref()), told.record)).collect();
        Sight {
            uptime,
            wall: SystemTime::now(),
            clock_ns,
            mms,
            records,
            lost: observation.lost,
            pending_mismatches: self.has_pending.then_some(observation.pending_mismatches),
            tables: observation.tables,
            programs: observation.programs,
            blocked_ns: observation.blocked_ns,
            process: own_figures(),
            governed: Governed::default(),
        }
    }
}

/// The clock of the kernel side.
///
/// # Errors
///
/// When the system has none.
pub fn monotonic_ns() -> Result<u64, Failure> {
    let now = nix::time::clock_gettime(nix::time::ClockId::CLOCK_MONOTONIC)
        .map_err(|error| Failure::System(format!("read the monotonic clock: {error}")))?;
    Ok(u64::try_from(Duration::from(now).as_nanos()).unwrap_or(u64::MAX))
}

fn own_figures() -> Option<ProcessFigures> {
    let process = procfs::process::Process::myself().ok()?;
    let stat = process.stat().ok()?;
    let ticks = procfs::ticks_per_second() as f64;
    let limit = process.limits().ok()?.max_open_files.soft_limit;
    Some(ProcessFigures {
        cpu_seconds: (stat.utime + stat.stime) as f64 / ticks,
        resident_bytes: stat.rss * procfs::page_size(),
        virtual_bytes: stat.vsize,
        open_fds: process.fd_count().ok()? as u64,
        max_fds: match limit {
            procfs::process::LimitValue::Value(value) => value,
            procfs::process::LimitValue::Unlimited => u64::MAX,
        },
        start_seconds: procfs::boot_time_secs().ok()? as f64 + stat.starttime as f64 / ticks,
    })
}

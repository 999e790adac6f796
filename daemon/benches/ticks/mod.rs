//! What the benches share: a host's tick with so many address spaces, each step of it by itself, as the daemon does them.

use std::{fs, path::Path, sync::Arc, time::Duration};

use mmscope::{
    anomaly::{Anomalies, Host, Look, MmLook},
    config::Config,
    export::{Format, Scrape},
    identity::Identity,
    intake::{Counts, Histogram, Owner},
    model::{Limits, Model, Snapshot},
    plan::{HOOKS, HookState, Tier},
};
use probe_common::{
    lost,
    series::{HOLD, OUTER, WAIT},
};

/// Numbers of address spaces.
pub(crate) const MMS: [usize; 3] = [100, 1_000, 10_000];
/// Names and cgroups among which they are divided; more than the model tells apart.
const SUBJECTS: usize = 300;
const SECOND: Duration = Duration::from_secs(1);

/// A host that has ticked a few times: everybody is known, every place is taken.
pub(crate) struct Ticks {
    owners: Vec<Owner>,
    counts: Vec<Counts>,
    identity: Identity,
    anomalies: Anomalies,
    model: Model,
    now: Duration,
    _root: tempfile::TempDir,
}

impl Ticks {
    pub(crate) fn new(mms: usize) -> Self {
        let root = tempfile::tempdir().expect("a folder for cgroups");
        for subject in 0..SUBJECTS.min(mms) {
            write_cgroup(root.path(), subject);
        }
        let config = Config::default();
        let host = Host { hooks: hooks(), has_anon_exclusive: true, has_task_times: true, ..Host::default() };
        let mut ticks = Self {
            owners: (0..mms).map(owner).collect(),
            counts: (0..mms).map(counts).collect(),
            identity: Identity::new(root.path().to_owned(), &config, None),
            anomalies: Anomalies::new(&config, host),
            model: Model::new(Limits::of(&config)),
            now: SECOND,
            _root: root,
        };
        for _ in 0..3 {
            let added = ticks.added();
            let mms = ticks.name(added);
            ticks.judge(&mms);
            ticks.fold(&mms);
        }
        ticks
    }

    /// What intake hands over.
    pub(crate) fn added(&self) -> Vec<Counts> {
        self.counts.clone()
    }

    /// Puts a subject to what each mm added.
    pub(crate) fn name(&mut self, added: Vec<Counts>) -> Vec<MmLook> {
        let looks = self.owners.iter().zip(added).map(|(owner, counts)| MmLook {
            subject: self.identity.subject(Some(owner)),
            tgid: owner.tgid,
            counts,
            fault_age: None,
            since_ioctl: None,
            reclaim_age: None,
        });
        looks.collect()
    }

    /// Holds it against the rules; nothing of it raises an alert.
    pub(crate) fn judge(&mut self, mms: &[MmLook]) {
        self.now += SECOND;
        let told = self.anomalies.look(&Look {
            now: self.now,
            interval: SECOND,
            mms,
            records: &[],
            lost: &[0; lost::COUNT],
            pending_mismatches: Some(0),
            probe_misses: 0,
        });
        assert!(told.is_empty(), "a quiet host: {told:?}");
    }

    /// Sums it by subject.
    pub(crate) fn fold(&mut self, mms: &[MmLook]) {
        self.model.fold(self.now, mms.iter().map(|mm| (&mm.subject, &mm.counts)));
    }

    /// What a scrape will tell.
    pub(crate) fn snapshot(&self) -> Arc<Snapshot> {
        Arc::new(Snapshot {
            subjects: self.model.subjects(),
            hooks: hooks(),
            lost: vec![0; lost::COUNT],
            pending_mismatches: Some(0),
            ..Snapshot::default()
        })
    }
}

/// A scrape, piece by piece as it is sent: its bytes.
pub(crate) fn encode(snapshot: &Arc<Snapshot>, format: Format) -> usize {
    Scrape::new(snapshot.clone(), format).map(|piece| piece.len()).sum()
}

fn hooks() -> Vec<HookState> {
    vec![HookState::Attached(Tier::F); HOOKS.len()]
}

fn owner(n: usize) -> Owner {
    let mut comm = [0; 16];
    let name = format!("service-{}", n % SUBJECTS);
    comm[..name.len()].copy_from_slice(name.as_bytes());
    Owner { comm, tgid: (n % SUBJECTS) as u32 + 1, cgroup_id: 0, born_ns: n as u64 }
}

fn write_cgroup(root: &Path, subject: usize) {
    let folder = root.join(format!("proc/{}", subject + 1));
    fs::create_dir_all(&folder).expect("a folder of a process");
    fs::write(folder.join("cgroup"), format!("0::/system.slice/service-{subject}.service\n")).expect("a cgroup");
}

/// A process that toggled a protection a few times and met a contended lock.
fn counts(n: usize) -> Counts {
    let times = 1 + n as u64 % 7;
    let mut counts = Counts {
        acquisitions: [times, 0, 2 * times, 0],
        flushes: [2 * times, 0, 0],
        flush_pages: 2 * times,
        windows_opened: 2 * times,
        windows_closed: 2 * times,
        changes: 2 * times,
        ..Counts::default()
    };
    counts.hold_ns[0] = 900 * times;
    counts.wait_ns[0] = 300 * times;
    for series in [OUTER, HOLD, HOLD + 1, WAIT] {
        counts.add_histogram(series, &Histogram::of_shortest(times, 200));
    }
    counts
}

//! What holds for records of any bytes: each is what was sent, and can be judged, told and recorded.

use std::sync::Arc;

use probe_common::event::Record;
use zerocopy::IntoBytes as _;

use super::decode;
use crate::{
    anomaly::Transition,
    config::Config,
    export,
    identity::{Subject, printable},
    model::Snapshot,
    recording,
    scope::{Scope, Sight},
    terminal,
};

/// Records of one ring that are looked at in one tick.
const PER_TICK: usize = 4;

/// Any bytes, cut into records; the last one is filled up.
pub(crate) fn records(input: &[u8]) {
    // Of any other length there is none.
    assert_eq!(decode(input).is_some(), input.len() == size_of::<Record>());
    let records = input.chunks(size_of::<Record>()).map(|chunk| {
        let mut item = chunk.to_vec();
        item.resize(size_of::<Record>(), 0);
        let record = decode(&item).unwrap_or_else(|| panic!("a record of {} bytes", item.len()));
        assert_eq!(record.as_bytes(), item, "what was sent");
        assert!(record.stack().len() * 8 <= record.stack_bytes as usize);
        assert!(!terminal::record(&record).contains('\n'), "one line: {}", terminal::record(&record));
        (Subject { comm: printable(&record.comm), cgroup: "/".to_owned() }, record)
    });
    let records: Vec<_> = records.collect();
    let mut header = recording::fuzzing::header();
    // Every class is judged.
    header.host.hooks.fill(crate::plan::HookState::Attached(crate::plan::Tier::F));
    let mut scope = Scope::new(&Config::default(), header.host);
    let mut snapshot = Snapshot::default();
    for (n, records) in records.chunks(PER_TICK).enumerate() {
        let uptime = std::time::Duration::from_secs(n as u64);
        let seen =
            scope.see(&Sight { uptime, records: records.to_vec(), clock_ns: Some(u64::MAX), ..Sight::default() });
        seen.transitions.iter().for_each(evidence);
        snapshot = seen.snapshot;
    }
    export::fuzzing::check(&Arc::new(snapshot));
}

fn evidence(transition: &Transition) {
    let line = terminal::alert(transition);
    assert!(!line.is_empty() && !line.contains('\n'), "one line: {line}");
    for record in &transition.evidence {
        let names: Vec<String> = record.stack().iter().map(|address| format!("{address:#x}")).collect();
        assert_eq!(terminal::evidence(transition.class, record, &names).lines().count(), 1 + names.len());
    }
}

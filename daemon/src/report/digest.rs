//! What a recording comes to: its ticks through the same scope as a live run's, with what a report needs of each. Pure; it
//! knows neither files nor forms of a report.

use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime},
};

use probe_common::event::Record;

use super::{episodes::Episodes, overlaps::Overlaps};
use crate::{
    anomaly::Class,
    config::Config,
    identity::Subject,
    intake::Counts,
    model::Snapshot,
    recording::{Finish, Frame, Header, Reader},
    replay::Names,
    scope::Scope,
};

/// Points of a plot at most: when there are more, each two become one.
const POINTS: usize = 360;
/// Single events that are told at most: the longest.
const LONGEST: usize = 10;

/// A part of the recorded time, with all that was counted in it.
#[derive(Clone, Debug, Default)]
pub struct Part {
    /// Its beginning, since the recording's.
    pub from: Duration,
    /// Its end.
    pub to: Duration,
    /// All subjects together.
    pub counts: Counts,
}

impl Part {
    /// Its length; never zero.
    #[must_use]
    pub fn seconds(&self) -> f64 {
        self.to.saturating_sub(self.from).as_secs_f64().max(1e-3)
    }
}

/// A recording, as a report tells it.
pub struct Digest {
    /// What was known from the start.
    pub header: Header,
    /// The wall clock at the last tick.
    pub ended: SystemTime,
    /// Time of the last tick, since the start.
    pub length: Duration,
    /// Sums at the end.
    pub snapshot: Snapshot,
    /// What was counted, in time.
    pub parts: Vec<Part>,
    /// Alerts, the gravest first.
    pub episodes: Episodes,
    /// Write faults inside another task's open window, with that window.
    pub overlaps: Overlaps,
    /// Classes that were not judged, and why.
    pub unjudged: Vec<(Class, String)>,
    /// The longest single events, with whose mm they happened in.
    pub longest: Vec<(Subject, Record)>,
    /// Names of kernel addresses.
    pub names: Names,
    /// How the file ended.
    pub finish: Option<Finish>,
}

impl Digest {
    /// Reads a recording to its end and judges it by this configuration.
    ///
    /// # Errors
    ///
    /// When alerts cannot be judged by it from what was recorded; the message names the key.
    pub fn read<R: std::io::Read>(mut reader: Reader<R>, config: &Config, names: Names) -> Result<Self, String> {
        let header = reader.header().clone();
        config.anomaly.check(&header.record).map_err(|message| format!("as it was recorded, {message}"))?;
        let mut scope = Scope::new(config, header.host.clone());
        let mut digest = Self {
            ended: header.started,
            length: Duration::ZERO,
            snapshot: Snapshot { hooks: header.host.hooks.clone(), ..Snapshot::default() },
            parts: Vec::new(),
            episodes: Episodes::default(),
            overlaps: Overlaps::default(),
            unjudged: scope.unjudged().to_vec(),
            longest: Vec::new(),
            names,
            finish: None,
            header,
        };
        let tick = digest.header.tick;
        let mut stride = 1;
        let mut ticks = 0_usize;
        for frame in reader.by_ref() {
            let Frame::Sight(sight) = frame else { continue };
            let seen = scope.see(&sight);
            digest.episodes.take(sight.uptime, &seen.transitions);
            // The first look comes at once: what was counted until then is not of a time that a rate could be told of.
            let is_short = digest.parts.last().is_some_and(|part| part.to - part.from < tick / 2);
            if ticks.is_multiple_of(stride) && !is_short {
                if digest.parts.len() == POINTS {
                    halve(&mut digest.parts);
                    stride *= 2;
                }
                if ticks.is_multiple_of(stride) {
                    digest.parts.push(Part { from: digest.length, to: digest.length, counts: Counts::default() });
                }
            }
            if let Some(part) = digest.parts.last_mut() {
                sight.mms.iter().for_each(|mm| part.counts += &mm.counts);
                part.to = sight.uptime;
            }
            for (subject, record) in &sight.records {
                keep(&mut digest.longest, subject, record);
                digest.overlaps.take(subject, record);
            }
            (digest.snapshot, digest.length, digest.ended) = (seen.snapshot, sight.uptime, sight.wall);
            ticks += 1;
        }
        digest.finish = reader.finish().cloned();
        Ok(digest)
    }

    /// All subjects together, over the whole time.
    #[must_use]
    pub fn total(&self) -> Counts {
        let mut total = Counts::default();
        self.snapshot.subjects.values().for_each(|counts| total += counts);
        total
    }

    /// The functions of an event's kernel stack, innermost first; numbers where they have no names.
    #[must_use]
    pub fn stack(&self, record: &Record) -> Vec<String> {
        let name = |address: &u64| self.names.get(address).cloned().unwrap_or_else(|| format!("{address:#x}"));
        crate::kernel::from_traced(record.stack().iter().map(name).collect())
    }

    /// Subjects by what they have most of; those that have none are left out.
    #[must_use]
    pub fn top(&self, of: impl Fn(&Counts) -> u64, most: usize) -> Vec<(&Subject, &Counts)> {
        let subjects = self.snapshot.subjects.iter().filter(|(_, counts)| of(counts) > 0);
        let mut ranked: BTreeMap<_, _> =
            subjects.map(|(subject, counts)| ((std::cmp::Reverse(of(counts)), subject), counts)).collect();
        let rest = ranked.keys().nth(most).copied();
        if let Some(rest) = rest {
            ranked.split_off(&rest);
        }
        ranked.into_iter().map(|((_, subject), counts)| (subject, counts)).collect()
    }
}

fn halve(parts: &mut Vec<Part>) {
    let mut halved: Vec<Part> = Vec::with_capacity(parts.len().div_ceil(2));
    for (n, part) in parts.drain(..).enumerate() {
        match halved.last_mut() {
            Some(last) if n % 2 == 1 => {
                last.counts += &part.counts;
                last.to = part.to;
            }
            _ => halved.push(part),
        }
    }
    *parts = halved;
}

/// Keeps the longest in their order.
fn keep(longest: &mut Vec<(Subject, Record)>, subject: &Subject, record: &Record) {
    let at = longest.partition_point(|(_, known)| known.duration_ns >= record.duration_ns);
    if at < LONGEST {
        longest.insert(at, (subject.clone(), *record));
        longest.truncate(LONGEST);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halving_keeps_sums_and_bounds() {
        let part = |n: u64| Part {
            from: Duration::from_secs(n),
            to: Duration::from_secs(n + 1),
            counts: Counts { changes: n, ..Counts::default() },
        };
        let mut parts: Vec<Part> = (0..5).map(part).collect();
        halve(&mut parts);
        let told: Vec<_> =
            parts.iter().map(|part| (part.from.as_secs(), part.to.as_secs(), part.counts.changes)).collect();
        assert_eq!(told, [(0, 2, 1), (2, 4, 5), (4, 5, 4)]);
    }
}

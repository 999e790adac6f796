//! A recording cut into blocks of equal numbers of ticks, with what was counted in each. Pure.

use std::{collections::BTreeMap, time::Duration};

use crate::{
    intake::Counts,
    plan::HookState,
    recording::{Frame, Header, Reader},
};

/// Blocks of a recording that is long enough.
const BLOCKS: usize = 24;
/// With fewer, nothing could be told apart from chance once as many figures are compared as there are.
const LEAST: usize = 16;
/// Ticks that are left out: in the first one probes were attached, the last one is cut off.
const EDGES: usize = 2;

/// What was counted in one block.
#[derive(Clone, Debug, Default)]
pub struct Cut {
    /// Its length, seconds; never zero.
    pub seconds: f64,
    /// By command; one that has nothing here is absent.
    pub comms: BTreeMap<String, Counts>,
}

/// A recording in blocks.
pub struct Blocks {
    /// How it is called.
    pub name: String,
    /// What was known from the start.
    pub header: Header,
    /// One after the other.
    pub cuts: Vec<Cut>,
    /// The time that they cover.
    pub length: Duration,
}

impl Blocks {
    /// Reads a recording that has so many ticks.
    ///
    /// # Errors
    ///
    /// When these are too few.
    pub fn read<R: std::io::Read>(mut reader: Reader<R>, name: String, ticks: usize) -> Result<Self, String> {
        let used = ticks.saturating_sub(EDGES);
        if used < LEAST {
            return Err(format!(
                "has {ticks} ticks: how much its figures vary can be told from {} on; record for longer, or with a shorter tick",
                LEAST + EDGES
            ));
        }
        let count = used.min(BLOCKS);
        let mut cuts = vec![Cut::default(); count];
        let (mut from, mut until, mut tick) = (Duration::ZERO, Duration::ZERO, 0);
        for frame in reader.by_ref() {
            let Frame::Sight(sight) = frame else { continue };
            if (1..=used).contains(&tick) {
                let cut = &mut cuts[(tick - 1) * count / used];
                cut.seconds += sight.uptime.saturating_sub(until).as_secs_f64();
                for mm in &sight.mms {
                    *cut.comms.entry(mm.subject.comm.clone()).or_default() += &mm.counts;
                }
            } else if tick == 0 {
                from = sight.uptime;
            }
            if tick <= used {
                until = sight.uptime;
            }
            tick += 1;
        }
        cuts.iter_mut().for_each(|cut| cut.seconds = cut.seconds.max(1e-3));
        Ok(Self { name, header: reader.header().clone(), cuts, length: until.saturating_sub(from) })
    }

    /// Hooks as they were at the start.
    #[must_use]
    pub fn hooks(&self) -> &[HookState] {
        &self.header.host.hooks
    }

    /// Commands with how active they were.
    #[must_use]
    pub fn activity(&self) -> BTreeMap<&str, u64> {
        let mut activity = BTreeMap::new();
        for (comm, counts) in self.cuts.iter().flat_map(|cut| &cut.comms) {
            *activity.entry(comm.as_str()).or_default() += counts.activity();
        }
        activity
    }
}

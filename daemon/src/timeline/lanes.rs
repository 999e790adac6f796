//! Slices on tracks: what lies on one track must nest, so what does not gets another one. Pure.

use super::events::Event;

/// A track's share of the events: places in the list of them, and the ends of those that are open.
#[derive(Default)]
struct Lane {
    events: Vec<usize>,
    open_until: Vec<u64>,
}

impl Lane {
    /// Whether a slice fits inside of what is open, or after it.
    fn has_room(&mut self, event: &Event) -> bool {
        while self.open_until.last().is_some_and(|&end| end <= event.begin_ns) {
            self.open_until.pop();
        }
        self.open_until.last().is_none_or(|&end| event.end_ns <= end)
    }
}

/// Places in `all` of these events, which are in the order of their beginnings, lane by lane. Instants are in the first one.
pub(super) fn lanes(all: &[Event], events: impl Iterator<Item = usize>) -> Vec<Vec<usize>> {
    let mut lanes: Vec<Lane> = vec![Lane::default()];
    for at in events {
        let event = &all[at];
        if event.kind.is_instant() {
            lanes[0].events.push(at);
            continue;
        }
        let free = lanes.iter_mut().position(|lane| lane.has_room(event));
        let lane = free.unwrap_or_else(|| {
            lanes.push(Lane::default());
            lanes.len() - 1
        });
        lanes[lane].events.push(at);
        lanes[lane].open_until.push(event.end_ns);
    }
    lanes.into_iter().map(|lane| lane.events).collect()
}

#[cfg(test)]
mod tests {
    use probe_common::series::{HOLD, OUTER, PATH_ZAP};

    use super::*;
    use crate::timeline::events::tests::{connected, record};

    #[test]
    fn what_does_not_nest_gets_a_lane_of_its_own() {
        // A window across the downgrade of the lock.
        let events = connected(&[
            record(HOLD + 1, 1, 0, 20),
            record(OUTER + PATH_ZAP, 1, 10, 40),
            record(HOLD, 1, 20, 40),
            record(OUTER, 1, 12, 5),
        ]);
        let told: Vec<Vec<u64>> = lanes(&events.all, 0..events.all.len())
            .into_iter()
            .map(|lane| lane.into_iter().map(|at| events.all[at].begin_ns).collect())
            .collect();
        assert_eq!(told, [vec![0, 12, 20], vec![10]]);
    }
}

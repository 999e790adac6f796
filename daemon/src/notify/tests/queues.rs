//! The two queues: single cases, and any sequence against a receiver that may be down.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::{Duration, SystemTime},
};

use proptest::prelude::*;

use super::{SECOND, cleared, critical, key, notice, raised};
use crate::{
    anomaly::Class::{self, Blind, LockConvoy, LongWindow, UffdStuck},
    notify::{
        notice::{Key, Notice},
        outbox::{self, Outbox},
        queue::{Outcome, Queue},
        standing::{self, BATCH, Standing},
    },
};

fn outbox(room: usize) -> Outbox {
    Outbox::new(outbox::Limits { group_wait: 5 * SECOND, cool_down: 60 * SECOND, room, most: room })
}

fn sequences(message: &outbox::Message) -> Vec<u64> {
    message.told.iter().map(|told| told.notice.sequence).collect()
}

#[test]
fn a_storm_is_one_message_of_a_class() {
    let mut outbox = outbox(1_000);
    for n in 0..300 {
        outbox.offer(SECOND, &raised(n, LockConvoy, &format!("c{n}")));
    }
    outbox.offer(2 * SECOND, &raised(300, LongWindow, "a"));
    assert!(outbox.take(SECOND * 5, false).is_none(), "it is still gathered");
    assert_eq!(outbox.due(), Some(6 * SECOND));
    let message = outbox.take(6 * SECOND, false).unwrap();
    assert_eq!((message.class, message.told.len()), (LockConvoy, 300));
    assert_eq!((outbox.waiting(), outbox.due()), (301, Some(7 * SECOND)));
    outbox.settle(6 * SECOND, message, Outcome::Accepted);
    assert_eq!(outbox.take(7 * SECOND, false).unwrap().class, LongWindow);
}

#[test]
fn what_failed_stays_in_its_place_and_grows() {
    let mut outbox = outbox(10);
    outbox.offer(SECOND, &raised(1, LockConvoy, "a"));
    let message = outbox.take(6 * SECOND, false).unwrap();
    outbox.offer(7 * SECOND, &cleared(2, LockConvoy, "a"));
    outbox.settle(8 * SECOND, message, Outcome::Failed);
    let message = outbox.take(8 * SECOND, false).unwrap();
    assert_eq!(sequences(&message), [1, 2]);
    outbox.settle(8 * SECOND, message, Outcome::Refused);
    assert_eq!((outbox.waiting(), outbox.dropped()), (0, 2));
}

#[test]
fn the_bound_gives_up_the_oldest_of_the_least_grave() {
    let mut outbox = outbox(3);
    outbox.offer(SECOND, &critical(1, UffdStuck, "a"));
    outbox.offer(SECOND, &raised(2, LockConvoy, "b"));
    outbox.offer(SECOND, &raised(3, LongWindow, "c"));
    outbox.offer(SECOND, &raised(4, LongWindow, "d"));
    assert_eq!((outbox.waiting(), outbox.dropped()), (3, 1));
    outbox.offer(SECOND, &raised(5, Blind, "e"));
    assert_eq!(outbox.dropped(), 2, "what is less grave than all that wait finds no room");
    let told: Vec<_> = (0..2).map(|_| sequences(&outbox.take(6 * SECOND, false).unwrap())).collect();
    assert_eq!(told, [vec![3, 4], vec![1]], "both in the order of their classes");
}

#[test]
fn a_flapping_alert_is_told_once_in_a_cool_down_and_in_the_end_as_it_is() {
    let mut outbox = outbox(10);
    let mut told = Vec::new();
    let mut step = |outbox: &mut Outbox, second: u32, notice: Option<Arc<Notice>>| {
        let now = second * SECOND;
        notice.iter().for_each(|notice| outbox.offer(now, notice));
        while let Some(message) = outbox.take(now, false) {
            told.extend(message.told.iter().map(|told| (second, told.notice.sequence, told.repeats)));
            outbox.settle(now, message, Outcome::Accepted);
        }
    };
    step(&mut outbox, 0, Some(raised(1, LockConvoy, "a")));
    step(&mut outbox, 5, None);
    step(&mut outbox, 10, Some(cleared(2, LockConvoy, "a")));
    step(&mut outbox, 15, None);
    for n in 0..4 {
        step(&mut outbox, 20 + 2 * n, Some(raised(3 + 2 * u64::from(n), LockConvoy, "a")));
        step(&mut outbox, 21 + 2 * n, Some(cleared(4 + 2 * u64::from(n), LockConvoy, "a")));
    }
    step(&mut outbox, 30, Some(raised(11, LockConvoy, "a")));
    for second in 31..70 {
        step(&mut outbox, second, None);
    }
    assert_eq!(told, [(5, 1, 0), (15, 2, 0), (65, 11, 4)]);
    assert_eq!((outbox.suppressed(), outbox.dropped(), outbox.waiting()), (8, 0, 0));
}

#[test]
fn another_alert_does_not_cool_and_the_last_chance_takes_all() {
    let mut outbox = outbox(10);
    for notice in [raised(1, LockConvoy, "a"), cleared(2, LockConvoy, "a"), raised(3, LockConvoy, "a")] {
        outbox.offer(SECOND, &notice);
    }
    outbox.offer(SECOND, &critical(4, LockConvoy, "a"));
    assert_eq!((outbox.waiting(), outbox.take(SECOND, false).is_none()), (4, true));
    assert_eq!(sequences(&outbox.take(SECOND, true).unwrap()), [1, 2, 4, 3], "without waiting for anything");
    assert!(outbox.take(SECOND, true).is_none());
}

fn standing(raised: usize, cleared: usize) -> Standing {
    Standing::new(standing::Limits { resend: 60 * SECOND, raised, cleared })
}

fn told(batch: &standing::Batch) -> Vec<(u64, bool)> {
    batch.notices.iter().map(|notice| (notice.sequence, notice.is_raised())).collect()
}

#[test]
fn what_stands_is_told_at_once_again_and_at_its_end() {
    let mut standing = standing(10, 10);
    standing.offer(SECOND, &raised(1, LockConvoy, "a"));
    let batch = standing.take(SECOND, false).unwrap();
    assert_eq!(told(&batch), [(1, true)]);
    standing.settle(2 * SECOND, batch, Outcome::Accepted);
    assert_eq!((standing.waiting(), standing.due()), (0, Some(62 * SECOND)));
    assert!(standing.take(61 * SECOND, false).is_none() && standing.take(61 * SECOND, true).is_none());
    let batch = standing.take(62 * SECOND, false).unwrap();
    // It ends while it is told.
    standing.offer(63 * SECOND, &cleared(2, LockConvoy, "a"));
    standing.settle(64 * SECOND, batch, Outcome::Accepted);
    assert_eq!(standing.waiting(), 1);
    let batch = standing.take(64 * SECOND, false).unwrap();
    assert_eq!(told(&batch), [(2, false)]);
    standing.settle(65 * SECOND, batch, Outcome::Accepted);
    // Its receiver's clock may have been behind: it is told again for as long as it could take the alert for raised.
    for minute in 1..=u64::from(standing::MISSED) {
        let now = SECOND * (5 + 60 * (minute + 1)) as u32;
        assert_eq!((standing.waiting(), standing.due()), (0, Some(now)));
        assert!(standing.take(now, true).is_none(), "what was heard keeps nobody from leaving");
        let batch = standing.take(now, false).unwrap();
        assert_eq!(told(&batch), [(2, false)]);
        standing.settle(now, batch, Outcome::Accepted);
    }
    assert_eq!((standing.due(), standing.dropped()), (None, 0));
}

#[test]
fn who_has_been_heard_of_makes_room_and_is_not_missed() {
    let mut standing = standing(2, 1);
    standing.offer(SECOND, &cleared(1, LockConvoy, "a"));
    let batch = standing.take(SECOND, false).unwrap();
    standing.settle(SECOND, batch, Outcome::Accepted);
    standing.offer(SECOND, &cleared(2, LockConvoy, "b"));
    assert_eq!((standing.waiting(), standing.dropped()), (1, 0));
    let batch = standing.take(SECOND, false).unwrap();
    assert_eq!(told(&batch), [(2, false)]);
    standing.settle(SECOND, batch, Outcome::Accepted);
    standing.offer(SECOND, &raised(3, LockConvoy, "b"));
    assert_eq!((standing.waiting(), standing.suppressed()), (1, 0), "its end was heard");
}

#[test]
fn of_an_alert_nobody_heard_of_the_last_state_is_told_with_its_times() {
    let mut standing = standing(10, 10);
    standing.offer(SECOND, &raised(1, LockConvoy, "a"));
    standing.offer(2 * SECOND, &cleared(2, LockConvoy, "a"));
    let batch = standing.take(2 * SECOND, false).unwrap();
    standing.settle(3 * SECOND, batch, Outcome::Failed);
    let batch = standing.take(3 * SECOND, false).unwrap();
    assert_eq!(
        (batch.notices.len(), batch.notices[0].starts, batch.notices[0].ends),
        (1, super::wall(1), Some(super::wall(2)))
    );
    standing.offer(4 * SECOND, &raised(3, LockConvoy, "a"));
    assert_eq!((standing.suppressed(), standing.waiting()), (1, 1), "an episode that is told no more");
}

#[test]
fn cleared_ones_are_bounded_and_refused_ones_given_up() {
    let mut standing = standing(2, 2);
    for (n, comm) in ["a", "b", "c"].into_iter().enumerate() {
        standing.offer(SECOND, &raised(2 * n as u64 + 1, LockConvoy, comm));
        standing.offer(SECOND, &cleared(2 * n as u64 + 2, LockConvoy, comm));
    }
    assert_eq!((standing.waiting(), standing.dropped()), (2, 1), "the oldest");
    for (n, comm) in ["d", "e", "f"].into_iter().enumerate() {
        standing.offer(SECOND, &raised(n as u64 + 7, LockConvoy, comm));
    }
    assert_eq!((standing.waiting(), standing.dropped()), (4, 2), "the newest");
    let batch = standing.take(SECOND, false).unwrap();
    standing.settle(SECOND, batch, Outcome::Refused);
    assert_eq!((standing.waiting(), standing.dropped(), standing.due()), (0, 6, Some(61 * SECOND)));
}

#[test]
fn the_gravest_go_first_and_many_in_several_batches() {
    let mut standing = standing(1_000, 10);
    for n in 0..150 {
        standing.offer(SECOND, &raised(n, LockConvoy, &format!("c{n}")));
    }
    standing.offer(SECOND, &critical(150, UffdStuck, "z"));
    let mut sizes = Vec::new();
    while let Some(batch) = standing.take(SECOND, false) {
        if sizes.is_empty() {
            assert_eq!(batch.notices[0].sequence, 150);
        }
        sizes.push(batch.notices.len());
        standing.settle(SECOND, batch, Outcome::Accepted);
    }
    assert_eq!(sizes, [BATCH, BATCH, 151 - 2 * BATCH]);
}

/// One step of a history: seconds that pass, whether the receiver is up, and which of a few alerts changes, if any.
type Step = (u32, bool, Option<usize>);

fn history() -> impl Strategy<Value = Vec<Step>> {
    prop::collection::vec((0..20_u32, any::<bool>(), prop::option::of(0..6_usize)), 1..200)
}

fn alert(n: usize) -> Key {
    key([LockConvoy, LongWindow, Class::StaleWriteOverlap][n % 3], ["a", "b"][n / 3])
}

/// Alternately raises and clears alerts; goes on for long enough afterwards with the receiver up.
fn play<Q: Queue>(
    queue: &mut Q,
    steps: &[Step],
    mut heard: impl FnMut(Duration, &Q::Message),
    mut look: impl FnMut(&Q),
) -> BTreeMap<Key, Arc<Notice>> {
    let mut state = BTreeMap::<Key, Arc<Notice>>::new();
    let calm = (0..20).map(|_| (30, true, None));
    let (mut now, mut sequence) = (Duration::ZERO, 0);
    for (passed, is_up, change) in steps.iter().copied().chain(calm) {
        now += passed * SECOND;
        if let Some(key) = change.map(alert) {
            sequence += 1;
            let second = now.as_secs();
            let next = match state.get(&key) {
                Some(last) if last.is_raised() => {
                    let began = last.starts.duration_since(super::wall(0)).unwrap().as_secs();
                    notice(sequence, key.clone(), began, Some(second))
                }
                _ => notice(sequence, key.clone(), second, None),
            };
            queue.offer(now, &next);
            state.insert(key, next);
        }
        while let Some(message) = queue.take(now, false) {
            let outcome = if is_up { Outcome::Accepted } else { Outcome::Failed };
            if is_up {
                heard(now, &message);
            }
            queue.settle(now, message, outcome);
            if !is_up {
                break;
            }
        }
        look(queue);
    }
    state
}

proptest! {
    #[test]
    fn whatever_comes_an_outbox_tells_how_it_is_in_the_end(steps in history(), room in 1..12_usize) {
        let mut queue = outbox(room);
        let mut known = BTreeMap::<Key, (u64, bool)>::new();
        let mut told_raised = BTreeMap::<Key, u32>::new();
        let mut delivered = 0;
        let mut end = Duration::ZERO;
        let state = play(&mut queue, &steps, |now, message: &outbox::Message| {
            for told in &message.told {
                let notice = &told.notice;
                let last = known.insert(notice.key.clone(), (notice.sequence, notice.is_raised()));
                assert!(last.is_none_or(|(sequence, _)| sequence < notice.sequence), "in order");
                *told_raised.entry(notice.key.clone()).or_default() += u32::from(notice.is_raised());
                delivered += 1;
            }
            end = now;
        }, |queue| {
            // Beside those that wait to go, each alert may be held back once.
            assert!(queue.waiting() <= room + 6);
        });
        let offered = steps.iter().filter(|(_, _, change)| change.is_some()).count() as u64;
        prop_assert_eq!(queue.waiting(), 0);
        prop_assert_eq!(offered, delivered + queue.dropped() + queue.suppressed());
        for (key, count) in told_raised {
            prop_assert!(count <= 1 + (end.as_secs() / 60) as u32, "{:?}: {} times by {:?}", key, count, end);
        }
        if queue.dropped() == 0 {
            for (key, notice) in state {
                let told = known.get(&key).map(|(_, is_raised)| *is_raised).unwrap_or_default();
                prop_assert_eq!(told, notice.is_raised());
            }
        }
    }

    #[test]
    fn whatever_comes_an_alertmanager_knows_what_stands(steps in history(), room in 1..8_usize) {
        let mut queue = standing(6, room);
        // As Alertmanager keeps them: since when, until when, and when it heard last.
        let mut known = BTreeMap::<Key, (SystemTime, Option<SystemTime>, Duration)>::new();
        let mut end = Duration::ZERO;
        let state = play(&mut queue, &steps, |now, batch: &standing::Batch| {
            for notice in &batch.notices {
                known.insert(notice.key.clone(), (notice.starts, notice.ends, now));
            }
            end = now;
        }, |_| {});
        prop_assert_eq!(queue.waiting(), 0);
        let stands: BTreeSet<_> = state.values().filter(|notice| notice.is_raised()).map(|n| n.key.clone()).collect();
        for key in &stands {
            let (starts, ends, heard) = known[key];
            prop_assert_eq!((starts, ends), (state[key].starts, None));
            prop_assert!(end - heard <= 90 * SECOND, "told again: {:?} after {:?}", end, heard);
        }
        if queue.dropped() == 0 {
            for (key, notice) in state {
                let (starts, ends, _) = known[&key];
                prop_assert_eq!((starts, ends), (notice.starts, notice.ends));
            }
        }
    }
}

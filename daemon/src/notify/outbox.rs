//! The queue of a sink that is told of each change: gathers what belongs together, holds flapping alerts back, and bounds what
//! waits. Pure: the time is passed in.
//!
//! What waits is kept by class, and a message is all that waits of one class. So a storm is one message, and what gathered while
//! the receiver was down is one for each class.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use super::{
    notice::{Key, Notice},
    queue::{Outcome, Queue},
};
use crate::anomaly::Class;

/// Alerts that are remembered because they were told lately. Beyond it the one told longest ago is forgotten: it may then be
/// told as raised again too soon.
const COOLING: usize = 4_096;

/// Bounds of an outbox.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// How long alerts of a class are gathered.
    pub(super) group_wait: Duration,
    /// For how long after an alert was told as raised it is not told as raised again.
    pub(super) cool_down: Duration,
    /// Alerts that may wait.
    pub(super) room: usize,
    /// Alerts in a message.
    pub(super) most: usize,
}

/// An alert in a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) notice: Arc<Notice>,
    /// How often it was raised meanwhile, and cleared again, without being told.
    pub(super) repeats: u64,
}

/// All that waits of one class; those raised or cleared first come first.
#[derive(Debug)]
pub(super) struct Message {
    pub(super) class: Class,
    pub(super) told: Vec<Told>,
}

struct Group {
    due: Duration,
    told: VecDeque<Told>,
}

/// An alert that was told as raised lately.
struct Cooling {
    until: Duration,
    /// It was raised again, and is.
    held: Option<Arc<Notice>>,
    repeats: u64,
}

/// See above.
pub(super) struct Outbox {
    limits: Limits,
    groups: BTreeMap<Class, Group>,
    cooling: BTreeMap<Key, Cooling>,
    under_way: usize,
    dropped: u64,
    suppressed: u64,
}

impl Outbox {
    pub(super) fn new(limits: Limits) -> Self {
        Self { limits, groups: BTreeMap::new(), cooling: BTreeMap::new(), under_way: 0, dropped: 0, suppressed: 0 }
    }

    fn gathered(&self) -> usize {
        self.groups.values().map(|group| group.told.len()).sum()
    }

    /// Remembers that an alert is told as raised; what is told is passed on.
    fn cool(&mut self, now: Duration, key: &Key) {
        if self.limits.cool_down.is_zero() {
            return;
        }
        if self.cooling.len() >= COOLING {
            self.cooling.retain(|_, cooling| cooling.until > now || cooling.held.is_some());
        }
        if self.cooling.len() >= COOLING {
            let free = self.cooling.iter().filter(|(_, cooling)| cooling.held.is_none());
            let Some(first) = free.min_by_key(|(_, cooling)| cooling.until).map(|(key, _)| key.clone()) else { return };
            self.cooling.remove(&first);
        }
        let until = now + self.limits.cool_down;
        self.cooling.insert(key.clone(), Cooling { until, held: None, repeats: 0 });
    }

    /// Puts an alert among those that wait.
    fn gather(&mut self, now: Duration, told: Told) {
        if self.waiting_to_go() >= self.limits.room && !self.make_room(&told.notice.key) {
            self.dropped += 1;
            return;
        }
        let due = now + self.limits.group_wait;
        let class = told.notice.key.class;
        self.groups.entry(class).or_insert_with(|| Group { due, told: VecDeque::new() }).told.push_back(told);
    }

    fn waiting_to_go(&self) -> usize {
        self.gathered() + self.under_way
    }

    /// Gives up the oldest of the least grave that wait, unless all are graver than the newcomer.
    fn make_room(&mut self, newcomer: &Key) -> bool {
        let all = self.groups.iter().flat_map(|(class, group)| group.told.iter().enumerate().map(move |t| (class, t)));
        let least = all.min_by_key(|(_, (_, told))| (told.notice.key.severity, told.notice.sequence));
        let Some((&class, (place, told))) = least else { return false };
        if told.notice.key.severity > newcomer.severity {
            return false;
        }
        if let Some(group) = self.groups.get_mut(&class) {
            group.told.remove(place);
            if group.told.is_empty() {
                self.groups.remove(&class);
            }
        }
        self.dropped += 1;
        true
    }

    /// Tells what was held back for long enough.
    fn release(&mut self, now: Duration, last: bool) {
        let is_over = |cooling: &Cooling| last || cooling.until <= now;
        let over: Vec<Key> =
            self.cooling.iter().filter(|(_, cooling)| is_over(cooling)).map(|(key, _)| key.clone()).collect();
        for key in over {
            let Some(Cooling { held: Some(notice), repeats, .. }) = self.cooling.remove(&key) else { continue };
            self.cool(now, &key);
            self.gather(now, Told { notice, repeats });
        }
    }
}

impl Queue for Outbox {
    type Message = Message;

    fn offer(&mut self, now: Duration, notice: &Arc<Notice>) {
        self.release(now, false);
        let key = &notice.key;
        match self.cooling.get_mut(key) {
            Some(cooling) if notice.is_raised() => cooling.held = Some(notice.clone()),
            Some(cooling @ Cooling { held: Some(_), .. }) => {
                // Neither was told: the receiver knows it as cleared.
                cooling.held = None;
                cooling.repeats += 1;
                self.suppressed += 2;
            }
            _ => {
                if notice.is_raised() {
                    self.cool(now, key);
                }
                self.gather(now, Told { notice: notice.clone(), repeats: 0 });
            }
        }
    }

    fn due(&self) -> Option<Duration> {
        let held = self.cooling.values().filter(|cooling| cooling.held.is_some()).map(|cooling| cooling.until);
        self.groups.values().map(|group| group.due).chain(held).min()
    }

    fn take(&mut self, now: Duration, last: bool) -> Option<Message> {
        self.release(now, last);
        let (&class, _) =
            self.groups.iter().filter(|(_, group)| last || group.due <= now).min_by_key(|(_, group)| group.due)?;
        let group = self.groups.get_mut(&class)?;
        let most = self.limits.most.min(group.told.len());
        let told: Vec<Told> = group.told.drain(..most).collect();
        if group.told.is_empty() {
            self.groups.remove(&class);
        }
        self.under_way = told.len();
        Some(Message { class, told })
    }

    fn settle(&mut self, now: Duration, message: Message, outcome: Outcome) {
        self.under_way = 0;
        match outcome {
            Outcome::Accepted => {}
            Outcome::Refused => self.dropped += message.told.len() as u64,
            Outcome::Failed => {
                let group =
                    self.groups.entry(message.class).or_insert_with(|| Group { due: now, told: VecDeque::new() });
                group.due = group.due.min(now);
                for told in message.told.into_iter().rev() {
                    group.told.push_front(told);
                }
            }
        }
    }

    fn waiting(&self) -> usize {
        self.waiting_to_go() + self.cooling.values().filter(|cooling| cooling.held.is_some()).count()
    }

    fn dropped(&self) -> u64 {
        self.dropped
    }

    fn suppressed(&self) -> u64 {
        self.suppressed
    }
}

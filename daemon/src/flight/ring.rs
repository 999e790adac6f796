//! Frames of the last ticks, bounded in time and bytes. Pure.

use std::{collections::VecDeque, sync::Arc, time::Duration};

/// What a frame takes beside its bytes.
const EACH: u64 = 64;

pub(super) type Frame = Arc<[u8]>;

pub(super) struct Ring {
    length: Duration,
    max_bytes: u64,
    frames: VecDeque<(Duration, Frame)>,
    bytes: u64,
}

impl Ring {
    pub(super) fn new(length: Duration, max_bytes: u64) -> Self {
        Self { length, max_bytes, frames: VecDeque::new(), bytes: 0 }
    }

    /// Takes the frame of a tick and forgets what is too old or too much. One that is too large alone is not kept.
    pub(super) fn push(&mut self, now: Duration, frame: Vec<u8>) {
        self.bytes += frame.len() as u64 + EACH;
        self.frames.push_back((now, frame.into()));
        while let Some((time, frame)) = self.frames.front() {
            if now.saturating_sub(*time) <= self.length && self.bytes <= self.max_bytes {
                break;
            }
            self.bytes -= frame.len() as u64 + EACH;
            self.frames.pop_front();
        }
    }

    /// All of them, the oldest first.
    pub(super) fn frames(&self) -> Vec<Frame> {
        self.frames.iter().map(|(_, frame)| frame.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_old_or_too_much_is_forgotten() {
        let mut ring = Ring::new(Duration::from_secs(10), 5 * (100 + EACH));
        let kept = |ring: &Ring| ring.frames().iter().map(|frame| frame[0]).collect::<Vec<_>>();
        for second in 0..5_u8 {
            ring.push(Duration::from_secs(second.into()), vec![second; 100]);
        }
        assert_eq!(kept(&ring), [0, 1, 2, 3, 4]);
        ring.push(Duration::from_secs(5), vec![5; 100]);
        assert_eq!(kept(&ring), [1, 2, 3, 4, 5], "bounded in bytes");
        ring.push(Duration::from_secs(13), vec![13; 100]);
        assert_eq!(kept(&ring), [3, 4, 5, 13], "and in time");
        ring.push(Duration::from_secs(14), vec![14; 10_000]);
        assert_eq!(kept(&ring), [0; 0]);
        assert_eq!(ring.bytes, 0);
    }
}

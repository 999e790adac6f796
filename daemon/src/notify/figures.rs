//! What deliveries count as they go.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::model::sinks::Reason;

/// What deliveries count as they go.
#[derive(Debug, Default)]
pub(super) struct Deliveries {
    sent: AtomicU64,
    failures: [AtomicU64; Reason::ALL.len()],
}

impl Deliveries {
    pub(super) fn sent(&self) {
        self.sent.fetch_add(1, Relaxed);
    }

    pub(super) fn failed(&self, reason: Reason) {
        self.failures[reason as usize].fetch_add(1, Relaxed);
    }

    pub(super) fn sent_total(&self) -> u64 {
        self.sent.load(Relaxed)
    }

    pub(super) fn failures_total(&self) -> [u64; Reason::ALL.len()] {
        std::array::from_fn(|n| self.failures[n].load(Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_in_their_order() {
        for (n, reason) in Reason::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, n);
        }
        let deliveries = Deliveries::default();
        deliveries.failed(Reason::Tls);
        assert_eq!(deliveries.failures_total(), [0, 0, 1, 0, 0, 0, 0]);
    }
}

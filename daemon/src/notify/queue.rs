//! What a sink's queue can do, whatever its kind. Knows no socket and no clock.

use std::{sync::Arc, time::Duration};

use super::notice::Notice;

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The receiver has it.
    Accepted,
    /// The receiver will never take it as it is.
    Refused,
    /// To be tried again.
    Failed,
}

/// Alerts that wait to be told. At most one message is under way at a time.
pub(super) trait Queue: Send + 'static {
    /// What is told at once.
    type Message: Send + Sync;

    /// Takes in what was raised or cleared.
    fn offer(&mut self, now: Duration, notice: &Arc<Notice>);

    /// When something is due; none while nothing waits.
    fn due(&self) -> Option<Duration>;

    /// What is due by now; with `last`, all that was not told yet, for there will be no other time.
    fn take(&mut self, now: Duration, last: bool) -> Option<Self::Message>;

    /// Hears what became of the message that was taken.
    fn settle(&mut self, now: Duration, message: Self::Message, outcome: Outcome);

    /// Alerts that wait, the message under way among them.
    fn waiting(&self) -> usize;

    /// Alerts that were given up, since the start.
    fn dropped(&self) -> u64;

    /// Alerts that were not told because of what became of them before, since the start.
    fn suppressed(&self) -> u64;
}

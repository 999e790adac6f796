//! Recordings: what each tick saw, in a file that survives a crash. A library of its own: it knows neither probes nor rules,
//! and reads no clock. The format and its guarantees are in docs/recordings.md.

mod counts;
mod frame;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;
mod hooks;
mod numbers;
mod reader;
#[cfg(test)]
pub(crate) mod strategies;
#[cfg(test)]
mod tests;
mod wire;
mod writer;

use std::time::{Duration, SystemTime};

use crate::{anomaly::Host, config, intake::TableSize};

#[cfg(test)]
pub(crate) use fuzzing::header;

pub use frame::VERSION;
pub use reader::{Finish, Frame, Reader, Unreadable};
pub use writer::{Medium, Writer, begun, packed};

/// What is known from the start.
#[derive(Clone, Debug)]
pub struct Header {
    /// Version of the mmscope that recorded.
    pub build: String,
    /// The wall clock at the start.
    pub started: SystemTime,
    /// Name of the machine; none where it was not recorded (format version 1).
    pub node: Option<String>,
    /// Every single event was recorded of the processes that this names, not only those over the bounds; none in an ordinary one.
    pub timeline: Option<String>,
    /// The host, as rules look at it.
    pub host: Host,
    /// Time between two looks.
    pub tick: Duration,
    /// From which duration on single events were recorded.
    pub record: config::Record,
    /// What alerts were judged by, or would have been; none where it was not recorded (before format version 3).
    pub anomaly: Option<config::Anomaly>,
    /// What the tables of the kernel side take.
    pub tables: Vec<TableSize>,
}

/// The last frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct End {
    /// Why there is no more.
    pub reason: Reason,
    /// Ticks in the file.
    pub sights: u64,
}

/// Why a recording ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// It was told to.
    Signal,
    /// Its time was over.
    Duration,
    /// It was as long as it may be.
    Bound,
    /// It could not be written any further.
    Failed,
    /// It is what a flight recorder kept.
    Flight,
}

impl Reason {
    const ALL: [Self; 5] = [Self::Signal, Self::Duration, Self::Bound, Self::Failed, Self::Flight];

    fn name(self) -> &'static str {
        match self {
            Self::Signal => "signal",
            Self::Duration => "duration",
            Self::Bound => "bound",
            Self::Failed => "failed",
            Self::Flight => "flight",
        }
    }

    /// For people.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Self::Signal => "it was told to end",
            Self::Duration => "its time was over",
            Self::Bound => "it was as long as it may be",
            Self::Failed => "it could not be written any further",
            Self::Flight => "a flight recorder was written",
        }
    }
}

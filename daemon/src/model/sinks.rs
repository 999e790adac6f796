//! What was counted of each sink that alerts are told to. Bounded: a sink has the name that the configuration gives it.

/// Why a message was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// A file with an address, a header or a secret could not be used.
    File,
    /// The name has no address, or nobody listens there.
    Connect,
    /// No secure connection was made, or the other side's certificate is not trusted.
    Tls,
    /// No answer in time.
    Timeout,
    /// The connection broke.
    Broken,
    /// An answer that asks to come again.
    Status,
    /// An answer that the message itself is wrong; it is given up.
    Refused,
}

impl Reason {
    /// Every reason.
    pub const ALL: [Self; 7] =
        [Self::File, Self::Connect, Self::Tls, Self::Timeout, Self::Broken, Self::Status, Self::Refused];

    /// The `reason` label.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Connect => "connect",
            Self::Tls => "tls",
            Self::Timeout => "timeout",
            Self::Broken => "broken",
            Self::Status => "status",
            Self::Refused => "refused",
        }
    }
}

/// Figures of one sink since the start, as a snapshot has them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SinkFigures {
    /// Name, as the configuration has it.
    pub name: String,
    /// Messages that were taken.
    pub sent: u64,
    /// Attempts that failed, by reason, in the order of [`Reason::ALL`].
    pub failures: [u64; Reason::ALL.len()],
    /// Raised or cleared alerts that were given up.
    pub dropped: u64,
    /// Raised or cleared alerts that were not told because of what became of them before.
    pub suppressed: u64,
    /// Alerts that wait.
    pub waiting: u64,
}

impl SinkFigures {
    /// Adds those of another instance of the same sink.
    pub(crate) fn add(&mut self, other: &Self) {
        self.sent += other.sent;
        self.dropped += other.dropped;
        self.suppressed += other.suppressed;
        self.waiting += other.waiting;
        for (sum, more) in self.failures.iter_mut().zip(other.failures) {
            *sum += more;
        }
    }
}

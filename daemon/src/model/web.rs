//! What the HTTP side counted.

/// Why a connection or a request was not served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Too many connections.
    Connections,
    /// No TLS handshake, or one that failed.
    Handshake,
    /// A handshake that took too long.
    HandshakeTimeout,
    /// A header that took too long.
    HeaderTimeout,
    /// A header that is too large, or has too many lines.
    HeaderSize,
    /// A path and query that are too long.
    TargetSize,
    /// What is no HTTP.
    Malformed,
    /// An answer that was not taken in time.
    RequestTimeout,
    /// Another method than GET and HEAD.
    Method,
    /// No name and password, or wrong ones.
    Unauthorized,
    /// More requests than the rate limit allows.
    Rate,
}

impl Refusal {
    /// All, in the order of a scrape.
    pub const ALL: [Self; 11] = [
        Self::Connections,
        Self::Handshake,
        Self::HandshakeTimeout,
        Self::HeaderTimeout,
        Self::HeaderSize,
        Self::TargetSize,
        Self::Malformed,
        Self::RequestTimeout,
        Self::Method,
        Self::Unauthorized,
        Self::Rate,
    ];

    /// Value of the label.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Connections => "connections",
            Self::Handshake => "handshake",
            Self::HandshakeTimeout => "handshake_timeout",
            Self::HeaderTimeout => "header_timeout",
            Self::HeaderSize => "header_size",
            Self::TargetSize => "target_size",
            Self::Malformed => "malformed",
            Self::RequestTimeout => "request_timeout",
            Self::Method => "method",
            Self::Unauthorized => "unauthorized",
            Self::Rate => "rate",
        }
    }
}

/// Codes that are told by themselves; all others are the last.
pub const CODES: [&str; 8] = ["200", "401", "404", "405", "414", "429", "503", "other"];

/// What was counted so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WebFigures {
    /// Connections open now.
    pub open: u64,
    /// Answers by [`CODES`].
    pub answers: [u64; CODES.len()],
    /// What was not served, by [`Refusal::ALL`].
    pub refused: [u64; Refusal::ALL.len()],
    /// Changed files that were taken, and that were not; none without `--web.config.file`.
    pub reloads: Option<[u64; 2]>,
}

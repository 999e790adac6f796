//! What the HTTP side counts. Plain numbers for the snapshot, atomics for those who count.

use std::sync::atomic::{AtomicU64, Ordering};

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

/// Counts.
#[derive(Debug, Default)]
pub(super) struct Counters {
    open: AtomicU64,
    answers: [AtomicU64; CODES.len()],
    refused: [AtomicU64; Refusal::ALL.len()],
}

impl Counters {
    pub(super) fn refused(&self, refusal: Refusal) {
        self.refused[refusal as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn answered(&self, code: u16) {
        let code = code.to_string();
        let at = CODES.iter().position(|known| *known == code).unwrap_or(CODES.len() - 1);
        self.answers[at].fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a connection for as long as what comes back lives.
    pub(super) fn opened(self: &std::sync::Arc<Self>) -> Open {
        self.open.fetch_add(1, Ordering::Relaxed);
        Open(self.clone())
    }

    pub(super) fn figures(&self) -> WebFigures {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        WebFigures {
            open: of(&self.open),
            answers: self.answers.each_ref().map(of),
            refused: self.refused.each_ref().map(of),
            reloads: None,
        }
    }
}

/// An open connection.
pub(super) struct Open(std::sync::Arc<Counters>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_counted_in_its_place() {
        let counters = std::sync::Arc::new(Counters::default());
        for (n, refusal) in Refusal::ALL.into_iter().enumerate() {
            (0..=n).for_each(|_| counters.refused(refusal));
        }
        [200, 401, 418, 200].into_iter().for_each(|code| counters.answered(code));
        let open = counters.opened();
        let figures = counters.figures();
        assert_eq!(figures.refused.to_vec(), (1..=Refusal::ALL.len() as u64).collect::<Vec<_>>());
        assert_eq!((figures.answers, figures.open), ([2, 1, 0, 0, 0, 0, 0, 1], 1));
        drop(open);
        assert_eq!(counters.figures().open, 0);
    }
}

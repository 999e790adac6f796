//! The table `[web]`: what a client may cost. What it is told, and who may ask, is in the file of `--web.config.file`
//! (docs/web.md). Knows no socket.

use std::time::Duration;

use serde::Deserialize;

use super::{bounds::within, duration};

/// Bounds of the HTTP side.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields, default)]
pub struct Web {
    /// Connections at once; one more is closed.
    pub connections: u64,
    /// Time for a TLS handshake.
    #[serde(deserialize_with = "duration")]
    pub handshake_timeout: Duration,
    /// Time for a request's header, from its first byte, or the connection's beginning, on.
    #[serde(deserialize_with = "duration")]
    pub header_timeout: Duration,
    /// Time for a request, to the last byte of its answer.
    #[serde(deserialize_with = "duration")]
    pub request_timeout: Duration,
    /// Time that a connection stays open between two requests.
    #[serde(deserialize_with = "duration")]
    pub idle_timeout: Duration,
    /// Bytes of a request's header.
    pub header_bytes: u64,
    /// Header lines of a request.
    pub header_lines: u64,
    /// Bytes of a request's path and query.
    pub target_bytes: u64,
}

impl Default for Web {
    fn default() -> Self {
        Self {
            connections: 64,
            handshake_timeout: Duration::from_secs(10),
            header_timeout: Duration::from_secs(10),
            request_timeout: Duration::from_secs(60),
            idle_timeout: Duration::from_secs(150),
            header_bytes: 16 << 10,
            header_lines: 64,
            target_bytes: 2048,
        }
    }
}

/// Shortest and longest of the times.
const TIMES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(3600));

impl Web {
    /// Whether the values are ones that can be served with.
    ///
    /// # Errors
    ///
    /// Names the key and its bounds.
    pub fn check(&self) -> Result<(), String> {
        within("web.connections", &self.connections, &1, &10_000)?;
        within("web.handshake_timeout", &self.handshake_timeout, &TIMES.0, &TIMES.1)?;
        within("web.header_timeout", &self.header_timeout, &TIMES.0, &TIMES.1)?;
        within("web.request_timeout", &self.request_timeout, &TIMES.0, &TIMES.1)?;
        within("web.idle_timeout", &self.idle_timeout, &TIMES.0, &TIMES.1)?;
        // Below 8 KiB hyper has no bound of its own to keep.
        within("web.header_bytes", &self.header_bytes, &(8 << 10), &(1 << 20))?;
        within("web.header_lines", &self.header_lines, &8, &1_000)?;
        within("web.target_bytes", &self.target_bytes, &64, &(32 << 10))
    }
}

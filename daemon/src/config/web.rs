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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, bounds::Shown as _};

    #[test]
    fn the_page_has_every_key_with_its_default() {
        let web = Web::default();
        let shown = [
            ("connections", web.connections.shown()),
            ("handshake_timeout", web.handshake_timeout.shown()),
            ("header_timeout", web.header_timeout.shown()),
            ("request_timeout", web.request_timeout.shown()),
            ("idle_timeout", web.idle_timeout.shown()),
            ("header_bytes", web.header_bytes.shown()),
            ("header_lines", web.header_lines.shown()),
            ("target_bytes", web.target_bytes.shown()),
        ];
        let page = include_str!("../../../docs/web.md");
        for (key, default) in shown {
            assert!(page.contains(&format!("| `{key}` | {default} |")), "{key}: {default}");
        }
        for refusal in crate::model::web::Refusal::ALL {
            assert!(page.contains(&format!("`{}`", refusal.name())), "{}", refusal.name());
        }
    }

    #[test]
    fn bounds_are_checked() {
        let wrong = |text: &str, parts: &[&str]| {
            let message = Config::parse(&format!("[web]\n{text}\n")).unwrap_err();
            assert!(parts.iter().all(|part| message.contains(part)), "{message}");
        };
        wrong("connections = 0", &["web.connections", "between 1 and 10000"]);
        wrong("header_timeout = \"1ms\"", &["web.header_timeout", "100ms"]);
        wrong("header_bytes = 100", &["web.header_bytes", "8192"]);
        wrong("sockets = 1", &["line 2", "sockets"]);
    }
}

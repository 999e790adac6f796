//! A whole scrape, family by family: only one of them is in memory at a time.

use std::sync::Arc;

use prost::bytes::Bytes;

use super::{catalogue::CATALOGUE, negotiate::Format, protobuf, text};
use crate::model::Snapshot;

/// The pieces of a scrape, in order.
pub struct Scrape {
    snapshot: Arc<Snapshot>,
    format: Format,
    /// Of the catalogue; one behind it is the end.
    next: usize,
}

impl Scrape {
    /// Of a snapshot.
    #[must_use]
    pub fn new(snapshot: Arc<Snapshot>, format: Format) -> Self {
        Self { snapshot, format, next: 0 }
    }

    /// All of it as text; of protobuf nothing that can be read.
    #[must_use]
    pub fn text(self) -> String {
        let bytes: Vec<u8> = self.flatten().collect();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// One place of the catalogue; empty where there is nothing to tell.
    fn piece(&self, at: usize) -> Bytes {
        let Some(family) = CATALOGUE.get(at) else {
            return if self.format == Format::OpenMetrics { text::END.into() } else { Bytes::new() };
        };
        if !family.is_measured(&self.snapshot.hooks) {
            return Bytes::new();
        }
        if self.format == Format::Protobuf {
            return protobuf::encode(family, &self.snapshot);
        }
        let mut out = String::new();
        text::encode(family, &self.snapshot, self.format == Format::OpenMetrics, &mut out);
        out.into()
    }
}

impl Iterator for Scrape {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        while self.next <= CATALOGUE.len() {
            let piece = self.piece(self.next);
            self.next += 1;
            if !piece.is_empty() {
                return Some(piece);
            }
        }
        None
    }
}

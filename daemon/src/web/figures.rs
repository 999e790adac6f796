//! What the HTTP side counts as it goes.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::model::web::{CODES, Refusal, WebFigures};

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

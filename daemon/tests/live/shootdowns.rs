//! Which flushes asked another CPU, and which of these were answered, by the kernel's own trace. A CPU that is lazy at the moment
//! is not asked, although the flush is for it too.

use super::trace::Trace;

/// Watches flushes that ask other CPUs, and what these do about it.
pub(crate) struct Watch {
    trace: Trace,
    has_answers: bool,
}

/// What was seen of one task.
#[derive(Debug)]
pub(crate) struct Seen {
    /// Flushes for another CPU too.
    pub(crate) asked: usize,
    /// Those that another CPU answered; none where the kernel does not let that be seen.
    pub(crate) answered: Option<usize>,
}

impl Watch {
    /// `asks` is the function that asks; `has_answers` tells whether the one that answers is there.
    pub(crate) fn start(asks: &str, has_answers: bool) -> Self {
        let (ask, done) = (format!("p:ours/ask {asks} info=$arg2:x64"), format!("r:ours/done {asks}"));
        let mut events = vec![&*ask, &done];
        if has_answers {
            events.push("p:ours/answer flush_tlb_func info=$arg1:x64");
        }
        Self { trace: Trace::of(&events), has_answers }
    }

    /// Ends it; what tasks of this name did.
    pub(crate) fn end(self, comm: &str) -> Seen {
        let (mut asked, mut answered) = (0, 0);
        // Of the one under way: who asks, about what.
        let mut flush = None;
        for line in self.trace.end() {
            match &*line.event {
                "ask" if line.comm == comm => {
                    asked += 1;
                    flush = Some((line.cpu, line.argument("info").to_owned()));
                }
                "done" if line.comm == comm => flush = None,
                "answer" => {
                    let is_it = |(cpu, info): &(u32, String)| *cpu != line.cpu && info == line.argument("info");
                    if flush.as_ref().is_some_and(is_it) {
                        answered += 1;
                        flush = None;
                    }
                }
                _ => {}
            }
        }
        Seen { asked, answered: self.has_answers.then_some(answered) }
    }
}

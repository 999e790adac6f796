//! Which flushes were answered by another CPU, by the kernel's own trace. One that is lazy at the moment is not asked, although
//! the flush is for it too.

use super::trace::Trace;

/// Watches flushes that ask other CPUs, and what these do about it.
pub(crate) struct Watch(Trace);

impl Watch {
    pub(crate) fn start() -> Self {
        Self(Trace::of(&[
            "p:ours/ask native_flush_tlb_multi info=$arg2:x64",
            "p:ours/answer flush_tlb_func info=$arg1:x64",
            "r:ours/done native_flush_tlb_multi",
        ]))
    }

    /// Ends it; the flushes of tasks of this name, and those that another CPU answered.
    pub(crate) fn end(self, comm: &str) -> (usize, usize) {
        let (mut asked, mut answered) = (0, 0);
        // Of the one under way: who asks, about what.
        let mut flush = None;
        for line in self.0.end() {
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
        (asked, answered)
    }
}

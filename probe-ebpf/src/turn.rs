//! A kernel that preempts tasks inside the kernel may preempt a program, and skips that program on that processor until
//! it goes on. So there each hook has a second program with the same work: it runs right after the first, sees in the
//! task's books whether the first has run, and steps in where it has not.

use crate::tasks;

/// Which of a hook's two programs runs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Turn {
    /// The one that does the work.
    First,
    /// The one that looks whether it was done.
    Again,
}

impl Turn {
    /// As [`tasks::count_orphan`]; to the second program an end without a beginning is one that the first has seen.
    #[inline(always)]
    pub(crate) fn count_orphan(self, known: bool, older: u32, unseen: u32) {
        if self == Self::First {
            tasks::count_orphan(known, older, unseen);
        }
    }
}

/// The two programs of a hook: name and name of the second, and what both call with their turn.
macro_rules! programs {
    ($(#[$attribute:ident($key:ident = $target:literal)] $context:ident: $first:ident, $again:ident => $call:expr;)*) => {$(
        #[$attribute($key = $target)]
        fn $first(ctx: $context) -> i32 {
            $call(&ctx, $crate::turn::Turn::First)
        }

        #[$attribute($key = $target)]
        fn $again(ctx: $context) -> i32 {
            $call(&ctx, $crate::turn::Turn::Again)
        }
    )*};
}
pub(crate) use programs;

//! A kernel that preempts tasks inside the kernel may preempt a program, and skips that program on that processor until
//! it goes on. So there each hook has more programs with the same work: they run right after the first, see in the
//! task's books whether it was done, and step in where it was not.

use crate::tasks;

/// Which of a hook's programs runs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Turn {
    /// The one that does the work.
    First,
    /// One that looks whether it was done.
    Again,
    /// As [`Turn::Again`]; none comes after it.
    Last,
}

impl Turn {
    /// As [`tasks::count_orphan`]; to a later program an end without a beginning is one that the first has seen.
    #[inline(always)]
    pub(crate) fn count_orphan(self, known: bool, older: u32, unseen: u32) {
        if self == Self::First {
            tasks::count_orphan(known, older, unseen);
        }
    }

    /// What each program of a hook leaves in the task's books where nothing else tells that it ran.
    #[inline(always)]
    pub(crate) fn number(self) -> u32 {
        match self {
            Self::First => 1,
            Self::Again => 2,
            Self::Last => 3,
        }
    }

    /// Whether the program that left `last` ran for the same event. They run in their order: one that is not behind it in that
    /// is another event's.
    #[inline(always)]
    pub(crate) fn follows(self, last: u32) -> bool {
        last != 0 && last < self.number()
    }
}

/// The programs of a hook: their names in the order of their turns, and what all call with their turn.
macro_rules! programs {
    ($(#[$attribute:ident($key:ident = $target:literal)] $context:ident:
        $first:ident, $again:ident, $last:ident => $call:expr;)*) => {$(
        #[$attribute($key = $target)]
        fn $first(ctx: $context) -> i32 {
            $call(&ctx, $crate::turn::Turn::First)
        }

        #[$attribute($key = $target)]
        fn $again(ctx: $context) -> i32 {
            $call(&ctx, $crate::turn::Turn::Again)
        }

        #[$attribute($key = $target)]
        fn $last(ctx: $context) -> i32 {
            $call(&ctx, $crate::turn::Turn::Last)
        }
    )*};
}
pub(crate) use programs;

//! A kernel that preempts tasks inside the kernel may preempt a program, and skips that program on that processor until
//! it goes on. So there each hook has more programs with the same work: they run right after the first, see in the
//! task's books whether it was done, and step in where it was not.
//!
//! A hook of a function has the same work as a kprobe once more, for kernels without fentry. A kprobe is never preempted, so one
//! program is enough.

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
    ($(#[$($attribute:ident)::+($key:ident = $target:literal)] $context:path:
        $first:ident, $again:ident, $last:ident => $call:expr;)*) => {$(
        #[$($attribute)::+($key = $target)]
        fn $first(ctx: $context) -> i32 {
            $call(&ctx, $crate::turn::Turn::First)
        }

        #[$($attribute)::+($key = $target)]
        fn $again(ctx: $context) -> i32 {
            $call(&ctx, $crate::turn::Turn::Again)
        }

        #[$($attribute)::+($key = $target)]
        fn $last(ctx: $context) -> i32 {
            $call(&ctx, $crate::turn::Turn::Last)
        }
    )*};
}
pub(crate) use programs;

/// The programs of functions' entries: three by fentry, one by kprobe.
macro_rules! entries {
    ($($target:literal: $first:ident, $again:ident, $last:ident, $kprobe:ident => $call:expr;)*) => {$(
        $crate::turn::programs! {
            #[aya_ebpf::macros::fentry(function = $target)] aya_ebpf::programs::FEntryContext: $first, $again, $last => $call;
        }
        $crate::turn::by_kprobe! { $target: $kprobe => |ctx| $call(ctx, $crate::turn::Turn::First) }
    )*};
}
pub(crate) use entries;

/// The programs of functions' returns that need none of the arguments: three by fexit, one by kretprobe.
macro_rules! exits {
    ($($target:literal: $first:ident, $again:ident, $last:ident, $kprobe:ident => $call:expr;)*) => {$(
        $crate::turn::programs! {
            #[aya_ebpf::macros::fexit(function = $target)] aya_ebpf::programs::FExitContext: $first, $again, $last => $call;
        }
        $crate::turn::by_kretprobe! { $target: $kprobe => |ctx| $call(ctx, $crate::turn::Turn::First) }
    )*};
}
pub(crate) use exits;

/// The programs of functions' returns that need arguments: three by fexit, which has them, one by kretprobe, and the kprobe that
/// keeps them for it in a place of [`crate::calls`].
macro_rules! exits_keeping {
    ($($target:literal keeps $place:path [$($name:ident = $argument:path),+]:
        $first:ident, $again:ident, $last:ident, $kprobe:ident, $keeper:ident => $call:expr;)*) => {$(
        #[aya_ebpf::macros::fexit(function = $target)]
        fn $first(ctx: aya_ebpf::programs::FExitContext) -> i32 {
            $call(&ctx, $($argument(&ctx)),+, $crate::turn::Turn::First)
        }

        #[aya_ebpf::macros::fexit(function = $target)]
        fn $again(ctx: aya_ebpf::programs::FExitContext) -> i32 {
            $call(&ctx, $($argument(&ctx)),+, $crate::turn::Turn::Again)
        }

        #[aya_ebpf::macros::fexit(function = $target)]
        fn $last(ctx: aya_ebpf::programs::FExitContext) -> i32 {
            $call(&ctx, $($argument(&ctx)),+, $crate::turn::Turn::Last)
        }

        $crate::turn::by_kretprobe! { $target: $kprobe => |ctx| match $crate::calls::take::<{ $place }, _>() {
            Some([$($name),+]) => $call(ctx, $($name),+, $crate::turn::Turn::First),
            None => 0,
        } }
        $crate::turn::by_kprobe! { $target: $keeper => |ctx| {
            $crate::calls::keep::<{ $place }, _>([$($argument(ctx)),+])
        } }
    )*};
}
pub(crate) use exits_keeping;

/// As [`entries`], of functions that are called with preemption off.
macro_rules! entries_alone {
    ($($target:literal: $first:ident, $kprobe:ident => $call:expr;)*) => {$(
        #[aya_ebpf::macros::fentry(function = $target)]
        fn $first(ctx: aya_ebpf::programs::FEntryContext) -> i32 {
            $call(&ctx)
        }
        $crate::turn::by_kprobe! { $target: $kprobe => |ctx| $call(ctx) }
    )*};
}
pub(crate) use entries_alone;

/// As [`exits`], of functions that are called with preemption off.
macro_rules! exits_alone {
    ($($target:literal: $first:ident, $kprobe:ident => $call:expr;)*) => {$(
        #[aya_ebpf::macros::fexit(function = $target)]
        fn $first(ctx: aya_ebpf::programs::FExitContext) -> i32 {
            $call(&ctx)
        }
        $crate::turn::by_kretprobe! { $target: $kprobe => |ctx| $call(ctx) }
    )*};
}
pub(crate) use exits_alone;

/// One program at a function's entry.
macro_rules! by_kprobe {
    ($target:literal: $name:ident => |$ctx:ident| $work:expr) => {
        #[aya_ebpf::macros::kprobe(function = $target)]
        fn $name(ctx: aya_ebpf::programs::ProbeContext) -> i32 {
            let $ctx = &ctx;
            $work
        }
    };
}
pub(crate) use by_kprobe;

/// One program at a function's return.
macro_rules! by_kretprobe {
    ($target:literal: $name:ident => |$ctx:ident| $work:expr) => {
        #[aya_ebpf::macros::kretprobe(function = $target)]
        fn $name(ctx: aya_ebpf::programs::RetProbeContext) -> i32 {
            let $ctx = &ctx;
            $work
        }
    };
}
pub(crate) use by_kretprobe;

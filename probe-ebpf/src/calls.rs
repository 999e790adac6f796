//! Arguments of functions that are under way, for the programs at their return: a kretprobe has none of them. What a function
//! was called with is kept beside the task's entry, in the function's own place.

pub(crate) use probe_common::call::{CHANGE, DOWN, FINISH, FLUSH, GATHER, GATHER_VMA, SLOWPATH, TRYLOCK, UNMAP};
use probe_common::{lost, task::BUSY_CALL};

use crate::{
    maps::{call, count_lost, get, set},
    tasks,
};

/// A function was called. One that is still under way by the books has returned unseen.
#[inline(always)]
pub(crate) fn keep<const PLACE: usize, const N: usize>(arguments: [u64; N]) -> i32 {
    // The end of a window makes no books: a task that has none tells by this that it is older than the probes.
    let found = if PLACE == FINISH { tasks::find() } else { tasks::current() };
    let Some(task) = found else { return 0 };
    if get!(task, busy) & (BUSY_CALL << PLACE) != 0 {
        count_lost(lost::CALL_OVERWRITTEN);
    }
    let Some(entry) = call(get!(task, index)) else { return 0 };
    let mut n = 0;
    while n < N {
        set!(entry, words[PLACE + n] = arguments[n]);
        n += 1;
    }
    tasks::begin(task, BUSY_CALL << PLACE);
    0
}

/// It returned: what it was called with.
#[inline(always)]
pub(crate) fn take<const PLACE: usize, const N: usize>() -> Option<[u64; N]> {
    let found = tasks::find();
    let known = found.is_some();
    if let Some(task) = found
        && get!(task, busy) & (BUSY_CALL << PLACE) != 0
    {
        tasks::end(task, BUSY_CALL << PLACE);
        let entry = call(get!(task, index))?;
        let mut arguments = [0; N];
        let mut n = 0;
        while n < N {
            arguments[n] = get!(entry, words[PLACE + n]);
            n += 1;
        }
        return Some(arguments);
    }
    tasks::count_orphan(known, lost::CALL_OLDER_THAN_ATTACH, lost::CALL_RETURN_WITHOUT_ENTRY);
    None
}

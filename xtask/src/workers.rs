//! Several guests at a time: each is emulated in one thread, so as many as there are processors.

use std::thread;

use anyhow::{Context, Result};
use rayon::ThreadPoolBuilder;
use rayon::iter::{ParallelBridge, ParallelIterator};

/// More guests than this at once would need more memory than a small machine has.
const MOST: usize = 4;

/// Does the work on every item, several at a time, begun in the order of the items; the results are in that order too.
pub(crate) fn in_parallel<I: Send, T: Send>(items: Vec<I>, work: impl Fn(I) -> T + Sync + Send) -> Result<Vec<T>> {
    in_lanes(processors(), items, work)
}

/// The same, and one more at a time than there are processors: for guests that wait as much as they work.
pub(crate) fn in_many_lanes<I: Send, T: Send>(items: Vec<I>, work: impl Fn(I) -> T + Sync + Send) -> Result<Vec<T>> {
    in_lanes(processors() + 1, items, work)
}

/// How many this host has.
pub(crate) fn processors() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

fn in_lanes<I: Send, T: Send>(lanes: usize, items: Vec<I>, work: impl Fn(I) -> T + Sync + Send) -> Result<Vec<T>> {
    let pool = ThreadPoolBuilder::new().num_threads(lanes.min(MOST)).build().context("start threads")?;
    // A bridge hands them out one by one; splitting the list would begin somewhere in its middle.
    let numbered = items.into_iter().enumerate().par_bridge();
    let mut done: Vec<(usize, T)> = pool.install(|| numbered.map(|(number, item)| (number, work(item))).collect());
    done.sort_by_key(|(number, _)| *number);
    Ok(done.into_iter().map(|(_, result)| result).collect())
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::{in_lanes, in_parallel};

    #[test]
    fn results_stand_as_the_items_do() {
        assert_eq!(
            in_parallel((0..100).collect(), |n: u32| n * 2).unwrap(),
            (0..100).map(|n| n * 2).collect::<Vec<_>>()
        );
    }

    #[test]
    fn work_begins_in_the_order_of_the_items() {
        let begun = Mutex::new(Vec::new());
        in_lanes(1, (0..100).collect(), |n: u32| begun.lock().unwrap().push(n)).unwrap();
        assert_eq!(*begun.lock().unwrap(), (0..100).collect::<Vec<_>>());
    }
}

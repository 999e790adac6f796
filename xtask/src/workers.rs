//! Several guests at a time: each is emulated in one thread, so as many as there are processors.

use std::thread;

use anyhow::{Context, Result};
use rayon::ThreadPoolBuilder;
use rayon::iter::{IndexedParallelIterator, IntoParallelIterator, ParallelIterator};

/// More guests than this at once would need more memory than a small machine has.
const MOST: usize = 4;

/// Does the work on every item, several at a time; the results in the order of the items.
pub(crate) fn in_parallel<I: Send, T: Send>(items: Vec<I>, work: impl Fn(I) -> T + Sync + Send) -> Result<Vec<T>> {
    let count = thread::available_parallelism().map_or(1, usize::from).min(MOST);
    let pool = ThreadPoolBuilder::new().num_threads(count).build().context("start threads")?;
    Ok(pool.install(|| items.into_par_iter().with_max_len(1).map(work).collect()))
}

//! Who waited for mmap_lock because of whom: operations of waiters by operations of holders.

use maud::{Markup, html};
use probe_common::series::{HOLDERS, OPERATIONS};
use serde::Serialize;

use super::{Asked, Moment, Period, missing, words};

/// Shades of a cell, from the faintest.
const SHADES: usize = 6;

/// The matrix, without operations that nobody waited in or for.
#[derive(Serialize)]
pub(super) struct Blame {
    recent: Matrix,
    total: Matrix,
    /// Why it is not measured.
    missing: Option<String>,
}

#[derive(Serialize)]
struct Matrix {
    waiters: Vec<&'static str>,
    /// `unknown` is a hold that was not seen.
    holders: Vec<&'static str>,
    /// By waiter, then by holder.
    blocked_ns: Vec<Vec<u64>>,
}

impl Matrix {
    fn new(blocked_ns: &[u64]) -> Self {
        let holder = |n: usize| OPERATIONS.get(n).copied().unwrap_or("unknown");
        let at = |waiter: usize, holder: usize| blocked_ns.get(waiter * HOLDERS + holder).copied().unwrap_or_default();
        let of_waiter = |waiter: usize| (0..HOLDERS).map(|holder| at(waiter, holder)).sum::<u64>();
        let of_holder = |holder: usize| (0..OPERATIONS.len()).map(|waiter| at(waiter, holder)).sum::<u64>();
        let mut waiters: Vec<usize> = (0..OPERATIONS.len()).filter(|&n| of_waiter(n) > 0).collect();
        let mut holders: Vec<usize> = (0..HOLDERS).filter(|&n| of_holder(n) > 0).collect();
        // What matters most is in the first corner.
        waiters.sort_by_key(|&n| std::cmp::Reverse(of_waiter(n)));
        holders.sort_by_key(|&n| std::cmp::Reverse(of_holder(n)));
        Self {
            blocked_ns: waiters.iter().map(|&w| holders.iter().map(|&h| at(w, h)).collect()).collect(),
            waiters: waiters.into_iter().map(|n| OPERATIONS[n]).collect(),
            holders: holders.into_iter().map(holder).collect(),
        }
    }

    fn shade(&self, ns: u64) -> usize {
        let most = self.blocked_ns.iter().flatten().copied().max().unwrap_or_default();
        if ns == 0 || most == 0 {
            return 0;
        }
        // Each shade is a third of the one above.
        let below = (most as f64 / ns as f64).log(3.0).floor() as usize;
        SHADES.saturating_sub(below).max(1)
    }
}

impl Blame {
    pub(super) fn new(moment: &Moment<'_>) -> Self {
        Self {
            recent: Matrix::new(&moment.history.blocked()),
            total: Matrix::new(&moment.snapshot.blocked_ns),
            missing: missing("mmscope_mmap_lock_blocked_seconds_total", &moment.snapshot.hooks),
        }
    }

    pub(super) fn html(&self, asked: &Asked) -> Markup {
        let matrix = match asked.period {
            Period::Recent => &self.recent,
            Period::Start => &self.total,
        };
        html! {
            section #blame aria-labelledby="h-blame" {
                h2 #h-blame { "Who waits because of whom" }
                p.note { "Time waited for mmap_lock, by what the waiter was doing and what the holder was doing, "
                    (asked.period.title()) "." }
                @if let Some(reason) = &self.missing {
                    p.absent { "Cannot be measured on this kernel: " (reason) }
                } @else if matrix.waiters.is_empty() {
                    p.empty { "Nobody waited for mmap_lock." }
                } @else {
                    (table(matrix))
                }
            }
        }
    }
}

fn table(matrix: &Matrix) -> Markup {
    html! {
        div.scroll tabindex="0" role="region" aria-label="Table of waiters and holders" {
            table.blame {
                caption.hidden { "Waiters by row, holders by column" }
                thead {
                    tr {
                        th scope="col" { "Waiter " span.note { "↓" } " Holder " span.note { "→" } }
                        @for holder in &matrix.holders { th.n scope="col" { (holder) } }
                        th.n scope="col" { "all" }
                    }
                }
                tbody {
                    @for (waiter, row) in matrix.waiters.iter().zip(&matrix.blocked_ns) {
                        tr id={"waiter-" (waiter)} {
                            th scope="row" { (waiter) }
                            @for &ns in row {
                                td.n.{"shade" (matrix.shade(ns))} { @if ns > 0 { (words::time(ns)) } @else { "·" } }
                            }
                            td.n.sum { (words::time(row.iter().sum())) }
                        }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_comes_first_and_what_nobody_waited_for_is_left_out() {
        let mut blocked = vec![0; OPERATIONS.len() * HOLDERS];
        blocked[10 * HOLDERS] = 900;
        blocked[10 * HOLDERS + 14] = 100;
        blocked[2 * HOLDERS + 14] = 5;
        let matrix = Matrix::new(&blocked);
        assert_eq!(
            (matrix.waiters.clone(), matrix.holders.clone()),
            (vec!["fault", "mmap"], vec!["mprotect", "unknown"])
        );
        assert_eq!(matrix.blocked_ns, [[900, 100], [0, 5]]);
        assert_eq!([900, 301, 299, 5, 1, 0].map(|ns| matrix.shade(ns)), [6, 6, 5, 2, 1, 0]);
        assert!(Matrix::new(&[]).waiters.is_empty());
    }
}

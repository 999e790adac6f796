//! Two at once.

use std::time::Instant;

use nix::sys::signal::Signal;

use crate::{Stage, Told, exact, kernel::Kept, live::*};

/// Each has programs, tables and books of its own, and is a process like any other to the other one.
pub(crate) fn two(stage: &mut Stage) -> Told {
    let one = stage.daemon();
    let alone = Kept::now();
    let (code, said) = failing(mmscope().args(["run", "--web.listen-address", &one.address]));
    assert!(code == 69 && said.contains(&one.address) && said.contains("in use"), "{code}: {said}");
    alone.awaited();

    let mut other = Daemon::start(&[]);
    exact::are_exact(&[one, &other], "two-at-once");
    let by = |daemon: &Daemon| daemon.settled().sum("mmscope_mmap_lock_acquisitions_total", &[("comm", "mmscope")]);
    let (of_other, of_one) = (by(one), by(&other));
    assert!(of_other > 0.0 && of_one > 0.0, "each sees the other: {of_other}, {of_one}");
    let before = one.settled();
    let killed = Instant::now();
    other.signal(Signal::SIGKILL);
    other.end();
    alone.awaited();
    let recovered = killed.elapsed();
    exact::is_exact(one, "two-after");
    let after = one.settled();
    assert_eq!(after.lost(), before.lost(), "{}", exact::lost_between(&before, &after));
    Told {
        happened: format!(
            "a second mmscope: refused at the first one's address (exit code 69); at its own, both counted the same load to the \
             event, and each other as `comm=\"mmscope\"`; killed, it left the first one's programs alone ({alone:?})"
        ),
        lost: exact::lost_between(&before, &after),
        recovered,
    }
}

//! The wall clock jumps. What is measured and judged goes by clocks that do not.

use std::time::{Duration, Instant, SystemTime};

use nix::{
    sys::time::TimeSpec,
    time::{ClockId, clock_settime},
};

use crate::{Stage, Told, exact};

const DAY: Duration = Duration::from_secs(24 * 3600);

fn set(time: SystemTime) {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap();
    clock_settime(ClockId::CLOCK_REALTIME, TimeSpec::from_duration(since)).unwrap();
}

/// Sets the clock right again, but for what setting it takes.
struct Right {
    wall: SystemTime,
    at: Instant,
}

impl Drop for Right {
    fn drop(&mut self) {
        set(self.wall + self.at.elapsed());
    }
}

pub(crate) fn jumps(stage: &mut Stage) -> Told {
    let daemon = stage.daemon();
    let right = Right { wall: SystemTime::now(), at: Instant::now() };
    let (before, begin) = (daemon.settled(), Instant::now());
    let mut slowest = Duration::ZERO;
    let mut jumped = |to: SystemTime, name: &str| {
        set(to);
        let jumped = Instant::now();
        daemon.settled();
        slowest = slowest.max(jumped.elapsed());
        exact::is_exact(daemon, name);
    };
    jumped(SystemTime::now() + DAY, "clock-forward");
    jumped(SystemTime::now() - 2 * DAY, "clock-back");
    drop(right);
    exact::is_exact(daemon, "clock-right");
    let (after, elapsed) = (daemon.settled(), begin.elapsed());
    for name in ["clock-forward", "clock-back", "clock-right"] {
        let time = |metric: &str| after.sum(metric, &[("comm", name)]);
        for metric in ["mmscope_flush_window_seconds_sum", "mmscope_mmap_lock_hold_seconds_sum"] {
            // Outer and inner windows, reads and writes: no part is longer than the whole.
            assert!((0.0..2.0 * elapsed.as_secs_f64()).contains(&time(metric)), "{metric} of {name}: {}", time(metric));
        }
    }
    assert_eq!(exact::lost(&after, "clock_backwards"), exact::lost(&before, "clock_backwards"));
    let errors = daemon.said(&["ERROR"]);
    assert!(errors.is_empty(), "{errors:?}");
    assert_eq!(after.lost(), before.lost(), "{}", exact::lost_between(&before, &after));
    Told {
        happened: format!(
            "the wall clock a day forward, two days back, and right again: no duration longer than the run, ticks at their times, \
             every event counted; {} alerts active before, {} after",
            before.sum("mmscope_alerts_active", &[]),
            after.sum("mmscope_alerts_active", &[])
        ),
        lost: exact::lost_between(&before, &after),
        recovered: slowest,
    }
}

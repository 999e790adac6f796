//! Costs go in, orders come out.

use super::*;

const BUDGET: f64 = 0.01;

fn costs(hooks: &[(&'static str, f64)]) -> Costs {
    let hooks = hooks.iter().map(|&(hook, ratio)| (hook, Cost { ratio, runs: ratio * 1e7 })).collect();
    Costs { hooks, canary_runs: None }
}

fn at(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn within_the_budget_nothing_happens_and_looks_are_rare() {
    let mut governor = Governor::new(BUDGET);
    assert_eq!(governor.look(at(0), &costs(&[("tlb_finish_mmu", 0.001)])), Order::Stay);
    assert_eq!((governor.next_look(), governor.canary()), (QUIET, None));
    assert_eq!(governor.look(at(5), &costs(&[("tlb_finish_mmu", 0.009)])), Order::Stay);
    assert_eq!(governor.next_look(), CLOSE);
}

#[test]
fn a_small_excess_is_looked_at_twice_and_costs_the_stacks() {
    let mut governor = Governor::new(BUDGET);
    let little = costs(&[("tlb_finish_mmu", 0.012)]);
    assert_eq!(governor.look(at(0), &little), Order::Stay);
    assert_eq!(governor.next_look(), CLOSE);
    assert_eq!(governor.look(at(1), &little), Order::Shed(Level::Stacks));
    // They were not the reason.
    assert_eq!(governor.look(at(4), &little), Order::Shed(Level::Off));
}

#[test]
fn what_is_given_up_is_the_least_that_is_enough() {
    let shed = |hooks: &[(&'static str, f64)]| Governor::new(BUDGET).look(at(0), &costs(hooks));
    assert_eq!(shed(&[("do_wp_page", 0.02), ("tlb_finish_mmu", 0.005)]), Order::Shed(Level::Hazards));
    assert_eq!(shed(&[("contention_begin", 0.02), ("tlb_finish_mmu", 0.005)]), Order::Shed(Level::Waits));
    assert_eq!(shed(&[("down_read", 0.016), ("tlb_finish_mmu", 0.001)]), Order::Shed(Level::Locks));
    assert_eq!(shed(&[("down_read", 0.1), ("tlb_finish_mmu", 0.001)]), Order::Shed(Level::Off));
    assert_eq!(shed(&[("down_read", 0.001), ("tlb_finish_mmu", 0.1)]), Order::Shed(Level::Off));
}

#[test]
fn levels_follow_each_other_while_it_is_too_much() {
    let mut governor = Governor::new(BUDGET);
    assert_eq!(governor.look(at(0), &costs(&[("do_wp_page", 0.02)])), Order::Shed(Level::Hazards));
    assert_eq!(governor.look(at(1), &costs(&[("down_read", 0.018)])), Order::Shed(Level::Locks));
    assert_eq!(governor.look(at(2), &costs(&[("down_read", 0.012)])), Order::Shed(Level::Off));
    assert_eq!(governor.level(), Level::Off);
}

#[test]
fn everything_comes_back_when_the_canary_says_that_it_would_fit() {
    let mut governor = Governor::new(BUDGET);
    governor.look(at(0), &costs(&[("tlb_finish_mmu", 0.08), ("down_read", 0.02)]));
    assert_eq!((governor.level(), governor.canary()), (Level::Off, Some("tlb_finish_mmu")));
    let look = |runs| Costs { canary_runs: Some(runs), ..Costs::default() };
    // 800,000 runs a second came with a tenth of the host's time.
    for n in 1..20 {
        assert_eq!(governor.look(at(3 * n), &look(400_000.0)), Order::Stay, "half as busy");
    }
    assert_eq!(governor.look(at(60), &look(30_000.0)), Order::Stay);
    assert_eq!(governor.look(at(63), &look(50_000.0)), Order::Stay, "not in a row");
    assert_eq!(governor.look(at(66), &look(30_000.0)), Order::Stay);
    assert_eq!(governor.look(at(69), &look(30_000.0)), Order::Restore);
    assert_eq!((governor.level(), governor.canary()), (Level::Full, None));
}

#[test]
fn a_canary_that_is_not_there_makes_it_slower_and_does_not_stop_it() {
    let mut governor = Governor::new(BUDGET);
    governor.look(at(0), &costs(&[("tlb_finish_mmu", 0.08)]));
    let orders: Vec<Order> = (1..=6).map(|n| governor.look(at(3 * n), &Costs::default())).collect();
    assert_eq!(orders[..5], [Order::Stay; 5]);
    assert_eq!(orders[5], Order::Restore);
}

#[test]
fn after_a_relapse_it_has_to_be_quiet_for_longer_yet_never_for_half_a_minute() {
    let mut governor = Governor::new(BUDGET);
    let busy = costs(&[("tlb_finish_mmu", 0.08)]);
    let quiet = Costs { canary_runs: Some(0.0), ..Costs::default() };
    let mut now = 0;
    let mut waits = Vec::new();
    for _ in 0..5 {
        assert_eq!(governor.look(at(now), &busy), Order::Shed(Level::Off));
        let since = now;
        loop {
            now += governor.next_look().as_secs();
            if governor.look(at(now), &quiet) == Order::Restore {
                break;
            }
        }
        waits.push(now - since);
        now += 1;
    }
    assert_eq!(waits, [6, 12, 18, 18, 18]);
    // A relapse long after is none.
    now += 100;
    assert_eq!(governor.look(at(now), &busy), Order::Shed(Level::Off));
    assert_eq!(governor.look(at(now + 3), &quiet), Order::Stay);
    assert_eq!(governor.look(at(now + 6), &quiet), Order::Restore);
}

#[test]
fn sampled_locks_are_judged_by_what_all_of_them_would_cost() {
    let mut governor = Governor::new(BUDGET);
    assert_eq!(governor.look(at(0), &costs(&[("down_read", 0.016)])), Order::Shed(Level::Locks));
    // 0.4 of 0.0125: all of them are more than half of the budget.
    for n in 1..10 {
        assert_eq!(governor.look(at(3 * n), &costs(&[("down_read", 0.005)])), Order::Stay);
    }
    assert_eq!(governor.look(at(30), &costs(&[("down_read", 0.001)])), Order::Stay);
    assert_eq!(governor.look(at(33), &costs(&[("down_read", 0.001)])), Order::Restore);
}

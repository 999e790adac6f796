//! What is given up, in which order, when mmscope costs too much. Knows hooks by their names and no kernel.

use crate::plan::{HOOKS, Hook, HookState};

/// How much is given up. Each level includes those before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// Nothing.
    #[default]
    Full,
    /// Records come without stacks.
    Stacks,
    /// Nothing about write faults, shootdowns and reclaim.
    Hazards,
    /// No waits for `mmap_lock`.
    Waits,
    /// Of lock events one in [`probe_common::control::LOCK_SAMPLING`] is counted, for as many.
    Locks,
    /// Everything: no program runs.
    Off,
}

/// Hooks that tell hazards, and nothing that others build on.
const HAZARDS: &[&str] = &[
    "do_wp_page:exit",
    "do_wp_page",
    "native_flush_tlb_multi:exit",
    "native_flush_tlb_multi",
    "native_flush_tlb_others:exit",
    "native_flush_tlb_others",
    "flush_tlb_func",
    "arch_tlbbatch_flush",
    "try_to_unmap_one",
    "try_to_migrate_one",
];
const WAITS: &[&str] = &[
    "contention_end",
    "contention_begin",
    "rwsem_down_read_slowpath:exit",
    "rwsem_down_read_slowpath",
    "rwsem_down_write_slowpath:exit",
    "rwsem_down_write_slowpath",
];

impl Level {
    /// All, the least first.
    pub const ALL: [Self; 6] = [Self::Full, Self::Stacks, Self::Hazards, Self::Waits, Self::Locks, Self::Off];

    /// As metrics have it.
    #[must_use]
    pub fn number(self) -> u64 {
        self as u64
    }

    /// What is given up at it, beyond the level before.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Full => "nothing",
            Self::Stacks => "stacks",
            Self::Hazards => "hazards",
            Self::Waits => "waits",
            Self::Locks => "locks",
            Self::Off => "all",
        }
    }

    /// All that is given up at it, for a person.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Full => "everything is measured",
            Self::Stacks => "records come without stacks",
            Self::Hazards => "no stacks, no hazards of write faults, shootdowns and reclaim",
            Self::Waits => "no stacks, hazards and waits",
            Self::Locks => "no stacks, hazards and waits; one lock event in 64 counts for 64",
            Self::Off => "nothing is measured",
        }
    }

    /// Whether a hook's programs run at it.
    #[must_use]
    pub fn keeps(self, hook: &str) -> bool {
        self < first_without(hook)
    }

    /// The states of hooks at it; `why` it was taken is for the user.
    #[must_use]
    pub fn states(self, attached: &[HookState], why: &str) -> Vec<HookState> {
        let of = |(hook, state): (&Hook, &HookState)| match state {
            HookState::Attached(_) if !self.keeps(hook.name) => HookState::Absent(format!("{SHED}{why}")),
            state => state.clone(),
        };
        HOOKS.iter().zip(attached).map(of).collect()
    }
}

/// How the reason begins of a hook that was given up.
pub const SHED: &str = "shed: ";

/// The level from which on a hook is given up.
fn first_without(hook: &str) -> Level {
    if HAZARDS.contains(&hook) {
        Level::Hazards
    } else if WAITS.contains(&hook) {
        Level::Waits
    } else {
        Level::Off
    }
}

/// Whether a hook tells acquisitions and holds of `mmap_lock`.
pub(super) fn is_lock(hook: &str) -> bool {
    HOOKS.iter().any(|known| known.name == hook && known.way.is_some())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Tier;

    #[test]
    fn what_is_given_up_exists_and_nothing_that_stays_needs_it() {
        for name in HAZARDS.iter().chain(WAITS) {
            assert!(HOOKS.iter().any(|hook| hook.name == *name), "{name}");
        }
        for hook in HOOKS {
            if let Some(end) = hook.needs {
                assert_eq!(first_without(hook.name), first_without(end), "{}", hook.name);
            }
        }
    }

    #[test]
    fn the_words_have_the_sampling_that_there_is() {
        let sampling = probe_common::control::LOCK_SAMPLING;
        assert!(Level::Locks.words().contains(&format!("one lock event in {sampling} counts for {sampling}")));
    }

    #[test]
    fn each_level_keeps_less() {
        let all = vec![HookState::Attached(Tier::F); HOOKS.len()];
        let kept = |level: Level| {
            let states = level.states(&all, "too dear");
            states.iter().filter(|state| matches!(state, HookState::Attached(_))).count()
        };
        let counts: Vec<usize> = Level::ALL.into_iter().map(kept).collect();
        assert_eq!(counts[0], HOOKS.len());
        assert_eq!(counts[1], HOOKS.len());
        assert_eq!(counts[2], HOOKS.len() - HAZARDS.len());
        assert_eq!(counts[3], HOOKS.len() - HAZARDS.len() - WAITS.len());
        assert_eq!(counts[4], counts[3]);
        assert_eq!(counts[5], 0);
        let off = Level::Off.states(&all, "too dear");
        assert_eq!(off[0], HookState::Absent("shed: too dear".to_owned()));
    }
}

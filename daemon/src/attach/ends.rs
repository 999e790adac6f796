//! Ends whose beginnings cannot be attached.

use super::{Loaded, detach_hook};
use crate::plan::{END_ABSENT, HOOKS, Hook, HookState, NOT_NEEDED};

/// An end of which no beginning is seen would count what was never begun.
pub(super) fn give_up_lone(loaded: &mut Loaded, hooks: &mut [HookState]) {
    for (place, end) in HOOKS.iter().enumerate() {
        let Some(reason) = beginnings_missing(end, hooks).filter(|_| end.way.is_none()) else { continue };
        if let HookState::Attached(_) = hooks[place] {
            detach_hook(loaded, end);
            loaded.programs.remove(end.name);
            hooks[place] = HookState::Absent(reason);
        }
    }
}

/// Why an end is of no use, if all of its beginnings are absent.
fn beginnings_missing(end: &Hook, hooks: &[HookState]) -> Option<String> {
    let mut reason = None;
    for (beginning, state) in HOOKS.iter().zip(hooks).filter(|(hook, _)| hook.needs == Some(end.name)) {
        match state {
            HookState::Attached(_) => return None,
            HookState::Absent(why) if why.starts_with(NOT_NEEDED) => return None,
            HookState::Absent(why) => {
                reason.get_or_insert_with(|| format!("{}{END_ABSENT}{why}", beginning.name));
            }
        }
    }
    reason
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Tier;

    #[test]
    fn an_end_needs_one_of_its_beginnings() {
        let place = |name: &str| HOOKS.iter().position(|hook| hook.name == name).unwrap();
        let end = &HOOKS[place("userfaultfd_ioctl:exit")];
        let mut states = vec![HookState::Attached(Tier::F); HOOKS.len()];
        assert_eq!(beginnings_missing(end, &states), None);
        states[place("userfaultfd_ioctl")] = HookState::Absent("refused".to_owned());
        assert_eq!(beginnings_missing(end, &states).as_deref(), Some("userfaultfd_ioctl is absent: refused"));
        // Others tell the beginning.
        states[place("userfaultfd_ioctl")] = HookState::Absent(format!("{NOT_NEEDED}x is attached"));
        assert_eq!(beginnings_missing(end, &states), None);
        // One of several is enough, and what nothing needs stands alone.
        states[place("tlb_gather_mmu")] = HookState::Absent("refused".to_owned());
        assert_eq!(beginnings_missing(&HOOKS[place("tlb_finish_mmu")], &states), None);
        assert_eq!(beginnings_missing(&HOOKS[place("task_rename")], &states), None);
    }
}

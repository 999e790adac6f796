//! What else is to be known of a host: what is behind what is absent, or changes what figures mean.

use super::Plan;
use crate::kernel::{KernelFacts, Lockdown};

/// What of the host's own is behind what is absent, or changes what figures mean.
#[must_use]
pub fn notes(facts: &KernelFacts, plan: &Plan) -> Vec<String> {
    let lockdown = facts.lockdown.map(|lockdown| match lockdown {
        Lockdown::Integrity => {
            "This kernel is locked down (integrity). Programs may read its memory; the scheduler's mode in debugfs is hidden, and \
             where the kernel's build does not tell whether it preempts tasks, it is taken to."
        }
        Lockdown::Confidentiality => {
            "This kernel is locked down (confidentiality): programs may read its memory by typed pointers alone, and kprobes and \
             tracefs are refused. What cannot be measured so is absent."
        }
    });
    let controller = plan.controller.as_ref().map(|controller| {
        format!("Cgroups of v1 are mounted here: processes are told by the cgroup that the controller {controller} has them in.")
    });
    facts.types.text().into_iter().chain(lockdown.map(str::to_owned)).chain(controller).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_usual_host_has_none_and_each_other_a_sentence() {
        let said = |facts: &KernelFacts| notes(facts, &Plan::new(facts)).join(" ");
        assert_eq!(said(&KernelFacts::default()), "");
        for lockdown in [Lockdown::Integrity, Lockdown::Confidentiality] {
            let facts = KernelFacts { lockdown: Some(lockdown), ..KernelFacts::default() };
            assert!(said(&facts).contains("locked down"));
        }
    }

    #[test]
    fn a_controller_that_cannot_be_read_names_nobody() {
        let mut facts = KernelFacts { controller: Some("memory".to_owned()), ..KernelFacts::default() };
        assert_eq!(Plan::new(&facts).controller, None);
        facts.members.insert(KernelFacts::place_of_controller("memory"), 8);
        facts.members.insert("cgroup_subsys_state.cgroup".to_owned(), 0);
        assert_eq!(Plan::new(&facts).controller.as_deref(), Some("memory"));
        assert!(notes(&facts, &Plan::new(&facts)).join("").contains("controller memory"));
    }
}

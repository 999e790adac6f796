//! `mmscope doctor`: every hook, how it attaches here or why not, and what that costs.

use std::{fmt::Write as _, path::Path, process::ExitCode};

use serde::Serialize;

use crate::{
    attach::{self, Allowed, Thresholds},
    cli::DoctorArgs,
    export::CATALOGUE,
    failure::Failure,
    kernel::KernelFacts,
    plan::{self, HOOKS, HookKind, HookState, NOT_NEEDED, Plan},
    privileges,
};

/// What doctor found. Its JSON form is this.
#[derive(Debug, Serialize)]
pub struct Report {
    /// uname -r.
    kernel: String,
    /// Each hook, in the order of the table.
    hooks: Vec<HookReport>,
    /// Families that cannot be measured here.
    absent_families: Vec<&'static str>,
}

#[derive(Debug, Serialize)]
struct HookReport {
    hook: &'static str,
    /// Function or tracepoint.
    target: &'static str,
    kind: &'static str,
    attached: bool,
    tier: Option<&'static str>,
    reason: Option<String>,
    tells: &'static str,
}

impl Report {
    fn new(kernel: String, states: &[HookState]) -> Self {
        let hooks = HOOKS.iter().zip(states).map(|(hook, state)| HookReport {
            hook: hook.name,
            target: hook.target,
            kind: match hook.kind {
                HookKind::Entry => "function entry",
                HookKind::Exit => "function return",
                HookKind::Tracepoint => "tracepoint",
            },
            attached: matches!(state, HookState::Attached(_)),
            tier: match state {
                HookState::Attached(tier) => Some(tier.name()),
                HookState::Absent(_) => None,
            },
            reason: match state {
                HookState::Attached(_) => None,
                HookState::Absent(reason) => Some(reason.clone()),
            },
            tells: hook.tells,
        });
        Self {
            kernel,
            hooks: hooks.collect(),
            absent_families: CATALOGUE
                .iter()
                .filter(|family| !family.is_measured(states))
                .map(|family| family.name)
                .collect(),
        }
    }

    /// As a person reads it.
    fn text(&self) -> String {
        let mut text = format!("kernel {}\n\n", self.kernel);
        let width = self.hooks.iter().map(|hook| hook.hook.len()).max().unwrap_or_default();
        for hook in &self.hooks {
            let _ = match (&hook.tier, &hook.reason) {
                (Some(tier), _) => writeln!(text, "  {:width$}  {tier}  {}", hook.hook, hook.tells),
                (None, Some(reason)) if reason.starts_with(NOT_NEEDED) => {
                    writeln!(text, "  {:width$}  -  {reason}", hook.hook)
                }
                (None, reason) => writeln!(
                    text,
                    "  {:width$}  -  absent: {}\n  {:width$}     costs: {}",
                    hook.hook,
                    reason.as_deref().unwrap_or("unknown"),
                    "",
                    hook.tells
                ),
            };
        }
        if self.absent_families.is_empty() {
            text.push_str("\nEverything that mmscope knows to measure can be measured here.\n");
        } else {
            text.push_str("\nCannot be measured here, and absent from the metrics:\n");
            for family in &self.absent_families {
                let _ = writeln!(text, "  {family}");
            }
        }
        text
    }

    /// 0 when every family can be measured, 1 when some cannot.
    fn code(&self) -> ExitCode {
        if self.absent_families.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}

/// Attaches for a moment and tells.
///
/// # Errors
///
/// When nothing at all can be measured.
pub fn doctor(args: &DoctorArgs) -> Result<ExitCode, Failure> {
    if args.facts {
        return print(&read_facts()?);
    }
    privileges::check(Path::new("/"))?;
    let facts = read_facts()?;
    let plan = Plan::new(&facts);
    privileges::raise_memlock();
    let mut loaded = attach::load(&plan, Thresholds::NEVER, args.probes.object.as_deref())?;
    let hooks = attach::attach(&mut loaded, &plan, Allowed::all_but(&args.probes.without))?;
    drop(loaded);
    let report = Report::new(facts.release, &hooks);
    if args.json {
        print(&report)?;
    } else {
        print!("{}", report.text());
    }
    Ok(report.code())
}

fn read_facts() -> Result<KernelFacts, Failure> {
    plan::read_facts(Path::new("/")).map_err(|error| Failure::Nothing(error.to_string()))
}

fn print(value: &impl Serialize) -> Result<ExitCode, Failure> {
    let json = serde_json::to_string_pretty(value).map_err(|error| Failure::System(format!("write JSON: {error}")))?;
    println!("{json}");
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Tier;

    #[test]
    fn the_text_names_what_is_absent_and_what_it_costs() {
        let mut states = vec![HookState::Attached(Tier::F); HOOKS.len()];
        let index = HOOKS.iter().position(|hook| hook.name == "handle_userfault").unwrap();
        states[index] = HookState::Absent("fentry refused at load: Operation not permitted".to_owned());
        let report = Report::new("6.18.0".to_owned(), &states);
        let text = report.text();
        assert!(text.contains("absent: fentry refused at load: Operation not permitted"));
        assert!(text.contains("costs: userfaults"));
        assert!(text.contains("\n  mmscope_userfault_seconds\n"));
        assert_eq!(report.absent_families, ["mmscope_userfault_seconds", "mmscope_userfaults_in_flight"]);
    }

    #[test]
    fn what_is_not_needed_costs_nothing() {
        let mut states = vec![HookState::Attached(Tier::F); HOOKS.len()];
        let index = HOOKS.iter().position(|hook| hook.name == "exit_mmap").unwrap();
        states[index] = HookState::Absent(format!("{NOT_NEEDED}tlb_gather_mmu_fullmm is attached"));
        let text = Report::new("6.18.0".to_owned(), &states).text();
        assert!(text.contains("not needed: tlb_gather_mmu_fullmm is attached") && !text.contains("costs"), "{text}");
    }

    #[test]
    fn with_all_hooks_nothing_is_absent() {
        let report = Report::new("6.18.0".to_owned(), &vec![HookState::Attached(Tier::F); HOOKS.len()]);
        assert!(report.text().contains("Everything"));
        assert!(report.absent_families.is_empty());
    }
}

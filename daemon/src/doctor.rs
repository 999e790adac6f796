//! `mmscope doctor`: every hook, how it attaches here or why not, and what that costs.

use std::{collections::BTreeMap, fmt::Write as _, path::Path, process::ExitCode};

use serde::Serialize;

use crate::{
    attach::{self, Source, Thresholds},
    cli::DoctorArgs,
    export::CATALOGUE,
    failure::Failure,
    kernel::KernelFacts,
    plan::{self, Answer, Extent, HookKind, HookState, NOT_NEEDED, Plan},
    privileges,
};

/// What doctor found. Its JSON form is this.
#[derive(Debug, Serialize)]
pub struct Report {
    /// uname -r.
    kernel: String,
    /// Each hook, in the order of the table.
    hooks: Vec<HookReport>,
    /// How far the questions are answered here.
    questions: Vec<Answer>,
    /// Tasks are preempted inside this kernel, programs too: each hook has a second one.
    function_programs: usize,
    tracepoint_programs: usize,
    /// Why functions are probed by kprobes, where they are: the reason against fentry of the first of them.
    kprobes_because: Option<String>,
    /// Whether the kernel tells what kprobes miss; none where there are none.
    kprobe_misses_told: Option<bool>,
    /// What else is to be known of this host, a sentence each.
    host: Vec<String>,
    /// Loaded programs, with the instructions that the verifier looked at where the kernel tells.
    programs: BTreeMap<String, Option<u32>>,
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
    /// Hooks that are attached in its place.
    instead: Vec<&'static str>,
    tells: &'static str,
}

impl Report {
    fn new(kernel: String, plan: &Plan, states: &[HookState]) -> Self {
        let hooks = plan::of_host(states).map(|(hook, state)| HookReport {
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
            instead: match state {
                HookState::Attached(_) => Vec::new(),
                HookState::Absent(_) => plan::stand_ins(states, hook.name),
            },
            tells: hook.tells,
        });
        Self {
            kernel,
            hooks: hooks.collect(),
            questions: plan::answers(plan, states),
            function_programs: plan.function_programs,
            tracepoint_programs: plan.tracepoint_programs,
            kprobes_because: None,
            kprobe_misses_told: None,
            host: Vec::new(),
            programs: BTreeMap::new(),
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
                (None, reason) => {
                    let (word, what) = match hook.instead.as_slice() {
                        [] => ("costs", hook.tells.to_owned()),
                        hooks => ("instead", hooks.join(", ")),
                    };
                    let reason = reason.as_deref().unwrap_or("unknown");
                    writeln!(text, "  {:width$}  -  absent: {reason}\n  {:width$}     {word}: {what}", hook.hook, "")
                }
            };
        }
        for note in &self.host {
            let _ = writeln!(text, "\n{}", textwrap::fill(note, WIDTH));
        }
        if let Some(reason) = &self.kprobes_because {
            let _ = writeln!(text, "\nFunctions are probed by kprobes (K), fentry is not to be had: {reason}.");
        }
        if self.kprobe_misses_told == Some(false) {
            text.push_str(
                "What kprobes miss cannot be told here, as tracefs cannot be written: mmscope_probe_misses_total of these hooks is\n\
                 absent, and returns are missed when more calls of a function are under way than the kernel sets itself.\n",
            );
        }
        text.push_str(match (self.function_programs, self.tracepoint_programs) {
            (0 | 1, _) => "",
            (_, 0 | 1) => {
                "\nThis kernel may preempt a function's program, and skips it on that processor meanwhile: where that can\n\
                 be, a second one steps in. What neither sees is in mmscope_probe_misses_total.\n"
            }
            _ => {
                "\nThis kernel may preempt a program, and skips it on that processor meanwhile: where that can be, two\n\
                 more step in. What none of the three sees is in mmscope_probe_misses_total.\n"
            }
        });
        text.push_str("\nWhat is answered here:\n");
        for answer in &self.questions {
            let extent = match answer.answer {
                Extent::Answered => "answered",
                Extent::Partly => "partly",
                Extent::No => "no",
            };
            let _ = writeln!(text, "  {}. {extent:<8}  {}", answer.number, answer.question);
            if !answer.missing_here.is_empty() {
                let _ = writeln!(text, "               missing here: {}", answer.missing_here.join("; "));
            }
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

/// Characters of a line of prose.
const WIDTH: usize = 110;

/// Attaches for a moment and tells.
///
/// # Errors
///
/// When nothing at all can be measured.
pub fn doctor(args: &DoctorArgs) -> Result<ExitCode, Failure> {
    if args.facts {
        return print(&read_facts(args)?);
    }
    privileges::check(Path::new("/"))?;
    let facts = read_facts(args)?;
    let plan = Plan::new(&facts);
    privileges::raise_memlock();
    let (targets, object) = (&facts.targets, args.probes.object.as_deref());
    let source = Source { plan: &plan, targets, thresholds: Thresholds::NEVER, timeline: None, object };
    let (loaded, (), hooks) = attach::start(&source, &args.probes.allowed(), |_| Ok(()))?;
    let host = plan::notes(&facts, &plan);
    let mut report = Report::new(facts.release, &plan, &hooks);
    report.host = host;
    report.programs = attach::verified(&loaded);
    report.kprobes_because = loaded.against_fentry().map(str::to_owned);
    report.kprobe_misses_told = loaded.tells_kprobe_misses();
    if report.kprobes_because.is_some() {
        // A kprobe is not preempted, and nothing steps in for it.
        report.function_programs = 1;
    }
    drop(loaded);
    if args.json {
        print(&report)?;
    } else {
        print!("{}", report.text());
    }
    Ok(report.code())
}

fn read_facts(args: &DoctorArgs) -> Result<KernelFacts, Failure> {
    Ok(plan::read_facts(Path::new("/"), args.probes.btf.as_deref())?)
}

fn print(value: &impl Serialize) -> Result<ExitCode, Failure> {
    let json = serde_json::to_string_pretty(value).map_err(|error| Failure::System(format!("write JSON: {error}")))?;
    println!("{json}");
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{HOOKS, Tier};

    fn plan() -> Plan {
        Plan::new(&KernelFacts::default())
    }

    #[test]
    fn the_text_names_what_is_absent_and_what_it_costs() {
        let mut states = vec![HookState::Attached(Tier::F); HOOKS.len()];
        let index = HOOKS.iter().position(|hook| hook.name == "handle_userfault").unwrap();
        states[index] = HookState::Absent("fentry refused at load: Operation not permitted".to_owned());
        let report = Report::new("6.18.0".to_owned(), &plan(), &states);
        let text = report.text();
        assert!(text.contains("absent: fentry refused at load: Operation not permitted"));
        assert!(text.contains("costs: userfaults"));
        assert!(text.contains("\n  mmscope_userfault_seconds\n"));
        assert_eq!(
            report.absent_families,
            ["mmscope_userfault_seconds", "mmscope_userfaults_in_flight", "mmscope_userfault_repeats_total"]
        );
    }

    #[test]
    fn what_is_not_needed_costs_nothing() {
        let mut states = vec![HookState::Attached(Tier::F); HOOKS.len()];
        let index = HOOKS.iter().position(|hook| hook.name == "mwriteprotect_range").unwrap();
        states[index] = HookState::Absent(format!("{NOT_NEEDED}change_protection is attached"));
        let text = Report::new("6.18.0".to_owned(), &plan(), &states).text();
        assert!(text.contains("not needed: change_protection is attached") && !text.contains("costs"), "{text}");
    }

    #[test]
    fn kprobes_are_told_with_their_reason() {
        let mut report = Report::new("6.1.0".to_owned(), &plan(), &vec![HookState::Attached(Tier::K); HOOKS.len()]);
        assert!(!report.text().contains("kprobes"));
        report.kprobes_because = Some("fexit refused at load: Operation not permitted".to_owned());
        report.kprobe_misses_told = Some(true);
        let text = report.text();
        assert!(
            text.contains("by kprobes (K), fentry is not to be had: fexit refused at load: Operation not permitted."),
            "{text}"
        );
        assert!(text.contains("  K  pending-flush windows\n") && !text.contains("miss cannot be told"), "{text}");
        report.kprobe_misses_told = Some(false);
        assert!(report.text().contains("miss cannot be told"));
    }

    #[test]
    fn with_all_hooks_nothing_is_absent() {
        let report = Report::new("6.18.0".to_owned(), &plan(), &vec![HookState::Attached(Tier::F); HOOKS.len()]);
        assert!(report.text().contains("Everything"));
        assert!(report.absent_families.is_empty());
    }
}

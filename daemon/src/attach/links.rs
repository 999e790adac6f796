//! The programs of attached hooks: given up and taken back while mmscope runs, in the order in which they were attached first.

use std::{
    collections::BTreeMap,
    os::fd::{AsFd as _, AsRawFd as _, RawFd},
};

use aya::{
    Btf, Ebpf,
    maps::{Array, Map},
    programs::{
        FEntry, FExit, Program, ProgramError, fentry::FEntryLink, fexit::FExitLink, raw_trace_point::RawTracePointLink,
        tp_btf::BtfTracePointLink,
    },
};
use probe_common::control::{CONTROL, Control};
use zerocopy::IntoBytes as _;

use super::{Loaded, kprobes::Kprobe, refusal};
use crate::{
    failure::Failure,
    plan::{HOOKS, Hook, HookKind},
};

/// One attached program. Dropping it detaches it.
pub(super) enum Link {
    #[expect(dead_code, reason = "held for its drop")]
    FEntry(FEntryLink),
    #[expect(dead_code, reason = "held for its drop")]
    FExit(FExitLink),
    #[expect(dead_code, reason = "held for its drop")]
    BtfTracePoint(BtfTracePointLink),
    #[expect(dead_code, reason = "held for its drop")]
    RawTracePoint(RawTracePointLink),
    Kprobe(Kprobe),
}

/// An attached hook.
pub(super) struct Attachment {
    /// In the order of attaching.
    pub(super) programs: Vec<String>,
    pub(super) links: Vec<Link>,
}

/// What the kernel tells of a hook's programs can be looked up by this.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Programs {
    /// Descriptors of the programs.
    pub fds: Vec<RawFd>,
    /// Where they are kprobes, each of which does a part of the work: their names in the kernel's profile of kprobes; none of one
    /// that is not in there. Else they step in for each other.
    pub kprobes: Option<Vec<Option<String>>>,
}

impl Programs {
    pub(super) fn of(ebpf: &Ebpf, attachment: &Attachment) -> Self {
        let fd = |name: &String| Some(ebpf.program(name)?.fd().ok()?.as_fd().as_raw_fd());
        let kprobes = attachment.links.iter().map(|link| match link {
            Link::Kprobe(kprobe) => Some(kprobe.name().map(str::to_owned)),
            _ => None,
        });
        Self { fds: attachment.programs.iter().filter_map(fd).collect(), kprobes: kprobes.collect() }
    }
}

/// Runs of a hook's programs, and what they took, while the kernel's BPF statistics were on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Runs {
    /// Of all its programs.
    pub count: u64,
    /// Of all its programs, nanoseconds.
    pub ns: u64,
}

/// Loads a program.
pub(super) fn load_program(ebpf: &mut Ebpf, name: &str, hook: &Hook, btf: &Btf) -> Result<(), ProgramError> {
    match ebpf.program_mut(name) {
        Some(Program::FEntry(program)) => program.load(hook.target, btf),
        Some(Program::FExit(program)) => program.load(hook.target, btf),
        Some(Program::BtfTracePoint(program)) => program.load(hook.target, btf),
        Some(Program::RawTracePoint(program)) => program.load(),
        Some(Program::KProbe(program)) => program.load(),
        Some(_) => Err(ProgramError::UnexpectedProgramType),
        None => Err(ProgramError::NotLoaded),
    }
}

/// Attaches a loaded program.
pub(super) fn link_program(ebpf: &mut Ebpf, name: &str, hook: &Hook) -> Result<Link, ProgramError> {
    match ebpf.program_mut(name) {
        Some(Program::FEntry(program)) => link_entry(program),
        Some(Program::FExit(program)) => link_exit(program),
        Some(Program::BtfTracePoint(program)) => {
            let link = program.attach()?;
            program.take_link(link).map(Link::BtfTracePoint)
        }
        Some(Program::RawTracePoint(program)) => {
            let link = program.attach(hook.target)?;
            program.take_link(link).map(Link::RawTracePoint)
        }
        Some(Program::KProbe(program)) => Kprobe::attach(program, hook.target).map(Link::Kprobe),
        Some(_) => Err(ProgramError::UnexpectedProgramType),
        None => Err(ProgramError::NotLoaded),
    }
}

fn link_entry(program: &mut FEntry) -> Result<Link, ProgramError> {
    let link = program.attach()?;
    program.take_link(link).map(Link::FEntry)
}

fn link_exit(program: &mut FExit) -> Result<Link, ProgramError> {
    let link = program.attach()?;
    program.take_link(link).map(Link::FExit)
}

/// Programs that do nothing: for the entry of a function, for a tracepoint by either way, and for a function's entry by kprobe.
const CANARIES: [&str; 4] = ["canary_function", "canary_tracepoint", "canary_tracepoint_raw", "canary_kprobe"];

/// A program that does nothing, attached where a hook was given up. Dropping it detaches it.
pub struct Canary {
    program: &'static str,
    #[expect(dead_code, reason = "held for its drop")]
    link: Link,
}

impl Loaded {
    /// Detaches a hook's programs; they stay loaded. Nothing happens if it is not attached.
    pub fn give_up(&mut self, hook: &str) {
        if let Some(attachment) = self.attachments.get_mut(hook) {
            attachment.links.clear();
        }
    }

    /// Attaches again what [`Self::give_up`] has detached.
    ///
    /// # Errors
    ///
    /// The kernel's refusal, for a person; then none of its programs is attached.
    pub fn take_back(&mut self, hook: &Hook) -> Result<(), String> {
        let given_up = self.attachments.get(hook.name).filter(|attachment| attachment.links.is_empty());
        let Some(programs) = given_up.map(|attachment| attachment.programs.clone()) else { return Ok(()) };
        let links = programs.iter().map(|program| {
            // Before 5.13 a program of a function or typed tracepoint that was detached can only be loaded anew.
            link_program(&mut self.ebpf, program, hook).or_else(|_| self.load_anew(program, program, hook))
        });
        let links = links.collect::<Result<Vec<_>, _>>().map_err(|error| refusal(&error))?;
        let attachment = Attachment { programs, links };
        self.programs.insert(hook.name, Programs::of(&self.ebpf, &attachment));
        self.attachments.insert(hook.name, attachment);
        Ok(())
    }

    /// Unloads one program, loads another one, which may be the same, and attaches it.
    fn load_anew(&mut self, unloaded: &str, program: &str, hook: &Hook) -> Result<Link, ProgramError> {
        // Fails only where it was not loaded.
        let _ = unload(&mut self.ebpf, unloaded);
        self.make_types()?;
        let btf = self.btf.as_ref().ok_or(ProgramError::NotLoaded)?;
        load_program(&mut self.ebpf, program, hook, btf)?;
        link_program(&mut self.ebpf, program, hook)
    }

    /// Runs of the programs of each hook that is attached, so far.
    #[must_use]
    pub fn runs(&self) -> BTreeMap<&'static str, Runs> {
        let attached = self.attachments.iter().filter(|(_, attachment)| !attachment.links.is_empty());
        let all = attached.map(|(&hook, attachment)| {
            let runs = attachment.programs.iter().filter_map(|program| self.runs_of(program));
            let sum = |one: Runs, other: Runs| Runs { count: one.count + other.count, ns: one.ns + other.ns };
            (hook, runs.fold(Runs::default(), sum))
        });
        all.collect()
    }

    fn runs_of(&self, program: &str) -> Option<Runs> {
        let info = self.ebpf.program(program)?.info().ok()?;
        let ns = u64::try_from(info.run_time().as_nanos()).unwrap_or(u64::MAX);
        Some(Runs { count: info.run_count(), ns })
    }

    /// Attaches a program that does nothing where a hook was given up; none where that is refused.
    #[must_use]
    pub fn canary(&mut self, hook: &str) -> Option<Canary> {
        let hook = HOOKS.iter().find(|known| known.name == hook)?;
        let own = self.attachments.get(hook.name)?.programs.first()?;
        let program = match (hook.kind, self.ebpf.program(own)?) {
            (HookKind::Entry | HookKind::Exit, Program::KProbe(_)) => CANARIES[3],
            (HookKind::Entry | HookKind::Exit, _) => CANARIES[0],
            (HookKind::Tracepoint, Program::RawTracePoint(_)) => CANARIES[2],
            (HookKind::Tracepoint, _) => CANARIES[1],
        };
        match self.link_canary(program, hook) {
            Ok(link) => Some(Canary { program, link }),
            Err(error) => {
                tracing::debug!(hook = hook.name, "no canary: {}", refusal(&error));
                None
            }
        }
    }

    fn link_canary(&mut self, program: &'static str, hook: &Hook) -> Result<Link, ProgramError> {
        // Before 5.13 a program that was detached can only be loaded anew.
        if self.canary_target == Some((program, hook.target))
            && let Ok(link) = link_program(&mut self.ebpf, program, hook)
        {
            return Ok(link);
        }
        // A program of functions or typed tracepoints is of one target.
        let loaded = self.canary_target.take().map_or(program, |(loaded, _)| loaded);
        let link = self.load_anew(loaded, program, hook);
        self.forget_types();
        self.canary_target = Some((program, hook.target));
        link
    }

    /// Runs of a canary so far.
    #[must_use]
    pub fn canary_runs(&self, canary: &Canary) -> Option<u64> {
        self.runs_of(canary.program).map(|runs| runs.count)
    }

    /// Tells the kernel side what to leave out.
    ///
    /// # Errors
    ///
    /// When the kernel refuses.
    pub fn control(&mut self, control: Control) -> Result<(), Failure> {
        let failed =
            |error: &dyn std::fmt::Display| Failure::System(format!("tell the kernel side what to leave out: {error}"));
        let Some(map @ Map::Array(_)) = self.ebpf.map_mut(CONTROL) else {
            return Err(failed(&"the kernel object has no such global"));
        };
        let mut value = [0_u8; size_of::<Control>()];
        value.copy_from_slice(control.as_bytes());
        let mut array = Array::<_, [u8; size_of::<Control>()]>::try_from(map).map_err(|error| failed(&error))?;
        array.set(0, value, 0).map_err(|error| failed(&error))
    }
}

/// Unloads a program, if it was loaded.
pub(super) fn unload(ebpf: &mut Ebpf, program: &str) -> Result<(), ProgramError> {
    match ebpf.program_mut(program) {
        Some(Program::FEntry(program)) => program.unload(),
        Some(Program::FExit(program)) => program.unload(),
        Some(Program::BtfTracePoint(program)) => program.unload(),
        Some(Program::RawTracePoint(program)) => program.unload(),
        Some(Program::KProbe(program)) => program.unload(),
        _ => Ok(()),
    }
}

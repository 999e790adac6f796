//! Loads the kernel object by a plan and attaches what can be attached. The only room, with intake, that knows aya.
//!
//! Each hook stands alone: one that is refused costs its own answers and nothing else.

mod ends;
mod functions;
mod kprobes;
mod links;
mod relocate;
mod statistics;

use std::{borrow::Cow, collections::BTreeMap, fs, io};

use aya::{
    Btf, Ebpf, EbpfLoader, Endianness,
    maps::{MapData, MapError},
    programs::ProgramError,
};
use probe_common::{call::CALLS, event::TIMELINE_RING_BYTES, params, task::TASKS};

use functions::Functions;
pub use functions::{Source, start};
use links::{Attachment, link_program, load_program, unload};
pub use links::{Canary, Programs, Runs};
pub use statistics::{HELPER, RunStatistics, StatisticsSwitch, help};

use clap::ValueEnum;

use crate::{
    config,
    failure::Failure,
    kernel::Targets,
    memory,
    plan::{
        Decision, END_ABSENT, Flushing, HOOKS, Hook, HookKind, HookState, LockWay, NOT_NEEDED, OF_ELSEWHERE, Plan,
        Tier, has, syscall_operations,
    },
};

/// The kernel object of this build.
static OBJECT: &[u8] = aya::include_bytes_aligned!(env!("MMSCOPE_BPF_OBJECT"));

/// Bounds from which single events are sent as records, nanoseconds.
#[derive(Clone, Copy, Debug)]
pub struct Thresholds {
    /// Outer windows.
    pub window_ns: u64,
    /// Holds of mmap_lock.
    pub hold_ns: u64,
    /// Waits for mmap_lock.
    pub wait_ns: u64,
    /// Userfaults.
    pub fault_ns: u64,
}

/// Whose every event is sent, whatever its length.
#[derive(Clone, Debug, Default)]
pub struct Timeline {
    /// Processes by their id.
    pub pids: Vec<u32>,
    /// Processes by their name; with no id and no name all are meant.
    pub comms: Vec<String>,
}

impl Timeline {
    /// Every event has at least this length.
    pub const THRESHOLDS: Thresholds = Thresholds { window_ns: 0, hold_ns: 0, wait_ns: 0, fault_ns: 0 };

    /// For people: whose.
    #[must_use]
    pub fn text(&self) -> String {
        let pids = self.pids.iter().map(|pid| format!("pid {pid}"));
        let named: Vec<String> = pids.chain(self.comms.iter().cloned()).collect();
        if named.is_empty() { "all processes".to_owned() } else { named.join(", ") }
    }

    fn globals(&self) -> (u32, [u32; params::CHOSEN], [u64; 2 * params::CHOSEN]) {
        let mut tgids = [0; params::CHOSEN];
        tgids.iter_mut().zip(&self.pids).for_each(|(place, pid)| *place = *pid);
        let mut comms = [0; 2 * params::CHOSEN];
        for (places, comm) in comms.chunks_exact_mut(2).zip(&self.comms) {
            let mut name = [0; 16];
            name.iter_mut().zip(comm.bytes().take(15)).for_each(|(place, byte)| *place = byte);
            places.iter_mut().zip(name.as_chunks().0).for_each(|(place, half)| *place = u64::from_ne_bytes(*half));
        }
        let is_all = self.pids.is_empty() && self.comms.is_empty();
        (if is_all { params::TIMELINE_ALL } else { params::TIMELINE_CHOSEN }, tgids, comms)
    }
}

/// A way of attaching.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Way {
    /// fentry and fexit programs
    Fentry,
    /// kprobe and kretprobe programs, which are used where no function is reached by fentry
    Kprobe,
    /// typed tracepoint programs
    TpBtf,
    /// raw tracepoint programs
    RawTracepoint,
}

/// What may be used; a host can be told to do without some of it.
#[derive(Clone, Debug)]
pub struct Allowed {
    /// fentry and fexit.
    pub fentry: bool,
    /// kprobe and kretprobe, where no function is reached by fentry.
    pub kprobe: bool,
    /// tp_btf.
    pub tp_btf: bool,
    /// raw_tracepoint.
    pub raw_tracepoint: bool,
    /// The only way of telling mmap_lock's events, if not all may be tried.
    pub lock: Option<LockWay>,
    /// The only hooks, by name; all if there are none.
    pub hooks: Vec<String>,
}

impl Thresholds {
    /// No single event is sent.
    pub const NEVER: Self = Self { window_ns: u64::MAX, hold_ns: u64::MAX, wait_ns: u64::MAX, fault_ns: u64::MAX };

    /// As the configuration has them.
    #[must_use]
    pub fn of(record: &config::Record) -> Self {
        let ns = |duration: std::time::Duration| u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        Self {
            window_ns: ns(record.window),
            hold_ns: ns(record.hold),
            wait_ns: ns(record.wait),
            fault_ns: ns(record.fault),
        }
    }
}

impl Allowed {
    /// All but the ways that are left out, by one way of telling mmap_lock's events, and by some hooks only, if there are such.
    #[must_use]
    pub fn without(ways: &[Way], lock: Option<LockWay>, hooks: &[String]) -> Self {
        let allowed = |way| !ways.contains(&way);
        Self {
            fentry: allowed(Way::Fentry),
            kprobe: allowed(Way::Kprobe),
            tp_btf: allowed(Way::TpBtf),
            raw_tracepoint: allowed(Way::RawTracepoint),
            lock,
            hooks: hooks.to_vec(),
        }
    }

    /// The plan's decision about a hook, unless it is left out.
    fn decision(&self, hook: &Hook, planned: &Decision) -> Decision {
        if self.hooks.is_empty() || self.hooks.iter().any(|name| name == hook.name) {
            return planned.clone();
        }
        Decision::Absent("left out by --hook".to_owned())
    }
}

/// The loaded object. Dropping it detaches everything.
pub struct Loaded {
    /// For intake, which takes the maps.
    pub ebpf: Ebpf,
    /// What can be attached to.
    targets: Targets,
    /// The same as the library wants it: megabytes, made when something is loaded and given up after.
    btf: Option<Btf>,
    /// By hook.
    attachments: BTreeMap<&'static str, Attachment>,
    /// What the canary that was loaded last is loaded for: its program and the target.
    canary_target: Option<(&'static str, &'static str)>,
    programs: BTreeMap<&'static str, Programs>,
    /// How functions are reached.
    functions: Functions,
}

impl Loaded {
    /// What the plan says of each hook, for the way in which functions are reached.
    fn decisions<'a>(&self, plan: &'a Plan) -> &'a [Decision] {
        match (&self.functions, &plan.kprobes) {
            (Functions::Kprobes(_), Ok(kprobes)) => &kprobes.decisions,
            _ => &plan.decisions,
        }
    }

    fn make_types(&mut self) -> Result<(), ProgramError> {
        if self.btf.is_none() {
            self.btf = Some(Btf::parse(&self.targets.btf(), Endianness::default())?);
        }
        Ok(())
    }

    /// Nothing will be loaded for now.
    pub fn forget_types(&mut self) {
        if self.btf.take().is_some() {
            memory::give_back();
        }
    }

    /// Each attached hook's programs.
    #[must_use]
    pub fn programs(&self) -> BTreeMap<&'static str, Programs> {
        self.programs.clone()
    }
}

/// Instructions that the verifier looked at for each loaded program; none where the kernel does not tell (before 5.16).
#[must_use]
pub fn verified(loaded: &Loaded) -> BTreeMap<String, Option<u32>> {
    let programs = loaded.ebpf.programs().filter_map(|(name, program)| Some((name.to_owned(), program.info().ok()?)));
    programs.map(|(name, info)| (name, info.verified_instruction_count())).collect()
}

/// Whether this thread may ask about maps that it has open.
#[must_use]
pub fn may_read_maps() -> bool {
    let Ok(none) = fs::File::open("/dev/null") else { return true };
    // Where it may, the kernel finds that this is none.
    match MapData::from_fd(none.into()) {
        Err(MapError::SyscallError(error)) => error.io_error.kind() != io::ErrorKind::PermissionDenied,
        _ => true,
    }
}

/// Makes the maps and prepares the programs; nothing is attached yet.
fn load(source: &Source<'_>, functions: Functions) -> Result<Loaded, Failure> {
    let Source { plan, targets, thresholds, timeline, object } = *source;
    let (origin, bytes) = match object {
        None => ("built-in kernel object".to_owned(), Cow::Borrowed(OBJECT)),
        Some(path) => (
            path.display().to_string(),
            Cow::Owned(fs::read(path).map_err(|error| Failure::Unreadable { path: path.to_owned(), error })?),
        ),
    };
    let bad = |error: relocate::ObjectError| Failure::Object { origin: origin.clone(), message: error.to_string() };
    relocate::check(&bytes).map_err(bad)?;
    // Without kprobes their programs are never loaded, whatever stands in them.
    let of_kprobes = plan.kprobes.as_ref().map_or(&plan.relocations, |kprobes| &kprobes.relocations);
    let bytes = relocate::relocate(&bytes, &plan.relocations, of_kprobes).map_err(bad)?;

    let table = syscall_operations();
    let flags = [
        (params::HAS_TASK_BTF, u32::from(plan.has_task_btf)),
        (params::HAS_MM_OWNER, u32::from(plan.has_mm_owner)),
        (params::HAS_CTX_ID, u32::from(plan.has_ctx_id)),
        (params::HAS_CGROUP, u32::from(plan.has_cgroup)),
        (params::HAS_V1_CGROUP, u32::from(plan.controller.is_some())),
        (params::HAS_STACK_REGS, u32::from(plan.has_stack_regs)),
        (params::INLINE_CHANGES, u32::from(plan.inline_changes)),
        (params::HAS_BATCHED_COUNT, u32::from(plan.has_batched_count)),
        (params::HAS_PENDING, u32::from(plan.has_pending)),
        (params::HAS_TASK_TIMES, u32::from(plan.has_task_times)),
        (params::HAS_SYSCALLNO, u32::from(plan.has_syscallno)),
        (params::INLINE_FLUSHES, u32::from(plan.flushing == Flushing::Inline)),
        (params::HAS_RT_LOCKS, u32::from(plan.has_rt_locks)),
        (params::OWN_TGID, std::process::id()),
        (params::PROCESSORS, processors()),
    ];
    let mut loader = EbpfLoader::new();
    loader
        // The object has its offsets already.
        .btf(None)
        .override_global(params::SYSCALL_OPERATIONS, &table[..], true)
        .override_global(params::RECORD_WINDOW_NS, &thresholds.window_ns, true)
        .override_global(params::RECORD_HOLD_NS, &thresholds.hold_ns, true)
        .override_global(params::RECORD_WAIT_NS, &thresholds.wait_ns, true)
        .override_global(params::RECORD_FAULT_NS, &thresholds.fault_ns, true);
    for (name, value) in &flags {
        loader.override_global(name, value, true);
    }
    if let Functions::Kprobes(_) = functions {
        kprobes::forget_leftovers();
        loader.map_max_entries(CALLS, TASKS);
    }
    let of_timeline = timeline.map(Timeline::globals);
    if let Some((mode, tgids, comms)) = &of_timeline {
        loader
            .override_global(params::TIMELINE, mode, true)
            .override_global(params::TIMELINE_TGIDS, &tgids[..], true)
            .override_global(params::TIMELINE_COMMS, &comms[..], true)
            .map_max_entries("RECORDS", TIMELINE_RING_BYTES);
    }
    #[cfg_attr(not(feature = "probe-log"), expect(unused_mut, reason = "only the probes' log takes from it"))]
    let mut ebpf = loader.load(&bytes).map_err(|error| Failure::System(load_failure(&error)))?;
    #[cfg(feature = "probe-log")]
    start_probe_log(&mut ebpf);
    Ok(Loaded {
        ebpf,
        targets: targets.clone(),
        btf: None,
        attachments: BTreeMap::new(),
        canary_target: None,
        programs: BTreeMap::new(),
        functions,
    })
}

/// Processors that this kernel could have.
fn processors() -> u32 {
    aya::util::nr_cpus().ok().and_then(|count| u32::try_from(count).ok()).unwrap_or(u32::MAX)
}

/// Attaches what can be attached: the state of each hook of [`HOOKS`], in its order. Fails when no hook at all could be.
fn attach(loaded: &mut Loaded, plan: &Plan, allowed: &Allowed) -> Result<Vec<HookState>, Failure> {
    let mut hooks: Vec<HookState> = Vec::with_capacity(HOOKS.len());
    let mut lock: Option<BTreeMap<&'static str, HookState>> = None;
    let decisions = loaded.decisions(plan);
    for (hook, planned) in HOOKS.iter().zip(decisions) {
        let state = match &allowed.decision(hook, planned) {
            _ if hook.way.is_some() => {
                let states = lock.get_or_insert_with(|| attach_lock(loaded, plan, allowed));
                states.remove(hook.name).unwrap_or_else(|| HookState::Absent("not tried".to_owned()))
            }
            Decision::Absent(reason) if reason == OF_ELSEWHERE => HookState::Absent(reason.clone()),
            _ if hook.stands_in_for.is_some_and(|name| has(&hooks, name)) => {
                HookState::Absent(format!("{NOT_NEEDED}{} is attached", hook.stands_in_for.unwrap_or_default()))
            }
            Decision::Absent(reason) => HookState::Absent(reason.clone()),
            Decision::Attach => match end_missing(hook, &hooks) {
                Some(reason) => HookState::Absent(reason),
                None => attach_hook(loaded, hook, plan, allowed),
            },
        };
        if let HookState::Attached(_) = state {
            let programs = loaded.attachments.get(hook.name).map(|attachment| Programs::of(&loaded.ebpf, attachment));
            loaded.programs.extend(programs.map(|programs| (hook.name, programs)));
        }
        tracing::debug!(hook = hook.name, ?state, "hook");
        hooks.push(state);
    }
    // Who asks for single hooks gets them.
    if allowed.hooks.is_empty() {
        ends::give_up_lone(loaded, &mut hooks);
    }
    loaded.forget_types();
    if !hooks.iter().any(|state| matches!(state, HookState::Attached(_))) {
        let reason = hooks.iter().find_map(|state| match state {
            HookState::Absent(reason) => Some(reason.clone()),
            HookState::Attached(_) => None,
        });
        return Err(Failure::Nothing(format!(
            "no hook could be attached; the first of them: {}",
            reason.unwrap_or_default()
        )));
    }
    Ok(hooks)
}

/// Attaches the best of the ways of telling mmap_lock's events of which everything can be attached: half a way would
/// count releases of locks that nobody took.
fn attach_lock(loaded: &mut Loaded, plan: &Plan, allowed: &Allowed) -> BTreeMap<&'static str, HookState> {
    let mut states = BTreeMap::new();
    let mut chosen: Option<LockWay> = None;
    for way in plan.lock_ways {
        let ruled_out = allowed.lock.is_some_and(|only| only != way);
        let decisions = loaded.decisions(plan);
        let all = || HOOKS.iter().zip(decisions).filter(|(hook, _)| hook.way == Some(way));
        let hooks = || all().map(|(hook, planned)| (hook, allowed.decision(hook, planned)));
        if let Some(better) = chosen {
            let reason = format!("{NOT_NEEDED}{} are attached", better.name());
            states.extend(hooks().map(|(hook, _)| (hook.name, HookState::Absent(reason.clone()))));
            continue;
        }
        let planned = hooks().find_map(|(hook, decision)| match decision {
            Decision::Absent(reason) => Some((hook.name, reason)),
            Decision::Attach => None,
        });
        let mut failed =
            if ruled_out { Some(("--mmap-lock", "another way was asked for".to_owned())) } else { planned };
        let mut attached = Vec::new();
        for (hook, _) in hooks().filter(|_| failed.is_none()) {
            match attach_hook(loaded, hook, plan, allowed) {
                HookState::Attached(tier) => attached.push((hook, tier)),
                HookState::Absent(reason) => {
                    failed = Some((hook.name, reason));
                    break;
                }
            }
        }
        let Some((failing, reason)) = failed else {
            states.extend(attached.iter().map(|(hook, tier)| (hook.name, HookState::Attached(*tier))));
            chosen = Some(way);
            continue;
        };
        attached.iter().for_each(|(hook, _)| detach_hook(loaded, hook));
        for (hook, decision) in hooks() {
            let own = match decision {
                Decision::Absent(reason) => reason,
                Decision::Attach if hook.name == failing || ruled_out => reason.clone(),
                Decision::Attach => format!("{failing}{END_ABSENT}{reason}"),
            };
            states.insert(hook.name, HookState::Absent(own));
        }
    }
    if let Some(way) = chosen {
        // What failed before a way was found is not missed.
        for state in states.values_mut() {
            if let HookState::Absent(reason) = state
                && !reason.starts_with(NOT_NEEDED)
            {
                *state = HookState::Absent(format!("{NOT_NEEDED}{} are attached (absent: {reason})", way.name()));
            }
        }
    }
    states
}

/// Takes back a hook of a way that is not complete.
fn detach_hook(loaded: &mut Loaded, hook: &Hook) {
    loaded.attachments.remove(hook.name);
    for name in program_names(hook) {
        // A program that was never loaded says so.
        if let Err(error) = unload(&mut loaded.ebpf, &name) {
            tracing::debug!(hook = hook.name, %error, "unload");
        }
    }
}

/// Why a beginning is of no use, if its end is absent.
fn end_missing(hook: &Hook, hooks: &[HookState]) -> Option<String> {
    let end = hook.needs?;
    if HOOKS.iter().any(|other| other.stands_in_for == Some(end) && has(hooks, other.name)) {
        return None;
    }
    let (_, state) = HOOKS.iter().zip(hooks).find(|(hook, _)| hook.name == end)?;
    match state {
        HookState::Attached(_) => None,
        HookState::Absent(reason) => Some(format!("{end}{END_ABSENT}{reason}")),
    }
}

/// Every program that a hook may have, loaded or not.
fn program_names(hook: &Hook) -> impl Iterator<Item = String> {
    let by_turns = [Some(hook.program), hook.raw_program].into_iter().flatten().flat_map(turns);
    by_turns.chain(kprobe_programs(hook.program))
}

/// A hook's programs by kprobes, in the order of attaching: what it does, and what keeps arguments for that, if it needs any.
fn kprobe_programs(name: &str) -> [String; 2] {
    [format!("{name}_kprobe"), format!("{name}_call")]
}

/// A program and those that step in where it was skipped, in their order.
fn turns(name: &str) -> [String; 3] {
    [name.to_owned(), format!("{name}_again"), format!("{name}_last")]
}

/// By what a hook is reached first, as doctor calls it.
fn way_of(hook: &Hook) -> &'static str {
    match hook.kind {
        HookKind::Entry => "fentry",
        HookKind::Exit => "fexit",
        HookKind::Tracepoint => "tp_btf",
    }
}

/// Why the first way of a hook is not tried: the kernel cannot have it, or it is switched off.
fn unused(hook: &Hook, against_types: Option<&str>) -> String {
    let way = way_of(hook);
    against_types.map_or_else(|| format!("{way} switched off"), |reason| format!("no {way}: {reason}"))
}

/// Tries the forms of one hook, best first.
fn attach_hook(loaded: &mut Loaded, hook: &Hook, plan: &Plan, allowed: &Allowed) -> HookState {
    if hook.kind != HookKind::Tracepoint
        && let Functions::Kprobes(reasons) = &loaded.functions
    {
        let reason = reasons.get(hook.name).cloned();
        return match attach_kprobes(loaded, hook) {
            Ok(()) => HookState::Attached(Tier::K),
            Err(error) => {
                let refused = format!("kprobe {}", refusal(&error));
                HookState::Absent(reason.into_iter().chain([refused]).collect::<Vec<_>>().join("; "))
            }
        };
    }
    let (first, tier) = match hook.kind {
        HookKind::Entry | HookKind::Exit => (allowed.fentry, Tier::F),
        HookKind::Tracepoint => (allowed.tp_btf, Tier::T),
    };
    let switch = way_of(hook);
    let mut reasons = Vec::new();
    if first && plan.against_types.is_none() {
        match attach_programs(loaded, hook.program, hook, plan) {
            Ok(()) => return HookState::Attached(tier),
            Err(error) => reasons.push(format!("{switch} {}", refusal(&error))),
        }
    } else {
        reasons.push(unused(hook, plan.against_types));
    }
    if let Some(raw) = hook.raw_program {
        if allowed.raw_tracepoint {
            match attach_programs(loaded, raw, hook, plan) {
                Ok(()) => return HookState::Attached(tier),
                Err(error) => reasons.push(format!("raw_tracepoint {}", refusal(&error))),
            }
        } else {
            reasons.push("raw_tracepoint switched off".to_owned());
        }
    }
    if hook.kind != HookKind::Tracepoint {
        match &plan.kprobes {
            _ if !allowed.kprobe => reasons.push("kprobe switched off".to_owned()),
            Err(reason) => reasons.push(format!("no kprobe: {reason}")),
            Ok(_) => {}
        }
    }
    HookState::Absent(reasons.join("; "))
}

/// Attaches a hook's programs by kprobes: first that of the return, so that no call is kept whose return is not seen.
fn attach_kprobes(loaded: &mut Loaded, hook: &Hook) -> Result<(), ProgramError> {
    loaded.make_types()?;
    let Loaded { ebpf, btf: Some(btf), attachments, .. } = loaded else { return Err(ProgramError::NotLoaded) };
    let mut attachment = Attachment { programs: Vec::new(), links: Vec::new() };
    for name in kprobe_programs(hook.program) {
        if ebpf.program(&name).is_some() {
            load_program(ebpf, &name, hook, btf)?;
            attachment.links.push(link_program(ebpf, &name, hook)?);
            attachment.programs.push(name);
        }
    }
    attachments.insert(hook.name, attachment);
    Ok(())
}

/// Attaches a program, and those that step in for it so that they run after it: of the programs of a function the last
/// attached runs first (kernel/bpf/trampoline.c, hlist_add_head), of those of a tracepoint the first (kernel/tracepoint.c,
/// func_add).
fn attach_programs(loaded: &mut Loaded, name: &str, hook: &Hook, plan: &Plan) -> Result<(), ProgramError> {
    loaded.make_types()?;
    let Loaded { ebpf, btf: Some(btf), attachments, .. } = loaded else { return Err(ProgramError::NotLoaded) };
    let [first, again, last] = turns(name);
    let count = match hook.kind {
        HookKind::Tracepoint => plan.tracepoint_programs,
        _ if hook.under_spinlock => plan.spinlock_programs,
        HookKind::Entry | HookKind::Exit => plan.function_programs,
    };
    let mut names = match count {
        _ if ebpf.program(&last).is_none() => vec![first],
        0 | 1 => vec![first],
        2 => vec![first, last],
        _ => vec![first, again, last],
    };
    if hook.kind != HookKind::Tracepoint {
        names.reverse();
    }
    let mut links = Vec::with_capacity(names.len());
    for name in &names {
        load_program(ebpf, name, hook, btf)?;
        links.push(link_program(ebpf, name, hook)?);
    }
    attachments.insert(hook.name, Attachment { programs: names, links });
    Ok(())
}

/// What the verifier says of helpers that read the kernel's memory where lockdown forbids these (bpf_tracing_func_proto in
/// kernel/trace/bpf_trace.c); every kernel of ours has them.
const NO_READING: &str = "cannot use helper bpf_probe_read";

/// Lines with which the verifier ends its log, whatever it found.
const STATISTICS: [&str; 3] = ["processed ", "stack depth ", "verification time "];

/// One line for a person: what the kernel refused, without the verifier's pages.
fn refusal(error: &ProgramError) -> String {
    match error {
        ProgramError::LoadError { io_error, verifier_log } => {
            tracing::debug!(%verifier_log, "program refused");
            let log = verifier_log.to_string();
            let last = log
                .lines()
                .rev()
                .find(|line| !line.trim().is_empty() && !STATISTICS.iter().any(|head| line.starts_with(head)));
            match last {
                Some(line) if line.contains(NO_READING) => {
                    "refused at load: it would read memory of the kernel, which lockdown keeps (confidentiality)"
                        .to_owned()
                }
                Some(line) => format!("refused at load: {} ({})", errno(io_error), line.trim()),
                None => format!("refused at load: {}", errno(io_error)),
            }
        }
        ProgramError::SyscallError(error) => {
            format!("refused at attach: {}: {}", error.call, errno(&error.io_error))
        }
        error => format!("refused: {error}"),
    }
}

/// The errno's own words, without Rust's "(os error N)".
fn errno(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or(&text).to_owned()
}

fn load_failure(error: &aya::EbpfError) -> String {
    let mut text = format!("load the kernel object: {error}");
    let mut source: Option<&dyn std::error::Error> = std::error::Error::source(error);
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.ends_with(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text.lines().next().unwrap_or_default().to_owned()
}

/// How often the probes' lines are looked for.
#[cfg(feature = "probe-log")]
const PROBE_LOG: std::time::Duration = std::time::Duration::from_millis(100);

#[cfg(feature = "probe-log")]
fn start_probe_log(ebpf: &mut Ebpf) {
    let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
    match aya_log::EbpfLogger::init(ebpf) {
        Ok(mut logger) => {
            runtime.spawn(async move {
                let mut interval = tokio::time::interval(PROBE_LOG);
                loop {
                    interval.tick().await;
                    logger.flush();
                }
            });
        }
        Err(error) => tracing::warn!(%error, "the probes' log cannot be read"),
    }
}

//! The facts of one kernel that the plan asks for.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::{
    Btf, BtfError, Targets,
    cgroups::{CONTROLLERS, naming_controller},
    symbols,
    types::{self, Types},
};

/// Names of what a plan wants to know.
pub struct Wanted<'a> {
    /// Functions.
    pub functions: &'a [&'a str],
    /// Tracepoints.
    pub tracepoints: &'a [&'a str],
    /// Members: struct and path.
    pub members: &'a [(&'a str, &'a str)],
    /// Bit-fields of one bit: struct and name.
    pub bits: &'a [(&'a str, &'a str)],
    /// Structs whose size matters.
    pub structs: &'a [&'a str],
    /// BPF helpers, by their enumerator in `bpf_func_id` without `BPF_FUNC_`.
    pub helpers: &'a [&'a str],
}

/// One kernel, as far as mmscope depends on it. A plain value: tests load it from files.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KernelFacts {
    /// uname -r, for people only.
    pub release: String,
    /// /proc/version, in which distributions tell which stable version theirs is; no part of what is kept of a kernel.
    #[serde(skip)]
    pub version: String,
    /// What programs are attached to, by its type; holds for the running kernel alone.
    #[serde(skip)]
    pub targets: Targets,
    /// The v1 controller whose cgroups tasks are named by; none where those of v2 do. Holds for this host alone.
    #[serde(skip)]
    pub controller: Option<String>,
    /// Where its types are from.
    #[serde(skip)]
    pub types: Types,
    /// Whether the kernel knows no types itself: it takes no programs by them then.
    #[serde(skip)]
    pub lacks_types: bool,
    /// Which part of itself the kernel keeps from root; none where it does not tell, or nothing.
    #[serde(skip)]
    pub lockdown: Option<Lockdown>,
    /// Prototypes of the wanted functions that exist.
    pub functions: BTreeMap<String, String>,
    /// Prototypes of the wanted tracepoints that exist.
    pub tracepoints: BTreeMap<String, String>,
    /// Byte offsets of the wanted members that exist, by `struct.path`.
    pub members: BTreeMap<String, u32>,
    /// Bit offsets of the wanted bit-fields that exist, by `struct.name`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub bits: BTreeMap<String, u32>,
    /// Sizes of the wanted structs, bytes.
    #[serde(default)]
    pub sizes: BTreeMap<String, u32>,
    /// The wanted helpers that exist.
    pub helpers: Vec<String>,
    /// Whether pages know that they belong to one process alone (PG_anon_exclusive, 5.19): such a page is never copied.
    #[serde(default)]
    pub has_anon_exclusive: bool,
    /// Whether a task can be preempted inside the kernel; none where the kernel does not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preempts: Option<bool>,
    /// Whether the kernel has the domain of sleepable RCU that readers of tracepoints may be in; none where its symbols are
    /// not told, or do not matter because it preempts no task inside the kernel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub has_tracepoint_srcu: Option<bool>,
    /// Whether kprobes can be made into events that programs are attached to; none where that was not looked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub has_kprobes: Option<bool>,
    /// Size of a task's kernel stack, bytes, from the first task's in the symbol table; none where that is not told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stack_bytes: Option<u32>,
}

/// Why a kernel's facts could not be read.
#[derive(Debug, thiserror::Error)]
pub enum FactsError {
    /// The kernel's types are not to be had from itself.
    #[error("{path} is missing: {why}; types from a file are taken by --btf FILE")]
    NoBtf {
        /// Where it was looked for.
        path: String,
        /// What is known of the reason.
        why: &'static str,
    },
    /// A file with types cannot be read.
    #[error("{path}: {error}", path = path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// A file has no types, or those of another kernel.
    #[error("{path}: {message}")]
    Unfit {
        /// The file.
        path: String,
        /// What it is.
        message: String,
    },
    /// It is there but cannot be read.
    #[error("{path}: {error}")]
    Unreadable {
        /// The file.
        path: String,
        /// Why.
        error: io::Error,
    },
    /// It can be read but is not BTF.
    #[error("{path}: {error}")]
    NotBtf {
        /// The file.
        path: String,
        /// Why.
        error: BtfError,
    },
}

/// The kernel's own types; a file that is there and empty is what hides them.
fn own_types(root: &Path, path: &Path) -> Result<Vec<u8>, FactsError> {
    let name = path.display().to_string();
    match fs::read(path) {
        Ok(bytes) if !bytes.is_empty() => return Ok(bytes),
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(FactsError::Unreadable { path: name, error });
        }
        _ => {}
    }
    let why = match has_types(root) {
        Some(true) => "this kernel has BTF, but /sys hides it here or is not mounted",
        Some(false) => "this kernel was built without BTF (CONFIG_DEBUG_INFO_BTF)",
        None => "this kernel has no BTF (CONFIG_DEBUG_INFO_BTF), or /sys is not mounted",
    };
    Err(FactsError::NoBtf { path: name, why })
}

/// Whether the kernel has types of its own, by its symbol table; none where that tells nothing.
fn has_types(root: &Path) -> Option<bool> {
    let symbols = symbols::text(root).ok().filter(|symbols| !symbols.is_empty())?;
    Some(addresses(&symbols, [OWN_TYPES])[0].is_some())
}

/// Where a kernel's own types begin (include/asm-generic/vmlinux.lds.h).
const OWN_TYPES: &str = "__start_BTF";

impl KernelFacts {
    /// Reads the running kernel's facts below `root` ("/" but for tests), its types from a file if there is one.
    ///
    /// # Errors
    ///
    /// When there is no BTF below `root` and no file, it is damaged, or the file's is another kernel's.
    pub fn read(root: &Path, file: Option<&Path>, wanted: &Wanted<'_>) -> Result<Self, FactsError> {
        let own = root.join(types::OWN);
        let release = fs::read_to_string(root.join("proc/sys/kernel/osrelease")).unwrap_or_default();
        let (bytes, types) = match file {
            Some(path) => {
                let file = types::File::read(path)?;
                let types = file.check(root)?;
                (file.btf, types)
            }
            None => (own_types(root, &own)?, Types::Own),
        };
        let path = file.unwrap_or(&own).display().to_string();
        let mut facts =
            Self::from_btf(release.trim(), &bytes, wanted).map_err(|error| FactsError::NotBtf { path, error })?;
        // Where /sys hides them the kernel has them all the same, and takes programs by them.
        facts.lacks_types = types != Types::Own && !own.exists() && has_types(root) == Some(false);
        facts.types = types;
        let text = |path: &str| fs::read_to_string(root.join(path)).unwrap_or_default();
        facts.version = text("proc/version");
        facts.lockdown = Lockdown::of(&text(LOCKDOWN));
        facts.controller = naming_controller(&text("proc/self/mountinfo")).map(str::to_owned);
        facts.has_kprobes = Some(root.join(KPROBES).exists());
        let modes = Some(text(MODES)).filter(|modes| !modes.is_empty()).or_else(|| handed_over(root));
        facts.preempts = preempts(&modes.unwrap_or_default(), &text("proc/sys/kernel/version"));
        // The table is long: only where it matters.
        if facts.preempts != Some(false) || facts.helpers.len() < wanted.helpers.len() {
            let symbols = symbols::text(root).unwrap_or_default();
            let [srcu, begin, end] = addresses(&symbols, [TRACEPOINT_SRCU, STACK_BEGIN, STACK_END]);
            facts.stack_bytes = begin.zip(end).and_then(|(begin, end)| stack_bytes(begin, end));
            facts.has_tracepoint_srcu = (!symbols.is_empty()).then_some(srcu.is_some());
        }
        Ok(facts)
    }

    /// The name among the members of a controller's place in a task's css_set.
    #[must_use]
    pub fn place_of_controller(controller: &str) -> String {
        format!("{}.{}[{controller}]", STATES.0, STATES.1)
    }

    /// Takes the facts out of a kernel's BTF.
    ///
    /// # Errors
    ///
    /// When the bytes are no BTF.
    pub fn from_btf(release: &str, bytes: &[u8], wanted: &Wanted<'_>) -> Result<Self, BtfError> {
        let btf = Btf::parse(bytes)?;
        Ok(Self {
            release: release.to_owned(),
            version: String::new(),
            types: Types::Own,
            lacks_types: false,
            lockdown: None,
            controller: None,
            targets: Targets::find(&btf, wanted.functions, wanted.tracepoints),
            functions: wanted
                .functions
                .iter()
                .filter_map(|name| Some(((*name).to_owned(), btf.function(name)?)))
                .collect(),
            tracepoints: wanted
                .tracepoints
                .iter()
                .filter_map(|name| Some(((*name).to_owned(), btf.tracepoint(name)?)))
                .collect(),
            members: wanted
                .members
                .iter()
                .filter_map(|(structure, path)| {
                    Some((format!("{structure}.{path}"), btf.member_offset(structure, path)?))
                })
                .chain(CONTROLLERS.into_iter().filter_map(|controller| place_of(&btf, controller)))
                .collect(),
            bits: wanted
                .bits
                .iter()
                .filter_map(|(structure, name)| Some((format!("{structure}.{name}"), btf.bit_offset(structure, name)?)))
                .collect(),
            sizes: wanted
                .structs
                .iter()
                .filter_map(|structure| Some(((*structure).to_owned(), btf.size(structure)?)))
                .collect(),
            preempts: None,
            has_kprobes: None,
            has_tracepoint_srcu: None,
            stack_bytes: None,
            has_anon_exclusive: btf.has_enumerator("pageflags", "PG_anon_exclusive"),
            helpers: wanted
                .helpers
                .iter()
                .filter(|name| btf.has_enumerator("bpf_func_id", &format!("BPF_FUNC_{name}")))
                .map(|name| (*name).to_owned())
                .collect(),
        })
    }
}

/// In a css_set, one pointer for each controller.
const STATES: (&str, &str) = ("css_set", "subsys");

/// Name and offset of a controller's place in a task's css_set.
fn place_of(btf: &Btf<'_>, controller: &str) -> Option<(String, u32)> {
    let number = btf.enumerator("cgroup_subsys_id", &format!("{controller}_cgrp_id"))?;
    let offset = btf.member_offset(STATES.0, STATES.1)?.checked_add(number.checked_mul(8)?)?;
    Some((KernelFacts::place_of_controller(controller), offset))
}

/// What a locked down kernel keeps from root (security/lockdown).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lockdown {
    /// Whatever would change it.
    Integrity,
    /// Also whatever would tell what is in its memory.
    Confidentiality,
}

impl Lockdown {
    /// The mode in brackets: "none integrity [confidentiality]".
    fn of(modes: &str) -> Option<Self> {
        match modes.split_once('[')?.1.split_once(']')?.0 {
            "integrity" => Some(Self::Integrity),
            "confidentiality" => Some(Self::Confidentiality),
            _ => None,
        }
    }
}

/// Where securityfs tells the mode.
const LOCKDOWN: &str = "sys/kernel/security/lockdown";

/// Where perf has its kprobes.
const KPROBES: &str = "sys/bus/event_source/devices/kprobe";

/// The scheduler's modes, for root to read.
const MODES: &str = "sys/kernel/debug/sched/preempt";
/// Name of the credential by which a service manager hands them over.
const MODES_CREDENTIAL: &str = "sched-preempt";

/// What the service manager read for us.
fn handed_over(root: &Path) -> Option<String> {
    let folder = std::env::var("CREDENTIALS_DIRECTORY").ok()?;
    fs::read_to_string(root.join(folder.trim_start_matches('/')).join(MODES_CREDENTIAL)).ok()
}

/// `modes` is the scheduler's list with the mode that is on in brackets ("none voluntary full (lazy)"), `version` what
/// the kernel says of its build, where preemption is named if it was built in.
fn preempts(modes: &str, version: &str) -> Option<bool> {
    if let Some((_, rest)) = modes.split_once('(') {
        return Some(rest.starts_with("full") || rest.starts_with("lazy"));
    }
    if version.is_empty() || version.contains("PREEMPT_DYNAMIC") {
        return None;
    }
    Some(version.contains("PREEMPT"))
}

/// With it readers of a tracepoint are not kept from being preempted (7.0 and later; up to 6.12 it is there for readers
/// that RCU does not watch).
const TRACEPOINT_SRCU: &str = "tracepoint_srcu";

/// The linker script puts the first task's stack, and nothing else, between these two
/// (INIT_TASK_DATA in include/asm-generic/vmlinux.lds.h).
const STACK_BEGIN: &str = "__start_init_task";
const STACK_END: &str = "__end_init_task";

fn stack_bytes(begin: u64, end: u64) -> Option<u32> {
    // Zero addresses are what those see who may not see them.
    u32::try_from(end.checked_sub(begin)?).ok().filter(|&bytes| bytes.is_power_of_two())
}

/// Addresses of symbols, by one way through the table, which has some hundred thousand lines: `ffffffff84200000 d name`.
fn addresses<const N: usize>(kallsyms: &str, wanted: [&str; N]) -> [Option<u64>; N] {
    let mut found = [None; N];
    for line in kallsyms.lines() {
        let Some((address, name)) = line.split_once(' ').and_then(|(address, rest)| Some((address, rest.get(2..)?)))
        else {
            continue;
        };
        if let Some(n) = wanted.iter().position(|wanted| *wanted == name) {
            found[n] = found[n].or_else(|| u64::from_str_radix(address, 16).ok());
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::{STACK_BEGIN, STACK_END, addresses, preempts, stack_bytes};

    #[test]
    fn preemption_is_the_scheduler_s_mode_or_the_build_s() {
        assert_eq!(preempts("none voluntary full (lazy) ", ""), Some(true));
        assert_eq!(preempts("none (voluntary) full ", "#1 SMP PREEMPT_DYNAMIC"), Some(false));
        assert_eq!(preempts("", "#1 SMP PREEMPT_RT Debian"), Some(true));
        assert_eq!(preempts("", "#1 SMP Debian"), Some(false));
        assert_eq!(preempts("", "#1 SMP PREEMPT_DYNAMIC Debian"), None);
    }

    #[test]
    fn a_symbol_is_a_whole_word() {
        let table = "ffffffff84200000 b tracepoint_srcu_srcu_data\nffffffff84200008 d tracepoint_srcu\n";
        assert_eq!(addresses(table, ["tracepoint_srcu", "tracepoint"]), [Some(0xffff_ffff_8420_0008), None]);
        assert_eq!(addresses("", ["tracepoint"]), [None]);
        assert_eq!(addresses("0 a\nshort\n\n1 a x\n", ["x"]), [Some(1)]);
    }

    #[test]
    fn the_stack_lies_between_two_symbols() {
        let bytes = |table| match addresses(table, [STACK_BEGIN, STACK_END]) {
            [Some(begin), Some(end)] => stack_bytes(begin, end),
            _ => None,
        };
        let table = "ffffffffb4200000 D init_thread_union\nffffffffb4200000 D __start_init_task\n\
                     ffffffffb4204000 D __end_init_task\n";
        assert_eq!(bytes(table), Some(16384));
        let hidden = "0000000000000000 D __start_init_task\n0000000000000000 D __end_init_task\n";
        assert_eq!(bytes(hidden), None);
        assert_eq!(bytes(""), None);
    }
}

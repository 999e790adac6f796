//! What kprobes find where: a program of a kprobe is given the registers, so its arguments lie where the architecture's calling
//! convention puts them. Which architecture this is follows from what `pt_regs` is made of.

use probe_common::relocation::{COUNT, arg, field};

use super::{Hook, HookKind, hooks};
use crate::kernel::KernelFacts;

/// x86-64: the arguments in their order (System V AMD64 ABI, 3.2.3).
const X86_ARGUMENTS: [&str; 6] = ["di", "si", "dx", "cx", "r8", "r9"];
const X86_RESULT: &str = "ax";
/// arm64: x0 and those behind it, eight arguments, the result in the first (AAPCS64, 6.8).
const ARM64_REGISTERS: &str = "regs";
const ARM64_ARGUMENTS: i32 = 8;

/// Members of `pt_regs` of either architecture.
pub(super) fn registers() -> impl Iterator<Item = &'static str> {
    X86_ARGUMENTS.into_iter().chain([X86_RESULT, ARM64_REGISTERS])
}

/// Where arguments and the result lie in `pt_regs`, bytes.
struct Registers {
    arguments: Vec<i32>,
    result: i32,
}

impl Registers {
    fn of(facts: &KernelFacts) -> Option<Self> {
        let offset = |name: &str| {
            let offset = facts.members.get(&format!("{}.{name}", super::PT_REGS))?;
            i32::try_from(*offset).ok()
        };
        let x86: Option<Vec<i32>> = X86_ARGUMENTS.into_iter().map(offset).collect();
        if let Some((arguments, result)) = x86.zip(offset(X86_RESULT)) {
            return Some(Self { arguments, result });
        }
        let first = offset(ARM64_REGISTERS)?;
        Some(Self { arguments: (0..ARM64_ARGUMENTS).map(|n| first + 8 * n).collect(), result: first })
    }
}

/// Reads what kprobes need of a kernel's facts: for the programs of kprobes, what belongs at each relocation.
///
/// # Errors
///
/// Says why there can be no kprobes here, for a person.
pub(super) fn relocations(
    facts: &KernelFacts,
    of_fentry: &[Option<i32>; COUNT],
) -> Result<[Option<i32>; COUNT], String> {
    if facts.has_kprobes == Some(false) {
        return Err("this kernel has no kprobe events (CONFIG_KPROBE_EVENTS)".to_owned());
    }
    let registers = Registers::of(facts).ok_or("the registers of this architecture are not known")?;
    let mut all = *of_fentry;
    for place in &mut all[usize::from(field::END)..] {
        *place = None;
    }
    for hook in super::HOOKS.iter().filter(|hook| hook.kind != HookKind::Tracepoint) {
        let Some((form, count)) = hooks::form_of(hook, facts) else { continue };
        for &(id, position) in form.positions {
            let position = usize::from(position);
            let place =
                if position == count { Some(registers.result) } else { registers.arguments.get(position).copied() };
            all[usize::from(id)] = place;
        }
    }
    // Where tlb_gather_mmu is told no end (5.12 and later), its place is that of the first argument, as it is to fentry: never all ones.
    all[usize::from(arg::GATHER_END)].get_or_insert(registers.arguments[0]);
    Ok(all)
}

/// Why a hook that fentry could have cannot be had by kprobes; none if it can.
pub(super) fn refused(hook: &Hook, facts: &KernelFacts, relocations: &[Option<i32>; COUNT]) -> Option<String> {
    let (form, _) = hooks::form_of(hook, facts)?;
    let on_stack = form.positions.iter().any(|&(id, _)| relocations[usize::from(id)].is_none());
    on_stack.then(|| "one of its arguments is in no register".to_owned())
}

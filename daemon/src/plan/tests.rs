//! What a plan makes of kernels that differ.

use std::collections::BTreeMap;

use probe_common::relocation::{arg, field};

use super::*;

/// Facts of a kernel as BTF would give them.
fn facts() -> KernelFacts {
    let functions = [
        ("tlb_gather_mmu", "void(struct mmu_gather *tlb, struct mm_struct *mm)"),
        (
            "change_protection",
            "long int(struct mmu_gather *tlb, struct vm_area_struct *vma, long unsigned int start, \
             long unsigned int end, long unsigned int cp_flags)",
        ),
    ];
    let tracepoints = [("mmap_lock_released", "void(struct mm_struct *, char *, bool)")];
    let members = [
        ("mm_struct.mmap_lock", 200),
        ("task_struct.mm", 2400),
        ("task_struct.flags", 44),
        ("task_struct.comm", 3000),
        ("vm_area_struct.vm_flags", 32),
    ];
    let own = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
        pairs.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
    };
    KernelFacts {
        release: "6.12.0".to_owned(),
        functions: own(&functions),
        tracepoints: own(&tracepoints),
        members: members.iter().map(|(name, offset)| ((*name).to_owned(), *offset)).collect(),
        has_anon_exclusive: true,
        helpers: vec!["get_current_task_btf".to_owned()],
        ..KernelFacts::default()
    }
}

fn decision<'a>(plan: &'a Plan, name: &str) -> &'a Decision {
    let index = HOOKS.iter().position(|hook| hook.name == name).unwrap();
    &plan.decisions[index]
}

#[test]
fn positions_follow_the_prototype() {
    let plan = Plan::new(&facts());
    assert_eq!(plan.relocations[usize::from(arg::RELEASED_WRITE)], Some(16));
    assert_eq!(plan.relocations[usize::from(arg::CHANGE_PROTECTION_FLAGS)], Some(32));

    let mut newer = facts();
    newer.tracepoints.insert("mmap_lock_released".into(), "void(struct mm_struct *, bool)".into());
    let plan = Plan::new(&newer);
    assert_eq!(plan.relocations[usize::from(arg::RELEASED_WRITE)], Some(8));
}

#[test]
fn offsets_come_from_the_members() {
    let plan = Plan::new(&facts());
    assert_eq!(plan.relocations[usize::from(field::TASK_COMM)], Some(3000));
    assert_eq!(plan.relocations[usize::from(field::TASK_COMM_HIGH)], Some(3008));
    assert_eq!(plan.relocations[usize::from(field::MM_CTX_ID)], None);
    assert!(!plan.has_ctx_id);
    assert!(!plan.has_task_btf, "one of two helpers is not enough");
}

#[test]
fn a_prototype_never_seen_is_absent_and_quoted() {
    let mut strange = facts();
    strange.functions.insert("tlb_gather_mmu".into(), "void(struct mmu_gather *tlb, int mm)".into());
    let plan = Plan::new(&strange);
    assert_eq!(
        decision(&plan, "tlb_gather_mmu"),
        &Decision::Absent("unknown prototype (struct mmu_gather *tlb, int mm)".into())
    );
    assert_eq!(plan.relocations[usize::from(arg::GATHER_MM)], None);
}

#[test]
fn a_missing_function_or_member_is_named() {
    let mut poorer = facts();
    poorer.members.remove("task_struct.flags");
    let plan = Plan::new(&poorer);
    assert_eq!(
        decision(&plan, "handle_userfault"),
        &Decision::Absent("this kernel has no function handle_userfault".into())
    );
    assert_eq!(decision(&plan, "mmap_lock_released"), &Decision::Absent("this kernel has no task_struct.flags".into()));
}

#[test]
fn every_relocation_has_one_source() {
    // A member and an argument with the same id, or arguments at different places, would overwrite each other silently.
    let mut users: BTreeMap<u16, Vec<(&str, Option<u8>)>> = BTreeMap::new();
    for member in members::MEMBERS {
        users.entry(member.id).or_default().push((member.path, None));
    }
    for hook in HOOKS {
        for &(id, position) in hook.forms.iter().flat_map(|form| form.positions) {
            users.entry(id).or_default().push((hook.target, Some(position)));
        }
    }
    for (id, users) in users {
        let of_one_target = users.iter().all(|(target, _)| *target == users[0].0);
        let at_one_place = users.iter().all(|(_, place)| *place == users[0].1 && place.is_some());
        assert!(of_one_target || at_one_place, "relocation {id} is used by {users:?}");
    }
}

/// As [`facts`], with the registers of an architecture.
fn facts_with(registers: &[(&str, u32)]) -> KernelFacts {
    let mut facts = facts();
    facts.members.extend(registers.iter().map(|(name, offset)| (format!("pt_regs.{name}"), *offset)));
    facts
}

const X86: &[(&str, u32)] = &[("di", 112), ("si", 104), ("dx", 96), ("cx", 88), ("r8", 72), ("r9", 64), ("ax", 80)];

#[test]
fn kprobes_find_arguments_in_registers() {
    let kprobes = Plan::new(&facts_with(X86)).kprobes.unwrap();
    let place = |id: u16| kprobes.relocations[usize::from(id)];
    assert_eq!([place(arg::GATHER_TLB), place(arg::GATHER_MM)], [Some(112), Some(104)]);
    assert_eq!(place(arg::CHANGE_PROTECTION_FLAGS), Some(72));
    assert_eq!(place(arg::GATHER_END), Some(112), "no register that may hold anything");
    assert_eq!(place(arg::RELEASED_WRITE), None, "a tracepoint's argument is in no register");
    assert_eq!(place(field::TASK_MM), Some(2400));

    let kprobes = Plan::new(&facts_with(&[("regs", 0)])).kprobes.unwrap();
    assert_eq!(kprobes.relocations[usize::from(arg::CHANGE_PROTECTION_FLAGS)], Some(32));
}

#[test]
fn kprobes_find_the_result_behind_the_last_argument() {
    let mut facts = facts_with(X86);
    facts.functions.insert("do_wp_page".into(), "vm_fault_t(struct vm_fault *vmf)".into());
    facts.functions.insert("down_read_killable".into(), "int(struct rw_semaphore *sem)".into());
    let kprobes = Plan::new(&facts).kprobes.unwrap();
    let place = |id: u16| kprobes.relocations[usize::from(id)];
    assert_eq!([place(arg::WP_PAGE_VMF), place(arg::WP_PAGE_RET)], [Some(112), Some(80)]);
    assert_eq!([place(arg::RWSEM), place(arg::RWSEM_RET)], [Some(112), Some(80)]);
}

#[test]
fn what_is_in_no_register_is_absent() {
    let registers = &X86[..3];
    assert!(Plan::new(&facts_with(registers)).kprobes.unwrap_err().contains("registers"));
    assert!(Plan::new(&KernelFacts { has_kprobes: Some(false), ..facts_with(X86) }).kprobes.is_err());
}

#[test]
fn a_kernel_without_types_takes_no_programs_by_them() {
    let facts = KernelFacts {
        lacks_types: true,
        helpers: HELPERS.iter().map(|name| (*name).to_owned()).collect(),
        ..facts_with(X86)
    };
    let plan = Plan::new(&facts);
    assert!(!plan.has_task_btf && plan.against_types.is_some());
    assert_eq!(Plan::new(&KernelFacts { lacks_types: false, ..facts }).against_types, None);
}

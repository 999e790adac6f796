//! Finding the slot of an mm, claiming one at first sight, and naming its owner while it lives.

use aya_ebpf::bindings::BPF_NOEXIST;
use probe_common::{
    lost,
    relocation::field,
    slot::{MmSlot, STATE_DEAD, STATE_EXEC, STATE_NAMED},
    task::TaskState,
};

use crate::{
    kernel::{Raw, Reader, Typed, copy_name, current_comm, current_id, current_mm, current_task, now_ns, opaque},
    maps::{FREE_SLOTS, MM_INDEX, at, count_lost, get, set, slot},
    params,
};

/// The slot of those that find none.
const NOBODY: u32 = 0;

/// The slot of `mm`, remembered beside the task's state, and its number. What finds no slot is nobody's.
#[inline(always)]
pub(crate) fn of<R: Reader>(task: *mut TaskState, mm: u64) -> Option<(u32, *mut MmSlot)> {
    let index = get!(task, slot);
    if get!(task, mm) == mm {
        if let Some(entry) = slot(index)
            && if R::IDENTIFIES {
                is_of::<R>(entry, mm)
            } else {
                get!(entry, mm) == mm && get!(entry, state) != STATE_DEAD
            }
        {
            return Some((index, entry));
        }
        // That mm is gone, or had no slot. What lies there now may be anything, and a lock in it no mm's.
        if !R::IDENTIFIES && !is_mm(mm) {
            if index == NOBODY {
                count_lost(lost::MM_TABLE_FULL);
                return Some((NOBODY, slot(NOBODY)?));
            }
            set!(task, mm = 0);
            return None;
        }
    }
    let index = find_or_claim::<R>(mm);
    set!(task, mm = mm);
    set!(task, slot = index);
    Some((index, slot(index)?))
}

/// The slot of the running task's own mm, which is a typed pointer only where the task is one.
#[inline(always)]
pub(crate) fn of_current(task: *mut TaskState) -> Option<(u32, *mut MmSlot)> {
    if params::has_task_btf() != 0 { of::<Typed>(task, current_mm()) } else { of::<Raw>(task, current_mm()) }
}

/// The slot of an mm if it has one.
#[inline(always)]
pub(crate) fn known(mm: u64) -> Option<u32> {
    let mut key = 0_u64;
    crate::maps::store(&raw mut key, mm);
    MM_INDEX.get_ptr(&key).map(|found| crate::maps::volatile(found))
}

/// Whether an mm is there: the task's own, one that has a slot, or one whose owner says so. A wrong guess would need memory in which a
/// pointer leads to a task that points back, or in which the context id of an mm that was there before still stands.
#[inline(always)]
pub(crate) fn is_mm(mm: u64) -> bool {
    opaque(mmscope_is_mm(mm)) != 0
}

/// A function of its own, see ARCHITECTURE.md.
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn mmscope_is_mm(mm: u64) -> u64 {
    if current_mm() == mm {
        return 1;
    }
    if let Some(index) = known(mm)
        && let Some(entry) = slot(index)
        && is_of::<Raw>(entry, mm)
    {
        return 1;
    }
    u64::from(has_owner(mm))
}

/// The top byte of every address of the kernel. What lies around another semaphore may be any number: on a processor with addresses of
/// 57 bits that uses 48, kernels up to 5.10 at least take some that are none for addresses, and warn when they have read there
/// (copy_from_kernel_nofault_allowed in arch/x86/mm/maccess.c goes by the processor).
const KERNEL_HALF: u64 = 0xff;

/// Whether what would be an mm's owner says that it is. An exec works on an mm that nobody's task points to yet.
#[inline(always)]
fn has_owner(mm: u64) -> bool {
    if params::has_mm_owner() == 0 {
        return false;
    }
    let owner = Raw::u64::<{ field::MM_OWNER }>(mm);
    owner >> 56 == KERNEL_HALF && (owner == current_task() || Raw::u64::<{ field::TASK_MM }>(owner) == mm)
}

/// Whether a slot still belongs to this very mm. The address alone is reused, the context id never.
#[inline(always)]
fn is_of<R: Reader>(entry: *mut MmSlot, mm: u64) -> bool {
    get!(entry, mm) == mm && get!(entry, ctx_id) == ctx_id::<R>(mm)
}

#[inline(always)]
fn ctx_id<R: Reader>(mm: u64) -> u64 {
    if params::has_ctx_id() == 0 {
        return 0;
    }
    R::u64::<{ field::MM_CTX_ID }>(mm)
}

/// The slot of an mm that a task has not just met.
#[inline(always)]
pub(crate) fn find_or_claim<R: Reader>(mm: u64) -> u32 {
    // The lookup's address of the key must hold a number, not a pointer the compiler may have kept in a register.
    let mut key = 0_u64;
    crate::maps::store(&raw mut key, mm);
    if let Some(found) = MM_INDEX.get_ptr(&key) {
        let index = crate::maps::volatile(found);
        if let Some(entry) = slot(index)
            && is_of::<R>(entry, mm)
        {
            refresh_owner::<R>(entry, mm);
            return index;
        }
        // The address was reused. The old slot stays as it is until the daemon has read it for the last time.
        let _ = MM_INDEX.remove(&key);
    }
    let Ok(Some(index)) = FREE_SLOTS.pop() else {
        count_lost(lost::MM_TABLE_FULL);
        return NOBODY;
    };
    let Some(entry) = slot(index) else {
        return NOBODY;
    };
    set!(entry, ctx_id = ctx_id::<R>(mm));
    set!(entry, born_ns = now_ns());
    let state = name::<R>(entry, mm);
    set!(entry, mm = mm);
    if MM_INDEX.insert(&key, &index, u64::from(BPF_NOEXIST)).is_err() {
        // Another thread of this mm was first: give ours back and take its.
        set!(entry, mm = 0);
        let _ = FREE_SLOTS.push(index, 0);
        return match MM_INDEX.get_ptr(&key) {
            Some(found) => crate::maps::volatile(found),
            None => {
                count_lost(lost::MM_TABLE_FULL);
                NOBODY
            }
        };
    }
    set!(entry, state = state);
    index
}

/// Writes the owner's name into a slot: that of the mm's owner, which a fork, an exec or a remote actor cannot
/// confuse. Returns the state that the slot is in with it.
#[inline(always)]
fn name<R: Reader>(entry: *mut MmSlot, mm: u64) -> u32 {
    if params::has_mm_owner() == 0 {
        // Then only those who work on their own mm can be named.
        if current_mm() == mm {
            set!(entry, tgid = (current_id() >> 32) as u32);
            current_comm(at!(entry, comm_halves).cast());
        }
        return STATE_NAMED;
    }
    let owner = R::u64::<{ field::MM_OWNER }>(mm);
    if owner == 0 {
        // The kernel's own. The slot may have been given back by one who lost a race for his.
        set!(entry, tgid = 0);
        set!(entry, comm_halves[0] = 0);
        return STATE_NAMED;
    }
    set!(entry, tgid = R::u32::<{ field::TASK_TGID }>(owner));
    set!(entry, comm_halves[0] = R::u64::<{ field::TASK_COMM }>(owner));
    set!(entry, comm_halves[1] = R::u64::<{ field::TASK_COMM_HIGH }>(owner));
    cgroup::<R>(entry, owner);
    // An exec builds the new mm while the task still runs on the old one and bears the old name.
    if owner == current_task() && current_mm() != mm { STATE_EXEC } else { STATE_NAMED }
}

/// Writes the id of a task's cgroup into a slot.
#[inline(always)]
fn cgroup<R: Reader>(entry: *mut MmSlot, owner: u64) {
    if params::has_cgroup() != 0 {
        let css_set = R::u64::<{ field::TASK_CGROUPS }>(owner);
        let cgroup = if params::has_v1_cgroup() != 0 {
            R::u64::<{ field::STATE_CGROUP }>(R::u64::<{ field::CSS_SET_STATE }>(css_set))
        } else {
            R::u64::<{ field::CSS_SET_DFL_CGRP }>(css_set)
        };
        let node = R::u64::<{ field::CGROUP_KN }>(cgroup);
        set!(entry, cgroup_id = R::u64::<{ field::KERNFS_NODE_ID }>(node));
    }
}

/// A fork claims the child's slot before the child has its process id, and before it is in its cgroup: until then it is in the
/// root. The first task that meets the mm later sets both right.
#[inline(always)]
fn refresh_owner<R: Reader>(entry: *mut MmSlot, mm: u64) {
    if params::has_mm_owner() != 0 {
        let owner = R::u64::<{ field::MM_OWNER }>(mm);
        if owner != 0 {
            let tgid = R::u32::<{ field::TASK_TGID }>(owner);
            if get!(entry, tgid) != tgid {
                set!(entry, tgid = tgid);
                cgroup::<R>(entry, owner);
            }
        }
    }
}

/// A process was given a name, by exec or by itself.
#[inline(always)]
pub(crate) fn rename<R: Reader>(task: u64, new_name: u64) {
    // A thread's own name is not its process's.
    if R::u32::<{ field::TASK_PID }>(task) != R::u32::<{ field::TASK_TGID }>(task) {
        return;
    }
    let mut key = 0_u64;
    crate::maps::store(&raw mut key, R::u64::<{ field::TASK_MM }>(task));
    if let Some(found) = MM_INDEX.get_ptr(&key)
        && let Some(entry) = slot(crate::maps::volatile(found))
    {
        copy_name(at!(entry, comm_halves).cast(), new_name);
        set!(entry, state = STATE_NAMED);
    }
}

/// An mm is gone: nothing will be counted for it any more.
#[inline(always)]
pub(crate) fn retire(mm: u64) {
    let mut key = 0_u64;
    crate::maps::store(&raw mut key, mm);
    if let Some(found) = MM_INDEX.get_ptr(&key) {
        let index = crate::maps::volatile(found);
        let _ = MM_INDEX.remove(&key);
        if let Some(entry) = slot(index) {
            set!(entry, state = STATE_DEAD);
        }
    }
}

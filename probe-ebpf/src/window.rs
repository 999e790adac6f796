//! Pending-flush windows and TLB flushes: what they mean. Knows nothing of how the events are hooked.

use core::ffi::c_void;

use probe_common::{
    event::{FLUSH, STALE_WINDOW},
    lost,
    relocation::field,
    series::{
        ESCALATED_NESTED, ESCALATED_RECLAIM, FLUSH_FULL, FLUSH_PAGE, FLUSH_RANGE, INNER, OP_EXEC, OP_EXIT, OP_KTHREAD,
        OP_MPROTECT, OP_OTHER, OP_UFFD_IOCTL, OUTER, PATH_EXIT, PATH_MPROTECT, PATH_NUMA, PATH_OTHER, PATH_SOFT_DIRTY,
        PATH_UFFD_UNWP, PATH_UFFD_WP, PATH_ZAP, PATHS,
    },
    slot::MmSlot,
    task::{BUSY_CONTEXT, BUSY_WINDOW, NO_SLOT, TaskState},
};

use crate::{
    emit::{self, Event},
    kernel::{Raw, Reader, current_mm, current_switches, now_ns, offset},
    maps::{add_u64, at, count_lost, get, increment, set, slot},
    operation, params, places, range, slots, tasks,
    turn::Turn,
    write_fault,
};

/// How a gather began. No enumeration: told apart by a branch, the compiler would write all that follows twice.
#[derive(Clone, Copy)]
pub(crate) struct Gather {
    /// The mm is torn down.
    pub(crate) is_teardown: bool,
    /// By tlb_gather_mmu_vma, which may or may not have called tlb_gather_mmu.
    pub(crate) is_vma: bool,
}

/// An mmu_gather began; `mm` counts it as a pending flush from now on.
///
/// An mmu_gather lives on its task's stack, which grows down. An open one at the same address or below belongs to a
/// function that has returned: its end was not seen.
#[inline(always)]
pub(crate) fn open<R: Reader>(tlb: u64, mm: u64, gather: Gather, turn: Turn) {
    let Some(task) = tasks::current() else { return };
    let (first, second) = (get!(task, windows[0].tlb), get!(task, windows[1].tlb));
    if (gather.is_vma || turn != Turn::First) && (first == tlb || second == tlb) {
        return;
    }
    if second != 0 && second <= tlb {
        drop_window::<1>(task, lost::WINDOW_OVERWRITTEN);
    }
    if first != 0 && first <= tlb {
        drop_window::<0>(task, lost::WINDOW_OVERWRITTEN);
    }
    if get!(task, windows[0].tlb) == 0 {
        set!(task, shootdowns_ns = 0);
        return open_in::<R, 0>(task, tlb, mm, gather);
    }
    if get!(task, windows[1].tlb) != 0 {
        drop_window::<1>(task, lost::WINDOW_OVERFLOW);
    }
    open_in::<R, 1>(task, tlb, mm, gather);
}

/// Gives up a window whose end was not seen, so that the books are right again from here on.
#[inline(always)]
fn drop_window<const I: usize>(task: *mut TaskState, reason: u32) {
    count_lost(reason);
    set!(task, windows[I].tlb = 0);
    tasks::end(task, BUSY_WINDOW << I);
    if let Some(entry) = slot(get!(task, windows[I].slot)) {
        increment(at!(entry, windows_closed));
    }
}

#[inline(always)]
fn open_in<R: Reader, const I: usize>(task: *mut TaskState, tlb: u64, mm: u64, gather: Gather) {
    let Some((slot_index, entry)) = slots::of::<R>(task, mm) else { return };
    let path = if gather.is_teardown { PATH_EXIT + 1 } else { get!(task, context_path) };
    set!(task, windows[I].tlb = tlb);
    set!(task, windows[I].slot = slot_index);
    set!(task, windows[I].path = path);
    set!(task, windows[I].inner_since_ns = 0);
    set!(task, windows[I].inner_end_ns = 0);
    set!(task, windows[I].end = 0);
    set!(task, windows[I].met = 0);
    let (yields, preemptions) = current_switches();
    set!(task, windows[I].yields = yields);
    set!(task, windows[I].preemptions = preemptions);
    tasks::begin(task, BUSY_WINDOW << I);
    set!(task, windows[I].place = places::take(entry, task, slot_index, get!(task, windows[I].place)));
    increment(at!(entry, windows_opened));
    set!(task, windows[I].since_ns = now_ns());
}

/// How long, and at how many looks, the kernel's count of pending flushes and ours must differ before that is no
/// coincidence: between its change and ours another thread may look.
const PENDING_PATIENCE_MS: u32 = 1000;
const PENDING_PATIENCE_LOOKS: u32 = 16;

/// Compares the kernel's count of pending flushes with ours, right after a window's end has changed both.
///
/// Where nobody else can be in between (the mm is torn down, or it is that of a task alone), a difference is a mismatch
/// at once. Elsewhere it is one when it has been there at each of many looks for a second.
#[inline(always)]
fn compare_pending<R: Reader>(mm: u64, entry: *mut MmSlot, slot_index: u32, is_teardown: bool, now: u64) {
    if params::has_pending() == 0 || slot_index == 0 {
        return;
    }
    let ours = get!(entry, windows_opened).wrapping_sub(get!(entry, windows_closed));
    let difference = R::u32::<{ field::MM_TLB_FLUSH_PENDING }>(mm).wrapping_sub(ours);
    if difference == get!(entry, pending_difference) {
        if get!(entry, pending_differs_looks) != 0 {
            set!(entry, pending_differs_looks = 0);
        }
        return;
    }
    let alone = is_teardown || (R::u32::<{ field::MM_USERS }>(mm) == 1 && current_mm() == mm);
    let looks = get!(entry, pending_differs_looks);
    let now_ms = (now / 1_000_000) as u32;
    set!(entry, pending_differs_looks = looks + 1);
    if looks == 0 {
        set!(entry, pending_differs_since_ms = now_ms);
    }
    let since_ms = now_ms.wrapping_sub(get!(entry, pending_differs_since_ms));
    if alone || (looks >= PENDING_PATIENCE_LOOKS && since_ms >= PENDING_PATIENCE_MS) {
        // What was not seen once stays a difference: it counts once.
        set!(entry, pending_differs_looks = 0);
        set!(entry, pending_difference = difference);
        if difference != 0 {
            count_lost(lost::PENDING_MISMATCH);
        }
    }
}

/// cp_flags, include/linux/mm.h, the same from 5.10 on.
const MM_CP_PROT_NUMA: u64 = 1 << 1;
const MM_CP_UFFD_WP: u64 = 1 << 2;
const MM_CP_UFFD_WP_RESOLVE: u64 = 1 << 3;
/// From 7.3 on: userfaultfd's protection against reading and writing.
const MM_CP_UFFD_RWP: u64 = 1 << 4;
const MM_CP_UFFD_RWP_RESOLVE: u64 = 1 << 5;

#[inline(always)]
fn path_of(cp_flags: u64) -> u32 {
    if cp_flags & MM_CP_PROT_NUMA != 0 {
        PATH_NUMA
    } else if cp_flags & (MM_CP_UFFD_WP | MM_CP_UFFD_RWP) != 0 {
        PATH_UFFD_WP
    } else if cp_flags & (MM_CP_UFFD_WP_RESOLVE | MM_CP_UFFD_RWP_RESOLVE) != 0 {
        PATH_UFFD_UNWP
    } else {
        PATH_MPROTECT
    }
}

/// A protection change, as change_protection is told it, or its stand-ins.
#[derive(Clone, Copy)]
pub(crate) struct Change {
    /// First byte.
    pub(crate) start: u64,
    /// First byte behind.
    pub(crate) end: u64,
    pub(crate) cp_flags: u64,
    /// Flags of the VMA, the new ones already.
    pub(crate) vma_flags: u64,
}

/// VM_WRITE, include/linux/mm.h.
const VM_WRITE: u64 = 2;

/// Whether pages may be written after a change; those of userfaultfd's un-protection by the next fault, or at once.
#[inline(always)]
fn is_writable(path: u32, vma_flags: u64) -> bool {
    path == PATH_UFFD_UNWP || path == PATH_MPROTECT && vma_flags & VM_WRITE != 0
}

/// Page-table entries of a range are about to change under an open gather.
#[inline(always)]
pub(crate) fn change_protection(tlb: u64, change: Change, turn: Turn) {
    let Some(task) = tasks::find() else { return };
    let last = get!(task, change_turn);
    set!(task, change_turn = turn.number());
    if turn.follows(last) {
        return;
    }
    let path = path_of(change.cp_flags);
    // By way of memory: else the verifier would walk all ranges once for each path.
    set!(task, scratch = u64::from(is_writable(path, change.vma_flags)));
    let slot_index = if get!(task, windows[0].tlb) == tlb {
        announce::<0>(task, change, path)
    } else if get!(task, windows[1].tlb) == tlb {
        announce::<1>(task, change, path)
    } else {
        return;
    };
    range::changed(slot_index, change.start, change.end, get!(task, scratch) != 0);
    // Last: what was done here is none of the change's time.
    let now = now_ns();
    if get!(task, windows[0].tlb) == tlb {
        begin_inner::<0>(task, now);
    } else {
        begin_inner::<1>(task, now);
    }
    if path_of(change.cp_flags) == PATH_MPROTECT {
        count_vma(task, now);
    }
}

/// Where flushes are inline: change_protection has changed so many pages, and has returned. With its last page table the VMA's range
/// was flushed, unless the gather has it yet.
#[inline(always)]
pub(crate) fn changed_protection(tlb: u64, pages: u64) {
    let Some(task) = tasks::find() else { return };
    // Less than none says why it failed.
    if pages as i64 <= 0 {
        return;
    }
    let end = if Raw::u64::<{ field::MMU_GATHER_END }>(tlb) == 0 { now_ns() } else { WHEN_FINISHED };
    if get!(task, windows[0].tlb) == tlb {
        set!(task, windows[0].inner_end_ns = end);
    } else if get!(task, windows[1].tlb) == tlb {
        set!(task, windows[1].inner_end_ns = end);
    }
}

/// `inner_end_ns` of a window that will be flushed when its gather is finished.
const WHEN_FINISHED: u64 = u64::MAX;

/// Where flushes are inline: what of a gather that is finished was flushed in that. One that found other gathers of its mm has made
/// itself one of the whole mm.
#[inline(always)]
fn flushed_inline<const I: usize>(task: *mut TaskState, tlb: u64, entry: *mut MmSlot, now: u64) {
    if get!(task, windows[I].path) == PATH_EXIT + 1 {
        return;
    }
    let is_whole =
        u64::from(Raw::u32::<{ field::MMU_GATHER_BITS }>(tlb)) & offset::<{ field::MMU_GATHER_FULLMM }>() != 0;
    if get!(task, windows[I].inner_end_ns) == WHEN_FINISHED || is_whole && get!(task, windows[I].inner_since_ns) != 0 {
        set!(task, windows[I].inner_end_ns = now);
    }
    if is_whole {
        escalated(task, entry, get!(task, windows[I].slot));
    }
}

/// Notes where a window's pages change, and why; the slot of its mm.
#[inline(always)]
fn announce<const I: usize>(task: *mut TaskState, change: Change, path: u32) -> u32 {
    if get!(task, windows[I].end) == 0 {
        set!(task, windows[I].start = change.start);
    }
    // VMAs come in the order of their addresses.
    set!(task, windows[I].end = change.end);
    set!(task, windows[I].path = path + 1);
    get!(task, windows[I].slot)
}

#[inline(always)]
fn begin_inner<const I: usize>(task: *mut TaskState, now: u64) {
    if get!(task, windows[I].inner_since_ns) == 0 {
        set!(task, windows[I].inner_since_ns = now);
    }
}

/// One more VMA of an mprotect.
#[inline(always)]
fn count_vma(task: *mut TaskState, now: u64) {
    let vmas = if get!(task, change_since_ns) == 0 { 0 } else { get!(task, change_vmas) };
    set!(task, change_vmas = vmas + 1);
    set!(task, change_since_ns = now);
}

/// tlb_single_page_flush_ceiling, arch/x86/mm/tlb.c: a longer range is flushed as a whole. A debugfs file can change
/// it; hardly anybody does.
const SINGLE_PAGE_FLUSH_CEILING: u64 = 33;

/// A flush is complete.
#[inline(always)]
pub(crate) fn flushed<R: Reader>(ctx: *mut c_void, mm: u64, start: u64, end: u64, stride_shift: u64, turn: Turn) {
    let Some(task) = tasks::current() else { return };
    let last = get!(task, flush_turn);
    set!(task, flush_turn = turn.number());
    if turn.follows(last) {
        return;
    }
    let Some((slot_index, entry)) = slots::of::<R>(task, mm) else { return };
    let gathering = flushed_in::<0>(task, slot_index) | flushed_in::<1>(task, slot_index);
    let is_inline = get!(task, inline_since_ns) != 0;
    let kind = if end == u64::MAX {
        FLUSH_FULL
    } else if !gathering && !is_inline && end.wrapping_sub(start) == 4096 {
        FLUSH_PAGE
    } else {
        FLUSH_RANGE
    };
    increment(at!(entry, flushes[kind]));
    if kind == FLUSH_FULL {
        increment(at!(entry, full_flushes));
        if get!(entry, reclaim_open) != 0 {
            set!(entry, reclaim_flushed_ns = now_ns());
        }
        if gathering {
            escalated(task, entry, slot_index);
        }
    } else {
        let pages = end.wrapping_sub(start) >> (stride_shift & 63);
        if pages <= SINGLE_PAGE_FLUSH_CEILING {
            add_u64(at!(entry, flush_pages), pages);
        }
        if kind == FLUSH_PAGE {
            range::flushed(entry, slot_index, start, end);
            if get!(task, wp_pte) != 0 {
                write_fault::flushed(task, slot_index, start);
            }
        }
    }
    if params::timeline() != 0 {
        emit::record(
            ctx,
            &Event {
                slot: slot_index,
                series: FLUSH,
                operation: OP_OTHER,
                begin_ns: now_ns(),
                duration_ns: 0,
                detail: [start, end, kind as u64, 0, 0, 0],
            },
        );
    }
    if is_inline {
        inline_flushed(ctx, task, slot_index, kind == FLUSH_FULL);
    }
}

/// Whether the flush is one of this window's own gather; if so, the inner window lasts at least until now.
#[inline(always)]
fn flushed_in<const I: usize>(task: *mut TaskState, slot_index: u32) -> bool {
    if get!(task, windows[I].tlb) == 0 || get!(task, windows[I].slot) != slot_index {
        return false;
    }
    if get!(task, windows[I].inner_since_ns) != 0 {
        set!(task, windows[I].inner_end_ns = now_ns());
    }
    true
}

/// A full flush inside a gather. One of a gather that tears the mm down is none that grew; of the others, tlb_finish_mmu says
/// so in the gather itself, and who flushes before it has met reclaim's outstanding flushes.
#[inline(always)]
fn escalated(task: *mut TaskState, entry: *mut MmSlot, slot_index: u32) {
    let second = get!(task, windows[1].tlb) != 0 && get!(task, windows[1].slot) == slot_index;
    let (tlb, path) = if second {
        (get!(task, windows[1].tlb), get!(task, windows[1].path))
    } else {
        (get!(task, windows[0].tlb), get!(task, windows[0].path))
    };
    if path == PATH_EXIT + 1 {
        return;
    }
    if Raw::u64::<{ field::MMU_GATHER_END }>(tlb) != u64::MAX {
        increment(at!(entry, escalated[ESCALATED_RECLAIM as usize]));
        return;
    }
    let (start, end) = if second {
        (get!(task, windows[1].start), get!(task, windows[1].end))
    } else {
        (get!(task, windows[0].start), get!(task, windows[0].end))
    };
    if end == 0 {
        // What it had gathered is forgotten by now.
        increment(at!(entry, escalated[ESCALATED_NESTED as usize + 2]));
        return;
    }
    if places::overlap(task, slot_index, start, end, false).is_any {
        increment(at!(entry, escalated[ESCALATED_NESTED as usize + 1]));
    } else {
        increment(at!(entry, escalated[ESCALATED_NESTED as usize]));
    }
}

/// An mmu_gather ended; the flush, if there was one, is complete and no longer pending.
#[inline(always)]
pub(crate) fn close<R: Reader>(ctx: *mut c_void, tlb: u64, turn: Turn) {
    let found = tasks::find();
    let known = found.is_some();
    if let Some(task) = found {
        if get!(task, windows[0].tlb) == tlb {
            return close_in::<R, 0>(ctx, task, tlb);
        }
        if get!(task, windows[1].tlb) == tlb {
            return close_in::<R, 1>(ctx, task, tlb);
        }
    }
    turn.count_orphan(known, lost::WINDOW_OLDER_THAN_ATTACH, lost::WINDOW_CLOSE_WITHOUT_OPEN);
}

#[inline(always)]
fn close_in<R: Reader, const I: usize>(ctx: *mut c_void, task: *mut TaskState, tlb: u64) {
    let now = now_ns();
    let slot_index = get!(task, windows[I].slot);
    let since = get!(task, windows[I].since_ns);
    if params::inline_flushes() != 0
        && let Some(entry) = slot(slot_index)
    {
        flushed_inline::<I>(task, tlb, entry, now);
    }
    set!(task, windows[I].tlb = 0);
    tasks::end(task, BUSY_WINDOW << I);
    let known = get!(task, windows[I].path);
    let path = if known == 0 { path_of_operation(task) } else { known - 1 };
    if path as usize >= PATHS.len() {
        return;
    }
    let Some(entry) = slot(slot_index) else { return };
    places::check(entry, task, get!(task, windows[I].place));
    increment(at!(entry, windows_closed));
    let (first_byte, end_byte) = (get!(task, windows[I].start), get!(task, windows[I].end));
    let is_teardown = known == PATH_EXIT + 1;
    compare_pending::<R>(R::u64::<{ field::MMU_GATHER_MM }>(tlb), entry, slot_index, is_teardown, now);
    let Some(open) = emit::elapsed(since, now) else { return };
    let inner_end = get!(task, windows[I].inner_end_ns);
    let mut inner = NO_INNER;
    if inner_end != 0 {
        inner = emit::elapsed(get!(task, windows[I].inner_since_ns), inner_end).unwrap_or(NO_INNER);
    }
    mmscope_window_closed(u64::from(slot_index) << PATH_BITS | u64::from(path), first_byte, end_byte, open, inner);
    if open >= params::record_window_ns() {
        let (yields, preemptions) = current_switches();
        emit::record(
            ctx,
            &Event {
                slot: slot_index,
                series: OUTER + path,
                operation: operation::current(task, get!(entry, mm), false),
                begin_ns: since,
                duration_ns: open,
                detail: [
                    u64::from(yields.wrapping_sub(get!(task, windows[I].yields))),
                    u64::from(preemptions.wrapping_sub(get!(task, windows[I].preemptions))),
                    first_byte,
                    end_byte,
                    get!(task, shootdowns_ns),
                    0,
                ],
            },
        );
    }
    if get!(task, windows[I].met) != 0 {
        tell_met(ctx, slot_index, path, since, open, first_byte, end_byte);
    }
}

/// [`mmscope_window_closed`]: no inner window.
const NO_INNER: u64 = u64::MAX;
/// Its first argument: bits of the path, below the slot's number.
const PATH_BITS: u64 = 4;

/// A function of its own, see ARCHITECTURE.md: what a window leaves when it has closed. What was announced to change is
/// flushed.
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn mmscope_window_closed(slot_and_path: u64, start: u64, end: u64, outer_ns: u64, inner_ns: u64) -> u64 {
    let (slot_index, path) = ((slot_and_path >> PATH_BITS) as u32, (slot_and_path & ((1 << PATH_BITS) - 1)) as u32);
    let Some(entry) = slot(slot_index) else { return 0 };
    if end != 0 {
        range::flushed(entry, slot_index, start, end);
    }
    emit::add_to(entry, slot_index, OUTER + path, outer_ns);
    if inner_ns != NO_INNER {
        emit::add_to(entry, slot_index, INNER + path, inner_ns);
    }
    0
}

/// A window that a write fault met is closed: who had it open, and where.
#[inline(always)]
fn tell_met(ctx: *mut c_void, slot_index: u32, path: u32, since: u64, open: u64, start: u64, end: u64) {
    emit::record(
        ctx,
        &Event {
            slot: slot_index,
            series: STALE_WINDOW,
            operation: OP_UFFD_IOCTL,
            begin_ns: since,
            duration_ns: open,
            detail: [start, end, u64::from(path), 0, 0, 0],
        },
    );
}

/// Path of a window in which no protection changed.
#[inline(always)]
fn path_of_operation(task: *mut TaskState) -> u32 {
    match operation::current(task, 0, false) {
        OP_MPROTECT => PATH_MPROTECT,
        OP_EXIT => PATH_EXIT,
        OP_EXEC | OP_KTHREAD => PATH_OTHER,
        _ => PATH_ZAP,
    }
}

/// A function began that gives its path to the windows opened inside it, or changes page tables of `slot_index` (if it
/// is known already) without a gather.
#[inline(always)]
pub(crate) fn enter_context(path: u32, slot_index: u32, start: u64, end: u64, turn: Turn) {
    let Some(task) = tasks::current() else { return };
    if turn != Turn::First && get!(task, context_path) == path + 1 {
        return;
    }
    set!(task, context_path = path + 1);
    set!(task, inline_slot = NO_SLOT);
    set!(task, inline_end_ns = 0);
    set!(task, inline_start = start);
    set!(task, inline_end = end);
    set!(task, inline_place = 0);
    set!(task, inline_met = 0);
    set!(task, shootdowns_ns = 0);
    let is_inline = path == PATH_SOFT_DIRTY || params::inline_changes() != 0;
    let now = now_ns();
    set!(task, inline_since_ns = if is_inline { now } else { 0 });
    tasks::begin(task, BUSY_CONTEXT);
    if slot_index != NO_SLOT {
        inline_announced(task, slot_index, now);
    }
}

/// As [`enter_context`], where the VMA that will change is known, and its flags.
#[inline(always)]
pub(crate) fn enter_context_of<R: Reader>(path: u32, mm: u64, change: Change, turn: Turn) {
    let Some(task) = tasks::current() else { return };
    let Some((slot_index, _)) = slots::of::<R>(task, mm) else { return };
    set!(task, inline_writable = u32::from(is_writable(path, change.vma_flags)));
    enter_context(path, slot_index, change.start, change.end, turn);
}

/// The mm of an inline window is known: others may find it.
#[inline(always)]
fn inline_announced(task: *mut TaskState, slot_index: u32, now: u64) {
    set!(task, inline_slot = slot_index);
    if get!(task, inline_since_ns) == 0 {
        return;
    }
    set!(task, inline_since_ns = now);
    if get!(task, inline_place) == 0
        && let Some(entry) = slot(slot_index)
    {
        set!(task, inline_place = places::take(entry, task, slot_index, get!(task, windows[0].place)));
    }
    if params::inline_changes() == 0 {
        return;
    }
    let path = get!(task, context_path) - 1;
    if path != PATH_SOFT_DIRTY {
        let writable = path == PATH_UFFD_UNWP || path == PATH_MPROTECT && get!(task, inline_writable) != 0;
        range::changed(slot_index, get!(task, inline_start), get!(task, inline_end), writable);
    }
    if path == PATH_MPROTECT {
        count_vma(task, now_ns());
    }
}

/// That function ended; `changed` tells whether it went as far as changing page tables.
#[inline(always)]
pub(crate) fn leave_context(ctx: *mut c_void, changed: bool) {
    let Some(task) = tasks::find() else { return };
    let path = get!(task, context_path);
    if path != 0 && get!(task, inline_since_ns) != 0 {
        if changed {
            inline_closed(ctx, task, path - 1);
        } else {
            inline_forgotten(task);
        }
    }
    set!(task, context_path = 0);
    set!(task, inline_since_ns = 0);
    tasks::end(task, BUSY_CONTEXT);
}

/// Nobody can find the inline window any more.
#[inline(always)]
fn inline_forgotten(task: *mut TaskState) {
    if let Some(entry) = slot(get!(task, inline_slot)) {
        places::check(entry, task, get!(task, inline_place));
    }
    set!(task, inline_place = 0);
}

/// mmap_lock was acquired inside such a function. What is counted inline is counted under that lock, so the time
/// before was none of the window's.
#[inline(always)]
pub(crate) fn locked(task: *mut TaskState, slot_index: u32, write: bool, now: u64) {
    if get!(task, inline_since_ns) != 0 && write == (get!(task, context_path) == PATH_SOFT_DIRTY + 1) {
        inline_announced(task, slot_index, now);
    }
}

/// A flush inside such a function. clear_refs ends with one of the whole mm, and only where it was about soft-dirty;
/// what change_protection counts itself ends with its last flush.
#[inline(always)]
fn inline_flushed(ctx: *mut c_void, task: *mut TaskState, slot_index: u32, is_full: bool) {
    let known = get!(task, inline_slot);
    if known != NO_SLOT && known != slot_index {
        return;
    }
    set!(task, inline_slot = slot_index);
    set!(task, inline_end_ns = now_ns());
    if is_full && get!(task, context_path) == PATH_SOFT_DIRTY + 1 {
        inline_closed(ctx, task, PATH_SOFT_DIRTY);
    }
}

/// A window that the kernel counts with inline helpers: from the lock, or the entry of the function that holds it
/// already, to the return of the last flush, or of the function if nothing was to be flushed.
#[inline(always)]
fn inline_closed(ctx: *mut c_void, task: *mut TaskState, path: u32) {
    let since = get!(task, inline_since_ns);
    let flushed = get!(task, inline_end_ns);
    let slot_index = get!(task, inline_slot);
    inline_forgotten(task);
    set!(task, inline_since_ns = 0);
    let Some(entry) = slot(slot_index) else { return };
    if path as usize >= PATHS.len() {
        return;
    }
    let (start, end) = (get!(task, inline_start), get!(task, inline_end));
    if path != PATH_SOFT_DIRTY && params::inline_changes() != 0 {
        range::flushed(entry, slot_index, start, end);
    }
    let Some(open) = emit::elapsed(since, if flushed != 0 { flushed } else { now_ns() }) else { return };
    emit::duration(slot_index, OUTER + path, open);
    if flushed != 0 {
        emit::duration(slot_index, INNER + path, open);
    }
    if open >= params::record_window_ns() {
        emit::record(
            ctx,
            &Event {
                slot: slot_index,
                series: OUTER + path,
                operation: operation::current(task, get!(entry, mm), true),
                begin_ns: since,
                duration_ns: open,
                detail: [0, 0, start, end, get!(task, shootdowns_ns), 0],
            },
        );
    }
    if get!(task, inline_met) != 0 {
        tell_met(ctx, slot_index, path, since, open, start, end);
    }
}

/// tlb:tlb_flush reasons, include/linux/mm_types.h enum tlb_flush_reason.
const TLB_LOCAL_SHOOTDOWN: u64 = 2;
const TLB_LOCAL_MM_SHOOTDOWN: u64 = 3;

/// The initiating CPU flushed its own TLB. Where functions cannot be hooked, this is what is left of a flush.
#[inline(always)]
pub(crate) fn flushed_locally(reason: u64, pages: u64) {
    if reason as u32 != TLB_LOCAL_SHOOTDOWN as u32 && reason as u32 != TLB_LOCAL_MM_SHOOTDOWN as u32 {
        return;
    }
    let mm = current_mm();
    if mm == 0 {
        return;
    }
    let Some(task) = tasks::current() else { return };
    let Some((_, entry)) = slots::of_current(task) else { return };
    // A fault flushes its one page under a read lock or none; who holds the lock for write flushes a range.
    let writes = get!(task, holds[0].mm) == mm && get!(task, holds[0].write) != 0;
    match pages {
        u64::MAX => increment(at!(entry, flushes[FLUSH_FULL])),
        1 if !writes => {
            increment(at!(entry, flushes[FLUSH_PAGE]));
            add_u64(at!(entry, flush_pages), 1);
        }
        pages => {
            increment(at!(entry, flushes[FLUSH_RANGE]));
            add_u64(at!(entry, flush_pages), pages);
        }
    }
}

//! What the kernel side has open, when programs were given up: its end will not be seen. Nobody else writes what is written
//! here: the programs that would are detached.

use std::mem::offset_of;

use probe_common::{
    slot::{MmSlot, SLOTS, STATE_DEAD, STATE_FREE},
    task::{BUSY_RECLAIM, BUSY_SHOOTDOWN, BUSY_WAIT, BUSY_WP, TaskState},
};

use super::{BUSY_WORD, ID_WORD, Intake, STATE_WORD};

const WAIT_LOCK_WORD: usize = offset_of!(TaskState, wait_lock) / 8;
const WP_PTE_WORD: usize = offset_of!(TaskState, wp_pte) / 8;
const SHOOTDOWN_WORD: usize = offset_of!(TaskState, shootdown_since_ns) / 8;
const RECLAIM_FIRST_WORD: usize = offset_of!(TaskState, reclaim_first) / 8;
const _: () = assert!(offset_of!(TaskState, reclaim_first) % 8 == 4, "the upper half");
const RECLAIM_MMS_WORD: usize = offset_of!(TaskState, reclaim_mms) / 8;
const _: () = assert!(offset_of!(TaskState, reclaim_mms) % 8 == 4, "the upper half");

/// A counter of a slot: its word, and where in it.
const fn counter(offset: usize) -> (usize, usize) {
    (offset / 8, offset % 8 * 8)
}

const WAITS_ENDED: (usize, usize) = counter(offset_of!(MmSlot, waits_ended));
const FAULTS_ENDED: (usize, usize) = counter(offset_of!(MmSlot, faults_ended));
const WAITS_SINCE_WORD: usize = offset_of!(MmSlot, waits_since_ns) / 8;

impl Intake {
    /// The programs of waits were given up: nobody waits by the books.
    pub fn settle_waits(&mut self) {
        for index in 0..self.tasks.len() {
            if self.tasks.read_word(index, BUSY_WORD) as u32 & BUSY_WAIT != 0 {
                self.end_wait(&self.tasks.read(index));
                self.tasks.write_word(index, WAIT_LOCK_WORD, 0);
                self.clear_busy(index, BUSY_WAIT);
            }
        }
        self.unmap();
    }

    /// The programs of write faults, shootdowns and reclaim were given up: none of these is under way by the books.
    pub fn settle_hazards(&mut self) {
        const HAZARDS: u32 = BUSY_WP | BUSY_SHOOTDOWN | BUSY_RECLAIM;
        for index in 0..self.tasks.len() {
            if self.tasks.read_word(index, BUSY_WORD) as u32 & HAZARDS != 0 {
                self.batches.forget(index, &self.slots);
                self.tasks.write_word(index, WP_PTE_WORD, 0);
                self.tasks.write_word(index, SHOOTDOWN_WORD, 0);
                for word in [RECLAIM_FIRST_WORD, RECLAIM_MMS_WORD] {
                    self.tasks.keep_in_word(index, word, u64::from(u32::MAX));
                }
                self.clear_busy(index, HAZARDS);
            }
        }
        self.unmap();
    }

    /// All programs were given up. Nothing is open any more, and no mm is known: by the time that they run again it may be gone,
    /// and another one be at its address. What was counted so far is told at the next look.
    pub fn forget(&mut self) {
        for index in 0..self.tasks.len() {
            if self.tasks.read_word(index, BUSY_WORD) as u32 != 0 {
                let task = self.tasks.read(index);
                self.close_windows(&task);
                self.end_wait(&task);
                if task.fault_since_ns != 0 {
                    self.count(task.fault_slot, FAULTS_ENDED);
                }
                self.batches.forget(index, &self.slots);
                self.tasks.write_word(index, BUSY_WORD, 0);
            }
            if self.tasks.read_word(index, ID_WORD) != 0 {
                self.tasks.write_word(index, ID_WORD, 0);
            }
        }
        self.task_books.clear();
        for index in 1..self.next_slot {
            let state = (self.slots.read_word(index, STATE_WORD) >> 32) as u32;
            if state != STATE_FREE && state != STATE_DEAD {
                self.retire(index, &self.slots.read(index));
            }
        }
        self.unmap();
    }

    /// Programs are about to be attached or given up: what ends without a beginning may be older than they are, or younger.
    pub fn changing(&mut self) {
        self.attached_ns.write(0, &0);
    }

    fn end_wait(&self, task: &TaskState) {
        if task.wait_lock != 0 && task.wait_slot < SLOTS {
            self.count(task.wait_slot, WAITS_ENDED);
            self.slots.add_to_word(task.wait_slot, WAITS_SINCE_WORD, task.wait_since_ns.wrapping_neg());
        }
    }

    fn count(&self, slot: u32, (word, shift): (usize, usize)) {
        if slot < SLOTS {
            self.slots.add_to_word(slot, word, 1 << shift);
        }
    }

    /// A task that sets or clears another bit at this very moment takes no notice: then a bit stays until the task is gone,
    /// and is counted as abandoned.
    fn clear_busy(&self, index: u32, bits: u32) {
        self.tasks.keep_in_word(index, BUSY_WORD, !u64::from(bits));
    }
}

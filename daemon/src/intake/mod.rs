//! Reads the kernel side's maps at each tick and drains its ring. Leaves an [`Observation`]: what was added, by mm.
//!
//! Decides nothing about subjects or rules; the clock is passed in.

mod books;
mod counts;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;
mod mapping;
mod programs;
mod reclaim;
mod sizes;
mod tables;

use std::{collections::BTreeMap, fs, io, mem::offset_of, os::fd::AsFd as _, path::Path};

use aya::{
    Ebpf,
    maps::{HashMap, Map, MapData, RingBuf, stack::Stack},
};
use probe_common::{
    event::Record,
    histogram::Row,
    lost,
    series::{BLOCKED, COUNT as SERIES},
    slot::{ErrorKey, MmSlot, ROWS, SLOTS, STATE_DEAD, STATE_EXEC, STATE_FREE, WINDOW_PLACES},
    task::{BUSY_FAULT, TASKS, TaskState},
};
use zerocopy::{FromBytes as _, FromZeros as _};

pub use counts::{Counts, Histogram, Histograms};
pub use programs::ProgramFigures;
pub use sizes::{TableSize, table_name};

use crate::{attach::Programs, failure::Failure};
use mapping::Mapping;
use programs::KprobeProfile;
use reclaim::Batches;
use tables::SlotBook;

/// Slots and rows handed out at start and kept free after: what may be claimed between two ticks before anything
/// falls back to "other".
const FREE_SLOTS: u32 = 4096;
const FREE_ROWS: u32 = 16 * 1024;
/// Looks without an event after which a slot's process is looked for.
const IDLE_LOOKS: u32 = 2;
/// Looks at a dead mm before its slot is given away: what was being written at the first one is read by the second.
const DEAD_LOOKS: u32 = 2;
/// The hook of names.
const NAMES: &str = "task_rename";
/// Looks for which an exec may leave its new mm without a name.
const EXEC_LOOKS: u32 = 5;

/// Looks between two searches for tasks that went away with something open.
const TASK_LOOKS: u64 = 16;

/// Words that are looked at before a whole entry is copied.
const STATE_WORD: usize = offset_of!(MmSlot, state) / 8;
/// The first of the two words of a name.
const COMM_WORD: usize = offset_of!(MmSlot, comm_halves) / 8;
const SERIES_WORD: usize = offset_of!(Row, series) / 8;
const BUSY_WORD: usize = offset_of!(TaskState, busy) / 8;
/// The word in which a task's userfault begins, and that of its mm's slot.
const FAULT_SINCE_WORD: usize = offset_of!(TaskState, fault_since_ns) / 8;
const FAULT_SLOT_WORD: usize = offset_of!(TaskState, fault_slot) / 8;
const _: () = assert!(offset_of!(TaskState, fault_slot) % 8 == 0, "the lower half");
/// The first word of the places of open windows, two in each.
const PLACES_WORD: usize = offset_of!(MmSlot, open_windows) / 8;
const _: () = assert!(offset_of!(MmSlot, open_windows) % 8 == 0, "two places in a word");
/// The word that holds the count of closed windows, and where in it.
const CLOSED_WORD: usize = offset_of!(MmSlot, windows_closed) / 8;
const CLOSED_SHIFT: usize = offset_of!(MmSlot, windows_closed) % 8 * 8;
const ID_WORD: usize = offset_of!(TaskState, id) / 8;
const _: () = assert!(offset_of!(MmSlot, state) % 8 == 4, "the upper half on a little-endian machine");
const _: () = assert!(offset_of!(Row, series) % 8 == 4, "the upper half");
const _: () = assert!(offset_of!(TaskState, busy) % 8 == 0, "the lower half");

/// What was added to one mm since the last tick.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MmObservation {
    /// Name of the owner's process; none for what found no slot of its own.
    pub owner: Option<Owner>,
    /// What was added.
    pub counts: Counts,
    /// Beginning of the oldest userfault in flight, CLOCK_MONOTONIC nanoseconds.
    pub fault_since_ns: Option<u64>,
    /// Since when the oldest batch of reclaim that took pages from it is not flushed, CLOCK_MONOTONIC nanoseconds.
    pub reclaim_since_ns: Option<u64>,
    /// When a userfaultfd of it was last asked for something, CLOCK_MONOTONIC nanoseconds.
    pub uffd_ioctl_ns: Option<u64>,
}

/// A single event, and whose mm it happened in.
#[derive(Clone, Debug)]
pub struct Told {
    /// The event.
    pub record: Record,
    /// None if its mm found no slot, or is gone for so long that the slot has another.
    pub owner: Option<Owner>,
}

/// Whose mm it is, as the kernel side saw it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Owner {
    /// Name, sixteen bytes with an end.
    pub comm: [u8; 16],
    /// Process id.
    pub tgid: u32,
    /// Id of its cgroup in the v2 hierarchy, zero if it could not be read.
    pub cgroup_id: u64,
    /// When its mm was first seen, CLOCK_MONOTONIC nanoseconds.
    pub born_ns: u64,
}

/// How full a table of the kernel side is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TableFigures {
    /// Entries in use; none where that cannot be read.
    pub entries: Option<u64>,
    /// Entries at most, and its memory.
    pub size: TableSize,
}

/// What one tick saw.
#[derive(Clone, Debug, Default)]
pub struct Observation {
    /// What was added, by mm.
    pub mms: Vec<MmObservation>,
    /// Losses since the start, by the reasons of `probe_common::lost`.
    pub lost: Vec<u64>,
    /// Looks at which the kernel's count of pending flushes differed from ours, since the start.
    pub pending_mismatches: u64,
    /// Tables.
    pub tables: Vec<TableFigures>,
    /// What the kernel says of each attached program.
    pub programs: BTreeMap<&'static str, ProgramFigures>,
    /// Nanoseconds waited for mmap_lock since the start, by waiter's and holder's operation
    /// (`probe_common::series::BLOCKED`).
    pub blocked_ns: Vec<u64>,
    /// Single events over their thresholds.
    pub records: Vec<Told>,
}

/// The kernel side's maps.
pub struct Intake {
    slots: Mapping<MmSlot>,
    rows: Mapping<Row>,
    tasks: Mapping<TaskState>,
    lost: Mapping<u64>,
    blocked_ns: Mapping<u64>,
    attached_ns: Mapping<u64>,
    index: HashMap<MapData, u64, u32>,
    errors: HashMap<MapData, [u8; 8], u64>,
    free_slots: Stack<MapData, u32>,
    free_rows: Stack<MapData, u32>,
    records: RingBuf<MapData>,
    batches: Batches,
    sizes: Vec<TableSize>,
    slot_books: Vec<SlotBook>,
    row_books: Vec<Row>,
    error_books: std::collections::HashMap<[u8; 8], u64>,
    /// Never handed out yet.
    next_slot: u32,
    next_row: u32,
    /// Whether an mm has a userfault in flight, at the last look: then the task table tells since when.
    has_faults: bool,
    /// As of the last look.
    slots_in_use: u32,
    rows_in_use: u32,
    /// As of the last look at the task table.
    tasks_busy: u32,
    programs: BTreeMap<&'static str, Programs>,
    kprobes: KprobeProfile,
    /// Whether the kernel side sees names that processes are given.
    sees_names: bool,
    own_tgid: u32,
    /// Tasks that had something open when tasks were last looked for, by entry.
    task_books: BTreeMap<u32, u64>,
    looks: u64,
}

impl Intake {
    /// Takes the maps out of the loaded object and hands out the first free slots and rows, so that the first event
    /// finds its place.
    ///
    /// # Errors
    ///
    /// When a map is missing or cannot be mapped.
    pub fn new(ebpf: &mut Ebpf) -> Result<Self, Failure> {
        // While the object still has them all.
        let sizes = sizes::read(Path::new("/proc/self/fdinfo"), ebpf);
        let slots = mapped(ebpf, "MM_SLOTS", SLOTS)?;
        let rows = mapped(ebpf, "HISTOGRAM_ROWS", ROWS)?;
        let mut intake = Self {
            slots,
            rows,
            tasks: mapped(ebpf, "TASK_STATES", TASKS)?,
            lost: mapped(ebpf, "LOST", lost::COUNTERS)?,
            blocked_ns: mapped(ebpf, "BLOCKED_NS", BLOCKED)?,
            attached_ns: mapped(ebpf, "ATTACHED_NS", 1)?,
            index: typed(ebpf, "MM_INDEX")?,
            errors: typed(ebpf, "UFFD_ERRORS")?,
            free_slots: typed(ebpf, "FREE_SLOTS")?,
            free_rows: typed(ebpf, "FREE_ROWS")?,
            records: typed(ebpf, "RECORDS")?,
            batches: Batches::new(typed(ebpf, "RECLAIM_BATCHES")?),
            sizes,
            slot_books: Vec::new(),
            row_books: Vec::new(),
            error_books: std::collections::HashMap::new(),
            next_slot: 1,
            next_row: SERIES as u32,
            has_faults: false,
            slots_in_use: 0,
            rows_in_use: 0,
            tasks_busy: 0,
            programs: BTreeMap::new(),
            kprobes: KprobeProfile::default(),
            sees_names: true,
            own_tgid: std::process::id(),
            task_books: BTreeMap::new(),
            looks: 0,
        };
        // Slot 0 is nobody's; its rows have fixed places.
        for series in 0..SERIES as u32 {
            let mut row = Row::new_zeroed();
            row.series = series + 1;
            intake.rows.write(series, &row);
        }
        intake.hand_out().map_err(|error| Failure::System(format!("hand out table entries: {error}")))?;
        Ok(intake)
    }

    /// The programs whose own figures are read at each tick.
    pub fn programs(&mut self, programs: BTreeMap<&'static str, Programs>) {
        self.kprobes = KprobeProfile::of(&programs);
        self.sees_names = programs.contains_key(NAMES);
        self.programs = programs;
    }

    /// Everything is attached since a time (CLOCK_MONOTONIC, nanoseconds): from then on what ends without a beginning was
    /// missed, and is not only older.
    pub fn attached(&mut self, now_ns: u64) {
        self.attached_ns.write(0, &now_ns);
    }

    /// What the tables take, the same from now on.
    #[must_use]
    pub fn sizes(&self) -> &[TableSize] {
        &self.sizes
    }

    /// Pushes entries never used before, so that enough are free.
    fn hand_out(&mut self) -> Result<(), aya::maps::MapError> {
        while self.next_slot < SLOTS && self.next_slot < self.slots_in_use + FREE_SLOTS {
            self.free_slots.push(self.next_slot, 0)?;
            self.next_slot += 1;
        }
        while self.next_row < ROWS && self.next_row < self.rows_in_use + FREE_ROWS {
            self.free_rows.push(self.next_row, 0)?;
            self.next_row += 1;
        }
        Ok(())
    }

    /// Reads everything once.
    pub fn tick(&mut self) -> Observation {
        let (mut counts, dead) = self.look_at_slots();
        self.look_at_rows(&mut counts);
        self.look_at_errors(&mut counts);
        // Before slots are freed: a record may be of one that is.
        let records = self.drain();
        let mms = self.name(counts);
        if self.looks.is_multiple_of(TASK_LOOKS) {
            self.look_for_tasks();
        }
        self.looks += 1;
        self.free(&dead);
        if let Err(error) = self.hand_out() {
            tracing::warn!(%error, "cannot hand out table entries");
        }
        let observation = Observation {
            mms,
            lost: (0..lost::COUNT as u32).map(|reason| self.lost.read(reason)).collect(),
            pending_mismatches: self.lost.read(lost::PENDING_MISMATCH),
            tables: self.table_figures(),
            programs: programs::read(Path::new("/proc/self/fdinfo"), &self.programs, &self.kprobes.missed()),
            blocked_ns: (0..BLOCKED).map(|n| self.blocked_ns.read(n)).collect(),
            records,
        };
        self.unmap();
        observation
    }

    fn unmap(&mut self) {
        self.slots.unmap();
        self.rows.unmap();
        self.tasks.unmap();
    }

    /// What was added to the plain counters, by slot, and the slots whose mm is gone for good.
    fn look_at_slots(&mut self) -> (BTreeMap<u32, Counts>, Vec<u32>) {
        let mut added = BTreeMap::new();
        let mut dead = Vec::new();
        self.slots_in_use = 0;
        self.has_faults = false;
        self.slot_books.resize_with(self.next_slot as usize, SlotBook::new);
        for index in 0..self.next_slot {
            let book = &mut self.slot_books[index as usize];
            book.is_told = false;
            if index != 0 && (self.slots.read_word(index, STATE_WORD) >> 32) as u32 == STATE_FREE {
                continue;
            }
            self.slots_in_use += 1;
            let slot = self.slots.read(index);
            self.has_faults |= slot.faults_begun != slot.faults_ended;
            if slot.state == STATE_EXEC && book.exec_looks < EXEC_LOOKS {
                // An exec has yet to give the process its name; what it did so far is told with it.
                book.exec_looks += 1;
                if !self.sees_names {
                    self.name_by_process(index, slot.tgid);
                }
                continue;
            }
            book.is_told = true;
            let counts = book.look(&slot);
            if !counts.is_empty() {
                added.insert(index, counts);
            }
            if book.dead_looks >= DEAD_LOOKS {
                dead.push(index);
            } else if index != 0
                && book.idle_looks >= IDLE_LOOKS
                && slot.state != STATE_DEAD
                && slot.tgid != 0
                && !process_exists(slot.tgid)
            {
                self.retire(index, &slot);
            }
        }
        (added, dead)
    }

    /// Where the kernel side sees no names that are given, an exec's is the process's, as long as it lives.
    fn name_by_process(&self, index: u32, tgid: u32) {
        let Ok(text) = fs::read(format!("/proc/{tgid}/comm")) else { return };
        let mut comm = [0; 16];
        comm.iter_mut().zip(text.trim_ascii_end()).take(15).for_each(|(place, byte)| *place = *byte);
        for (n, half) in comm.as_chunks().0.iter().enumerate() {
            self.slots.write_word(index, COMM_WORD + n, u64::from_ne_bytes(*half));
        }
    }

    /// Takes a slot whose process is gone out of the index; it is freed two looks later.
    fn retire(&mut self, index: u32, slot: &MmSlot) {
        if self.index.get(&slot.mm, 0).is_ok_and(|found| found == index) {
            // Another mm may be at this address by now: then the index no longer names this slot.
            let _ = self.index.remove(&slot.mm);
        }
        let mut dead = *slot;
        dead.state = STATE_DEAD;
        self.slots.write(index, &dead);
    }

    fn free(&mut self, freed: &[u32]) {
        if freed.is_empty() {
            return;
        }
        for index in 0..self.row_books.len() as u32 {
            if index >= SERIES as u32 && freed.contains(&self.row_books[index as usize].slot) {
                self.rows.write(index, &Row::new_zeroed());
                self.row_books[index as usize] = Row::new_zeroed();
                let _ = self.free_rows.push(index, 0);
            }
        }
        let errors: Vec<[u8; 8]> = self.error_books.keys().copied().collect();
        for key in errors {
            if freed.contains(&error_key(&key).slot) {
                let _ = self.errors.remove(&key);
                self.error_books.remove(&key);
            }
        }
        for &index in freed {
            self.slots.write(index, &MmSlot::new_zeroed());
            self.slot_books[index as usize] = SlotBook::new();
            let _ = self.free_slots.push(index, 0);
        }
    }

    /// Frees the entries of tasks that are gone with something open: its end was not seen. An entry that is met twice in a
    /// row may belong to one.
    fn look_for_tasks(&mut self) {
        let last = std::mem::take(&mut self.task_books);
        self.tasks_busy = 0;
        for index in 0..self.tasks.len() {
            if self.tasks.read_word(index, BUSY_WORD) as u32 == 0 {
                continue;
            }
            let id = self.tasks.read_word(index, ID_WORD);
            if last.get(&index) == Some(&id) && !task_exists(id) {
                self.close_windows(&self.tasks.read(index));
                self.batches.forget(index, &self.slots);
                self.tasks.write_word(index, ID_WORD, 0);
                self.tasks.write_word(index, BUSY_WORD, 0);
                self.lost.add_to_word(lost::ABANDONED, 0, 1);
            } else {
                self.task_books.insert(index, id);
                self.tasks_busy += 1;
            }
        }
    }

    /// The windows of a task that is gone are not open any more.
    fn close_windows(&self, task: &TaskState) {
        for window in task.windows.iter().filter(|window| window.tlb != 0 && window.slot < SLOTS) {
            self.slots.add_to_word(window.slot, CLOSED_WORD, 1 << CLOSED_SHIFT);
            self.give_back(window.slot, window.place, task.index);
        }
        if task.inline_since_ns != 0 && task.inline_slot < SLOTS {
            self.give_back(task.inline_slot, task.inline_place, task.index);
        }
    }

    /// Others need not look for a window there any more.
    fn give_back(&self, slot: u32, place: u32, task: u32) {
        let Some(place) = (place as usize).checked_sub(1).filter(|place| *place < WINDOW_PLACES) else { return };
        let (word, shift) = (PLACES_WORD + place / 2, place % 2 * 32);
        if (self.slots.read_word(slot, word) >> shift) as u32 == task + 1 {
            self.slots.add_to_word(slot, word, (u64::from(task + 1) << shift).wrapping_neg());
        }
    }

    /// Adds what the histogram rows gained. A row of a slot that is not told about yet waits with it.
    fn look_at_rows(&mut self, counts: &mut BTreeMap<u32, Counts>) {
        let mut in_use = 0;
        self.row_books.resize_with(self.next_row as usize, Row::new_zeroed);
        for index in 0..self.next_row {
            if self.rows.read_word(index, SERIES_WORD) >> 32 == 0 {
                continue;
            }
            in_use += 1;
            let row = self.rows.read(index);
            let Some(book) = self.slot_books.get_mut(row.slot as usize).filter(|book| book.is_told) else { continue };
            let last = &mut self.row_books[index as usize];
            let histogram = tables::row_difference(&row, last);
            *last = row;
            if histogram != Histogram::default() {
                counts.entry(row.slot).or_default().add_histogram(row.series - 1, &histogram);
                book.idle_looks = 0;
            }
        }
        self.rows_in_use = in_use;
    }

    fn look_at_errors(&mut self, counts: &mut BTreeMap<u32, Counts>) {
        for (key, total) in self.errors.iter().filter_map(Result::ok) {
            let parts = error_key(&key);
            if !self.slot_books.get(parts.slot as usize).is_some_and(|book| book.is_told) {
                continue;
            }
            let last = self.error_books.entry(key).or_default();
            let added = total.wrapping_sub(*last);
            *last = total;
            if added != 0 {
                *counts.entry(parts.slot).or_default().errors.entry((parts.ioctl, parts.errno)).or_default() += added;
            }
        }
    }

    /// Puts names to what was counted. Own activity is left out.
    fn name(&self, mut counts: BTreeMap<u32, Counts>) -> Vec<MmObservation> {
        let faults = if self.has_faults { self.faults_in_flight() } else { BTreeMap::new() };
        let batches = self.batches.oldest(&self.slots);
        // What has something open is told though nothing was added.
        for index in faults.keys().chain(batches.keys()) {
            if self.slot_books.get(*index as usize).is_some_and(|book| book.is_told) {
                counts.entry(*index).or_default();
            }
        }
        counts
            .into_iter()
            .filter_map(|(index, counts)| {
                if index == 0 {
                    return Some(MmObservation {
                        owner: None,
                        counts,
                        fault_since_ns: None,
                        reclaim_since_ns: None,
                        uffd_ioctl_ns: None,
                    });
                }
                let slot = self.slots.read(index);
                (slot.tgid != self.own_tgid).then(|| MmObservation {
                    owner: Some(owner(&slot)),
                    counts,
                    fault_since_ns: faults.get(&index).copied(),
                    reclaim_since_ns: batches.get(&index).copied(),
                    uffd_ioctl_ns: Some(slot.uffd_ioctl_ns).filter(|&ns| ns != 0),
                })
            })
            .collect()
    }

    /// The beginning of the oldest userfault in flight, by slot.
    fn faults_in_flight(&self) -> BTreeMap<u32, u64> {
        let mut oldest = BTreeMap::new();
        for index in 0..self.tasks.len() {
            if self.tasks.read_word(index, BUSY_WORD) as u32 & BUSY_FAULT == 0 {
                continue;
            }
            let since = self.tasks.read_word(index, FAULT_SINCE_WORD);
            if since != 0 {
                let slot = self.tasks.read_word(index, FAULT_SLOT_WORD) as u32;
                oldest.entry(slot).and_modify(|known: &mut u64| *known = since.min(*known)).or_insert(since);
            }
        }
        oldest
    }

    fn table_figures(&self) -> Vec<TableFigures> {
        let entries = |name| match name {
            "mm_slots" => Some(u64::from(self.slots_in_use)),
            "histogram_rows" => Some(u64::from(self.rows_in_use)),
            "task_states" => Some(u64::from(self.tasks_busy)),
            "uffd_errors" => Some(self.error_books.len() as u64),
            "reclaim_batches" => Some(self.batches.len() as u64),
            _ => None,
        };
        self.sizes.iter().map(|&size| TableFigures { entries: entries(size.name), size }).collect()
    }

    /// Takes all records out of the ring. Own activity is left out here too.
    fn drain(&mut self) -> Vec<Told> {
        let mut told = Vec::new();
        while let Some(item) = self.records.next() {
            if let Some(record) = decode(&item)
                && record.tgid != self.own_tgid
            {
                let slot = (record.slot != 0 && record.slot < SLOTS).then(|| self.slots.read(record.slot));
                let owner = slot.filter(|slot| slot.born_ns == record.slot_born_ns).map(|slot| owner(&slot));
                // What another task does to this process's mm: khugepaged, or who reads its /proc.
                if owner.as_ref().is_some_and(|owner| owner.tgid == self.own_tgid) {
                    continue;
                }
                told.push(Told { record, owner });
            }
        }
        told
    }
}

/// A record as the ring has it; none is of another length.
fn decode(item: &[u8]) -> Option<Record> {
    Record::read_from_bytes(item).ok()
}

fn owner(slot: &MmSlot) -> Owner {
    let mut comm = [0; 16];
    comm[..8].copy_from_slice(&slot.comm_halves[0].to_ne_bytes());
    comm[8..].copy_from_slice(&slot.comm_halves[1].to_ne_bytes());
    Owner { comm, tgid: slot.tgid, cgroup_id: slot.cgroup_id, born_ns: slot.born_ns }
}

fn error_key(bytes: &[u8; 8]) -> ErrorKey {
    ErrorKey::read_from_bytes(bytes).unwrap_or(ErrorKey { slot: 0, ioctl: 0, errno: 0 })
}

fn process_exists(tgid: u32) -> bool {
    Path::new("/proc").join(tgid.to_string()).exists()
}

/// `id` has the process in its upper half and the thread in its lower, as the kernel side has them.
fn task_exists(id: u64) -> bool {
    Path::new("/proc").join((id >> 32).to_string()).join("task").join((id as u32).to_string()).exists()
}

fn take(ebpf: &mut Ebpf, name: &str) -> Result<Map, Failure> {
    ebpf.take_map(name).ok_or_else(|| Failure::System(format!("the kernel object has no map {name}")))
}

fn mapped<T: zerocopy::FromBytes + zerocopy::IntoBytes>(
    ebpf: &Ebpf,
    name: &str,
    entries: u32,
) -> Result<Mapping<T>, Failure> {
    let failed = |error: io::Error| Failure::System(format!("map {name} into memory: {error}"));
    // The map stays where it is: programs loaded later still refer to its descriptor.
    let Some(Map::Array(data)) = ebpf.map(name) else {
        return Err(Failure::System(format!("the kernel object has no array {name}")));
    };
    Mapping::new(data.fd().as_fd(), entries).map_err(failed)
}

fn typed<M: TryFrom<Map, Error = aya::maps::MapError>>(ebpf: &mut Ebpf, name: &str) -> Result<M, Failure> {
    M::try_from(take(ebpf, name)?).map_err(|error| Failure::System(format!("map {name}: {error}")))
}

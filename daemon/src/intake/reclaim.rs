//! The table of reclaim's batches that are not flushed yet: how old they are, and those of tasks that are gone.

use std::{collections::BTreeMap, mem::offset_of};

use aya::maps::{HashMap, MapData};
use probe_common::{
    reclaim::{Batch, BatchKey},
    slot::{MmSlot, SLOTS},
};
use zerocopy::FromBytes as _;

use super::mapping::Mapping;

/// The word that counts an mm's open batches, and where in it.
const OPEN_WORD: usize = offset_of!(MmSlot, reclaim_open) / 8;
const OPEN_SHIFT: usize = offset_of!(MmSlot, reclaim_open) % 8 * 8;

pub(super) struct Batches(HashMap<MapData, [u8; size_of::<BatchKey>()], [u8; size_of::<Batch>()]>);

impl Batches {
    pub(super) fn new(map: HashMap<MapData, [u8; 8], [u8; 24]>) -> Self {
        Self(map)
    }

    /// Since when the oldest batch of an mm is outstanding, by slot.
    pub(super) fn oldest(&self, slots: &Mapping<MmSlot>) -> BTreeMap<u32, u64> {
        let mut oldest = BTreeMap::new();
        for (key, batch) in self.entries() {
            if is_outstanding(&batch, &slots.read(key.slot)) {
                let since = oldest.entry(key.slot).or_insert(batch.since_ns);
                *since = batch.since_ns.min(*since);
            }
        }
        oldest
    }

    /// A task is gone: nobody flushes what it took.
    pub(super) fn forget(&mut self, task: u32, slots: &Mapping<MmSlot>) {
        let its: Vec<_> = self.entries().filter(|(key, _)| key.task == task).collect();
        for (key, batch) in its {
            let mut bytes = [0; size_of::<BatchKey>()];
            bytes.copy_from_slice(zerocopy::IntoBytes::as_bytes(&key));
            if self.0.remove(&bytes).is_ok() && slots.read(key.slot).born_ns == batch.slot_born_ns {
                slots.add_to_word(key.slot, OPEN_WORD, (1_u64 << OPEN_SHIFT).wrapping_neg());
            }
        }
    }

    pub(super) fn len(&self) -> usize {
        self.entries().count()
    }

    fn entries(&self) -> impl Iterator<Item = (BatchKey, Batch)> {
        self.0.iter().filter_map(Result::ok).filter_map(|(key, batch)| {
            let key = BatchKey::read_from_bytes(&key).ok().filter(|key| key.slot < SLOTS)?;
            Some((key, Batch::read_from_bytes(&batch).ok()?))
        })
    }
}

/// Whether a batch is one of the mm that has the slot now, and no full flush of that has overtaken it.
fn is_outstanding(batch: &Batch, slot: &MmSlot) -> bool {
    slot.born_ns == batch.slot_born_ns && slot.reclaim_flushed_ns < batch.since_ns
}

#[cfg(test)]
mod tests {
    use zerocopy::FromZeros as _;

    use super::*;

    #[test]
    fn a_full_flush_and_the_end_of_the_mm_end_what_is_outstanding() {
        let batch = Batch { since_ns: 10, slot_born_ns: 5, next: 0, pad: 0 };
        let slot = |born_ns, reclaim_flushed_ns| MmSlot { born_ns, reclaim_flushed_ns, ..MmSlot::new_zeroed() };
        assert!(is_outstanding(&batch, &slot(5, 0)));
        assert!(is_outstanding(&batch, &slot(5, 9)), "an older flush");
        assert!(!is_outstanding(&batch, &slot(5, 10)));
        assert!(!is_outstanding(&batch, &slot(6, 0)), "another mm");
    }
}

//! What each table of the kernel side takes of the kernel's memory, by the kernel's own word: fdinfo. All of it is taken when
//! the table is made; nothing that happens later makes it more.

use std::{
    fs,
    os::fd::{AsFd as _, AsRawFd as _},
    path::Path,
};

use aya::{Ebpf, maps::Map};

/// Names of the object's maps, and by what names they are told.
const NAMES: [(&str, &str); 14] = [
    ("MM_SLOTS", "mm_slots"),
    ("HISTOGRAM_ROWS", "histogram_rows"),
    ("TASK_STATES", "task_states"),
    ("PAGE_TABLE_RANGES", "page_table_ranges"),
    ("UFFD_ERRORS", "uffd_errors"),
    ("RECLAIM_BATCHES", "reclaim_batches"),
    ("RECORDS", "records"),
    ("MM_INDEX", "mm_index"),
    ("FREE_SLOTS", "free_slots"),
    ("FREE_ROWS", "free_rows"),
    ("CPU_ANSWERS", "cpu_answers"),
    ("BLOCKED_NS", "blocked_ns"),
    ("LOST", "lost"),
    ("ATTACHED_NS", "attached_ns"),
];
/// All that has no name above: the object's constants.
const OTHER: &str = "other";

/// One table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TableSize {
    /// Its name.
    pub name: &'static str,
    /// Entries at most, bytes for the ring.
    pub capacity: u64,
    /// Memory of the kernel's, bytes.
    pub bytes: u64,
}

/// The name of a table that is told by this name; none if there is no such table.
#[must_use]
pub fn table_name(name: &str) -> Option<&'static str> {
    NAMES.iter().map(|(_, known)| *known).chain([OTHER]).find(|known| *known == name)
}

/// Reads all maps of the object, in the order of their names above; `root` is /proc/self/fdinfo. What cannot be read is left
/// out.
pub(super) fn read(root: &Path, ebpf: &Ebpf) -> Vec<TableSize> {
    let told = |(map_name, map): (&str, &Map)| {
        let fdinfo = fs::read_to_string(root.join(descriptor(map)?.to_string())).ok()?;
        let name = NAMES.iter().find(|(of_map, _)| *of_map == map_name).map_or(OTHER, |(_, name)| *name);
        parse(name, &fdinfo)
    };
    let all: Vec<TableSize> = ebpf.maps().filter_map(told).collect();
    let names = NAMES.iter().map(|(_, name)| *name).chain([OTHER]);
    names.filter_map(|name| all.iter().filter(|size| size.name == name).copied().reduce(join)).collect()
}

fn descriptor(map: &Map) -> Option<i32> {
    match map {
        Map::Array(data) | Map::HashMap(data) | Map::Stack(data) | Map::RingBuf(data) => {
            Some(data.fd().as_fd().as_raw_fd())
        }
        _ => None,
    }
}

fn join(one: TableSize, other: TableSize) -> TableSize {
    TableSize { capacity: one.capacity + other.capacity, bytes: one.bytes + other.bytes, ..one }
}

fn parse(name: &'static str, fdinfo: &str) -> Option<TableSize> {
    let field = |name: &str| -> Option<u64> {
        fdinfo.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')?.trim().parse().ok())
    };
    Some(TableSize { name, capacity: field("max_entries")?, bytes: field("memlock")? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fdinfo_is_read() {
        let text = "pos:\t0\nmap_type:\t2\nkey_size:\t4\nvalue_size:\t512\nmax_entries:\t16384\nmap_flags:\t0x400\n\
                    map_extra:\t0x0\nmemlock:\t8392960\nmap_id:\t7\nfrozen:\t0\n";
        let size = TableSize { name: "task_states", capacity: 16_384, bytes: 8_392_960 };
        assert_eq!(parse("task_states", text), Some(size));
        assert_eq!(parse("task_states", "pos:\t0\n"), None);
        assert_eq!(join(size, size).bytes, 16_785_920);
    }
}

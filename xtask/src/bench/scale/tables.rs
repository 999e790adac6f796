//! The tables: what watching adds by the number of processors, and what the tables of the kernel side take.

use std::collections::BTreeMap;

use super::super::guest::Told;
use super::super::loads::Load;
use super::super::path::{is_function, is_program};
use super::events::Events;
use super::{LOADS, Size};

/// The numbers of the watchers in the guest's script.
const BARE: usize = 0;
const WATCHED: usize = 1;
const AGAIN: usize = 2;
/// Changes of protection or drops of pages in a cycle of each of [`LOADS`].
const CHANGES: [f64; 4] = [2.0, 2.0, 1.0, 1.0];

/// What watching adds, in all and by event.
pub(super) fn cost(sizes: &[Size]) -> String {
    let names: Vec<&str> = LOADS.iter().map(|load| load.name).collect();
    let head = |first: &str| format!("| {first} | {} |\n|{}\n", names.join(" | "), "---|".repeat(names.len() + 1));
    let mut text = format!("Instructions of a cycle, of all processors together:\n\n{}", head("CPUs"));
    for size in sizes {
        text.push_str(&format!("| {} |", size.cpus));
        for load in LOADS {
            text.push_str(&format!(" {} |", added(&size.told, load).unwrap_or_else(|| "-".to_owned())));
        }
        text.push('\n');
    }
    text.push_str(&format!(
        "\nEvents of a change of protection or a drop of pages, the programs' own instructions of an event, and what watching adds \
         for it in all:\n\n{}",
        head("CPUs")
    ));
    for size in sizes {
        text.push_str(&format!("| {} |", size.cpus));
        for ((load, changes), events) in LOADS.iter().zip(CHANGES).zip(&size.events) {
            let all = times(&size.told, load).map(|[bare, watched, _]| (watched - bare) / (changes * events.count()));
            let all = all.map_or_else(|| "-".to_owned(), |all| format!("{all:.0}"));
            text.push_str(&format!(" {:.1}: {:.0}, {all} |", events.count(), events.each()));
        }
        text.push('\n');
    }
    // An entry has the loads of one kind: in one mm, in an mm each.
    for (n, kind) in [(0, "toggles"), (2, "faults")] {
        text.push_str(&format!("\nInstructions of a run of each program, {kind}:\n\n{}", programs(sizes, n)));
    }
    text.push('\n');
    let mut units: Vec<&str> = LOADS.iter().map(|load| load.unit).collect();
    units.dedup();
    text.extend(units.into_iter().zip(["toggles", "faults"]).map(|(unit, name)| format!("- {name}: {unit}\n")));
    text
}

/// Instructions of a cycle by itself, watched, and by itself again.
fn times(told: &Told, load: &Load) -> Option<[f64; 3]> {
    let each = |watcher: usize| {
        let mut runs = told.elapsed.get(&(watcher, load.name.to_owned()))?.clone();
        runs.sort_unstable();
        Some(*runs.get(runs.len() / 2)? as f64 / f64::from(load.units))
    };
    Some([each(BARE)?, each(WATCHED)?, each(AGAIN)?])
}

/// What a cycle costs by itself, what watching adds, and what it cost by itself the second time.
fn added(told: &Told, load: &Load) -> Option<String> {
    let [bare, watched, again] = times(told, load)?;
    Some(format!("{bare:.0} {:+.0} (again {:+.0})", watched - bare, again - bare))
}

/// One row for each program of a load and the next one, by the number of processors.
fn programs(sizes: &[Size], load: usize) -> String {
    let of = |load: usize| sizes.iter().filter_map(move |size| size.events.get(load));
    let all: Vec<&Events> = of(load).chain(of(load + 1)).collect();
    let mut names: Vec<&str> = all.iter().flat_map(|events| &events.parts).map(|part| part.name.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    let heads = [cpus(sizes, "one mm, "), cpus(sizes, "an mm each, ")].concat();
    let mut text = format!("| program | {} |\n|{}\n", heads.join(" | "), "---|".repeat(heads.len() + 1));
    for name in names.into_iter().filter(|name| is_program(name) || is_function(name)) {
        let cell = |events: &&Events| events.of(name).map_or_else(|| "-".to_owned(), |each| format!("{each:.0}"));
        let cells: Vec<String> = all.iter().map(cell).collect();
        text.push_str(&format!("| {name} | {} |\n", cells.join(" | ")));
    }
    text
}

/// A column for each number of processors.
fn cpus(sizes: &[Size], before: &str) -> Vec<String> {
    sizes.iter().map(|size| format!("{before}{} CPU{}", size.cpus, if size.cpus == 1 { "" } else { "s" })).collect()
}

/// Bytes of each table as mmscope told them in a guest, by the word before.
pub(super) fn bytes(output: &str, word: &str) -> Vec<(String, u64)> {
    let table = |line: &str| {
        let rest = line.strip_prefix("@@@ ")?.strip_prefix(word)?;
        let (name, bytes) = rest.split_once("map=\"")?.1.split_once("\"} ")?;
        Some((name.to_owned(), bytes.trim().parse().ok()?))
    };
    output.lines().filter_map(table).collect()
}

/// What the tables take, by the number of processors.
pub(super) fn memory(sizes: &[Size]) -> String {
    let cpus = cpus(sizes, "");
    let mut text = format!("| table | {} |\n|{}\n", cpus.join(" | "), "---|".repeat(cpus.len() + 1));
    let mut rows: BTreeMap<&str, Vec<Option<u64>>> = BTreeMap::new();
    for (n, size) in sizes.iter().enumerate() {
        for (name, bytes) in &size.bytes {
            rows.entry(name).or_insert_with(|| vec![None; sizes.len()])[n] = Some(*bytes);
        }
    }
    let mut rows: Vec<_> = rows.into_iter().collect();
    rows.sort_by_key(|(_, bytes)| std::cmp::Reverse(bytes.clone()));
    let all = (0..sizes.len()).map(|n| rows.iter().map(|(_, bytes)| bytes[n]).sum::<Option<u64>>()).collect();
    rows.push(("all", all));
    for (name, bytes) in rows {
        let cells: Vec<String> =
            bytes.into_iter().map(|bytes| bytes.map_or_else(|| "-".to_owned(), |bytes| bytes.to_string())).collect();
        text.push_str(&format!("| {name} | {} |\n", cells.join(" | ")));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_watching_adds_stands_beside_the_error() {
        let load = &LOADS[0];
        let key = |watcher: usize| (watcher, load.name.to_owned());
        let told = Told {
            elapsed: BTreeMap::from([
                (key(BARE), vec![12_000_000, 14_000_000, 90_000_000]),
                (key(WATCHED), vec![28_000_000]),
                (key(AGAIN), vec![13_980_000]),
            ]),
            problems: Vec::new(),
        };
        assert_eq!(added(&told, load).as_deref(), Some("7000 +7000 (again -10)"));
        assert_eq!(added(&told, &LOADS[1]), None);
    }

    #[test]
    fn tables_are_read_and_added_up() {
        let output = "@@@ before mmscope_map_bytes{map=\"lost\"} 1\n@@@ after mmscope_map_bytes{map=\"lost\"} 5\n\
                      @@@ after mmscope_map_bytes{map=\"rows\"} 9\n";
        let size = Size { cpus: 2, told: Told::default(), events: Vec::new(), bytes: bytes(output, "after") };
        let text = memory(&[size]);
        assert!(text.ends_with("| rows | 9 |\n| lost | 5 |\n| all | 14 |\n"), "{text}");
    }
}

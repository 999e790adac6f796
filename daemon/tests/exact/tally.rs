//! Counting the kernel's events: by hist triggers, or where the kernel was built without them (Debian's 5.10), by
//! recording every event in the trace ring and counting what is there. Knows tracefs; nothing of what the events mean.

use std::{
    collections::BTreeMap,
    fs::{self, OpenOptions},
    io::{Read as _, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

pub(crate) const TRACING: &str = "/sys/kernel/tracing";

/// Room of the ring for each processor, where events are recorded.
const RING_KIB: u32 = 256 * 1024;
/// Different keys that a hist trigger can have.
const KEYS: u32 = 65_536;

/// An event to count, by the values of its keys.
pub(crate) struct Event {
    name: String,
    path: PathBuf,
    /// For kprobe_events; none for an event that the kernel has.
    definition: Option<String>,
    keys: String,
    condition: Option<&'static str>,
}

impl Event {
    /// The entry of a function; `key` is what it is counted by, as kprobe_events has it.
    pub(crate) fn kprobe(name: &str, function: &str, key: &str) -> Self {
        Self {
            name: name.to_owned(),
            path: Path::new(TRACING).join("events/exact").join(name),
            definition: Some(format!("p:exact/{name} {function} key={key}")),
            keys: "key".to_owned(),
            condition: None,
        }
    }

    /// An event of the kernel.
    pub(crate) fn trace(name: &str, event: &str, keys: &str) -> Self {
        let path = Path::new(TRACING).join("events").join(event);
        Self { name: name.to_owned(), path, definition: None, keys: keys.to_owned(), condition: None }
    }

    /// Only where this holds.
    pub(crate) fn only(mut self, condition: &'static str) -> Self {
        self.condition = Some(condition);
        self
    }
}

/// Hits by key, of each event, at one moment or between two.
#[derive(Default)]
pub(crate) struct Tallies {
    hits: BTreeMap<String, BTreeMap<Vec<u64>, i64>>,
    /// What makes the count wrong.
    pub(crate) problems: Vec<String>,
}

impl Tallies {
    /// Hits of the entries whose keys satisfy a condition.
    pub(crate) fn hits(&self, name: &str, wanted: impl Fn(&[u64]) -> bool) -> i64 {
        self.hits.get(name).into_iter().flatten().filter(|(keys, _)| wanted(keys)).map(|(_, hits)| hits).sum()
    }

    /// First keys of an event.
    pub(crate) fn keys(&self, name: &str) -> impl Iterator<Item = u64> {
        self.hits.get(name).into_iter().flat_map(|hits| hits.keys().map(|keys| keys[0]))
    }
}

pub(crate) struct Tally {
    events: Vec<Event>,
    /// Who is left out.
    filter: String,
    has_histograms: bool,
}

impl Tally {
    /// Defines the events; tasks of these names are left out.
    pub(crate) fn new(events: Vec<Event>, without: &[&str]) -> Self {
        crate::live::forget_kprobes("exact");
        for definition in events.iter().filter_map(|event| event.definition.as_ref()) {
            append("kprobe_events", definition);
        }
        let others: Vec<String> = without.iter().map(|comm| format!("comm != \"{comm}\"")).collect();
        let has_histograms = events[0].path.join("hist").exists();
        if !has_histograms {
            write("options/overwrite", "0");
            write("buffer_size_kb", &RING_KIB.to_string());
        }
        Self { events, filter: others.join(" && "), has_histograms }
    }

    fn condition(&self, event: &Event) -> String {
        event.condition.map_or_else(|| self.filter.clone(), |more| format!("{} && {more}", self.filter))
    }

    fn trigger(&self, event: &Event) -> String {
        format!("hist:keys={}:size={KEYS} if {}", event.keys, self.condition(event))
    }

    pub(crate) fn arm(&self) {
        for event in &self.events {
            if self.has_histograms {
                put(&event.path.join("trigger"), &self.trigger(event));
            } else {
                put(&event.path.join("filter"), &self.condition(event));
                put(&event.path.join("enable"), "1");
            }
        }
    }

    pub(crate) fn begin(&self) -> Tallies {
        if self.has_histograms {
            return self.histograms();
        }
        write("trace", "");
        write("tracing_on", "1");
        Tallies::default()
    }

    /// What was counted since then.
    pub(crate) fn since(&self, begin: &Tallies) -> Tallies {
        let mut tallies = if self.has_histograms { self.histograms() } else { self.recorded() };
        for (name, keys) in &begin.hits {
            for (key, hits) in keys {
                *tallies.hits.entry(name.clone()).or_default().entry(key.clone()).or_default() -= hits;
            }
        }
        for line in fs::read_to_string(Path::new(TRACING).join("kprobe_profile")).unwrap().lines() {
            let words: Vec<&str> = line.split_whitespace().collect();
            if let [name, _, missed] = words[..]
                && missed != "0"
                && self.events.iter().any(|event| event.name == name)
            {
                tallies.problems.push(format!("oracle {name}: missed {missed}"));
            }
        }
        tallies
    }

    fn histograms(&self) -> Tallies {
        let mut tallies = Tallies::default();
        for event in &self.events {
            let text = fs::read_to_string(event.path.join("hist")).unwrap();
            tallies.hits.insert(event.name.clone(), text.lines().filter_map(entry).collect());
            let dropped = text.lines().find_map(|line| line.trim().strip_prefix("Dropped: "));
            if dropped != Some("0") {
                tallies.problems.push(format!("oracle {}: dropped {dropped:?}", event.name));
            }
        }
        tallies
    }

    /// Stops recording and counts.
    fn recorded(&self) -> Tallies {
        write("tracing_on", "0");
        let mut tallies = Tallies::default();
        let mut names = BTreeMap::new();
        for event in &self.events {
            let id: u16 = fs::read_to_string(event.path.join("id")).unwrap().trim().parse().unwrap();
            let format = fs::read_to_string(event.path.join("format")).unwrap();
            names.insert(id, (event.name.clone(), place_of_key(&format)));
        }
        for cpu in fs::read_dir(Path::new(TRACING).join("per_cpu")).unwrap() {
            let folder = cpu.unwrap().path();
            let stats = fs::read_to_string(folder.join("stats")).unwrap();
            for line in stats.lines().filter(|line| line.starts_with("overrun") || line.starts_with("dropped events")) {
                if !line.ends_with(" 0") {
                    tallies.problems.push(format!("oracle: {}: {line}", folder.display()));
                }
            }
            let mut pipe = OpenOptions::new()
                .read(true)
                .custom_flags(libc::O_NONBLOCK)
                .open(folder.join("trace_pipe_raw"))
                .unwrap();
            let mut page = [0; 4096];
            while let Ok(4096) = pipe.read(&mut page) {
                for record in records(&page) {
                    let Some((name, (offset, size))) = u16_at(record, 0).and_then(|id| names.get(&id)) else {
                        continue;
                    };
                    let mut value = [0; 8];
                    value[..*size].copy_from_slice(&record[*offset..offset + size]);
                    let keys = vec![u64::from_le_bytes(value)];
                    *tallies.hits.entry(name.clone()).or_default().entry(keys).or_default() += 1;
                }
            }
        }
        tallies
    }
}

/// Keys and hit count of a line `{ write: 1, success: 1 } hitcount: 12`.
fn entry(line: &str) -> Option<(Vec<u64>, i64)> {
    let (keys, rest) = line.trim().strip_prefix('{')?.split_once('}')?;
    let hits = rest.split("hitcount:").nth(1)?.split_whitespace().next()?.parse().ok()?;
    let value = |key: &str| -> Option<u64> {
        let value = key.split(':').nth(1)?.trim();
        match value.strip_prefix("0x") {
            Some(hex) => u64::from_str_radix(hex, 16).ok(),
            None => value.parse::<u64>().ok().or_else(|| value.parse::<i64>().ok().map(|signed| signed as u64)),
        }
    };
    Some((keys.split(',').map(value).collect::<Option<_>>()?, hits))
}

/// Offset and size of the field `key` in an event's format.
fn place_of_key(format: &str) -> (usize, usize) {
    let line = format.lines().find(|line| line.contains(" key;")).unwrap();
    let number = |what: &str| -> usize {
        line.split(';').find_map(|part| part.trim().strip_prefix(what)).unwrap().parse().unwrap()
    };
    (number("offset:"), number("size:"))
}

/// The records of a page of the ring: a time, the length of what follows, then records, each behind a word of type and
/// time difference (include/linux/ring_buffer.h, enum ring_buffer_type).
fn records(page: &[u8]) -> Vec<&[u8]> {
    let end = 16 + (u32_at(page, 8) as usize & 0xf_ffff);
    let mut at = 16;
    let mut records = Vec::new();
    while at + 4 <= end.min(page.len()) {
        let (kind, difference) = (u32_at(page, at) & 31, u32_at(page, at) >> 5);
        let (data, length) = match kind {
            29 if difference == 0 => break,
            29 => (None, 4 + u32_at(page, at + 4) as usize),
            30 | 31 => (None, 8),
            0 => {
                let length = u32_at(page, at + 4) as usize;
                (Some(&page[at + 8..at + 4 + length]), 4 + length)
            }
            words => (Some(&page[at + 4..at + 4 + words as usize * 4]), 4 + words as usize * 4),
        };
        records.extend(data);
        at += length;
    }
    records
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap())
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn write(file: &str, text: &str) {
    put(&Path::new(TRACING).join(file), text);
}

fn put(path: &Path, text: &str) {
    fs::write(path, text).unwrap_or_else(|error| panic!("{}: {text}: {error}\n{}", path.display(), error_log()));
}

fn append(file: &str, text: &str) {
    let path = Path::new(TRACING).join(file);
    let mut file = OpenOptions::new().append(true).open(&path).unwrap();
    file.write_all(text.as_bytes())
        .unwrap_or_else(|error| panic!("{}: {text}: {error}\n{}", path.display(), error_log()));
}

fn error_log() -> String {
    fs::read_to_string(Path::new(TRACING).join("error_log")).unwrap_or_default()
}

//! The guest's side: one script that runs every load under every watcher, and its output read back. Knows nothing of tables.

use std::collections::BTreeMap;

use serde_json::Value;

use super::loads::{Load, PREPARE};
use super::watchers::Watcher;

/// A line that begins so is the script's own.
const MARK: &str = "@@@ ";

/// Runs of each load under each watcher; the middle one counts. The first one finds caches and tables empty.
const RUNS: u32 = 5;

/// What a guest told.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Told {
    /// By number of the watcher and name of the load: nanoseconds, which are instructions here, of each run.
    pub(super) elapsed: BTreeMap<(usize, String), Vec<u64>>,
    /// What was wrong.
    pub(super) problems: Vec<String>,
}

/// The guest's command line.
pub(super) fn script(watchers: &[Watcher], loads: &[&Load]) -> String {
    let mut script = format!("{PREPARE}{START}");
    for (number, watcher) in watchers.iter().enumerate() {
        script.push_str(&format!("who='{}'\nwatcher=\nis_watching=yes\n{}\n", watcher.name, watcher.start.trim()));
        for load in loads {
            script.push_str(&format!(
                "run {number} {RUNS} '{}' '{}'\n",
                load.name,
                load.command.replace('\'', "'\\''")
            ));
        }
        script.push_str("stop\n");
    }
    script.push_str("exit 0\n");
    script
}

const START: &str = r#"
problem() { echo "@@@ problem $who: $1"; is_watching=; }
run() {
    # What a watcher that does not watch adds is not zero: it is not known.
    [ -n "$is_watching" ] || return
    echo "@@@ begin $1 $3"
    for n in $(seq "$2"); do
        eval "$4" || problem "$3 failed"
    done
    echo "@@@ end"
}
stop() {
    [ -n "$watcher" ] || return
    kill -INT "$watcher" 2>/dev/null || problem "it had ended before the loads did"
    wait "$watcher"
    sleep 2
}
# Work that the kernel does in the background after its start is none of the loads'.
sleep 20
"#;

/// Reads a guest's output.
pub(super) fn read(output: &str) -> Told {
    let mut told = Told::default();
    let mut under_way: Option<(usize, String)> = None;
    for line in output.lines() {
        if let Some(words) = line.strip_prefix(MARK) {
            under_way = None;
            match words.split_once(' ') {
                Some(("problem", problem)) => told.problems.push(problem.to_owned()),
                Some(("begin", rest)) => {
                    under_way = rest.split_once(' ').and_then(|(n, load)| Some((n.parse().ok()?, load.to_owned())));
                }
                _ => {}
            }
        } else if let Some(key) = &under_way
            && let Ok(json) = serde_json::from_str::<Value>(line)
            && let Some(elapsed) = json["elapsed_ns"].as_u64()
        {
            told.elapsed.entry(key.clone()).or_default().push(elapsed);
        }
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_guest_tells_is_read() {
        let output = "@@@ begin 0 read lock\n{\"elapsed_ns\":7}\nnoise\n{\"elapsed_ns\":8}\n@@@ end\n\
                      {\"elapsed_ns\":9}\n@@@ problem mmscope: did not start\n";
        let told = read(output);
        assert_eq!(told.elapsed, BTreeMap::from([((0, "read lock".to_owned()), vec![7, 8])]));
        assert_eq!(told.problems, ["mmscope: did not start"]);
    }
}

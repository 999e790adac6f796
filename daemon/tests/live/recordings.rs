//! A recording that is made while mmscope serves, replayed: the same as what was served. On any kernel.

use std::{fs, io, path::Path};

use mmscope::{
    config::Config,
    export::{Format, Scrape},
    recording::{Finish, Reader, Reason},
    replay::Player,
};
use nix::sys::signal::Signal;

use crate::live::*;

fn read(path: &Path) -> Player<io::BufReader<fs::File>> {
    let file = io::BufReader::new(fs::File::open(path).unwrap());
    // As the daemon of these tests: everybody is told by name.
    let config = Config { series_cap: 1_000_000, series_idle: 1_000_000, ..Config::default() };
    Player::new(Reader::new(file).unwrap(), &config, Default::default(), false).unwrap()
}

/// Families of what no recording has: clients, files read again, names looked up.
const LIVE_ONLY: [&str; 4] =
    ["mmscope_http_", "mmscope_web_config_", "mmscope_config_last_reload_", "mmscope_names_forgotten_"];

/// Without these.
fn recorded(text: &str) -> String {
    let is_kept = |line: &&str| {
        let name = line.trim_start_matches("# HELP ").trim_start_matches("# TYPE ");
        !LIVE_ONLY.iter().any(|family| name.starts_with(family))
    };
    text.split_inclusive('\n').filter(is_kept).collect()
}

fn rendered(player: &Player<impl io::Read>) -> String {
    Scrape::new(std::sync::Arc::new(player.snapshot().clone()), Format::Prometheus).text()
}

/// Plays on until so many ticks were seen.
fn play(player: &mut Player<impl io::Read>, ticks: u64) -> usize {
    let mut told = 0;
    while player.snapshot().ticks < ticks {
        let Some(sight) = player.next_sight() else { break };
        told += player.see(&sight).lines().count();
    }
    told
}

#[test]
fn a_replay_comes_to_what_was_served() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("live.mmrec");
    let load = Load::named("recorded");
    let mut daemon = Daemon::start(&["--record", path.to_str().unwrap()]);
    load.run(&["munmap", "--cycles", "100", "--pages", "4"]);
    let scrape = daemon.settled();
    daemon.signal(Signal::SIGTERM);
    assert!(daemon.end().success());
    let mut player = read(&path);
    play(&mut player, scrape.sum("mmscope_ticks_total", &[]) as u64);
    assert!(scrape.text.contains("comm=\"recorded\""));
    assert_eq!(recorded(&rendered(&player)), recorded(&scrape.text), "byte for byte");
    play(&mut player, u64::MAX);
    assert!(
        matches!(player.finish(), Some(Finish::Ended(end)) if end.reason == Reason::Signal),
        "{:?}",
        player.finish()
    );
}

#[test]
fn a_recorder_ends_by_itself_and_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("timed.mmrec");
    let record = |more: &[&str]| {
        let output = mmscope().args(["record", "-o"]).arg(&path).args(more).output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let (code, said) = record(&["--duration", "2s"]);
    assert!(code == Some(0) && said.contains("its time was over"), "{said}");
    let (code, said) = record(&["--duration", "2s"]);
    assert!(code == Some(73) && said.contains("timed.mmrec") && said.contains("not overwritten"), "{said}");
    let config = folder.path().join("config.toml");
    fs::write(&config, "tick = \"100ms\"\n").unwrap();
    let (code, said) = record(&["--force", "--max-bytes", "64K", "--config.file", config.to_str().unwrap()]);
    assert!(code == Some(0) && said.contains("as long as it may be"), "{said}");
    let length = fs::metadata(&path).unwrap().len();
    assert!((32 << 10..=64 << 10).contains(&length), "{length}");
    let mut player = read(&path);
    play(&mut player, u64::MAX);
    assert!(
        matches!(player.finish(), Some(Finish::Ended(end)) if end.reason == Reason::Bound),
        "{:?}",
        player.finish()
    );
}

/// /dev/full takes nothing.
#[test]
fn a_full_disk_is_told_with_the_files_name() {
    let before = loaded_programs();
    let (code, said) = failing(mmscope().args(["record", "-o", "/dev/full", "--force"]));
    assert!(code == 74 && said.contains("/dev/full") && said.contains("No space left"), "{code}: {said}");
    await_some("end of what was attached", || (loaded_programs() <= before).then_some(()));
}

//! Replays of the recordings in `recordings`, which `cargo xtask recording` makes: the same each time, and as the snapshots
//! have them. After a change that is meant, `INSTA_UPDATE=always` takes the new snapshots.

use std::{collections::BTreeSet, fs, io, path::PathBuf, process::Command, sync::Arc};

use mmscope::{
    anomaly::Class,
    config::Config,
    export::{Format, Scrape},
    recording::Reader,
    replay::Player,
};

fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/recordings").join(name)
}

struct Replayed {
    alerts: String,
    metrics: String,
    finish: String,
}

fn replay(recording: &[u8], config: &Config) -> Replayed {
    let mut player = Player::new(Reader::new(recording).unwrap(), config, Default::default(), false).unwrap();
    let mut alerts = String::new();
    while let Some(sight) = player.next_sight() {
        alerts.push_str(&player.see(&sight));
    }
    let metrics = Scrape::new(Arc::new(player.snapshot().clone()), Format::Prometheus).text();
    Replayed { alerts, metrics, finish: player.finish().unwrap().to_string() }
}

fn series_of<R: io::Read>(player: &Player<R>) -> usize {
    let text = Scrape::new(Arc::new(player.snapshot().clone()), Format::Prometheus).text();
    text.lines().filter(|line| !line.starts_with('#')).count()
}

fn hazards() -> (Vec<u8>, Config) {
    (fs::read(path("hazards.mmrec")).unwrap(), Config::read(&path("hazards.toml")).unwrap())
}

#[test]
fn provoked_hazards_raise_their_alerts() {
    let (recording, config) = hazards();
    let Replayed { alerts, metrics, finish } = replay(&recording, &config);
    insta::assert_snapshot!("hazards", format!("{alerts}{finish}\n"));
    let totals: Vec<&str> = metrics.lines().filter(|line| line.starts_with("mmscope_hazards_total{")).collect();
    insta::assert_snapshot!("hazards-totals", totals.join("\n"));
}

/// What a workload cannot raise here: writes that are lost on no kernel of today, and what is told of the host.
const NOT_RAISED: [Class; 3] = [Class::StaleWriteOverlap, Class::VersionExposed, Class::Blind];

#[test]
fn every_class_that_a_workload_can_raise_is_recorded() {
    let (recording, config) = hazards();
    let Replayed { alerts, .. } = replay(&recording, &config);
    for class in Class::all() {
        let raised = class.severities().iter().any(|severity| {
            let told = format!(" {}: {} of ", severity.name(), class.name());
            alerts.contains(&told)
        });
        assert_eq!(raised, !NOT_RAISED.contains(&class), "{}:\n{alerts}", class.name());
    }
}

#[test]
fn twice_the_same_comes_to_the_same_bytes() {
    let (recording, config) = hazards();
    let (one, other) = (replay(&recording, &config), replay(&recording, &config));
    assert_eq!((&one.alerts, &one.metrics), (&other.alerts, &other.metrics));
    // In processes of their own too: nothing of a process is in it.
    let program = || {
        let mut mmscope = Command::new(env!("CARGO_BIN_EXE_mmscope"));
        mmscope.args(["replay", "--metrics", "--config.file"]).arg(path("hazards.toml")).arg(path("hazards.mmrec"));
        let output = mmscope.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    };
    let printed = program();
    assert_eq!(printed, program());
    assert!(printed.ends_with(one.metrics.as_bytes()));
}

#[test]
fn a_cut_file_gives_all_before_the_cut_and_says_so() {
    let (recording, config) = hazards();
    let folder = tempfile::tempdir().unwrap();
    let cut = folder.path().join("cut.mmrec");
    let at = recording.len() / 2;
    fs::write(&cut, &recording[..at]).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_mmscope")).arg("replay").arg(&cut).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("not whole: read up to byte") && said.contains("cut.mmrec"), "{said}");

    let (whole, part) = (replay(&recording, &config), replay(&recording[..at], &config));
    assert!(!part.alerts.is_empty() && whole.alerts.starts_with(&part.alerts));
    fs::write(&cut, &recording[..40]).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_mmscope")).arg("replay").arg(&cut).output().unwrap();
    assert_eq!(output.status.code(), Some(65), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_bound_below_what_was_recorded_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("config.toml");
    fs::write(&config, "[record]\nhold = \"1ms\"\n[anomaly]\nlock_convoy_hold = \"1ms\"\n").unwrap();
    let mut mmscope = Command::new(env!("CARGO_BIN_EXE_mmscope"));
    let output = mmscope.args(["replay", "--config.file"]).arg(&config).arg(path("hazards.mmrec")).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(78), "{said}");
    assert!(said.contains("lock_convoy_hold: 1ms is below record.hold (10ms)"), "{said}");
}

/// An hour of ordinary programs on a kernel with the fixes: a compiler, a database, an interpreter, shells.
#[test]
fn a_quiet_hour_raises_no_alert() {
    let recording = fs::read(path("quiet.mmrec")).unwrap();
    let mut player =
        Player::new(Reader::new(io::Cursor::new(&recording)).unwrap(), &Config::default(), Default::default(), false)
            .unwrap();
    let (mut told, mut length) = (String::new(), std::time::Duration::ZERO);
    let (mut comms, mut series) = (BTreeSet::new(), 0);
    while let Some(sight) = player.next_sight() {
        told.push_str(&player.see(&sight));
        length = sight.uptime;
        comms.extend(sight.mms.iter().map(|mm| mm.subject.comm.clone()));
        series = series.max(series_of(&player));
    }
    assert!(length >= std::time::Duration::from_secs(3600), "{length:?}");
    for comm in ["cc1", "postgres", "python3", "sh"] {
        assert!(comms.contains(comm), "{comm} in {comms:?}");
    }
    assert!(series <= Config::default().series_cap, "{series} series");
    assert_eq!(told, "");
}

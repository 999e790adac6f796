//! Reports of a recording in which a workload provokes one hazard after the other.

use std::{fs, path::PathBuf};

use super::{html::page, plots::LINES, *};
use crate::recording::{End, Frame, Header, Reader, Writer};

fn recordings() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/recordings")
}

fn hazards() -> Digest {
    let config = Config::read(&recordings().join("hazards.toml")).unwrap();
    let bytes = fs::read(recordings().join("hazards.mmrec")).unwrap();
    let names = replay::names(Reader::new(&bytes[..]).unwrap());
    Digest::read(Reader::new(&bytes[..]).unwrap(), &config, names).unwrap()
}

/// A copy that was recorded under these bounds.
fn recorded_under(bytes: &[u8], bounds: &Config) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    let mut reader = Reader::new(bytes).unwrap();
    let header = Header { anomaly: Some(bounds.anomaly.clone()), ..reader.header().clone() };
    let mut writer = Writer::new(file.reopen().unwrap(), u64::MAX, &header).unwrap();
    for frame in reader.by_ref() {
        let is_room = match frame {
            Frame::Sight(sight) => writer.sight(&sight),
            Frame::Names(names) => writer.names(&names),
        };
        assert!(is_room.unwrap());
    }
    let Some(Finish::Ended(End { reason, .. })) = reader.finish() else { panic!("{:?}", reader.finish()) };
    writer.end(*reason).unwrap();
    file
}

#[test]
fn alerts_are_judged_by_the_bounds_at_the_time() {
    let (path, bounds) = (recordings().join("hazards.mmrec"), recordings().join("hazards.toml"));
    let told = |path: &Path, bounds: Option<&Path>| text(&read(path, bounds).unwrap(), "hazards.mmrec");
    let by_file = told(&path, Some(&bounds));
    let copy = recorded_under(&fs::read(&path).unwrap(), &Config::read(&bounds).unwrap());
    assert_eq!(told(copy.path(), None), by_file);
    assert_ne!(told(&path, None), by_file, "the defaults are others");
}

#[test]
fn the_text_names_subject_hazard_and_both_stacks() {
    let text = text(&hazards(), "hazards.mmrec");
    let at = text.find("stale_write_overlap of overlap").unwrap_or_else(|| panic!("{text}"));
    let told = &text[at..];
    let told = &told[..told.find("\n* ").unwrap_or(told.len())];
    for part in [
        "write fault inside another task's open window",
        "do_wp_page+",
        "window that a write fault met",
        "userfaultfd_ioctl+",
    ] {
        assert!(told.contains(part), "{part} in {told}");
    }
    for heading in
        ["Pending-flush windows by subject", "Who waited because of whom", "Userfaults by subject", "What was lost"]
    {
        assert!(text.contains(heading), "{heading} in {text}");
    }
    let widest = text.lines().map(|line| line.chars().count()).max();
    assert!(widest < Some(200), "{widest:?}");
}

#[test]
fn the_page_fetches_nothing_and_shows_what_the_text_tells() {
    let digest = hazards();
    let page = page(&digest, "a<b>.mmrec");
    for word in ["<script", "src=", "href=", "@import", "url("] {
        assert!(!page.contains(word), "{word}");
    }
    // Names of XML are no addresses.
    let no_addresses = page.matches("http://www.w3.org/2000/svg").count() + page.matches("http-equiv").count();
    assert_eq!(page.matches("http").count(), no_addresses);
    assert!(page.contains("a&lt;b&gt;.mmrec") && !page.contains("a<b>"));
    assert!(page.contains("stale_write_overlap of overlap") && page.contains("prefers-color-scheme: dark"));
    assert!(page.matches("<svg").count() >= 8, "{}", page.matches("<svg").count());
    for table in tables(&digest) {
        assert!(page.contains(table.title), "{}", table.title);
    }
}

#[test]
fn every_colour_of_a_plot_has_one_for_dark_pages() {
    let style = include_str!("style.css");
    for colour in LINES {
        let rule = format!("[stroke=\"#{:02X}{:02X}{:02X}\"]", colour.0, colour.1, colour.2);
        assert!(style.contains(&rule), "{rule}");
    }
}

/// In a scrape most subjects of a host that does little are summed.
#[test]
fn who_does_little_is_told_by_name_too() {
    let by_name = |digest: &Digest| digest.snapshot.subjects.len();
    let path = recordings().join("quiet.mmrec");
    let reader = Reader::new(fs::File::open(&path).unwrap()).unwrap();
    let of_a_scrape = Digest::read(reader, &Config::default(), replay::Names::new()).unwrap();
    let report = read(&path, None).unwrap();
    assert!(by_name(&report) > by_name(&of_a_scrape), "{} and {}", by_name(&report), by_name(&of_a_scrape));
}

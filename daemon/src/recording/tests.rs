//! Round trips, cuts at any byte, and what is said of them.

use std::io;

use probe_common::{event::DETAILS, histogram::BUCKETS, lost, series};
use proptest::{collection::vec, prelude::*};

use super::{
    fuzzing::{Memory, header},
    strategies::sight,
    *,
};
use crate::{anomaly::MmLook, identity::Subject, intake::Counts, scope::Sight};

/// The bytes of a recording, and where its frames end.
fn recorded(sights: &[Sight], names: &[(u64, String)]) -> (Vec<u8>, Vec<usize>) {
    let mut memory = Memory::new(usize::MAX);
    let mut writer = Writer::new(&mut memory, u64::MAX, &header()).unwrap();
    let mut ends = vec![writer.bytes() as usize];
    for sight in sights {
        assert!(writer.sight(sight).unwrap());
        ends.push(writer.bytes() as usize);
    }
    assert!(writer.names(names).unwrap());
    ends.push(writer.bytes() as usize);
    writer.end(Reason::Signal).unwrap();
    ends.push(memory.bytes.len());
    (memory.bytes, ends)
}

/// Frames as text, and how it ended.
fn read(bytes: &[u8]) -> Result<(Vec<String>, Finish), Unreadable> {
    let mut reader = Reader::new(bytes)?;
    assert_eq!(format!("{:?}", reader.header()), format!("{:?}", header()));
    let frames = reader.by_ref().map(|frame| format!("{frame:?}")).collect();
    Ok((frames, reader.finish().cloned().unwrap()))
}

fn wanted(sights: &[Sight], names: &[(u64, String)]) -> Vec<String> {
    let sights = sights.iter().map(|sight| format!("{:?}", Frame::Sight(Box::new(sight.clone()))));
    sights.chain([format!("{:?}", Frame::Names(names.to_vec()))]).collect()
}

fn name() -> Vec<(u64, String)> {
    vec![(0xffff_ffff_8100_0000, "do_wp_page+0x10".to_owned())]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_was_written_is_read(sights in vec(sight(), 0..5)) {
        let (bytes, _) = recorded(&sights, &name());
        let (frames, finish) = read(&bytes).unwrap();
        prop_assert_eq!(frames, wanted(&sights, &name()));
        prop_assert_eq!(finish, Finish::Ended(End { reason: Reason::Signal, sights: sights.len() as u64 }));
    }

    #[test]
    fn a_cut_at_any_byte_leaves_all_whole_frames_before_it(sights in vec(sight(), 1..4), at in any::<prop::sample::Index>()) {
        let (bytes, ends) = recorded(&sights, &name());
        let cut = at.index(bytes.len());
        match read(&bytes[..cut]) {
            Err(Unreadable::Cut(byte)) => {
                prop_assert!(cut < ends[0], "the header was whole");
                prop_assert_eq!(byte as usize, cut);
            }
            Err(error) => prop_assert!(false, "{}", error),
            Ok((frames, finish)) => {
                let whole = ends.iter().filter(|end| **end <= cut).count();
                prop_assert_eq!(&frames[..], &wanted(&sights, &name())[..whole - 1]);
                let begin = ends[whole - 1] as u64;
                let lost = cut as u64 - begin;
                match finish {
                    Finish::Open { at } => prop_assert_eq!((at, lost), (begin, 0)),
                    Finish::Broken { at, lost: told, .. } => prop_assert_eq!((at, told), (begin, lost)),
                    Finish::Ended(end) => prop_assert!(false, "{:?}", end),
                }
            }
        }
    }

    #[test]
    fn a_flipped_bit_anywhere_is_found_and_costs_nothing_before_it(
        sights in vec(sight(), 1..4), at in any::<prop::sample::Index>(), bit in 0..8_u32
    ) {
        let (mut bytes, ends) = recorded(&sights, &name());
        let flipped = at.index(bytes.len());
        bytes[flipped] ^= 1 << bit;
        match read(&bytes) {
            Err(_) => prop_assert!(flipped < ends[0], "the header was whole"),
            Ok((frames, finish)) => {
                let whole = ends.iter().filter(|end| **end <= flipped).count();
                prop_assert_eq!(&frames[..], &wanted(&sights, &name())[..whole - 1]);
                let Finish::Broken { at, lost, .. } = finish else { panic!("{finish:?}") };
                prop_assert_eq!((at as usize, (at + lost) as usize), (ends[whole - 1], bytes.len()));
            }
        }
    }
}

fn one() -> Sight {
    let counts = Counts { flush_pages: 3, ..Counts::default() };
    let subject = Subject { comm: "a".to_owned(), cgroup: "/".to_owned() };
    let mm = MmLook { subject, tgid: 1, counts, fault_age: None, since_ioctl: None, reclaim_age: None };
    // Blocked times are told whole.
    Sight { mms: vec![mm], blocked_ns: vec![0; series::BLOCKED as usize], ..Sight::default() }
}

#[test]
fn every_byte_of_a_small_recording_may_be_missing_or_wrong() {
    let (bytes, ends) = recorded(&[one(), one()], &name());
    for at in 0..bytes.len() {
        let whole = ends.iter().filter(|end| **end <= at).count();
        for damaged in [bytes[..at].to_vec(), {
            let mut flipped = bytes.clone();
            flipped[at] ^= 0x55;
            flipped
        }] {
            match read(&damaged) {
                Err(error) => assert_eq!(whole, 0, "byte {at}: {error}"),
                Ok((frames, finish)) => {
                    assert_eq!(frames, wanted(&[one(), one()], &name())[..whole - 1], "byte {at}");
                    assert!(!matches!(finish, Finish::Ended(_)), "byte {at}: {finish}");
                }
            }
        }
    }
}

#[test]
fn messages_name_byte_and_loss() {
    let (bytes, ends) = recorded(&[one(), one()], &name());
    let told = |bytes: &[u8]| match read(bytes) {
        Ok((_, finish)) => finish.to_string(),
        Err(error) => error.to_string(),
    };
    assert_eq!(told(&bytes), "whole; it ended because it was told to end");
    let begin = ends[1];
    assert_eq!(
        told(&bytes[..begin + 5]),
        format!("read up to byte {begin}; the 5 bytes from there on are lost: the file ends inside a frame")
    );
    assert!(told(&bytes[..begin]).starts_with(&format!("ends at byte {begin} without an end mark")));
    assert_eq!(told(b""), "is cut at byte 0, before the end of its header: nothing can be read");
    assert_eq!(told(b"# HELP mmscope_ticks_total"), "is no recording of mmscope");
    let more = [&bytes[..], b"more"].concat();
    assert_eq!(
        told(&more),
        format!("read up to byte {}; the 4 bytes from there on are lost: they follow the last frame", bytes.len())
    );
    let mut newer = bytes.clone();
    newer[8] += 1;
    let sum = crc32fast::hash(&newer[..12]);
    newer[12..16].copy_from_slice(&sum.to_le_bytes());
    let next = VERSION + 1;
    assert_eq!(told(&newer), format!("has format version {next}; this mmscope reads {VERSION}: a newer one is needed"));
}

#[test]
fn a_recording_stays_within_its_bound_and_says_so() {
    let mut memory = Memory::new(usize::MAX);
    let mut writer = Writer::new(&mut memory, 8192, &header()).unwrap();
    let mut written = 0;
    while writer.sight(&one()).unwrap() {
        written += 1;
    }
    writer.end(Reason::Bound).unwrap();
    assert_eq!(writer.sights(), written);
    assert!(memory.bytes.len() <= 8192 && memory.bytes.len() > 8192 / 2, "{}", memory.bytes.len());
    let (frames, finish) = read(&memory.bytes).unwrap();
    assert_eq!(frames.len() as u64, written);
    assert_eq!(finish, Finish::Ended(End { reason: Reason::Bound, sights: written }));
}

#[test]
fn a_full_disk_leaves_a_recording_that_says_why_it_ended() {
    let (bytes, ends) = recorded(&[one(), one(), one()], &name());
    // Room for two ticks and a part of the third, and for a part that is shorter than an end mark.
    for (room, has_end) in [(ends[3] - 5, true), (ends[2] + 3, false)] {
        let mut memory = Memory::new(room);
        let mut writer = Writer::new(&mut memory, u64::MAX, &header()).unwrap();
        assert!(writer.sight(&one()).unwrap() && writer.sight(&one()).unwrap());
        let error = writer.sight(&one()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        assert_eq!(memory.bytes[..ends[2]], bytes[..ends[2]]);
        let (frames, finish) = read(&memory.bytes).unwrap();
        assert_eq!(frames.len(), 2);
        let wanted = Finish::Ended(End { reason: Reason::Failed, sights: 2 });
        assert_eq!(finish, if has_end { wanted } else { Finish::Open { at: ends[2] as u64 } });
    }
}

#[test]
fn a_file_is_not_overwritten_unless_it_may_be() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.mmrec");
    let mut writer = Writer::new(Writer::open(&path, false).unwrap(), u64::MAX, &header()).unwrap();
    writer.sight(&one()).unwrap();
    writer.end(Reason::Duration).unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600, "it names processes");
    let bytes = std::fs::read(&path).unwrap();
    assert_eq!(Writer::open(&path, false).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
    // Opened, but not begun: what is there stays.
    drop(Writer::open(&path, true).unwrap());
    assert_eq!(std::fs::read(&path).unwrap(), bytes);
    drop(Writer::new(Writer::open(&path, true).unwrap(), u64::MAX, &header()).unwrap());
    assert!(std::fs::metadata(&path).unwrap().len() < bytes.len() as u64);
}

/// Recordings hold numbers for these. Where this fails, recordings of before would be misread: see [`VERSION`]. Losses may be
/// added at the end.
#[test]
fn tables_that_recordings_number_by_are_as_they_were() {
    let lists = [
        series::PATHS.join(" "),
        series::OPERATIONS.join(" "),
        series::FAULT_REASONS.join(" "),
        series::IOCTLS.join(" "),
        series::OUTCOMES.join(" "),
        series::FLUSH_KINDS.join(" "),
        series::ESCALATIONS.map(|(cause, warranted)| format!("{cause}:{warranted}")).join(" "),
        format!("{} series, {BUCKETS} buckets, {} pairs, {DETAILS} details", series::COUNT, series::BLOCKED),
    ];
    assert_eq!(lists, LISTS);
    assert!(lost::REASONS.join(" ").starts_with(LOST), "{}", lost::REASONS.join(" "));
}

const LISTS: [&str; 8] = [
    "mprotect uffd_wp uffd_unwp numa soft_dirty zap exit reclaim other",
    "mprotect munmap mmap madvise mremap brk clone exec exit uffd_ioctl fault proc_reader kthread other",
    "missing wp minor",
    "api register unregister wake copy zeropage move writeprotect continue poison rwprotect other",
    "mitigated exposed reused",
    "range page full",
    "nested:false nested:true nested:unknown reclaim:unknown",
    "39 series, 27 buckets, 210 pairs, 6 details",
];
const LOST: &str = "task_table_full mm_table_full row_table_full error_table_full hold_overwritten hold_overflow \
        hold_older_than_attach release_without_hold release_by_other_task wait_overwritten wait_older_than_attach \
        wait_end_without_begin window_overwritten window_overflow window_older_than_attach window_close_without_open \
        window_places_taken window_place_lost write_fault_overwritten shootdown_overwritten shootdown_cpus \
        reclaim_beyond reclaim_unfound range_evicted range_beyond fault_overwritten fault_older_than_attach \
        fault_end_without_begin ioctl_overwritten ioctl_older_than_attach ioctl_end_without_begin abandoned ring_full \
        no_task clock_backwards";

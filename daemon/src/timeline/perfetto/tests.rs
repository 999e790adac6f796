//! What a trace has in it, decoded again.

use std::collections::BTreeMap;

use probe_common::{
    event::{FLUSH, STALE_WRITE},
    lost,
    series::{HOLD, OUTER, PATH_UFFD_UNWP, WAIT},
};

use super::*;
use crate::timeline::events::tests::{connected, record};

fn looks() -> Vec<Look> {
    let look = |clock_ns, full| {
        let mut lost = vec![0; lost::COUNT];
        lost[lost::RING_FULL as usize] = full;
        Look { clock_ns, wall: SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000), lost }
    };
    vec![look(90, 0), look(200, 0), look(300, 5)]
}

fn packets() -> Vec<TracePacket> {
    let mut write = record(STALE_WRITE, 12, 120, 30);
    (write.detail[1], write.detail[2]) = (100, 7 << 32 | 11);
    let records = [
        record(HOLD, 11, 95, 110),
        record(OUTER + PATH_UFFD_UNWP, 11, 100, 100),
        write,
        record(FLUSH, 11, 190, 0),
        record(WAIT + 1, 13, 100, 107),
    ];
    Trace::decode(&trace(&connected(&records), &looks(), &Names::new())[..]).unwrap().packet
}

#[test]
fn every_slice_that_begins_ends_and_tracks_are_described_before() {
    let mut depths: BTreeMap<u64, i32> = BTreeMap::new();
    let mut described = vec![0];
    for packet in packets() {
        if let Some(track) = &packet.track_descriptor {
            described.push(track.uuid.unwrap());
        }
        let Some(event) = &packet.track_event else { continue };
        assert!(described.contains(&event.track_uuid.unwrap()));
        let depth = depths.entry(event.track_uuid.unwrap()).or_default();
        match event.r#type() {
            Type::SliceBegin => *depth += 1,
            Type::SliceEnd => *depth -= 1,
            _ => {}
        }
        assert!(*depth >= 0);
    }
    assert!(depths.len() > 4 && depths.values().all(|depth| *depth == 0), "{depths:?}");
}

#[test]
fn threads_and_mms_have_tracks_of_their_own() {
    let tracks: Vec<TrackDescriptor> = packets().into_iter().filter_map(|packet| packet.track_descriptor).collect();
    let threads: Vec<_> = tracks.iter().filter_map(|track| track.thread.as_ref()).map(|thread| thread.tid).collect();
    assert_eq!(threads, [Some(11), Some(12), Some(13)]);
    assert!(tracks.iter().any(|track| track.name.as_deref() == Some("mm of load (3.30)")));
    assert_eq!(tracks.iter().filter(|track| track.name.as_deref() == Some("windows")).count(), 1);
}

#[test]
fn flows_have_a_beginning_and_an_end() {
    let packets = packets();
    let of = |ids: fn(&TrackEvent) -> &Vec<u64>| -> Vec<(u64, String)> {
        let events = packets.iter().filter_map(|packet| packet.track_event.as_ref());
        events.flat_map(|event| ids(event).iter().map(|id| (*id, event.name.clone().unwrap()))).collect()
    };
    let (mut from, mut to) = (of(|event| &event.flow_ids), of(|event| &event.terminating_flow_ids));
    from.sort();
    to.sort();
    let pairs: Vec<_> = from.iter().zip(&to).map(|((a, from), (b, to))| (a == b, &**from, &**to)).collect();
    assert_eq!(
        pairs,
        [
            (true, "window uffd_unwp", "flush range"),
            (true, "window uffd_unwp", "write fault, mitigated"),
            (true, "wait for mmap_lock, write", "released to who waited")
        ]
    );
}

#[test]
fn losses_are_a_counter_and_a_mark_where_it_grew() {
    let packets = packets();
    let events = packets.iter().filter_map(|packet| Some((packet.timestamp?, packet.track_event.as_ref()?)));
    let counted: Vec<_> = events.clone().filter_map(|(at, event)| Some((at, event.counter_value?))).collect();
    assert_eq!(counted, [(90, 0), (300, 5)]);
    let marks: Vec<_> = events.filter(|(_, event)| event.categories == ["lost"]).collect();
    assert_eq!(marks.len(), 1);
    assert_eq!((marks[0].0, marks[0].1.name.as_deref()), (300, Some("5 lost until here: ring_full")));
}

"""A trace of Perfetto as tables that SQL can be asked of: decoded by Perfetto's own protobuf classes, put together as its
trace processor does it. Prints the rows of each query on stdin, a line of JSON each."""

import json
import sqlite3
import sys

from google.protobuf.unknown_fields import UnknownFieldSet
from perfetto.protos.perfetto.trace.perfetto_trace_pb2 import Trace, TrackEvent

SCHEMA = """
create table thread (utid integer primary key, tid, name, pid);
create table track (id integer primary key, name, parent_id, utid);
create table slice (id integer primary key, ts, dur, name, category, track_id, depth, utid);
create table flow (id, slice_out, slice_in);
create table counter (ts, name, value);
create table args (slice_id, key, value);
create table stats (what);
"""


def value(annotation):
    field = annotation.WhichOneof("value")
    if field is None:
        return json.dumps([value(each) for each in annotation.array_values])
    return getattr(annotation, field)


def unknown(message):
    if len(UnknownFieldSet(message)):
        return True
    for field, held in message.ListFields():
        if field.message_type:
            each = held if hasattr(held, "__len__") else [held]
            if any(unknown(inner) for inner in each):
                return True
    return False


def load(path, base):
    trace = Trace()
    with open(path, "rb") as file:
        trace.ParseFromString(file.read())
    wrong = lambda what: base.execute("insert into stats values (?)", [what])
    if unknown(trace):
        wrong("fields that Perfetto does not know")
    counters, utids, last = {}, {}, None
    for packet in trace.packet:
        if not packet.HasField("track_descriptor"):
            continue
        track = packet.track_descriptor
        if track.HasField("thread"):
            utids[track.uuid] = track.uuid
            row = [track.uuid, track.thread.tid, track.thread.thread_name, track.thread.pid]
            base.execute("insert into thread values (?, ?, ?, ?)", row)
        # What lies below a thread is the thread's.
        elif track.parent_uuid in utids:
            utids[track.uuid] = utids[track.parent_uuid]
        if track.HasField("counter"):
            counters[track.uuid] = track.name
        row = [track.uuid, track.name, track.parent_uuid or None, utids.get(track.uuid)]
        base.execute("insert into track values (?, ?, ?, ?)", row)
    known = {row[0] for row in base.execute("select id from track")}
    clocks = [packet.clock_snapshot for packet in trace.packet if packet.HasField("clock_snapshot")]
    if not clocks:
        wrong("no clock snapshot")
    events = [packet for packet in trace.packet if packet.HasField("track_event")]
    # The sort is stable, as the trace processor's is within a sequence.
    events.sort(key=lambda packet: packet.timestamp)
    open_slices, flows, slices = {}, {}, 0
    for packet in events:
        event, ts = packet.track_event, packet.timestamp
        if event.track_uuid not in known:
            wrong("track that is not described")
        stack = open_slices.setdefault(event.track_uuid, [])
        if event.type == TrackEvent.TYPE_COUNTER:
            base.execute("insert into counter values (?, ?, ?)", [ts, counters[event.track_uuid], event.counter_value])
        elif event.type == TrackEvent.TYPE_SLICE_END:
            if not stack:
                wrong("end without a begin")
                continue
            of, begin = stack.pop()
            base.execute("update slice set dur = ? where id = ?", [ts - begin, of])
        else:
            slices += 1
            instant = event.type == TrackEvent.TYPE_INSTANT
            row = [slices, ts, 0 if instant else -1, event.name, ",".join(event.categories), event.track_uuid]
            base.execute("insert into slice values (?, ?, ?, ?, ?, ?, ?, ?)", row + [len(stack), utids.get(event.track_uuid)])
            for annotation in event.debug_annotations:
                base.execute("insert into args values (?, ?, ?)", [slices, annotation.name, str(value(annotation))])
            for flow in list(event.flow_ids) + list(event.terminating_flow_ids):
                if flow in flows:
                    base.execute("insert into flow values (?, ?, ?)", [flow, flows[flow], slices])
            for flow in event.flow_ids:
                flows[flow] = slices
            for flow in event.terminating_flow_ids:
                if flows.pop(flow, None) is None:
                    wrong("flow that ends before it begins")
            if not instant:
                stack.append((slices, ts))
    if any(open_slices.values()):
        wrong("begin without an end")
    if flows:
        wrong("flow without an end")


def main():
    base = sqlite3.connect(":memory:")
    base.executescript(SCHEMA)
    load(sys.argv[1], base)
    for query in sys.stdin.read().split(";"):
        if query.strip():
            print(json.dumps(base.execute(query).fetchall()))


main()

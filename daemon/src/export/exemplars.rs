//! How an exemplar is told: its labels.

use probe_common::series::OPERATIONS;

use crate::model::Exemplar;

/// Name and value of its labels. `record` is in the log line of the same event too.
pub(super) fn labels(exemplar: &Exemplar) -> [(&'static str, String); 4] {
    let operation = OPERATIONS.get(exemplar.operation as usize).copied().unwrap_or("other");
    [
        ("pid", exemplar.tgid.to_string()),
        ("tid", exemplar.tid().to_string()),
        ("operation", operation.to_owned()),
        ("record", exemplar.id.to_string()),
    ]
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use probe_common::{
        event::Record,
        series::{OP_PROC_READER, SHOOTDOWN},
    };
    use zerocopy::FromZeros as _;

    use super::*;

    #[test]
    fn labels_are_within_what_openmetrics_allows() {
        let record = Record {
            series: SHOOTDOWN,
            tgid: u32::MAX,
            tid: u32::MAX,
            operation: OP_PROC_READER,
            begin_ns: u64::MAX,
            ..Record::new_zeroed()
        };
        let labels = labels(&Exemplar::of(&record, SystemTime::UNIX_EPOCH).unwrap());
        let characters: usize = labels.iter().map(|(name, value)| name.len() + value.chars().count()).sum();
        assert!(characters <= 128, "{characters} in {labels:?}");
    }
}

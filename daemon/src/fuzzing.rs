//! What fuzzers drive: one function a target, which holds any bytes to what must hold for them, and panics if it does not. The
//! checks are in the rooms that they are about. No part of what is built for use.

use crate::{config, identity, intake, recording, web};

/// A target: its name, and what any bytes are held to.
pub type Target = (&'static str, fn(&[u8]));

/// Every target; the folders of `fuzz/corpus` have their names.
pub const TARGETS: [Target; 5] = [
    ("config", config),
    ("identity", identity),
    ("records", records),
    ("recordings", recordings),
    ("requests", requests),
];

/// The configuration file.
pub fn config(input: &[u8]) {
    config::fuzzing::text(input);
}

/// Names of commands, mounts and cgroups.
pub fn identity(input: &[u8]) {
    identity::fuzzing::names(input);
}

/// Records of the kernel side.
pub fn records(input: &[u8]) {
    intake::fuzzing::records(input);
}

/// Recordings.
pub fn recordings(input: &[u8]) {
    recording::fuzzing::any(input);
}

/// What a client sends.
pub fn requests(input: &[u8]) {
    web::fuzzing::requests(input);
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::TARGETS;

    /// What fuzzers have found worth keeping; what they have found wrong is among it.
    #[test]
    fn every_entry_of_the_corpus_holds() {
        let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus");
        for (name, target) in TARGETS {
            let folder = corpus.join(name);
            let mut entries = 0;
            for entry in fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
                let path = entry.unwrap().path();
                let input = fs::read(&path).unwrap();
                // The entry that does not hold is the last one that is named.
                println!("{name}: {}", path.file_name().unwrap().display());
                target(&input);
                entries += 1;
            }
            assert!(entries > 0, "no corpus of {name}");
        }
    }

    #[test]
    fn nothing_at_all_holds_too() {
        for (_, target) in TARGETS {
            target(b"");
            target(&[0]);
            target(&[0xff; 700]);
        }
    }
}

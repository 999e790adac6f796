//! The kernel's BTF is not there, or is not BTF, when mmscope starts anew.

use std::{path::Path, process::Command, time::Instant};

use nix::sys::signal::Signal;

use crate::{Stage, Told, exact, live::*};

const BTF: &str = "/sys/kernel/btf/vmlinux";

/// Another file lies over it.
struct Covered;

impl Covered {
    fn by(file: &Path) -> Self {
        let mounted = Command::new("mount").args(["-o", "bind"]).arg(file).arg(BTF).status().unwrap();
        assert!(mounted.success(), "mount over {BTF}: {mounted}");
        Self
    }
}

impl Drop for Covered {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(BTF).status();
    }
}

/// It needs no module, and no file of the kernel's once it runs.
pub(crate) fn missing(stage: &mut Stage) -> Told {
    let folder = open_folder();
    let (empty, text) = (folder.path().join("empty"), folder.path().join("text"));
    std::fs::write(&empty, "").unwrap();
    std::fs::write(&text, "no types at all").unwrap();
    stage.daemon();
    let covered = Covered::by(&empty);
    exact::is_exact(stage.daemon(), "btf-running");
    let mut running = stage.daemon.take().unwrap();
    running.signal(Signal::SIGTERM);
    assert_eq!(running.end().code(), Some(0));
    let nothing = stage.empty();
    let refused = || {
        let (code, said) = failing(mmscope().args(["run", "--web.listen-address=127.0.0.1:0"]));
        assert!(code == 69 && said.lines().count() == 1 && said.contains("sys/kernel/btf/vmlinux"), "{code}: {said}");
        nothing.awaited();
    };
    refused();
    drop(covered);
    let covered = Covered::by(&text);
    refused();
    drop(covered);
    let there = Instant::now();
    let daemon = Daemon::start(&[]);
    let recovered = there.elapsed();
    exact::is_exact(&daemon, "btf-after");
    stage.daemon = Some(daemon);
    Told {
        happened: format!(
            "{BTF} empty, then no BTF: who ran already counted on to the event; a new start was refused in one line that names the \
             file (exit code 69), with nothing attached"
        ),
        lost: "what happened until it could start again, which no counter has".to_owned(),
        recovered,
    }
}

//! A daemon in a guest, with programs that give it something to show, and the browser before it.

use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use anyhow::{Result, anyhow, ensure};

use super::{Seen, drive, servers::head};
use crate::kernels;
use crate::paths;
use crate::proof::stage::Stage;
use crate::setup::GuestTools;
use crate::vm::{Guest, in_bin};

/// All of it takes a few minutes.
const TIMEOUT: Duration = Duration::from_secs(1200);

/// Loads until the host says that it has seen enough.
const SCRIPT: &str = r#"
at() { /bin/busybox wget -q -O /dev/null "http://$HOST/$1" 2>/dev/null; }
mmscope run --web.listen-address 0.0.0.0:10942 >/run/mmscope.log 2>&1 &
mmscope=$!
until at end; do
    mmload lock-hold --name convoy --writers 2 --readers 2 --ops 5 --pages 2048 >/dev/null 2>&1
    mmload uffd-missing --name faults --faults 200 --delay-us 1000 >/dev/null 2>&1
    mmload mprotect --name cycle --cycles 500 >/dev/null 2>&1
    mmload munmap --name nested --threads 2 --cycles 200 --pages 4 >/dev/null 2>&1
    sleep 1
done
kill -TERM "$mmscope"
wait "$mmscope"
"#;

/// Time after which there are several columns of the heatmaps, and subjects with minutes.
const WATCHED_MS: u64 = 30_000;

/// Waits until the daemon has something to show; an error if the guest ends before.
fn watched(address: &str, ended: &dyn Fn() -> bool) -> Result<()> {
    let uptime = || head(address)?["uptime_ms"].as_u64();
    while uptime().is_none_or(|uptime| uptime < WATCHED_MS) {
        ensure!(!ended(), "the guest ended before its daemon had anything to show");
        thread::sleep(Duration::from_secs(1));
    }
    Ok(())
}

/// Boots it, runs the tests that a moving page allows, and ends it.
pub(super) fn run(guests: &GuestTools, binaries: &[PathBuf; 2], kernel: &str) -> Result<Seen> {
    let folder = paths::target().join("page/stage");
    if folder.exists() {
        std::fs::remove_dir_all(&folder)?;
    }
    let stage = Stage::start(&folder, &guests.busybox)?;
    let guest = Guest {
        forward: Some(stage.guest_port()),
        files: binaries.iter().cloned().map(in_bin).collect(),
        env: vec![("HOST".to_owned(), format!("10.0.2.2:{}", stage.port()))],
        label: Some("guest".to_owned()),
        timeout: TIMEOUT,
        ..Guest::new(kernels::resolve(kernel)?, SCRIPT.to_owned())
    };
    let (seen, ended) = thread::scope(|scope| {
        let thread = scope.spawn(|| guest.run(guests));
        let seen = stage.wait_for_guest(&|| thread.is_finished()).and_then(|()| {
            let address = format!("http://127.0.0.1:{}/", stage.guest_port());
            watched(&address, &|| thread.is_finished())?;
            drive(&[("ENDED", address.clone()), ("MOVING", address), ("LIVE", "1".to_owned())], "200", "live")
        });
        // Whatever became of us, the guest ends.
        let said = stage.say("end");
        let ended = thread.join().map_err(|_| anyhow!("the guest's thread panicked"));
        (said.and(seen), ended)
    });
    let ended = ended??;
    ended.explain();
    let mut seen = seen?;
    seen.failed.extend(ended.problem().map(|problem| format!("in the guest: {problem}")));
    Ok(seen)
}

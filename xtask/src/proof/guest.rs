//! The guest's side: the script that runs the steps as the host says, the daemon's configurations, and how the guest is booted.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Result;

use super::direct::Ports;
use super::stage::Stage;
use super::steps::{Doing, Step};
use super::{RUNBOOKS, files, loads};
use crate::initramfs::GuestFile;
use crate::kernels::Kernel;
use crate::vm::{Guest, in_bin};

/// The whole proof takes less than half of it.
const TIMEOUT: Duration = Duration::from_secs(2700);

/// A line that begins so is the script's own.
const PROBLEM: &str = "@@@ problem ";

/// The guest, not yet booted.
pub(super) fn guest(
    kernel: Kernel,
    binaries: &[PathBuf; 2],
    stage: &Stage,
    direct: Ports,
    steps: &[Step],
    folder: &Path,
) -> Result<Guest> {
    let mut contents: Vec<GuestFile> = binaries.iter().cloned().map(in_bin).collect();
    let made = [
        ("config.toml", loads::CONFIG),
        ("losing.toml", loads::LOSING_CONFIG),
        ("few-alerts.toml", loads::FEW_ALERTS_CONFIG),
        ("old-version", loads::OLD_VERSION),
    ];
    for (name, text) in made {
        let host = folder.join("guest").join(name);
        let ports = [
            ("@STAGE@", stage.port()),
            ("@ALERTMANAGER@", direct.alertmanager),
            ("@WEBHOOK@", direct.webhook),
            ("@REMEMBERING@", direct.remembering),
        ];
        let text = text.replace("@OWN_SINKS@", loads::OWN_SINKS).replace("@RUNBOOKS@", RUNBOOKS);
        let text = ports.iter().fold(text, |text, (name, port)| text.replace(name, &port.to_string()));
        files::write(&host, &text)?;
        contents.push(GuestFile { host, guest: format!("/{name}") });
    }
    Ok(Guest {
        forward: Some(stage.guest_port()),
        files: contents,
        env: vec![("HOST".to_owned(), format!("10.0.2.2:{}", stage.port()))],
        // Swap on a disk in memory, for reclaim.
        modules: vec!["brd".to_owned()],
        append: "brd.rd_size=65536".to_owned(),
        // It says nothing but what is wrong.
        label: Some("guest".to_owned()),
        timeout: TIMEOUT,
        ..Guest::new(kernel, script(steps))
    })
}

/// What the script complained of.
pub(super) fn problems(output: &str) -> Vec<String> {
    let lines = output.lines().filter_map(|line| line.strip_prefix(PROBLEM));
    lines.map(|line| format!("in the guest: {line}")).collect()
}

const BEGIN: &str = r#"
at() { /bin/busybox wget -q -O /dev/null "http://$HOST/$1" 2>/dev/null; }
# Whatever we wait for, the host may have given up.
until_at() {
    until at "$1"; do
        at end && finish
        sleep 1
    done
}
is_over() { at "over-$1" || at end; }
until_over() { until is_over "$1"; do sleep 1; done; }
finish() {
    stop
    exit 0
}
problem() { echo "@@@ problem $*"; }
start() {
    config=$1
    shift
    mmscope run --web.listen-address 0.0.0.0:10942 --config.file "$config" "$@" >>/run/mmscope.log 2>&1 &
    mmscope=$!
    for second in $(seq 120); do
        /bin/busybox wget -q -O /dev/null http://127.0.0.1:10942/-/ready 2>/dev/null && return
        sleep 1
    done
    problem "mmscope did not become ready"
}
stop() {
    kill -TERM "$mmscope" || problem "mmscope had ended"
    wait "$mmscope"
    code=$?
    [ "$code" = 0 ] || problem "mmscope ended with exit code $code"
}
# told LINE: whether it is in the daemon's metrics.
told() { /bin/busybox wget -q -O - http://127.0.0.1:10942/metrics 2>/dev/null | grep -q -F -x "$1"; }
# load STEP NAME ARGS: again and again until the step is over.
load() {
    step=$1
    name=$2
    shift 2
    until is_over "$step"; do
        sh -c 'renice -n 10 -p $$ >/dev/null && exec mmload "$@"' sh --name "$name" "$@" >/dev/null 2>"/run/$name.log" && continue
        problem "mmload $*: $(tail -n 1 "/run/$name.log")"
        sleep 5
    done
}
# Not on a kernel without that disk.
if [ -b /dev/ram0 ]; then mkswap /dev/ram0 >/dev/null && swapon /dev/ram0 || problem "no swap"; fi
# Runs of programs and their time are in a scrape then.
echo 1 >/proc/sys/kernel/bpf_stats_enabled
start /config.toml
"#;

const END: &str = r#"
until_at end
finish
"#;

fn script(steps: &[Step]) -> String {
    let mut script = BEGIN.to_owned();
    for Step { name, doing, .. } in steps {
        script.push_str(&format!("until_at go-{name}\n"));
        match doing {
            Doing::Shell(lines) => script.push_str(lines),
            Doing::Loads(loads) => {
                script.push_str("jobs=\n");
                for load in *loads {
                    script.push_str(&format!("load {name} {} {} &\njobs=\"$jobs $!\"\n", load.name, load.args));
                }
                script.push_str("wait $jobs\n");
            }
        }
    }
    script.push_str(END);
    script
}

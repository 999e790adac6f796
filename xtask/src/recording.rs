//! The recordings that tests replay: boots a guest for each, records what goes on in it, and brings the file out.

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::Args;

use crate::setup::{self, Wants};
use crate::vm::{Guest, Outcome, in_bin};
use crate::{dist, kernels, paths, root};

/// A line that begins so is a piece of the file.
const PIECE: &str = "@@@ piece ";
/// The line after the last piece, with the file's length.
const WHOLE: &str = "@@@ whole ";

/// `cargo xtask recording`.
///
/// Makes daemon/tests/recordings anew. Replays of them are compared with snapshots, which change then too:
/// INSTA_UPDATE=always cargo test -p mmscope --test recordings, and look at what changed.
#[derive(Args)]
pub(crate) struct RecordingArgs {
    /// Boot this kernel, as `vm` takes it
    #[arg(long, default_value = "6.18")]
    kernel: String,
    /// Make this recording (all if none is given)
    #[arg(long)]
    only: Option<String>,
    /// Use the binaries of the last `cargo xtask dist` as they are
    #[arg(long)]
    no_build: bool,
}

struct Recording {
    name: &'static str,
    /// What is recorded from which duration on, and how often; of configuration.
    config: &'static str,
    /// Packages of Debian; none for busybox alone.
    packages: &'static [&'static str],
    modules: &'static [&'static str],
    /// The clock counts instructions: idle time passes at once, and a busy host makes nothing longer.
    icount: bool,
    /// More for mmscope record.
    arguments: &'static str,
    /// What goes on meanwhile.
    work: &'static str,
    prepare: &'static str,
    timeout: Duration,
}

const RECORDINGS: &[Recording] = &[HAZARDS, QUIET, STEADY, AGAIN, DOUBLED, OVERLAP];

/// Each class that a workload can provoke, one after the other.
const HAZARDS: Recording = Recording {
    name: "hazards",
    config: "overhead_budget = \"off\"\n[record]\nwindow = \"10ms\"\nhold = \"10ms\"\nwait = \"50ms\"\nfault = \"500ms\"\n",
    packages: &[],
    modules: &["brd"],
    icount: false,
    arguments: "",
    prepare: "mkswap /dev/ram0 >/dev/null && swapon /dev/ram0",
    work: r#"
mmload lock-hold --name convoy --writers 2 --readers 2 --ops 10 --pages 8192
mmload uffd-overlap --name overlap --case first-pages --rounds 20
mmload uffd-overlap --name disjoint --case disjoint --rounds 20 --pages 16384
mmload uffd-overlap --name nested --case two-ranges --rounds 100 --pages 4096
mmload uffd-overlap --name cycle --case cycle --rounds 60 --pages 32768
mmload uffd-overlap --name refault --case handler --rounds 10 --pages 4096
mmload uffd-errors --name errors --eexist 2000 --enoent 2000
mmload uffd-missing --name slow --faults 20 --delay-us 200000
mmload uffd-missing --name stuck --faults 1 --delay-us 3000000
mmload flip --name flip --threads 2 --cycles 3000
mmload munmap --name munmap --threads 4 --cycles 500 --pages 4
mmload clear-refs --name soft --cycles 50 --pages 512
mmload pageout --name pageout --cycles 4 --pages 512
sleep 5
"#,
    timeout: Duration::from_secs(600),
};

/// An hour of the guest's time in which programs do ordinary work, with pauses between.
const QUIET: Recording = Recording {
    name: "quiet",
    config: "overhead_budget = \"off\"\ntick = \"10s\"\n",
    packages: &["gcc", "libc6-dev", "postgresql", "python3"],
    modules: &[],
    icount: true,
    arguments: "",
    prepare: r#"
mkdir -p /var/tmp/work/data
cd /var/tmp/work
chown postgres: data
cat >as_postgres <<'SH'
cd /
PATH=$(echo /usr/lib/postgresql/*/bin):$PATH
exec runuser -u postgres -- env PATH="$PATH" PGHOST=/tmp "$@"
SH
sh as_postgres initdb --no-sync -D "$PWD/data" >/dev/null
sh as_postgres pg_ctl -D "$PWD/data" -w -t 120 -o "-c listen_addresses= -k /tmp" -l "$PWD/data/log" start
sh as_postgres pgbench -q -i -s 1 postgres
cat >sum.c <<'C'
unsigned sum(const unsigned *a, unsigned n) { unsigned s = 0; while (n--) s += *a++ * n; return s; }
int main(void) { static unsigned a[4096]; return sum(a, 4096) != 0; }
C
cat >words.py <<'PY'
import collections, json, zlib
words = [f"word{n * 7919 % 1000}" for n in range(20000)]
counts = collections.Counter(words)
json.loads(json.dumps(counts))
zlib.compress(" ".join(words).encode())
PY
"#,
    work: r#"
cd /var/tmp/work
for minute in $(seq 12); do
    sh as_postgres pgbench -n -c 2 -T 5 postgres >/dev/null 2>&1
    sleep 90
    gcc -O1 -c sum.c && gcc -O1 -o sum sum.c && ./sum
    sleep 100
    python3 words.py
    find /usr/lib -name '*.so' | xargs ls -l >/dev/null
    sleep 100
done
"#,
    timeout: Duration::from_secs(2400),
};

/// Half a minute in which two programs do the same over and over.
const STEADY: Recording = steady("steady", "echo 40 >/run/mprotects");
/// The same once more.
const AGAIN: Recording = steady("again", "echo 40 >/run/mprotects");
/// The same, but for one thing: there are twice as many mprotects.
const DOUBLED: Recording = steady("doubled", "echo 80 >/run/mprotects");

/// The clock counts instructions, so that what differs is what was done, and not how busy the host was.
const fn steady(name: &'static str, prepare: &'static str) -> Recording {
    Recording {
        name,
        config: "overhead_budget = \"off\"\n",
        packages: &[],
        modules: &[],
        icount: true,
        arguments: "",
        prepare,
        work: r#"
for round in $(seq 100); do
    mmload mprotect --name changes --cycles "$(cat /run/mprotects)" >/dev/null
    mmload munmap --name unmaps --cycles 20 --pages 4 >/dev/null
    sleep 0.3
done
"#,
        timeout: Duration::from_secs(900),
    }
}

/// Every event of a process that writes into windows of its own userfaultfd, for a timeline.
const OVERLAP: Recording = Recording {
    name: "overlap",
    config: "overhead_budget = \"off\"\n",
    packages: &[],
    modules: &[],
    icount: false,
    arguments: "--timeline --comm overlap",
    prepare: "",
    work: "mmload uffd-overlap --name overlap --case first-pages --rounds 20",
    timeout: Duration::from_secs(600),
};

// A guest's serial port passes text only.
const SCRIPT: &str = r#"
set -e
cat >/run/prepare <<'PREPARE_ENDS'
@PREPARE@
PREPARE_ENDS
cat >/run/work <<'WORK_ENDS'
@WORK@
WORK_ENDS
printf '@CONFIG@' >/run/config.toml
sh -e /run/prepare
mmscope record -o /run/recording --config.file /run/config.toml @ARGUMENTS@ &
mmscope=$!
for second in $(seq 300); do
    [ -s /run/recording ] && break
    sleep 1
done
sleep 3
sh -e /run/work
kill -TERM "$mmscope"
wait "$mmscope"
/bin/busybox base64 /run/recording | sed 's/^/@@@ piece /'
echo "@@@ whole $(/bin/busybox stat -c %s /run/recording)"
"#;

/// `cargo xtask recording`.
pub(crate) fn main(args: &RecordingArgs) -> Result<ExitCode> {
    let wanted = |recording: &&Recording| args.only.as_ref().is_none_or(|only| only == recording.name);
    let recordings: Vec<&Recording> = RECORDINGS.iter().filter(wanted).collect();
    let names: Vec<&str> = RECORDINGS.iter().map(|recording| recording.name).collect();
    ensure!(!recordings.is_empty(), "--only: there are {}", names.join(", "));
    let tools = setup::setup(Wants { guests: true })?;
    let guests = tools.guests.as_ref().context("set-up of the guest tools")?;
    let binaries = match args.no_build {
        true => ["mmscope", "mmload"].map(|name| dist::folder().join(name)),
        false => dist::dist(&tools, false)?,
    };
    for recording in recordings {
        let packages: Vec<String> = recording.packages.iter().map(|&name| name.to_owned()).collect();
        let guest = Guest {
            memory_mib: 2048,
            icount: recording.icount,
            parallel: !recording.icount,
            root: if packages.is_empty() { None } else { Some(root::image(&packages)?) },
            files: binaries.iter().cloned().map(in_bin).collect(),
            modules: recording.modules.iter().map(|&name| name.to_owned()).collect(),
            quiet: true,
            timeout: recording.timeout,
            ..Guest::new(kernels::resolve(&args.kernel)?, script(recording))
        };
        let outcome = guest.run(guests)?;
        outcome.explain();
        let file = folder().join(format!("{}.mmrec", recording.name));
        let bytes = file_of(&outcome)?;
        fs::create_dir_all(folder()).with_context(|| format!("create {}", folder().display()))?;
        fs::write(&file, &bytes).with_context(|| format!("write {}", file.display()))?;
        println!("{}: {} bytes", file.display(), bytes.len());
    }
    Ok(ExitCode::SUCCESS)
}

fn folder() -> PathBuf {
    paths::root().join("daemon/tests/recordings")
}

fn script(recording: &Recording) -> String {
    SCRIPT
        .replace("@PREPARE@", recording.prepare.trim())
        .replace("@WORK@", recording.work.trim())
        .replace("@ARGUMENTS@", recording.arguments)
        .replace("@CONFIG@", &recording.config.replace('\n', "\\n"))
}

fn file_of(outcome: &Outcome) -> Result<Vec<u8>> {
    let told = || outcome.output.lines().filter(|line| !line.starts_with(PIECE)).collect::<Vec<_>>().join("\n");
    if let Some(problem) = outcome.problem() {
        bail!("{problem}; the guest said:\n{}", told());
    }
    unpack(&outcome.output).with_context(|| format!("the guest said:\n{}", told()))
}

fn unpack(output: &str) -> Result<Vec<u8>> {
    let pieces: String = output.lines().filter_map(|line| line.strip_prefix(PIECE)).collect();
    let bytes = STANDARD.decode(pieces.trim()).context("decode the recording")?;
    let length = output.lines().find_map(|line| line.strip_prefix(WHOLE));
    let length: usize = length.context("the recording did not come out whole")?.trim().parse()?;
    ensure!(bytes.len() == length, "{} of {length} bytes came out", bytes.len());
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::unpack;

    #[test]
    fn pieces_are_put_together_and_counted() {
        assert_eq!(unpack("noise\n@@@ piece QUJD\n@@@ piece REU=\n@@@ whole 5\n").unwrap(), b"ABCDE");
        assert!(unpack("@@@ piece QUJD\n").is_err());
        assert!(unpack("@@@ piece QUJD\n@@@ whole 4\n").is_err());
    }
}

//! The selftests in one guest: the script that runs them there, and its output read back. Knows nothing of how results
//! compare.

use std::path::Path;
use std::time::Duration;

use anyhow::Result;

use super::build::Built;
use super::table::Run;
use super::tap;
use crate::initramfs::GuestFile;
use crate::kernels::Kernel;
use crate::setup::GuestTools;
use crate::vm::{Guest, in_bin};

/// A test's limit in the guest. Those of the table need up to 80 s under emulation, on a host with nothing else to do.
const LIMIT: Duration = Duration::from_secs(300);

/// For the boot, and for mmscope's coming and going.
const AROUND: Duration = Duration::from_secs(300);

/// Some tests map what they need at addresses of their own choice and fail where something lies there already, so by chance: every
/// boot places programs alike.
const KERNEL_WORDS: &str = "norandmaps";

/// A line that begins so is the script's, not a test's.
const MARK: &str = "@@@ ";

/// How a test ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum End {
    /// With this exit code.
    Exit(u8),
    /// Killed at its limit.
    Timeout,
    /// Not at all: the guest ended before.
    Missing,
}

/// What a test left.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct TestResult {
    /// How it ended.
    pub(crate) end: End,
    /// What it said of its parts, as of tap.rs.
    pub(crate) results: Vec<String>,
    /// How long it took, by the guest's clock.
    pub(crate) seconds: f64,
}

/// What mmscope saw while the tests ran, summed over all subjects.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Counted {
    /// Hooks attached.
    pub(crate) hooks: u64,
    /// TLB flushes.
    pub(crate) flushes: u64,
    /// Waits in handle_userfault.
    pub(crate) userfaults: u64,
    /// Acquisitions of mmap_lock.
    pub(crate) acquisitions: u64,
}

/// What a guest left.
pub(crate) struct Booted {
    /// In the order of the runs.
    pub(crate) tests: Vec<TestResult>,
    /// If mmscope ran.
    pub(crate) counted: Option<Counted>,
    /// What was wrong with the guest or with mmscope.
    pub(crate) problems: Vec<String>,
}

/// Boots a kernel and runs the tests in it, with mmscope attached to it if there is one.
pub(crate) fn boot(
    kernel: &Kernel,
    tools: &GuestTools,
    built: &Built,
    runs: &[Run],
    mmscope: Option<&Path>,
) -> Result<Booted> {
    let mut files: Vec<GuestFile> = Vec::new();
    for run in runs {
        let guest = format!("/selftests/{}", run.program);
        if files.iter().all(|file| file.guest != guest) {
            files.push(GuestFile { host: built.programs.join(run.program), guest });
        }
    }
    files.extend(mmscope.map(|mmscope| in_bin(mmscope.to_owned())));
    let tests = u32::try_from(runs.len()).unwrap_or(u32::MAX);
    let guest = Guest {
        label: Some(kernel.release.clone()),
        memory_mib: 2048,
        files,
        append: KERNEL_WORDS.to_owned(),
        timeout: AROUND + LIMIT * tests.min(12),
        ..Guest::new(kernel.clone(), script(runs, mmscope.is_some()))
    };
    let outcome = guest.run(tools)?;
    outcome.explain();
    let mut booted = read(&outcome.output, runs.len(), mmscope.is_some());
    booted.problems.extend(outcome.problem());
    Ok(booted)
}

/// The guest's command line: the same with and without mmscope, but for mmscope.
fn script(runs: &[Run], mmscope: bool) -> String {
    let mut script = PREPARE.replace("@LIMIT@", &LIMIT.as_secs().to_string());
    if mmscope {
        script.push_str(START);
    }
    for (number, run) in runs.iter().enumerate() {
        script.push_str(&format!("run {number} {} {}\n", run.huge_pages, run.name()));
    }
    if mmscope {
        script.push_str(STOP);
    }
    script.push_str("exit 0\n");
    script
}

const PREPARE: &str = r#"
mkdir -p /tmp/work/huge
cd /tmp/work
# Some tests look for hugetlbfs and for themselves here, relative to where they are.
mount -t hugetlbfs none huge
ln -s /selftests/* .
# Processes of the program. By command line: the kernel has a thread named khugepaged.
left() { grep -l "^\./$program" /proc/[0-9]*/cmdline 2>/dev/null; }
run() {
    number=$1 huge=$2 program=$3
    shift 3
    echo 3 >/proc/sys/vm/drop_caches
    echo "$huge" >/proc/sys/vm/nr_hugepages
    echo "@@@ begin $number"
    read -r start rest </proc/uptime
    timeout -k 5 @LIMIT@ "./$program" "$@"
    code=$?
    # protection_keys ends, and goes on in a child.
    for second in $(seq 60); do
        [ -n "$(left)" ] || break
        sleep 1
    done
    read -r end rest </proc/uptime
    echo
    echo "@@@ end $number $code $start $end"
    # A test that failed may have left its children.
    for file in $(left); do
        pid=${file#/proc/}
        kill -9 "${pid%/cmdline}" 2>/dev/null
    done
}
"#;

const START: &str = r#"
mmscope run --overhead-budget=off >/run/mmscope.log 2>&1 &
mmscope=$!
for second in $(seq 60); do
    wget -q -O /dev/null http://127.0.0.1:10942/-/ready 2>/dev/null && break
    sleep 1
done
wget -q -O /dev/null http://127.0.0.1:10942/-/ready || echo "@@@ problem mmscope was not ready after 60 s"
"#;

const STOP: &str = r#"
# Two ticks, so that all has been read.
sleep 3
wget -q -O /run/scrape http://127.0.0.1:10942/metrics || echo "@@@ problem no scrape after the tests"
awk '
    /^mmscope_probe_attached/ { hooks += $NF }
    /^mmscope_tlb_flushes_total/ { flushes += $NF }
    /^mmscope_userfault_seconds_count/ { userfaults += $NF }
    /^mmscope_mmap_lock_acquisitions_total/ { acquisitions += $NF }
    END { printf "@@@ counted %d %d %d %d\n", hooks, flushes, userfaults, acquisitions }
' /run/scrape
kill -TERM "$mmscope" || echo "@@@ problem mmscope had ended before the tests did"
wait "$mmscope"
code=$?
[ "$code" = 0 ] || { echo "@@@ problem mmscope ended with exit code $code"; tail -n 20 /run/mmscope.log; }
"#;

/// What timeout(1) of busybox leaves when it had to end a program: the code of one that a signal ended.
const KILLED: &[u8] = &[124, 137, 143];

/// Reads a guest's output.
fn read(output: &str, tests: usize, mmscope: bool) -> Booted {
    let mut found = vec![TestResult { end: End::Missing, results: Vec::new(), seconds: 0.0 }; tests];
    let mut problems = Vec::new();
    let mut counted = None;
    let mut text = String::new();
    for line in output.lines() {
        // What a test's last words without a line's end leave before the mark is the test's.
        let Some((before, words)) = line.split_once(MARK) else {
            text.push_str(line);
            text.push('\n');
            continue;
        };
        text.push_str(before);
        let words: Vec<&str> = words.split_whitespace().collect();
        match words.as_slice() {
            ["begin", _] => text.clear(),
            ["end", number, code, start, end] => {
                let parsed = (number.parse(), code.parse(), start.parse::<f64>(), end.parse::<f64>());
                let (Ok(number), Ok(code), Ok(start), Ok(end)) = parsed else { continue };
                let seconds = end - start;
                let timed_out = KILLED.contains(&code) && seconds >= LIMIT.as_secs_f64();
                let end = if timed_out { End::Timeout } else { End::Exit(code) };
                if let Some(test) = found.get_mut::<usize>(number) {
                    *test = TestResult { end, results: tap::results(&text), seconds };
                }
            }
            ["counted", hooks, flushes, userfaults, acquisitions] => {
                let number = |text: &str| text.parse().unwrap_or(0);
                counted = Some(Counted {
                    hooks: number(hooks),
                    flushes: number(flushes),
                    userfaults: number(userfaults),
                    acquisitions: number(acquisitions),
                });
            }
            ["problem", rest @ ..] => problems.push(rest.join(" ")),
            _ => {}
        }
    }
    // A comparison with an mmscope that measured nothing says nothing.
    if mmscope && counted.is_none_or(|counted| counted.hooks == 0 || counted.flushes == 0) {
        problems.push("mmscope counted nothing".to_owned());
    }
    Booted { tests: found, counted, problems }
}

#[cfg(test)]
mod tests {
    use super::{Counted, End, read};

    #[test]
    fn a_guests_output_is_cut_into_tests() {
        let output = "@@@ begin 0\nok 1 a\nno end of line\n@@@ end 0 4 10.50 12.00\n@@@ begin 1\nok 1 b@@@ end 1 143 12.00 \
             320.00\n@@@ begin 2\nok 1 c\n@@@ problem mmscope was late\n@@@ counted 7 6 5 4\n";
        let booted = read(output, 3, true);
        assert_eq!(booted.tests[0].end, End::Exit(4));
        assert_eq!((booted.tests[0].results.as_slice(), booted.tests[0].seconds), (&["ok a".to_owned()][..], 1.5));
        assert_eq!((booted.tests[1].end, booted.tests[1].results.len()), (End::Timeout, 1));
        assert_eq!(booted.tests[2].end, End::Missing);
        assert_eq!(booted.problems, ["mmscope was late"]);
        assert_eq!(booted.counted, Some(Counted { hooks: 7, flushes: 6, userfaults: 5, acquisitions: 4 }));
    }

    #[test]
    fn an_mmscope_that_counts_nothing_is_a_problem() {
        assert_eq!(read("", 0, true).problems, ["mmscope counted nothing"]);
        assert!(read("", 0, false).problems.is_empty());
    }
}

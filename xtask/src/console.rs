//! What a kernel says when something is wrong with it. Finds such lines in a console's text; knows nothing of QEMU.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// Beginnings of a kernel's bad news.
const SPLATS: &[&str] = &[
    "------------[ cut here",
    "BUG:",
    "WARNING:",
    "Oops",
    "general protection",
    "detected stall",
    "detected expedited stall",
    "soft lockup",
    "hard LOCKUP",
    "blocked for more than",
    "hung task",
    "Kernel panic",
    "UBSAN:",
    "Bad page",
];

/// Lines that look like bad news and are advice.
const HARMLESS: &[&str] = &["Spectre V2 : WARNING:", "MDS CPU bug", "WARNING: Unprivileged eBPF is enabled"];

/// How many lines after the first bad one are worth printing: a splat with registers and a stack.
const CONTEXT: usize = 60;

/// Calls that a summary names: those of one handler of a fault, and what called it.
const CALLS: usize = 14;

/// Whether a console's line tells of a fault in the kernel.
pub(crate) fn is_splat(line: &str) -> bool {
    SPLATS.iter().any(|splat| line.contains(splat)) && !HARMLESS.iter().any(|harmless| line.contains(harmless))
}

/// A splat in one line: what is wrong, where it happened, and the calls that led there, the innermost first.
pub(crate) fn summary(splat: &[String]) -> String {
    let untimed = |line: &String| line.split_once("] ").map_or(line.as_str(), |(_, rest)| rest).trim().to_owned();
    let lines: Vec<String> = splat.iter().map(untimed).collect();
    let mut text = lines.iter().find(|line| !line.contains("[ cut here ]")).cloned().unwrap_or_default();
    // Of the user's registers there is another.
    if let Some(at) = lines.iter().find_map(|line| line.strip_prefix("RIP: 0010:").or(line.strip_prefix("pc : "))) {
        text.push_str(&format!(" at {at}"));
    }
    let calls = lines.iter().skip_while(|line| !line.to_ascii_lowercase().starts_with("call trace:")).skip(1);
    // What begins with a question mark only lay on the stack.
    let calls = calls.take_while(|line| !line.starts_with("RIP:")).filter_map(|line| line.split_once("+0x"));
    let calls: Vec<&str> = calls.map(|(function, _)| function).filter(|function| !function.contains(' ')).collect();
    if !calls.is_empty() {
        text.push_str(&format!(", in {}", calls[..calls.len().min(CALLS)].join(" < ")));
    }
    text
}

/// A console that is being written to a file, watched as it grows.
pub(crate) struct Console {
    path: PathBuf,
    file: File,
    /// A line whose end has not come yet.
    partial: Vec<u8>,
    lines: Vec<String>,
    first_splat: Option<usize>,
}

impl Console {
    /// Starts at the beginning of an existing file.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).with_context(|| format!("open {}", path.display()))?;
        Ok(Self { path: path.to_owned(), file, partial: Vec::new(), lines: Vec::new(), first_splat: None })
    }

    /// Reads what is new.
    pub(crate) fn poll(&mut self) -> Result<()> {
        let mut new = Vec::new();
        self.file.read_to_end(&mut new).with_context(|| format!("read {}", self.path.display()))?;
        self.feed(&new);
        Ok(())
    }

    fn feed(&mut self, new: &[u8]) {
        self.partial.extend_from_slice(new);
        while let Some(end) = self.partial.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.partial.drain(..=end).collect();
            let line = String::from_utf8_lossy(&line).trim_end().to_owned();
            if self.first_splat.is_none() && is_splat(&line) {
                self.first_splat = Some(self.lines.len());
            }
            self.lines.push(line);
        }
    }

    /// The first splat and what follows it; empty if there was none.
    pub(crate) fn splat(&self) -> &[String] {
        match self.first_splat {
            Some(first) => &self.lines[first..self.lines.len().min(first + CONTEXT)],
            None => &[],
        }
    }

    /// The last lines.
    pub(crate) fn tail(&self, count: usize) -> &[String] {
        &self.lines[self.lines.len().saturating_sub(count)..]
    }
}

#[cfg(test)]
mod tests {
    use super::{is_splat, summary};

    #[test]
    fn a_splat_in_one_line() {
        let splat = "[    2.5] BUG: kernel NULL pointer dereference, address: 0000000000000000
            [    2.5] CPU: 1 UID: 0 PID: 97 Comm: mmload Not tainted 6.12.118+deb13-cloud-amd64 #1  Debian 6.12.118-1
            [    2.5] RIP: 0010:change_protection+0x5/0x14b0
            [    2.5] RAX: 0000000000000000 RBX: ffff9d6c01ef4b00 RCX: 0000000000000000
            [    2.5] Call Trace:
            [    2.5]  <TASK>
            [    2.5]  ? __die_body.cold+0x19/0x27
            [    2.5]  mprotect_fixup+0x170/0x2f0
            [    2.5]  do_mprotect_pkey+0x1a4/0x3a0
            [    2.5]  entry_SYSCALL_64_after_hwframe+0x76/0x7e
            [    2.5] RIP: 0033:0x7fe475154667";
        let splat: Vec<String> = splat.lines().map(|line| line.trim_start().to_owned()).collect();
        let told = "BUG: kernel NULL pointer dereference, address: 0000000000000000 at change_protection+0x5/0x14b0, \
                    in mprotect_fixup < do_mprotect_pkey < entry_SYSCALL_64_after_hwframe";
        assert_eq!(summary(&splat), told);
        assert_eq!(summary(&splat[..1]), "BUG: kernel NULL pointer dereference, address: 0000000000000000");
        assert_eq!(summary(&[]), "");
        let warning =
            ["[ 3.1] ------------[ cut here ]------------", "[ 3.1] WARNING: CPU: 0 PID: 1 at mm/mmap.c:1 f+0x1/0x2"];
        assert_eq!(summary(&warning.map(str::to_owned)), "WARNING: CPU: 0 PID: 1 at mm/mmap.c:1 f+0x1/0x2");
    }

    #[test]
    fn bad_news_is_told_from_boot_talk() {
        for line in [
            "[    3.1] ------------[ cut here ]------------",
            "[    3.1] WARNING: CPU: 0 PID: 1 at mm/mmap.c:1 f+0x1/0x2",
            "[    3.1] BUG: kernel NULL pointer dereference, address: 0000000000000000",
            "[   30.1] rcu: INFO: rcu_preempt detected stalls on CPUs/tasks:",
            "[   30.1] watchdog: BUG: soft lockup - CPU#0 stuck for 22s!",
            "[    3.1] Kernel panic - not syncing: sysrq triggered crash",
            "[  250.1] INFO: task sh:1 blocked for more than 120 seconds.",
        ] {
            assert!(is_splat(line), "{line}");
        }
        for line in [
            "[    0.1] Spectre V2 : WARNING: Unprivileged eBPF is enabled with eIBRS on, data leaks possible",
            "[    0.1] Kernel command line: console=ttyS0 panic=-1 oops=panic",
            "[    0.0] rcu: RCU restricting CPUs from NR_CPUS=512 to nr_cpu_ids=2.",
        ] {
            assert!(!is_splat(line), "{line}");
        }
    }
}

//! Memory that reclaim can take: swap on a disk in memory, and the kernel's own trace of the batches that it flushes.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::PathBuf,
    process::Command,
};

use super::trace::{Line, Trace};

/// A disk of the module brd.
const DISK: &str = "/dev/ram0";

/// Swap, until it is dropped.
pub(crate) struct Swap;

impl Swap {
    pub(crate) fn on() -> Self {
        run("mkswap");
        run("swapon");
        Self
    }
}

impl Drop for Swap {
    fn drop(&mut self) {
        run("swapoff");
    }
}

fn run(program: &str) {
    let output = Command::new(program).arg(DISK).output().unwrap();
    assert!(output.status.success(), "{program} {DISK}: {}", String::from_utf8_lossy(&output.stderr));
}

/// The third processor, which is off but for as long as this lives.
pub(crate) struct ThirdProcessor;

impl ThirdProcessor {
    pub(crate) fn on() -> Self {
        Self::switch("1").unwrap();
        Self
    }

    fn switch(state: &str) -> std::io::Result<()> {
        fs::write("/sys/devices/system/cpu/cpu2/online", state)
    }
}

impl Drop for ThirdProcessor {
    fn drop(&mut self) {
        let _ = Self::switch("0");
    }
}

/// A file whose pages several may map and reclaim can take.
pub(crate) struct SharedFile {
    mount: tempfile::TempDir,
}

impl SharedFile {
    /// One of so many bytes.
    pub(crate) fn new(bytes: u64) -> Self {
        let mount = tempfile::tempdir().unwrap();
        let mounted = Command::new("mount").args(["-t", "tmpfs", "none"]).arg(mount.path()).status().unwrap();
        assert!(mounted.success(), "mount tmpfs: {mounted}");
        let file = Self { mount };
        fs::File::create(file.path()).unwrap().set_len(bytes).unwrap();
        file
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.mount.path().join("pages")
    }
}

impl Drop for SharedFile {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.mount.path()).status();
    }
}

/// Where the kernel has what the watch reads, from `mmscope doctor --facts`.
pub(crate) struct Offsets {
    vm_mm: u64,
    /// An mm's count of pages left to be flushed; none on 5.10.
    pub(crate) count: Option<u64>,
    /// The function that flushes what was left, if this kernel leaves any: arm64 does from 6.6 on.
    pub(crate) flush: Option<&'static str>,
}

impl Offsets {
    pub(crate) fn read() -> Self {
        let output = super::live::mmscope().args(["doctor", "--facts"]).output().unwrap();
        let facts: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let of = |member: &str| facts["members"][member].as_u64();
        let flushes = ["arch_tlbbatch_flush", "try_to_unmap_flush"];
        Self {
            vm_mm: of("vm_area_struct.vm_mm").unwrap(),
            count: of("mm_struct.tlb_flush_batched.counter"),
            flush: flushes.into_iter().find(|function| facts["functions"][function].is_string()),
        }
    }
}

/// Watches by kprobe events what is unmapped, the flush of all that a task has unmapped, and the end of address spaces.
pub(crate) struct Watch(Trace);

impl Watch {
    pub(crate) fn start(offsets: &Offsets) -> Self {
        let Offsets { vm_mm, count, flush } = *offsets;
        let (of_vma, of_mm) = match count {
            Some(count) => (format!("+{count}(+{vm_mm}($arg2)):u32"), format!("+{count}($arg1):u32")),
            None => ("\\0:u32".to_owned(), "\\0:u32".to_owned()),
        };
        Self(Trace::of(&[
            &format!("p:ours/unmap try_to_unmap_one mm=+{vm_mm}($arg2):x64 count={of_vma}"),
            &format!("p:ours/end exit_mmap mm=$arg1:x64 count={of_mm}"),
            &format!("p:ours/flush {}", flush.expect("a kernel that flushes later")),
        ]))
    }

    /// Ends it; what tasks of these names flushed, each its own batches. With counts, the address spaces must have ended.
    pub(crate) fn end(self, comms: &[&str], offsets: &Offsets) -> Batches {
        let trace = self.0.end();
        let tasks: BTreeSet<u32> =
            trace.iter().filter(|line| comms.contains(&line.comm.as_str())).map(|line| line.task).collect();
        let mut all = Batches::default();
        for task in tasks {
            let its = Batches::of(&trace, task, offsets.count.is_some());
            all.flushed += its.flushed;
            all.mms += its.mms;
            all.of_several += its.of_several;
        }
        all
    }
}

/// What was flushed together.
#[derive(Debug, Default)]
pub(crate) struct Batches {
    /// Batches.
    pub(crate) flushed: usize,
    /// Address spaces of which a batch had pages, of all batches together. Where the kernel does not count, those of which
    /// pages were unmapped, whether their flush was left for later or not.
    pub(crate) mms: usize,
    /// Batches with pages of more than one.
    pub(crate) of_several: usize,
}

impl Batches {
    fn of(trace: &[Line], task: u32, has_counts: bool) -> Self {
        // By mm, the batch that took pages of it last, and its count before that.
        let mut last = BTreeMap::<&str, (usize, &str)>::new();
        let mut in_batch = BTreeMap::<usize, usize>::new();
        let (mut batch, mut has_unmapped) = (0, false);
        for line in trace {
            let is_its = line.task == task;
            if line.event == "flush" {
                // The one of arm64 is called also when there is nothing to flush.
                batch += usize::from(is_its && has_unmapped);
                has_unmapped &= !is_its;
                continue;
            }
            let (mm, count) = (line.argument("mm"), line.argument("count"));
            let is_end = line.event == "end";
            has_unmapped |= is_its && !is_end;
            if let Some(&(of, before)) = last.get(mm)
                && (is_end || of != batch)
            {
                if count != before || !has_counts {
                    *in_batch.entry(of).or_default() += 1;
                }
                last.remove(mm);
            }
            if is_its && !is_end {
                last.entry(mm).or_insert((batch, count));
            }
        }
        if !has_counts {
            last.values().for_each(|(of, _)| *in_batch.entry(*of).or_default() += 1);
        }
        Self {
            flushed: batch,
            mms: in_batch.values().sum(),
            of_several: in_batch.values().filter(|mms| **mms > 1).count(),
        }
    }
}

/// A group of processes whose memory can be taken.
pub(crate) struct Group {
    root: tempfile::TempDir,
}

impl Group {
    pub(crate) fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let mount = Command::new("mount").args(["-t", "cgroup2", "none"]).arg(root.path()).status().unwrap();
        assert!(mount.success(), "mount cgroup2: {mount}");
        fs::write(root.path().join("cgroup.subtree_control"), "+memory").unwrap();
        fs::create_dir(root.path().join("taken")).unwrap();
        Self { root }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.root.path().join("taken").join(name)
    }

    /// A shell's words that put it into the group.
    pub(crate) fn joining(&self) -> String {
        format!("echo $$ > {}", self.file("cgroup.procs").display())
    }

    /// Takes all of its memory that can be taken. The writer does the work; without `memory.reclaim` its processes do too.
    pub(crate) fn take(&self) {
        let by_request = self.file("memory.reclaim");
        if by_request.exists() {
            // There is less than that: it ends with an error when nothing is left.
            let _ = fs::write(by_request, "64M");
            return;
        }
        fs::write(self.file("memory.high"), "0").unwrap();
        fs::write(self.file("memory.high"), "max").unwrap();
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // Its processes have ended.
        let _ = fs::remove_dir(self.root.path().join("taken"));
        let _ = Command::new("umount").arg(self.root.path()).status();
    }
}

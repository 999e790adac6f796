//! The loads: shell lines that a runner starts all at once and waits for. The runner stands still before and after, so
//! that nothing happens between our looks and the oracle's.

use std::{
    fs,
    io::Write as _,
    path::Path,
    process::{Child, Command, Stdio},
};

use crate::live;

pub(crate) struct Mix {
    pub(crate) name: &'static str,
    /// Run at once.
    lines: Vec<String>,
    /// Measures that it must have made events of.
    pub(crate) required: &'static [&'static str],
}

/// What every mix moves.
const LOCKS: &[&str] = &["windows", "flushes", "reads acquired", "writes acquired", "reads released", "writes ended"];

/// All mixes that can run here.
pub(crate) fn all(scale: u64) -> Vec<Mix> {
    let has_write_protection = live::is_supported(live::WRITE_PROTECTION);
    let mut mixes = vec![
        Mix {
            name: "own",
            lines: vec![
                format!("mmload mprotect --cycles {}", 3000 * scale),
                format!("mmload flip --threads 3 --cycles {}", 1000 * scale),
                format!("mmload mprotect-vmas --cycles {} --vmas 5", 300 * scale),
                format!("mmload dontneed --cycles {} --pages 8", 500 * scale),
                format!("mmload munmap --cycles {}", 800 * scale),
                format!("mmload lock-hold --writers 1 --readers 2 --seconds {}", scale.min(5)),
                if has_write_protection {
                    format!("mmload uffd --missing {} --wp {}", 800 * scale, 800 * scale)
                } else {
                    format!("mmload uffd-missing --faults {}", 800 * scale)
                },
                format!("mmload uffd-errors --eexist {} --einval {}", 100 * scale, 20 * scale),
                format!("mmload forkexec --count {}", 60 * scale),
            ],
            required: &[
                "windows",
                "flushes",
                "full flushes",
                "reads acquired",
                "writes acquired",
                "reads released",
                "writes ended",
                "userfaults",
                "ioctls",
            ],
        },
        Mix {
            name: "threads",
            lines: vec![
                format!("mmload flip --threads 8 --cycles {}", 1500 * scale),
                format!("mmload lock-readers --ops {}", 5000 * scale),
                format!("mmload lock-writers --ops {}", 3000 * scale),
            ],
            required: LOCKS,
        },
    ];
    if live::is_supported(live::SOFT_DIRTY) {
        mixes[0].lines.push(format!("mmload clear-refs --cycles {}", 60 * scale));
    }
    if Path::new("/bin/stress-ng").exists() || Path::new("/usr/bin/stress-ng").exists() {
        mixes.extend(stress(scale));
    }
    mixes
}

/// stress-ng's stressors, each two at once and all together.
fn stress(scale: u64) -> Vec<Mix> {
    let line = |name: &str, ops: u64, more: &str| {
        format!("stress-ng --quiet --temp-path /tmp --timeout 900 --{name} 2 --{name}-ops {} {more}", ops * scale)
    };
    vec![
        Mix {
            name: "lifetimes",
            lines: vec![
                format!("mmload refused-forks --count {}", 1000 * scale),
                line("fork", 400, ""),
                line("vfork", 200, ""),
                line("exec", 40, ""),
                line("dentry", 400, ""),
                line("dir", 400, ""),
                line("madvise", 1, ""),
                format!("n={}; while [ $n -gt 0 ]; do {WRITE_FILES}; n=$((n-1)); done", 10 * scale),
                format!("n={}; while [ $n -gt 0 ]; do {SHRINK}; sleep 0.1; n=$((n-1)); done", 40 * scale),
            ],
            required: LOCKS,
        },
        Mix {
            name: "stress-ng",
            lines: vec![
                line("userfaultfd", 2000, "--userfaultfd-bytes 1m"),
                line("mprotect", 2000, ""),
                line("madvise", 4, ""),
                line("munmap", 4000, ""),
                line("mremap", 20, "--mremap-bytes 4m"),
                line("tlb-shootdown", 100, ""),
                line("fork", 200, ""),
                line("vm", 1000, "--vm-bytes 8m"),
            ],
            required: LOCKS,
        },
    ]
}

/// A process whose children are gone takes the locks of files.
const WRITE_FILES: &str = "for i in 1 2 3 4 5 6 7 8 9; do sleep 0.05 & done; wait; \
     for i in 1 2 3 4 5 6 7 8 9; do for j in 1 2 3 4 5 6 7 8 9; do echo x >>/tmp/exact-$i$j; done; done; rm /tmp/exact-[0-9]*";
/// Gives the memory of freed mm_structs, and of others, back to the pages that anything may come to lie in.
const SHRINK: &str = "echo 2 >/proc/sys/vm/drop_caches; for slab in mm_struct vma_lock anon_vma inode_cache shmem_inode_cache \
     vm_area_struct signal_cache; do [ ! -e /sys/kernel/slab/$slab ] || echo 1 >/sys/kernel/slab/$slab/shrink; done";

/// A shell that waits, runs a mix, and waits again.
pub(crate) struct Runner {
    shell: Child,
}

const GO: &str = "/tmp/exact-go";
const DONE: &str = "/tmp/exact-done";

impl Runner {
    pub(crate) fn start(mix: &Mix) -> Self {
        for pipe in [GO, DONE] {
            let _ = fs::remove_file(pipe);
            assert!(Command::new("mkfifo").arg(pipe).status().unwrap().success());
        }
        let loads: String = mix.lines.iter().map(|line| format!("( {line} >/dev/null ) & p=\"$p $!\"\n")).collect();
        let script = format!(
            "exec 5<>{GO} 6<>{DONE}\nread go <&5\nfailed=\n{loads}for i in $p; do wait $i || failed=\"$failed $i:$?\"; done\n\
             echo \"done $failed\" >&6\nread go <&5\n"
        );
        let shell = Command::new("sh").args(["-c", &script]).stdin(Stdio::null()).spawn().unwrap();
        Self { shell }
    }

    /// Runs the mix to its end.
    pub(crate) fn go(&mut self) {
        fs::OpenOptions::new().write(true).open(GO).unwrap().write_all(b"go\n").unwrap();
        let mut line = String::new();
        std::io::BufRead::read_line(&mut std::io::BufReader::new(fs::File::open(DONE).unwrap()), &mut line).unwrap();
        assert_eq!(line.trim(), "done", "a load failed");
    }
}

impl Drop for Runner {
    fn drop(&mut self) {
        let _ = self.shell.kill();
        let _ = self.shell.wait();
    }
}

//! What is measured: cycles of the workload program, and programs that people run. Shell for the guest.

/// A load.
pub(super) struct Load {
    /// In the tables.
    pub(super) name: &'static str,
    /// What one of its units is.
    pub(super) unit: &'static str,
    /// Units of one run.
    pub(super) units: u32,
    /// Prints a line of JSON with `elapsed_ns`.
    pub(super) command: &'static str,
}

const fn cycles(name: &'static str, unit: &'static str, units: u32, command: &'static str) -> Load {
    Load { name, unit, units, command }
}

/// Operations, counted in instructions each.
pub(super) const CYCLES: &[Load] = &[
    cycles("mprotect", "mprotect read-only, mprotect writable, one write", 2000, "mmload mprotect --cycles 2000"),
    cycles("dontneed", "MADV_DONTNEED of 16 pages, 16 faults", 300, "mmload dontneed --pages 16 --cycles 300"),
    cycles("uffd-wp", "a protected page: fault, un-protection, wake-up", 500, "mmload uffd-wp --faults 500"),
    cycles("munmap", "mmap, touch, munmap", 1000, "mmload munmap --cycles 1000"),
    cycles(
        "write lock",
        "one uncontended acquisition for write (mprotect of a page)",
        2000,
        "mmload lock-writers --ops 2000",
    ),
    cycles("read lock", "one uncontended acquisition for read", 2000, "mmload lock-readers --ops 2000"),
    cycles(
        "contended",
        "one acquisition by four threads of which one writes",
        1000,
        "mmload lock-hold --writers 1 --readers 3 --ops 250 --read-ops 250 --pages 64",
    ),
    cycles("getppid", "a system call that has nothing to do with memory", 100_000, "mmload getppid --calls 100000"),
];

/// Programs, counted in millions of instructions for a whole run.
pub(super) const PROGRAMS: &[Load] = &[
    cycles("compiler", "gcc -O1 of 300 functions", 1_000_000, "timed gcc -O1 -c /run/bench.c -o /run/bench.o"),
    cycles(
        "python",
        "a start of Python with four modules",
        1_000_000,
        "timed python3 -c 'import json, argparse, decimal, email'",
    ),
    cycles(
        "stress-ng --vm",
        "200 operations on 16 MiB",
        1_000_000,
        "timed stress-ng --quiet --no-rand-seed --vm 1 --vm-bytes 16m --vm-method write64 --vm-ops 200",
    ),
];

/// Makes what the programs need, and the word `timed`.
pub(super) const PREPARE: &str = r#"
for n in $(seq 300); do
    echo "int f$n(int a, int b) { int s = 0; for (int i = a; i < b; i++) s += i * $n ^ (s >> 3); return s; }"
done >/run/bench.c
timed() {
    begin=$(date +%s%N)
    "$@" >/dev/null 2>&1 || echo "@@@ problem $1 failed"
    end=$(date +%s%N)
    echo "{\"elapsed_ns\":$((end - begin))}"
}
"#;

/// Packages of Debian that they need.
pub(super) const PACKAGES: &[&str] = &["gcc", "libc6-dev", "python3", "stress-ng"];

//! Who watches while the loads run: nobody, mmscope whole or in parts, bpftrace with a script for the same figures, klockstat.
//! Shell for the guest.

/// A watcher.
pub(super) struct Watcher {
    /// In the tables.
    pub(super) name: String,
    /// Starts it in the background and waits until it watches; sets `$watcher`.
    pub(super) start: String,
    /// Whether it is one that only parts are measured of.
    pub(super) is_part: bool,
}

/// The name of the runs without any.
pub(super) const NOBODY: &str = "nothing";
/// The name of mmscope as it is by default.
pub(super) const MMSCOPE: &str = "mmscope";
/// The same where fentry is not to be had.
const BY_KPROBES: &str = "mmscope by kprobes";
/// The names of those that it is compared with.
pub(super) const BPFTRACE: &str = "bpftrace";
pub(super) const KLOCKSTAT: &str = "klockstat";

/// Hooks that mean something only together.
const PARTS: &[(&str, &[&str])] = &[
    ("locks", &["mmap_lock_acquire_returned", "mmap_lock_released"]),
    ("waits", &["contention_begin", "contention_end"]),
    ("windows", &["tlb_gather_mmu", "tlb_gather_mmu_fullmm", "tlb_gather_mmu_vma", "tlb_finish_mmu"]),
    (
        "windows and changes",
        &["tlb_gather_mmu", "tlb_gather_mmu_fullmm", "tlb_gather_mmu_vma", "tlb_finish_mmu", "change_protection"],
    ),
    ("flushes", &["flush_tlb_mm_range"]),
    ("shootdowns", &["native_flush_tlb_multi", "native_flush_tlb_multi:exit", "flush_tlb_func"]),
    ("write faults", &["do_wp_page", "do_wp_page:exit"]),
    ("userfaults", &["handle_userfault", "handle_userfault:exit", "userfaultfd_ioctl", "userfaultfd_ioctl:exit"]),
    ("reclaim", &["try_to_unmap_one", "try_to_migrate_one", "arch_tlbbatch_flush"]),
];

/// All of them, in the order of their runs: nobody first and last.
pub(super) fn watchers(with_parts: bool) -> Vec<Watcher> {
    let whole = |name: &str, start: String| Watcher { name: name.to_owned(), start, is_part: false };
    let mut watchers = vec![
        whole(NOBODY, String::new()),
        whole(MMSCOPE, mmscope("")),
        whole(BY_KPROBES, mmscope(" --without=fentry")),
    ];
    if with_parts {
        watchers.extend(PARTS.iter().map(|(name, hooks)| Watcher {
            name: format!("{MMSCOPE}: {name}"),
            start: mmscope(&hooks.iter().map(|hook| format!(" --hook {hook}")).collect::<String>()),
            is_part: true,
        }));
    }
    watchers.push(whole(BPFTRACE, start_bpftrace()));
    watchers.push(whole(KLOCKSTAT, KLOCKSTAT_START.to_owned()));
    watchers.push(whole(NOBODY, String::new()));
    watchers
}

fn mmscope(options: &str) -> String {
    MMSCOPE_START.replace("@OPTIONS@", options)
}

const MMSCOPE_START: &str = r#"
mmscope run --overhead-budget=off@OPTIONS@ >/run/watcher.log 2>&1 &
watcher=$!
for second in $(seq 60); do
    grep -q " serving " /run/watcher.log && break
    sleep 1
done
grep -q " serving " /run/watcher.log || problem "mmscope did not start"
"#;

fn start_bpftrace() -> String {
    format!("cat >/run/same.bt <<'SCRIPT_ENDS'\n{SAME}SCRIPT_ENDS\n{BPFTRACE_START}")
}

const BPFTRACE_START: &str = r#"
bpftrace --version
bpftrace /run/same.bt >/run/watcher.log 2>&1 &
watcher=$!
until grep -q "^watching" /run/watcher.log; do
    kill -0 "$watcher" 2>/dev/null || break
    sleep 1
done
sleep 20
kill -0 "$watcher" 2>/dev/null || problem "bpftrace ended"
"#;

/// The guest's idle time passes at once, that of the disk which it reads from does not: who only sleeps measures one that is not
/// there yet.
const KLOCKSTAT_START: &str = r#"
stdbuf -oL klockstat-libbpf -d 100000 >/run/watcher.log 2>&1 &
watcher=$!
until grep -q "^Tracing" /run/watcher.log; do
    kill -0 "$watcher" 2>/dev/null || break
    sleep 1
done
sleep 20
kill -0 "$watcher" 2>/dev/null || problem "klockstat ended"
"#;

/// The figures of mmscope that a script can give: acquisitions, holds and waits of mmap_lock by mode, windows outer and inner,
/// flushes, forced flushes as far as a pending count tells them, userfaults, ioctls; each by command.
const SAME: &str = r#"
BEGIN { printf("watching\n"); }

tracepoint:mmap_lock:mmap_lock_acquire_returned
{
    @acquisitions[comm, args.write, args.success] = count();
    if (args.success) {
        @held[tid, (uint64)args.mm] = nsecs;
    }
}
tracepoint:mmap_lock:mmap_lock_released
/@held[tid, (uint64)args.mm]/
{
    @hold_ns[comm, args.write] = hist(nsecs - @held[tid, (uint64)args.mm]);
    delete(@held[tid, (uint64)args.mm]);
}

tracepoint:lock:contention_begin
/args.flags == 2 || args.flags == 4/
{
    @waits[tid, (uint64)args.lock_addr] = nsecs;
}
tracepoint:lock:contention_end
/@waits[tid, (uint64)args.lock_addr]/
{
    @wait_ns[comm] = hist(nsecs - @waits[tid, (uint64)args.lock_addr]);
    delete(@waits[tid, (uint64)args.lock_addr]);
}

kretfunc:tlb_gather_mmu { @window[tid] = nsecs; }
kfunc:change_protection /!@inner[tid]/ { @inner[tid] = nsecs; }
kretfunc:flush_tlb_mm_range
{
    @flushes[comm] = count();
    @flushed[tid] = nsecs;
}
kretfunc:tlb_finish_mmu
/@window[tid]/
{
    @outer_ns[comm] = hist(nsecs - @window[tid]);
    if (@inner[tid]) {
        @inner_ns[comm] = hist(@flushed[tid] - @inner[tid]);
    }
    delete(@window[tid]);
    delete(@inner[tid]);
    delete(@flushed[tid]);
}

kfunc:do_wp_page { @write_faults[comm] = count(); }

kfunc:handle_userfault { @fault[tid] = nsecs; }
kretfunc:handle_userfault
/@fault[tid]/
{
    @userfault_ns[comm] = hist(nsecs - @fault[tid]);
    delete(@fault[tid]);
}
kfunc:userfaultfd_ioctl { @ioctl[tid] = nsecs; }
kretfunc:userfaultfd_ioctl
/@ioctl[tid]/
{
    @ioctl_ns[comm] = hist(nsecs - @ioctl[tid]);
    delete(@ioctl[tid]);
}
"#;

/// Packages of Debian that they need.
pub(super) const PACKAGES: &[&str] = &["bpftrace", "libbpf-tools"];

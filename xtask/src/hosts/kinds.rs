//! The hosts: a kernel, how the machine is made, and what is done to it before mmscope comes.

use crate::machine::Machine;

/// A host.
pub(crate) struct Host {
    pub(crate) name: &'static str,
    /// For the table.
    pub(crate) about: &'static str,
    /// The kind of machine.
    pub(crate) machine: Machine,
    /// As `vm` takes it, or [`TYPELESS`].
    pub(crate) kernel: &'static str,
    pub(crate) smp: u32,
    pub(crate) memory_mib: u32,
    /// More of QEMU's options.
    pub(crate) qemu: &'static [&'static str],
    /// More for the kernel's command line.
    pub(crate) append: &'static str,
    /// Lines of a shell, run in the guest first.
    pub(crate) prepare: &'static str,
    /// For mmscope.
    pub(crate) args: &'static str,
    /// Checks of `daemon/tests/hosts`.
    pub(crate) checks: &'static str,
    /// For the check of cgroups: folders, with colons between, and the name.
    pub(crate) cgroup: Option<(&'static str, &'static str)>,
    /// It must not start, and say this.
    pub(crate) fails: Option<&'static str>,
    /// Whether it is a kernel of its own, on which `exact` can be run.
    pub(crate) exact: bool,
}

/// The kernel of unfixed_kernel.rs without types.
pub(crate) const TYPELESS: &str = "without-btf";

/// What is looked at everywhere.
const USUAL: &str = "windows,locks,waits,userfaults,cgroup";

const fn host(name: &'static str, about: &'static str, kernel: &'static str) -> Host {
    Host {
        name,
        about,
        machine: Machine::X86_64,
        kernel,
        smp: 2,
        memory_mib: 2048,
        qemu: &[],
        append: "",
        prepare: "",
        args: "",
        checks: USUAL,
        cgroup: None,
        fails: None,
        exact: false,
    }
}

impl Host {
    const fn exact(mut self) -> Self {
        self.exact = true;
        self
    }

    const fn with(mut self, args: &'static str) -> Self {
        self.args = args;
        self
    }

    const fn prepared(mut self, prepare: &'static str) -> Self {
        self.prepare = prepare;
        self
    }

    const fn booted(mut self, append: &'static str) -> Self {
        self.append = append;
        self
    }

    const fn on(mut self, qemu: &'static [&'static str]) -> Self {
        self.qemu = qemu;
        self
    }

    const fn for_arm(mut self) -> Self {
        self.machine = Machine::Aarch64;
        self
    }

    const fn checked(mut self, checks: &'static str) -> Self {
        self.checks = checks;
        self
    }

    const fn in_cgroup(mut self, folders: &'static str, name: &'static str) -> Self {
        self.cgroup = Some((folders, name));
        self
    }

    const fn failing(mut self, says: &'static str) -> Self {
        self.fails = Some(says);
        self
    }

    const fn sized(mut self, smp: u32, memory_mib: u32) -> Self {
        self.smp = smp;
        self.memory_mib = memory_mib;
        self
    }
}

/// v1 alone, as container hosts of some years ago have it.
const V1: &str = r#"
umount /sys/fs/cgroup
mount -t tmpfs cgroup /sys/fs/cgroup
for controller in memory pids cpu,cpuacct; do
    mkdir "/sys/fs/cgroup/$controller"
    mount -t cgroup -o "$controller" cgroup "/sys/fs/cgroup/$controller"
done
mkdir /sys/fs/cgroup/systemd
mount -t cgroup -o none,name=systemd cgroup /sys/fs/cgroup/systemd
"#;
const V1_CGROUP: &str =
    "/sys/fs/cgroup/memory/docker/known:/sys/fs/cgroup/pids/docker/known:/sys/fs/cgroup/systemd/docker/known";

/// Both: services are in v2 as well, and containers only in v1.
const HYBRID: &str = r#"
umount /sys/fs/cgroup
mount -t tmpfs cgroup /sys/fs/cgroup
for controller in memory pids; do
    mkdir "/sys/fs/cgroup/$controller"
    mount -t cgroup -o "$controller" cgroup "/sys/fs/cgroup/$controller"
done
mkdir /sys/fs/cgroup/unified
mount -t cgroup2 cgroup2 /sys/fs/cgroup/unified
"#;
const HYBRID_CGROUP: &str = "/sys/fs/cgroup/unified/system.slice/containerd.service:/sys/fs/cgroup/memory/docker/known:/sys/fs/cgroup/pids/docker/known";

/// Nothing is there, and nothing can be found in its place.
const NO_TRACEFS: &str = r#"
umount /sys/kernel/tracing
umount /sys/kernel/debug
mount -t tmpfs -o ro tmpfs /sys/kernel/tracing
mount -t tmpfs -o ro tmpfs /sys/kernel/debug
"#;

/// The kernel has its types, and /sys does not show them.
const HIDDEN_BTF: &str = r#"
cat /sys/kernel/btf/vmlinux >/tmp/types
: >/tmp/nothing
mount -o bind /tmp/nothing /sys/kernel/btf/vmlinux
"#;

const MANY_AT_ONCE: &str = r#"
umount /sys/fs/cgroup
mount -t tmpfs cgroup /sys/fs/cgroup
for controller in memory pids; do
    mkdir "/sys/fs/cgroup/$controller"
    mount -t cgroup -o "$controller" cgroup "/sys/fs/cgroup/$controller"
done
mkdir /sys/fs/cgroup/unified
mount -t cgroup2 cgroup2 /sys/fs/cgroup/unified
umount /sys/kernel/tracing
umount /sys/kernel/debug
mount -t tmpfs -o ro tmpfs /sys/kernel/tracing
mount -t tmpfs -o ro tmpfs /sys/kernel/debug
cat /sys/kernel/btf/vmlinux >/tmp/types
: >/tmp/nothing
mount -o bind /tmp/nothing /sys/kernel/btf/vmlinux
"#;

const HUGE: &str = "echo always >/sys/kernel/mm/transparent_hugepage/enabled\necho 16 >/proc/sys/vm/nr_hugepages\n";

/// Two nodes with four processors each, which are a socket: processors that share a cache are of one node.
const TWO_NODES: &[&str] = &[
    "-smp",
    "8,sockets=2,cores=4",
    "-object",
    "memory-backend-ram,id=node0,size=1024M",
    "-object",
    "memory-backend-ram,id=node1,size=1024M",
    "-numa",
    "node,nodeid=0,cpus=0-3,memdev=node0",
    "-numa",
    "node,nodeid=1,cpus=4-7,memdev=node1",
];

const WITHOUT_FENTRY: &str = "--without=fentry";

/// Every one, in the order of the table.
pub(crate) const HOSTS: &[Host] = &[
    host("5.10", "Debian's 5.10, functions by fentry", "5.10").exact(),
    host("6.1", "Debian's 6.1, fentry", "6.1").exact(),
    host("6.12", "Debian's 6.12, fentry", "6.12").exact(),
    host("6.18", "Debian's 6.18, fentry", "6.18").exact(),
    host("7", "Debian's newest 7.x, fentry", "7").exact(),
    host("5.10-kprobes", "Debian's 5.10, functions by kprobes", "5.10").with(WITHOUT_FENTRY).exact(),
    host("6.1-kprobes", "Debian's 6.1, kprobes", "6.1").with(WITHOUT_FENTRY).exact(),
    host("6.12-kprobes", "Debian's 6.12, kprobes", "6.12").with(WITHOUT_FENTRY).exact(),
    host("6.18-kprobes", "Debian's 6.18, kprobes", "6.18").with(WITHOUT_FENTRY).exact(),
    host("7-kprobes", "Debian's newest 7.x, kprobes", "7").with(WITHOUT_FENTRY).exact(),
    host("6.1-rt", "PREEMPT_RT", "6.1-rt").exact(),
    host("6.12-rt", "PREEMPT_RT", "6.12-rt").exact(),
    host("arm64-6.1", "arm64: Debian's 6.1, which has no fentry", "6.1").for_arm().exact(),
    host("arm64-6.12", "arm64: Debian's 6.12, fentry", "6.12").for_arm().exact(),
    host("arm64-7", "arm64: Debian's newest 7.x, fentry", "7").for_arm().exact(),
    host("cgroup-v1", "cgroup v1 alone", "6.1").prepared(V1).in_cgroup(V1_CGROUP, "/docker/known"),
    host("cgroup-hybrid", "cgroup v1 beside v2", "6.1").prepared(HYBRID).in_cgroup(HYBRID_CGROUP, "/docker/known"),
    host("lockdown-integrity", "lockdown=integrity", "6.12").booted("lockdown=integrity"),
    host("lockdown-confidentiality", "lockdown=confidentiality", "6.12").booted("lockdown=confidentiality"),
    host("no-tracefs", "neither tracefs nor debugfs", "6.12").prepared(NO_TRACEFS),
    host("no-tracefs-kprobes", "neither tracefs nor debugfs, kprobes", "6.12")
        .prepared(NO_TRACEFS)
        .with(WITHOUT_FENTRY),
    host("btf-hidden", "BTF hidden, given by --btf", "6.12").prepared(HIDDEN_BTF).with("--btf /tmp/types"),
    host("no-btf", "built without BTF", TYPELESS).failing("this kernel was built without BTF"),
    host("no-btf-file", "built without BTF, --btf with raw BTF", TYPELESS).with("--btf /lib/types.btf"),
    host("no-btf-vmlinux", "built without BTF, --btf with its vmlinux", TYPELESS).with("--btf /lib/vmlinux"),
    host("btf-wrong", "BTF hidden, --btf with another kernel's", "6.12")
        .prepared(HIDDEN_BTF)
        .with("--btf /lib/types.btf")
        .failing("types of another kernel"),
    host("5-level", "5-level page tables", "6.12").checked("windows,locks,userfaults,five-level"),
    host("4-level", "a processor without la57", "6.12")
        .on(&["-cpu", "max,-la57"])
        .checked("windows,locks,userfaults,four-level"),
    host("huge-pages", "transparent huge pages always, and hugetlb", "6.12")
        .prepared(HUGE)
        .checked("windows,locks,userfaults,huge,hugetlb"),
    host("numa", "8 processors, 2 nodes, NUMA balancing", "6.12")
        .sized(8, 2048)
        .on(TWO_NODES)
        .checked("windows,locks,userfaults,numa"),
    host("many-at-once", "cgroup v1 beside v2, no tracefs, BTF hidden", "6.1")
        .prepared(MANY_AT_ONCE)
        .with("--btf /tmp/types")
        .in_cgroup(HYBRID_CGROUP, "/docker/known"),
];

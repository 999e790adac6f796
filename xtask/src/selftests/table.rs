//! Which of the kernel's selftests of memory management are run, how, and why the others are not. Holds for the trees
//! of all kernels: a line whose program a tree does not have is passed over. Knows nothing of building or running.

/// One call of a test program.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Run {
    /// The program, which is the name of its source without ".c".
    pub(crate) program: &'static str,
    /// Its arguments.
    pub(crate) args: &'static str,
    /// Huge pages of 2 MiB that are there when it starts.
    pub(crate) huge_pages: u32,
    /// Run only where the program's source has this text: a form that older trees do not have.
    pub(crate) only_if: &'static str,
    /// Not run where the program's source has this text, unless it is empty: a form that takes too long.
    pub(crate) not_if: &'static str,
}

impl Run {
    const fn new(program: &'static str, args: &'static str) -> Self {
        Self { program, args, huge_pages: 0, only_if: "", not_if: "" }
    }

    const fn huge(self, huge_pages: u32) -> Self {
        Self { huge_pages, ..self }
    }

    const fn only_if(self, only_if: &'static str) -> Self {
        Self { only_if, ..self }
    }

    const fn not_if(self, not_if: &'static str) -> Self {
        Self { not_if, ..self }
    }

    /// Whether a program with this source has the call.
    pub(crate) fn fits(&self, source: &str) -> bool {
        source.contains(self.only_if) && (self.not_if.is_empty() || !source.contains(self.not_if))
    }

    /// The call as one would type it.
    pub(crate) fn name(&self) -> String {
        format!("{} {}", self.program, self.args).trim_end().to_owned()
    }
}

/// All calls, those that concern mmscope's hooks most first.
pub(crate) const RUNS: &[Run] = &[
    // userfaultfd: one program before 6.4, two after.
    Run::new("userfaultfd", "anon 20 16"),
    Run::new("userfaultfd", "shmem 20 16"),
    // The file is for the older form, which wants one on hugetlbfs.
    Run::new("userfaultfd", "hugetlb 64 16 huge/userfaultfd").huge(128),
    Run::new("uffd-unit-tests", "").huge(128),
    Run::new("uffd-stress", "anon 20 16"),
    Run::new("uffd-stress", "shmem 20 16"),
    Run::new("uffd-stress", "shmem-private 20 16"),
    Run::new("uffd-stress", "hugetlb 64 16").huge(128),
    Run::new("uffd-wp-mremap", "").huge(8),
    // Write protection without userfaultfd.
    Run::new("soft-dirty", ""),
    Run::new("pagemap_ioctl", "").huge(32),
    Run::new("mkdirty", ""),
    Run::new("cow", "").huge(8),
    Run::new("mdwe_test", ""),
    Run::new("mseal_test", ""),
    Run::new("protection_keys", "").huge(8),
    Run::new("pkey_sighandler_tests", ""),
    // Mapping, moving, merging, populating.
    Run::new("mremap_test", ""),
    Run::new("mremap_dontunmap", ""),
    Run::new("map_populate", ""),
    Run::new("map_fixed_noreplace", ""),
    Run::new("merge", ""),
    Run::new("madv_populate", ""),
    Run::new("process_madv", ""),
    Run::new("guard-regions", ""),
    Run::new("droppable", ""),
    Run::new("mlock2-tests", ""),
    Run::new("mrelease_test", ""),
    Run::new("gup_longterm", "").huge(8),
    Run::new("pfnmap", ""),
    // Huge pages.
    Run::new("khugepaged", ""),
    Run::new("khugepaged", "all:shmem").only_if("all:shmem"),
    // Some trees write many files of 4 MiB byte by byte.
    Run::new("split_huge_page_test", "").not_if("write(*fd, &byte, sizeof(byte))"),
    Run::new("transhuge-stress", "-d 5").only_if("duration"),
    Run::new("prctl_thp_disable", ""),
    Run::new("hugetlb-madvise", "huge/madvise").huge(64),
    Run::new("hugetlb_madv_vs_map", "").huge(1),
    Run::new("hugepage-mmap", "").huge(128),
    Run::new("hugetlb-mmap", "").huge(128),
    Run::new("hugepage-shm", "").huge(128),
    Run::new("hugetlb-shm", "").huge(128),
    Run::new("map_hugetlb", "").huge(128),
    Run::new("hugepage-mremap", "huge/mremap").huge(128).only_if("<hugetlb_file>"),
    Run::new("hugepage-mremap", "").huge(128).only_if("memfd_create"),
    Run::new("hugetlb-mremap", "").huge(128),
    Run::new("hugetlb_dio", "").huge(8),
    Run::new("thuge-gen", "").huge(8),
    // Same pages.
    Run::new("ksm_functional_tests", ""),
    // The layout of addresses; and last what leaves memory in another state than it was.
    Run::new("va_high_addr_switch", ""),
    Run::new("compaction_test", ""),
];

/// A short list for every day: what waits in handle_userfault, what write-protects, what moves.
pub(crate) const SHORT: &[&str] =
    &["userfaultfd", "uffd-unit-tests", "uffd-wp-mremap", "soft-dirty", "pagemap_ioctl", "mremap_test"];

/// Programs of the trees that are not run, with the reason.
pub(crate) const LEFT_OUT: &[(&str, &str)] = &[
    ("folio_split_race_test", "takes more than a minute under emulation"),
    ("gup_benchmark", "needs a kernel with its debugfs file, which Debian's are not"),
    ("gup_test", "needs a kernel with its debugfs file, which Debian's are not"),
    ("hmm-tests", "needs a module that Debian does not build"),
    ("hugepage-vmemmap", "reads the kernel's own page structures, no address space"),
    ("hugetlb-read-hwpoison", "breaks pages of memory for good"),
    ("hugetlb-soft-offline", "takes pages of memory away for good"),
    ("hugetlb_fault_after_madv", "two threads race for as long as it takes: minutes under emulation"),
    ("ksm_tests", "needs libnuma"),
    ("memfd_secret", "needs libcap"),
    ("memory-failure", "breaks pages of memory for good"),
    ("migration", "needs libnuma and two nodes"),
    ("mlock-random-test", "needs libcap"),
    ("on-fault-limit", "wants to be an ordinary user with a limit, for one mlock"),
    ("rmap", "needs libnuma and two nodes"),
    ("seal_elf", "seals its own program, for which mseal_test stands"),
    ("va_128TBswitch", "the layout of addresses, nothing that is hooked"),
    ("virtual_address_range", "maps all 128 TiB: minutes under emulation"),
    ("write_to_hugetlbfs", "a tool of scripts that need bash"),
];

/// What some programs need to be built, beyond what all get.
pub(crate) const FLAGS: &[(&str, &[&str])] = &[
    // The kernel's Makefile gives it too: they save and restore the key register themselves.
    ("protection_keys", &["-mxsave"]),
    ("pkey_sighandler_tests", &["-mxsave"]),
    // 6.12 forgot the include.
    ("khugepaged", &["-include", "kselftest.h"]),
    // glibc 2.36 defines again what the kernel's header has, unless that came first.
    ("split_huge_page_test", &["-include", "linux/mount.h"]),
];

/// Sources that are parts of other programs: "" is part of all, else of those that begin so.
pub(crate) const PARTS: &[(&str, &str)] =
    &[("vm_util", ""), ("thp_settings", ""), ("hugepage_settings", ""), ("uffd-common", "uffd-"), ("pkey_util", "p")];

#[cfg(test)]
mod tests {
    use super::{LEFT_OUT, RUNS, Run, SHORT};

    #[test]
    fn a_program_is_run_or_left_out() {
        for (program, _) in LEFT_OUT {
            assert!(RUNS.iter().all(|run| run.program != *program), "{program}");
        }
        for program in SHORT {
            assert!(RUNS.iter().any(|run| run.program == *program), "{program}");
        }
    }

    #[test]
    fn a_call_can_depend_on_the_source() {
        let run = Run::new("x", "").only_if("duration").not_if("forever");
        assert!(run.fits("int duration;"));
        assert!(!run.fits("int duration, forever;"));
        assert!(!run.fits(""));
        assert!(Run::new("x", "").fits(""));
    }

    #[test]
    fn no_call_is_listed_twice() {
        for (index, run) in RUNS.iter().enumerate() {
            assert!(RUNS[..index].iter().all(|other| other.name() != run.name()), "{}", run.name());
        }
    }
}

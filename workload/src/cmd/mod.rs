//! The subcommands, one file each. What each makes, and how much of it, is told at the top of its file.

mod churn;
mod clear_refs;
mod dontneed;
mod flip;
mod forkexec;
mod getppid;
mod live;
mod lock_hold;
mod lock_readers;
mod lock_writers;
mod mprotect;
mod mprotect_vmas;
mod munmap;
mod noop;
mod pageout;
mod refused_forks;
mod share;
mod spread;
mod uffd;
mod uffd_errors;
mod uffd_missing;
mod uffd_overlap;
mod uffd_race;
mod uffd_wp;

use anyhow::Result;
use clap::builder::RangedU64ValueParser;
use serde_json::Value;

use crate::setup::Setup;

/// One variant per file of this folder.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Cycles of mprotect read-only, mprotect writable, one write to each page
    Mprotect(mprotect::Args),
    /// As mprotect, over a range of many VMAs
    MprotectVmas(mprotect_vmas::Args),
    /// Cycles of madvise(MADV_DONTNEED) and touching again
    Dontneed(dontneed::Args),
    /// Cycles of madvise(MADV_PAGEOUT) and touching again
    Pageout(pageout::Args),
    /// Cycles of mmap, touch, munmap
    Munmap(munmap::Args),
    /// Faults on missing pages, resolved by UFFDIO_COPY
    UffdMissing(uffd_missing::Args),
    /// Faults on write-protected pages, resolved by UFFDIO_WRITEPROTECT
    UffdWp(uffd_wp::Args),
    /// Both kinds of fault in one context
    Uffd(uffd::Args),
    /// UFFDIO_COPY calls that fail in known ways
    UffdErrors(uffd_errors::Args),
    /// Writes while another thread keeps a pending flush open
    UffdOverlap(uffd_overlap::Args),
    /// A race that loses stores on kernels of 2020 and 2021 without a fix of userfaultfd's
    UffdRace(uffd_race::Args),
    /// Cycles of writing pages and clearing their soft-dirty bits
    ClearRefs(clear_refs::Args),
    /// Threads that contend for mmap_lock, some for write and some for read
    LockHold(lock_hold::Args),
    /// Threads that take mmap_lock for read
    LockReaders(lock_readers::Args),
    /// Threads that take mmap_lock for write
    LockWriters(lock_writers::Args),
    /// Threads that each toggle the protection of a page of their own
    Flip(flip::Args),
    /// Children that work in this very address space
    Share(share::Args),
    /// The same work on every processor at once, by threads of one address space or by processes
    Spread(spread::Args),
    /// Processes that stay alive and do a little
    Live(live::Args),
    /// Cgroups that come and go with their processes
    Churn(churn::Args),
    /// Children that exec this program's noop
    Forkexec(forkexec::Args),
    /// Forks that the kernel refuses for want of memory
    RefusedForks(refused_forks::Args),
    /// Nothing: the baseline of a process
    Noop,
    /// System calls that have nothing to do with memory
    Getppid(getppid::Args),
}

impl Command {
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Mprotect(_) => "mprotect",
            Self::MprotectVmas(_) => "mprotect-vmas",
            Self::Dontneed(_) => "dontneed",
            Self::Pageout(_) => "pageout",
            Self::Munmap(_) => "munmap",
            Self::UffdMissing(_) => "uffd-missing",
            Self::UffdWp(_) => "uffd-wp",
            Self::Uffd(_) => "uffd",
            Self::UffdErrors(_) => "uffd-errors",
            Self::UffdOverlap(_) => "uffd-overlap",
            Self::UffdRace(_) => "uffd-race",
            Self::ClearRefs(_) => "clear-refs",
            Self::LockHold(_) => "lock-hold",
            Self::LockReaders(_) => "lock-readers",
            Self::LockWriters(_) => "lock-writers",
            Self::Flip(_) => "flip",
            Self::Share(_) => "share",
            Self::Spread(_) => "spread",
            Self::Live(_) => "live",
            Self::Churn(_) => "churn",
            Self::Forkexec(_) => "forkexec",
            Self::RefusedForks(_) => "refused-forks",
            Self::Noop => "noop",
            Self::Getppid(_) => "getppid",
        }
    }

    /// Does the work and gives its counts, a JSON object. `comm` is the name this process was given, if any.
    ///
    /// # Errors
    ///
    /// If anything went otherwise than asked; then there are no counts.
    pub(crate) fn run(&self, comm: Option<&str>, setup: &mut Setup) -> Result<Value> {
        match self {
            Self::Mprotect(args) => args.run(setup),
            Self::MprotectVmas(args) => args.run(setup),
            Self::Dontneed(args) => args.run(setup),
            Self::Pageout(args) => args.run(setup),
            Self::Munmap(args) => args.run(setup),
            Self::UffdMissing(args) => args.run(setup),
            Self::UffdWp(args) => args.run(setup),
            Self::Uffd(args) => args.run(setup),
            Self::UffdErrors(args) => args.run(setup),
            Self::UffdOverlap(args) => args.run(setup),
            Self::UffdRace(args) => args.run(setup),
            Self::ClearRefs(args) => args.run(setup),
            Self::LockHold(args) => args.run(setup),
            Self::LockReaders(args) => args.run(setup),
            Self::LockWriters(args) => args.run(setup),
            Self::Flip(args) => args.run(setup),
            Self::Share(args) => args.run(setup),
            Self::Spread(args) => args.run(setup),
            Self::Live(args) => args.run(setup),
            Self::Churn(args) => args.run(setup),
            Self::Forkexec(args) => {
                setup.done()?;
                args.run(comm)
            }
            Self::RefusedForks(args) => args.run(setup),
            Self::Noop => {
                setup.done()?;
                Ok(noop::run())
            }
            Self::Getppid(args) => args.run(setup),
        }
    }
}

/// A number of pages, VMAs or threads: at least one.
fn positive() -> RangedU64ValueParser<usize> {
    RangedU64ValueParser::new().range(1..)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_calls_itself_as_clap_does() {
        #[derive(clap::Parser)]
        struct Line {
            #[command(subcommand)]
            command: Command,
        }
        for words in [
            &["", "noop"][..],
            &["", "getppid", "--calls", "1"],
            &["", "mprotect", "--cycles", "1"],
            &["", "mprotect-vmas", "--cycles", "1", "--vmas", "2"],
            &["", "dontneed", "--cycles", "1"],
            &["", "pageout", "--cycles", "1"],
            &["", "munmap", "--cycles", "1"],
            &["", "share", "--cycles", "1"],
            &["", "uffd-missing", "--faults", "1"],
            &["", "uffd-wp", "--faults", "1"],
            &["", "uffd", "--missing", "1", "--wp", "1"],
            &["", "uffd-errors", "--eexist", "1"],
            &["", "uffd-overlap", "--case", "disjoint", "--rounds", "1"],
            &["", "uffd-race", "--rounds", "1"],
            &["", "clear-refs", "--cycles", "1"],
            &["", "lock-hold", "--writers", "1", "--readers", "1", "--ops", "1"],
            &["", "lock-readers", "--ops", "1"],
            &["", "lock-writers", "--ops", "1"],
            &["", "flip", "--cycles", "1"],
            &["", "spread", "--cycles", "1"],
            &["", "live", "--processes", "1", "--seconds", "1"],
            &["", "churn", "--inside", "/", "--cgroups", "2", "--processes", "3"],
            &["", "forkexec", "--count", "1"],
            &["", "refused-forks", "--count", "1"],
        ] {
            let line = <Line as clap::Parser>::try_parse_from(words).unwrap();
            assert_eq!(line.command.name(), words[1]);
        }
    }
}

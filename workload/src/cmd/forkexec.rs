//! `forkexec`: N children, one after the other, each of which execs this program's `noop`.
//!
//! Per child: 1 clone (two mm locks at once), 1 exec (a new mm; the name changes), the start of a process (the constant
//! that `noop` alone shows) and its end. The parent faults on its own pages after each fork, as they were made
//! copy-on-write: a few, in no count. A --name is handed on; a child bears the program's name until it sets it. With
//! --vfork a child is in its parent's address space until its exec: one address space less that ends. With --exec-every the
//! others end right after their fork.

use std::ffi::CString;
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::ffi::OsStrExt as _;
use std::ptr;
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use serde::Serialize;
use serde_json::Value;

use crate::timing::nanos;

/// Exit status of a child that could not exec.
const NO_EXEC: libc::c_int = 127;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Children
    #[arg(long)]
    count: u64,
    /// Children that share this address space until their exec (posix_spawn)
    #[arg(long)]
    vfork: bool,
    /// Only every Nth child execs; the others just end
    #[arg(long, default_value_t = 1, value_name = "N", conflicts_with = "vfork",
        value_parser = clap::value_parser!(u64).range(1..))]
    exec_every: u64,
}

#[derive(Serialize)]
struct Counts {
    forks: u64,
    vforks: u64,
    execs: u64,
    waits: u64,
    elapsed_ns: u64,
}

impl Args {
    pub(crate) fn run(&self, comm: Option<&str>) -> Result<Value> {
        let program = std::env::current_exe().context("find this program")?;
        let program = CString::new(program.as_os_str().as_bytes())?;
        let name = comm.map(CString::new).transpose()?;
        let mut words = vec![c"mmload".as_ptr(), c"noop".as_ptr()];
        if let Some(name) = &name {
            words.extend([c"--name".as_ptr(), name.as_ptr()]);
        }
        words.push(ptr::null());
        let null = File::options().write(true).open("/dev/null").context("open /dev/null")?;

        let begin = Instant::now();
        for child in 0..self.count {
            if self.vfork {
                let pid = spawn_noop(&program, &words, &null).with_context(|| format!("spawn child {child}"))?;
                await_success(pid)?;
                continue;
            }
            // SAFETY: this process has one thread, and the child calls only what is safe after a fork.
            match unsafe { libc::fork() } {
                0 if child % self.exec_every != 0 => end(),
                0 => become_noop(&program, &words, &null),
                -1 => return Err(io::Error::last_os_error()).with_context(|| format!("fork child {child}")),
                pid => await_success(pid)?,
            }
        }
        let time = begin.elapsed();
        Ok(serde_json::to_value(Counts {
            forks: if self.vfork { 0 } else { self.count },
            vforks: if self.vfork { self.count } else { 0 },
            execs: self.count.div_ceil(self.exec_every),
            waits: self.count,
            elapsed_ns: nanos(time),
        })?)
    }
}

/// In a child that is not to exec.
fn end() -> ! {
    // SAFETY: safe after a fork.
    unsafe { libc::_exit(0) }
}

/// In the child. Its line of JSON would mix with the parent's: it goes nowhere.
fn become_noop(program: &CString, words: &[*const libc::c_char], null: &File) -> ! {
    // SAFETY: all three are safe after a fork; the strings and the list end as execv expects and outlive it.
    unsafe {
        libc::dup2(null.as_raw_fd(), libc::STDOUT_FILENO);
        libc::execv(program.as_ptr(), words.as_ptr());
        libc::_exit(NO_EXEC)
    }
}

/// The same in one call of the C library's, which makes the child by clone with CLONE_VM and CLONE_VFORK.
fn spawn_noop(program: &CString, words: &[*const libc::c_char], null: &File) -> io::Result<libc::pid_t> {
    let failed = |error: libc::c_int| if error == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(error)) };
    let mut pid = 0;
    // SAFETY: the actions are initialised before use and destroyed after it; the strings and the list end as posix_spawn
    // expects and outlive the call; an empty environment is one.
    unsafe {
        let mut actions = std::mem::zeroed();
        failed(libc::posix_spawn_file_actions_init(&mut actions))?;
        let added = libc::posix_spawn_file_actions_adddup2(&mut actions, null.as_raw_fd(), libc::STDOUT_FILENO);
        let environment = [ptr::null_mut()];
        let spawned = failed(added).and_then(|()| {
            failed(libc::posix_spawn(
                &mut pid,
                program.as_ptr(),
                &actions,
                ptr::null(),
                words.as_ptr().cast(),
                environment.as_ptr(),
            ))
        });
        libc::posix_spawn_file_actions_destroy(&mut actions);
        spawned?;
    }
    Ok(pid)
}

pub(super) fn await_success(pid: libc::pid_t) -> Result<()> {
    let mut status = 0;
    // SAFETY: waits for our own child; the status lives across the call.
    let got = unsafe { libc::waitpid(pid, &mut status, 0) };
    ensure!(got == pid, "wait for child {pid}: {}", io::Error::last_os_error());
    ensure!(status == 0, "child {pid} ended with wait status {status:#x} (0x7f00: it could not exec)");
    Ok(())
}

//! Work that takes turns with everything else.

use std::time::Duration;

/// Lets a process work for a moment again and again: emulated processors take turns on one real one, and one that is busy all
/// the time doubles the time that attaching takes.
pub(crate) struct Bursts {
    ends: std::sync::Arc<std::sync::atomic::AtomicBool>,
    thread: std::thread::JoinHandle<()>,
}

impl Bursts {
    const WORK: Duration = Duration::from_millis(10);
    const REST: Duration = Duration::from_millis(40);

    pub(crate) fn of(process: &std::process::Child) -> Self {
        let pid = nix::unistd::Pid::from_raw(process.id() as i32);
        let ends = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
        let thread = std::thread::spawn({
            let ends = ends.clone();
            move || {
                while !ends.load(std::sync::atomic::Ordering::Relaxed) {
                    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGCONT).unwrap();
                    std::thread::sleep(Self::WORK);
                    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGSTOP).unwrap();
                    std::thread::sleep(Self::REST);
                }
            }
        });
        Self { ends, thread }
    }

    pub(crate) fn end(self) {
        self.ends.store(true, std::sync::atomic::Ordering::Relaxed);
        self.thread.join().unwrap();
    }
}

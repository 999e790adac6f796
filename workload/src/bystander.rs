//! A thread that keeps this address space in use on another processor, so that flushes have somebody to ask. Makes no events
//! of its own.

use std::hint;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread;

use anyhow::{Context as _, Result, bail};

use crate::cpus;
use crate::outcome::Unsupported;
use crate::setup::Setup;

/// Runs on the last processor that this process may use until it is dropped; it then sleeps to the end of the process, as the
/// end of a thread gives memory back.
pub(crate) struct Bystander {
    rests: Arc<AtomicBool>,
}

impl Bystander {
    /// Starts it, and keeps the calling thread on the first processor. Gives the processor that it runs on.
    ///
    /// # Errors
    ///
    /// If there is but one processor, or no thread can be made.
    pub(crate) fn start(setup: &mut Setup) -> Result<(Self, usize)> {
        let [here, .., there] = cpus::allowed()?[..] else {
            bail!(Unsupported("a second processor, for the bystander".into()));
        };
        cpus::stay_on(here)?;
        let rests = Arc::new(AtomicBool::new(false));
        let (ready, is_ready) = mpsc::channel();
        let until = rests.clone();
        thread::Builder::new()
            .name("bystander".into())
            .spawn(move || {
                let _ = ready.send(cpus::stay_on(there));
                while !until.load(Ordering::Relaxed) {
                    hint::spin_loop();
                }
                loop {
                    thread::park();
                }
            })
            .context("start the bystander")?;
        is_ready.recv().context("hear of the bystander")??;
        setup.threads += 1;
        Ok((Self { rests }, there))
    }
}

impl Drop for Bystander {
    fn drop(&mut self) {
        self.rests.store(true, Ordering::Relaxed);
    }
}

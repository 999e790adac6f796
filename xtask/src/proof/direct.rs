//! Those whom the daemon tells by itself: an Alertmanager of its own, a webhook, and an Alertmanager's API that remembers what was
//! posted. The last and the first can be gone for a while.

use std::path::Path;

use anyhow::Result;

use super::hears::{Memory, Receiver};
use super::servers::Lone;
use crate::prometheus::Release;

/// All of them, running.
pub(super) struct Direct {
    /// The Alertmanager.
    pub(super) lone: Lone,
    /// What the two others heard.
    pub(super) memory: Memory,
    webhook: Receiver,
    remembering: Option<Receiver>,
    remembering_port: u16,
}

/// Where they listen on loopback.
#[derive(Clone, Copy)]
pub(super) struct Ports {
    pub(super) alertmanager: u16,
    pub(super) webhook: u16,
    pub(super) remembering: u16,
}

impl Direct {
    /// Starts them, with a release's Alertmanager.
    pub(super) fn start(release: Release, folder: &Path) -> Result<Self> {
        let memory = Memory::default();
        let remembering = Receiver::alertmanager(0, &memory)?;
        Ok(Self {
            lone: Lone::start(release, folder)?,
            webhook: Receiver::webhook(&memory)?,
            remembering_port: remembering.port(),
            remembering: Some(remembering),
            memory,
        })
    }

    pub(super) fn ports(&self) -> Ports {
        Ports { alertmanager: self.lone.port(), webhook: self.webhook.port(), remembering: self.remembering_port }
    }

    /// Both Alertmanagers are gone, as if their host had crashed: nobody listens there.
    pub(super) fn crash(&mut self) {
        self.lone.crash();
        self.remembering = None;
    }

    /// Both are there again.
    pub(super) fn come_back(&mut self) -> Result<()> {
        self.remembering = Some(Receiver::alertmanager(self.remembering_port, &self.memory)?);
        self.lone.come_back()
    }
}

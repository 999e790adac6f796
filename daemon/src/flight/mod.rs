//! The flight recorder of `mmscope run`: the last minutes, kept in memory, written to a file when an alert is raised or the
//! process gets SIGUSR1. What is kept is what a recording has, so the file is one. No tick waits for a file.

mod file;
mod policy;
mod ring;

use std::{io, time::Duration};

use futures_util::FutureExt as _;
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    task::JoinHandle,
};

use self::{policy::Policy, ring::Ring};
use crate::{
    anomaly::{Host, Transition},
    config::{Config, FlightRecorder},
    failure::Failure,
    intake::TableSize,
    record,
    recording::Header,
    scope::Sight,
};

/// Where files will go, before there is anything to keep.
pub struct Prepared {
    asked: Signal,
    kept: Option<(FlightRecorder, file::Folder)>,
}

/// What is kept, if anything is, and who may ask for it.
pub struct Flight {
    /// Without it SIGUSR1 would end the process.
    asked: Signal,
    recorder: Option<Recorder>,
}

struct Recorder {
    folder: file::Folder,
    header: Header,
    ring: Ring,
    policy: Policy,
    /// What the next file is written for.
    wanted: Option<String>,
    writing: Option<JoinHandle<()>>,
}

impl Prepared {
    /// Sees that files can be made.
    ///
    /// # Errors
    ///
    /// When nothing could be written into the folder, or signals cannot be handled.
    pub fn new(config: &Config) -> Result<Self, Failure> {
        let asked = signal(SignalKind::user_defined1());
        let asked = asked.map_err(|error| Failure::System(format!("handle signals: {error}")))?;
        let kept = config.flight_recorder.clone();
        let kept = kept.map(|settings| file::Folder::open(&settings).map(|folder| (settings, folder)));
        Ok(Self { asked, kept: kept.transpose()? })
    }

    /// Nothing kept yet.
    #[must_use]
    pub fn begin(self, config: &Config, host: &Host, tables: &[TableSize]) -> Flight {
        let recorder = self.kept.map(|(settings, folder)| Recorder {
            folder,
            header: record::header(config, host, tables),
            ring: Ring::new(settings.length, settings.max_bytes),
            policy: Policy::new(settings.severity, settings.length),
            wanted: None,
            writing: None,
        });
        Flight { asked: self.asked, recorder }
    }
}

impl Flight {
    /// Takes what a tick saw and what alerts came of it, and begins to write if that is due.
    pub fn tick(&mut self, sight: &Sight, transitions: &[Transition]) {
        let is_asked = self.asked.recv().now_or_never().is_some();
        let Some(recorder) = &mut self.recorder else {
            if is_asked {
                tracing::warn!(
                    "SIGUSR1: there is no flight recorder to write (the table flight_recorder of the configuration)"
                );
            }
            return;
        };
        if let Err(error) = recorder.keep(sight) {
            tracing::error!(%error, "flight recorder: a tick is not kept");
        }
        if let Some(class) = recorder.policy.due(sight.uptime, transitions) {
            recorder.wanted = Some(class.to_owned());
        }
        if is_asked {
            recorder.wanted = Some("request".to_owned());
        }
        recorder.write();
    }

    /// From now on files say that alerts are judged by this configuration.
    pub fn reconfigure(&mut self, config: &Config) {
        if let Some(recorder) = &mut self.recorder {
            recorder.header.tick = config.tick;
            recorder.header.anomaly = Some(config.anomaly.clone());
        }
    }

    /// Returns when a file that is being written is whole.
    pub async fn end(&mut self) {
        if let Some(writing) = self.recorder.as_mut().and_then(|recorder| recorder.writing.take()) {
            let _ = writing.await;
        }
    }
}

impl Recorder {
    fn keep(&mut self, sight: &Sight) -> io::Result<()> {
        let frame = crate::recording::packed(sight, &self.header)?;
        self.ring.push(sight.uptime, frame);
        Ok(())
    }

    /// Writes what is wanted, in another thread; one file at a time.
    fn write(&mut self) {
        if self.writing.as_ref().is_some_and(|writing| !writing.is_finished()) {
            return;
        }
        let Some(cause) = self.wanted.take() else { return };
        let (frames, header, folder) = (self.ring.frames(), self.header.clone(), self.folder.clone());
        self.writing = Some(tokio::task::spawn_blocking(move || match folder.write(&frames, &header, &cause) {
            Ok(written) => {
                let (file, length) = (written.path.display().to_string(), humantime::format_duration(written.length));
                tracing::info!(file, ticks = written.ticks, bytes = written.bytes, cause, %length, "flight recorder written");
            }
            Err(error) => tracing::error!(%error, cause, "flight recorder not written"),
        }));
    }
}

/// In whole seconds: for people.
fn whole_seconds(time: Duration) -> Duration {
    Duration::from_secs(time.as_secs())
}

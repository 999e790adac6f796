//! Who may ask, and over what: the file of `--web.config.file` as Prometheus's exporters have it, made into what a handshake and
//! a request need. It and the files that it names are looked at again at each handshake and request: one that has changed is
//! read anew, and one that cannot be used leaves everything as it was.

mod clients;
mod file;
mod rate;
mod tls;
mod users;

use std::{
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use arc_swap::ArcSwap;
use axum::http::{HeaderName, HeaderValue};
use tokio_rustls::rustls::ServerConfig;

use crate::failure::Failure;
use file::WebConfig;
use rate::Rate;
use users::{Checked, Users};

/// What a state of the files comes to.
pub(super) struct Access {
    /// None: HTTP.
    pub(super) tls: Option<Arc<ServerConfig>>,
    /// None: anybody may ask.
    users: Option<Users>,
    rate: Option<Rate>,
    /// Headers of every answer, instead of ours or beside them.
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
    /// Whether clients have to show a certificate.
    verifies_clients: bool,
}

impl Access {
    /// Whether the rate limit has room for one more request.
    pub(super) fn has_room(&self) -> bool {
        self.rate.as_ref().is_none_or(|rate| rate.take(tokio::time::Instant::now()))
    }

    /// Whether this header `Authorization` opens the door.
    pub(super) async fn allows(&self, authorization: Option<&HeaderValue>, checked: &Checked) -> bool {
        match &self.users {
            Some(users) => users.allow(authorization, checked).await,
            None => true,
        }
    }
}

/// By what a change of a file is seen: none where it cannot be looked at.
type Stamp = Option<(u64, u64, u64, i64, i64)>;

fn stamp(path: &Path) -> Stamp {
    let metadata = fs::metadata(path).ok()?;
    Some((metadata.dev(), metadata.ino(), metadata.len(), metadata.ctime(), metadata.ctime_nsec()))
}

/// The files as they were when they were read, whatever came of it.
struct Seen {
    files: Vec<(PathBuf, Stamp)>,
}

impl Seen {
    fn of(files: Vec<PathBuf>) -> Self {
        let stamped = files.into_iter().map(|path| {
            let stamp = stamp(&path);
            (path, stamp)
        });
        Self { files: stamped.collect() }
    }

    fn is_still_so(&self) -> bool {
        self.files.iter().all(|(path, seen)| stamp(path) == *seen)
    }
}

/// The file, looked at again and again.
pub struct Door {
    file: Option<PathBuf>,
    current: ArcSwap<Access>,
    seen: Mutex<Seen>,
    checked: Checked,
    taken: AtomicU64,
    refused: AtomicU64,
}

impl Door {
    /// Without a file: HTTP, and anybody may ask.
    #[must_use]
    pub fn open() -> Self {
        let access = Access { tls: None, users: None, rate: None, headers: Vec::new(), verifies_clients: false };
        Self::with(None, access, Seen { files: Vec::new() })
    }

    /// Reads the file, and those that it names.
    ///
    /// # Errors
    ///
    /// When one of them cannot be used: the message names it, and the line or key.
    pub fn read(path: &Path) -> Result<Self, Failure> {
        // Stamps are older than what is read: a change in between is seen.
        let seen = Seen::of(named(path));
        let access = load(path).map_err(|message| Failure::Config { path: path.to_owned(), message })?;
        Ok(Self::with(Some(path.to_owned()), access, seen))
    }

    fn with(file: Option<PathBuf>, access: Access, seen: Seen) -> Self {
        Self {
            file,
            current: ArcSwap::from_pointee(access),
            seen: Mutex::new(seen),
            checked: Checked::default(),
            taken: AtomicU64::new(0),
            refused: AtomicU64::new(0),
        }
    }

    /// Whether it speaks TLS.
    #[must_use]
    pub fn is_secure(&self) -> bool {
        self.current.load().tls.is_some()
    }

    /// Changes of files that were taken, and that were not; none where there is no file.
    pub(super) fn reloads(&self) -> Option<[u64; 2]> {
        self.file.as_ref().map(|_| [&self.taken, &self.refused].map(|counter| counter.load(Ordering::Relaxed)))
    }

    /// Passwords that were found right or wrong before.
    pub(super) fn checked(&self) -> &Checked {
        &self.checked
    }

    /// How it is now.
    pub(super) fn now(&self) -> Arc<Access> {
        if let Some(path) = &self.file {
            let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
            if !seen.is_still_so() {
                *seen = Seen::of(named(path));
                self.reload(path);
            }
        }
        self.current.load_full()
    }

    fn reload(&self, path: &Path) {
        let taken = load(path).and_then(|access| {
            self.current.load().may_become(&access)?;
            Ok(access)
        });
        match taken {
            Ok(access) => {
                self.current.store(Arc::new(access));
                self.taken.fetch_add(1, Ordering::Relaxed);
                tracing::info!(file = %path.display(), "web configuration read anew");
            }
            Err(message) => {
                self.refused.fetch_add(1, Ordering::Relaxed);
                tracing::error!(file = %path.display(), "web configuration not taken, the one before stays: {message}");
            }
        }
    }
}

impl Access {
    /// A file that is only half written looks like one that asks for less. So less is taken at a start only.
    fn may_become(&self, next: &Self) -> Result<(), String> {
        let lost = [
            (self.tls.is_some() != next.tls.is_some(), "tls_server_config: TLS is switched on or off"),
            (self.users.is_some() && next.users.is_none(), "basic_auth_users: passwords are given up"),
            (self.verifies_clients && !next.verifies_clients, "client_auth_type: certificates of clients are given up"),
        ];
        match lost.into_iter().find(|(is_lost, _)| *is_lost) {
            Some((_, what)) => Err(format!("{what} by a restart only")),
            None => Ok(()),
        }
    }
}

/// The file and those that it names, as far as it can be read.
fn named(path: &Path) -> Vec<PathBuf> {
    let config = WebConfig::read(path).ok();
    let named = config.iter().flat_map(|config| config.files());
    [path.to_owned()].into_iter().chain(named).collect()
}

fn load(path: &Path) -> Result<Access, String> {
    let config = WebConfig::read(path)?;
    Ok(Access {
        tls: config.tls.as_ref().map(|tls| tls::server(tls, config.http.http2).map(Arc::new)).transpose()?,
        verifies_clients: config.tls.as_ref().is_some_and(|tls| tls.client_auth_type.is_some()),
        users: Users::of(config.users),
        rate: Rate::of(config.rate.interval, config.rate.burst, tokio::time::Instant::now()),
        headers: config.http.headers,
    })
}

#[cfg(test)]
mod tests;

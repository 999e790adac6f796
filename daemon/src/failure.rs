//! Why mmscope cannot go on, and the exit code that says so (sysexits.h).

use std::{path::PathBuf, process::ExitCode};

use crate::kernel::FactsError;

/// An end of the program that its user can do something about: one line on stderr.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// A file named by the user cannot be read.
    #[error("{path}: {error}", path = path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// The configuration file says something that it cannot.
    #[error("{path}: {message}", path = path.display())]
    Config {
        /// The file.
        path: PathBuf,
        /// What, with its line.
        message: String,
    },
    /// A receiver of alerts cannot be told as the configuration says.
    #[error("notify {sink:?}: {message}")]
    Notify {
        /// Its name.
        sink: String,
        /// What is wrong, with the file.
        message: String,
    },
    /// There is no terminal that can be drawn on.
    #[error("{0}")]
    Terminal(String),
    /// No daemon of mmscope answers.
    #[error("no mmscope answers at {url}: {message}")]
    Daemon {
        /// Its address.
        url: String,
        /// Why.
        message: String,
    },
    /// The kernel object does not belong to this binary, or a file's types not to this kernel.
    #[error("{origin}: {message}")]
    Object {
        /// The file, or "built-in kernel object".
        origin: String,
        /// What is wrong.
        message: String,
    },
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {error}")]
    Listen {
        /// The address.
        address: String,
        /// Why.
        error: std::io::Error,
    },
    /// A recording cannot be made.
    #[error("{path}: {error}", path = path.display())]
    Uncreatable {
        /// Its file.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// A recording cannot be written any further.
    #[error("{path}: {error}; what was written before can be replayed", path = path.display())]
    Unwritable {
        /// Its file.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// A file is no recording that can be read.
    #[error("{path} {error}", path = path.display())]
    Recording {
        /// The file.
        path: PathBuf,
        /// Why.
        error: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A recording has too little in it for what is asked of it.
    #[error("{path} {message}", path = path.display())]
    TooShort {
        /// Its file.
        path: PathBuf,
        /// What there is, and what is needed.
        message: String,
    },
    /// The process may not load programs.
    #[error("{0}")]
    Privileges(String),
    /// Nothing can be measured on this kernel.
    #[error("nothing can be measured here: {0}")]
    Nothing(String),
    /// A call that should not fail did.
    #[error("{0}")]
    System(String),
}

impl From<FactsError> for Failure {
    fn from(error: FactsError) -> Self {
        match error {
            FactsError::File { path, error } => Self::Unreadable { path, error },
            FactsError::Unfit { path, message } => Self::Object { origin: path, message },
            error => Self::Nothing(error.to_string()),
        }
    }
}

impl Failure {
    /// The exit code of sysexits.h for it.
    #[must_use]
    pub fn code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::Terminal(_) => 64,
            Self::Object { .. } | Self::Recording { .. } | Self::TooShort { .. } => 65,
            Self::Unreadable { .. } => 66,
            Self::Listen { .. } | Self::Nothing(_) | Self::Daemon { .. } => 69,
            Self::System(_) => 71,
            Self::Uncreatable { .. } => 73,
            Self::Unwritable { .. } => 74,
            Self::Privileges(_) => 77,
            Self::Config { .. } | Self::Notify { .. } => 78,
        })
    }
}

//! The facts of one kernel that the plan asks for.

use std::{collections::BTreeMap, fs, io, path::Path};

use serde::{Deserialize, Serialize};

use super::{Btf, BtfError};

/// Names of what a plan wants to know.
pub struct Wanted<'a> {
    /// Functions.
    pub functions: &'a [&'a str],
    /// Tracepoints.
    pub tracepoints: &'a [&'a str],
    /// Members: struct and path.
    pub members: &'a [(&'a str, &'a str)],
    /// BPF helpers, by their enumerator in `bpf_func_id` without `BPF_FUNC_`.
    pub helpers: &'a [&'a str],
}

/// One kernel, as far as mmscope depends on it. A plain value: tests load it from files.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KernelFacts {
    /// uname -r, for people only.
    pub release: String,
    /// Prototypes of the wanted functions that exist.
    pub functions: BTreeMap<String, String>,
    /// Prototypes of the wanted tracepoints that exist.
    pub tracepoints: BTreeMap<String, String>,
    /// Byte offsets of the wanted members that exist, by `struct.path`.
    pub members: BTreeMap<String, u32>,
    /// The wanted helpers that exist.
    pub helpers: Vec<String>,
}

/// Why a kernel's facts could not be read.
#[derive(Debug, thiserror::Error)]
pub enum FactsError {
    /// The kernel was built without type information, or sysfs is not mounted.
    #[error("{path} is missing: this kernel has no BTF (CONFIG_DEBUG_INFO_BTF), or /sys is not mounted")]
    NoBtf {
        /// Where it was looked for.
        path: String,
    },
    /// It is there but cannot be read.
    #[error("{path}: {error}")]
    Unreadable {
        /// The file.
        path: String,
        /// Why.
        error: io::Error,
    },
    /// It can be read but is not BTF.
    #[error("{path}: {error}")]
    NotBtf {
        /// The file.
        path: String,
        /// Why.
        error: BtfError,
    },
}

impl KernelFacts {
    /// Reads the running kernel's facts below `root` ("/" but for tests).
    ///
    /// # Errors
    ///
    /// When there is no BTF below `root`, or it is damaged.
    pub fn read(root: &Path, wanted: &Wanted<'_>) -> Result<Self, FactsError> {
        let path = root.join("sys/kernel/btf/vmlinux");
        let name = path.display().to_string();
        let bytes = fs::read(&path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => FactsError::NoBtf { path: name.clone() },
            _ => FactsError::Unreadable { path: name.clone(), error },
        })?;
        let release = fs::read_to_string(root.join("proc/sys/kernel/osrelease")).unwrap_or_default();
        Self::from_btf(release.trim(), &bytes, wanted).map_err(|error| FactsError::NotBtf { path: name, error })
    }

    /// Takes the facts out of a kernel's BTF.
    ///
    /// # Errors
    ///
    /// When the bytes are no BTF.
    pub fn from_btf(release: &str, bytes: &[u8], wanted: &Wanted<'_>) -> Result<Self, BtfError> {
        let btf = Btf::parse(bytes)?;
        Ok(Self {
            release: release.to_owned(),
            functions: wanted
                .functions
                .iter()
                .filter_map(|name| Some(((*name).to_owned(), btf.function(name)?)))
                .collect(),
            tracepoints: wanted
                .tracepoints
                .iter()
                .filter_map(|name| Some(((*name).to_owned(), btf.tracepoint(name)?)))
                .collect(),
            members: wanted
                .members
                .iter()
                .filter_map(|(structure, path)| {
                    Some((format!("{structure}.{path}"), btf.member_offset(structure, path)?))
                })
                .collect(),
            helpers: wanted
                .helpers
                .iter()
                .filter(|name| btf.has_enumerator("bpf_func_id", &format!("BPF_FUNC_{name}")))
                .map(|name| (*name).to_owned())
                .collect(),
        })
    }
}

//! A kernel's types from a file: BTF as it is, or in an ELF file as `.BTF`; and whether they are those of the running kernel.

use std::{fs, path::Path};

use foldhash::HashSet;
use object::{
    Endianness, Object as _, ObjectSection as _,
    elf::{ELF_NOTE_GNU, FileHeader64, NT_GNU_BUILD_ID},
    read::elf::NoteIterator,
};

use super::{Btf, FactsError, symbols};

/// The running kernel's own types.
pub(super) const OWN: &str = "sys/kernel/btf/vmlinux";
/// The running kernel's ELF notes, its build id among them.
const NOTES: &str = "sys/kernel/notes";
/// Of a hundred functions of a file's that the running kernel does not have, so many at most: the compiler renames some.
const UNKNOWN: usize = 2;

/// Where a kernel's types are from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Types {
    /// From the kernel itself.
    #[default]
    Own,
    /// From a file.
    File {
        /// Its path.
        path: String,
        /// What says that it fits.
        fit: Fit,
    },
}

/// What says that types from a file are the running kernel's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fit {
    /// The kernel has the same.
    Same,
    /// The file's build id is the kernel's.
    BuildId,
    /// Nothing but names: so many of so many of its functions are in the symbol table.
    Names(usize, usize),
    /// Nothing: the symbol table cannot be read.
    Unknown,
}

impl Types {
    /// One sentence for a person, where they are from a file.
    #[must_use]
    pub fn text(&self) -> Option<String> {
        let Self::File { path, fit } = self else { return None };
        Some(match fit {
            Fit::Same => format!("Types are from {path}, and are those that this kernel has itself."),
            Fit::BuildId => format!("Types are from {path}, whose build id is this kernel's."),
            Fit::Names(known, all) => format!(
                "Types are from {path}, which has no build id: {known} of its {all} functions are functions of this kernel, \
                 and whether its structs are this kernel's nothing can tell."
            ),
            Fit::Unknown => format!("Types are from {path}, and whether they are this kernel's nothing here can tell."),
        })
    }
}

/// A file with types.
pub(super) struct File {
    path: String,
    pub(super) btf: Vec<u8>,
    build_id: Option<Vec<u8>>,
}

impl File {
    pub(super) fn read(path: &Path) -> Result<Self, FactsError> {
        let bytes = fs::read(path).map_err(|error| FactsError::File { path: path.to_owned(), error })?;
        let name = path.display().to_string();
        let unfit = |message: &str| FactsError::Unfit { path: name.clone(), message: message.to_owned() };
        if bytes.starts_with(b"\x7fELF") {
            let elf = object::File::parse(&*bytes).map_err(|error| unfit(&error.to_string()))?;
            let section =
                elf.section_by_name(".BTF").ok_or_else(|| unfit("an ELF file without types: no section .BTF"))?;
            let btf = section.uncompressed_data().map_err(|error| unfit(&error.to_string()))?.into_owned();
            let build_id = elf.build_id().ok().flatten().map(<[u8]>::to_vec);
            return Ok(Self { path: name, btf, build_id });
        }
        if !bytes.starts_with(&[0x9f, 0xeb]) {
            return Err(unfit("neither BTF nor an ELF file with a section .BTF"));
        }
        Ok(Self { path: name, btf: bytes, build_id: None })
    }

    /// What says that this is the running kernel's.
    ///
    /// # Errors
    ///
    /// When something says that it is not.
    pub(super) fn check(&self, root: &Path) -> Result<Types, FactsError> {
        let unfit = |message: String| FactsError::Unfit { path: self.path.clone(), message };
        let told = |fit| Ok(Types::File { path: self.path.clone(), fit });
        if let Some(own) = fs::read(root.join(OWN)).ok().filter(|own| !own.is_empty()) {
            return match own == self.btf {
                true => told(Fit::Same),
                false => Err(unfit(format!("types of another kernel: this one's are in /{OWN}"))),
            };
        }
        let running = fs::read(root.join(NOTES)).ok().and_then(|notes| build_id(&notes));
        if let Some((own, running)) = self.build_id.as_ref().zip(running) {
            return match *own == running {
                true => told(Fit::BuildId),
                false => {
                    let (own, running) = (hex(own), hex(&running));
                    Err(unfit(format!("types of another kernel: its build id is {own}, this kernel's {running}")))
                }
            };
        }
        let symbols = symbols::text(root).unwrap_or_default();
        if symbols.is_empty() {
            return told(Fit::Unknown);
        }
        let btf = Btf::parse(&self.btf).map_err(|error| unfit(error.to_string()))?;
        let known: HashSet<&str> = symbols.lines().filter_map(|line| line.split_whitespace().nth(2)).collect();
        let (mut found, mut all) = (0, 0);
        for function in btf.functions() {
            all += 1;
            found += usize::from(known.contains(function));
        }
        if (all - found) * 100 > all * UNKNOWN {
            return Err(unfit(format!("types of another kernel: this one has {found} of its {all} functions")));
        }
        told(Fit::Names(found, all))
    }
}

/// The build id among ELF notes.
fn build_id(notes: &[u8]) -> Option<Vec<u8>> {
    let mut notes = NoteIterator::<FileHeader64<Endianness>>::new(Endianness::Little, 4, notes).ok()?;
    while let Ok(Some(note)) = notes.next() {
        if note.name() == ELF_NOTE_GNU && note.n_type(Endianness::Little) == NT_GNU_BUILD_ID {
            return Some(note.desc().to_vec());
        }
    }
    None
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

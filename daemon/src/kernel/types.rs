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
/// Of a thousand functions of a file's, so many at most may be unknown to the running kernel. Of those of Debian's 6.12, 330 are
/// unknown to its 6.1.
const UNKNOWN: usize = 5;

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
                "Types are from {path}, which has no build id: {} % of its functions are functions of this kernel, and whether \
                 its structs are this kernel's nothing can tell.",
                known * 100 / all.max(&1)
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
        // The compiler's own versions of a function (f.isra.0) are in BTF under its name.
        let known: HashSet<&str> = symbols.lines().filter_map(plain_name).collect();
        let (mut found, mut all) = (0, 0);
        for function in btf.functions() {
            all += 1;
            found += usize::from(known.contains(function));
        }
        if (all - found) * 1000 > all * UNKNOWN {
            return Err(unfit(format!("types of another kernel: this one has {found} of its {all} functions")));
        }
        told(Fit::Names(found, all))
    }
}

/// The name in a line of the symbol table, without what the compiler has put behind it.
fn plain_name(line: &str) -> Option<&str> {
    line.split_whitespace().nth(2)?.split('.').next()
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

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    /// BTF without any type.
    const EMPTY: &[u8] = b"\x9f\xeb\x01\0\x18\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\0\0\0\0";

    fn root_with(files: &[(&str, &[u8])]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (name, bytes) in files {
            let path = root.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
        root
    }

    fn file(build_id: Option<&[u8]>, btf: &[u8]) -> File {
        File { path: "types".to_owned(), btf: btf.to_owned(), build_id: build_id.map(<[u8]>::to_vec) }
    }

    fn fit(file: &File, root: &tempfile::TempDir) -> Result<Fit, String> {
        match file.check(root.path()) {
            Ok(Types::File { fit, .. }) => Ok(fit),
            Ok(Types::Own) => panic!("types of a file"),
            Err(error) => Err(error.to_string()),
        }
    }

    #[test]
    fn the_kernel_s_own_types_decide_where_they_are_seen() {
        let root = root_with(&[(OWN, EMPTY)]);
        assert_eq!(fit(&file(None, EMPTY), &root), Ok(Fit::Same));
        assert!(fit(&file(None, b"\x9f\xeb\x01"), &root).unwrap_err().contains("/sys/kernel/btf/vmlinux"));
        // An empty file hides them.
        assert_eq!(fit(&file(None, EMPTY), &root_with(&[(OWN, b"")])), Ok(Fit::Unknown));
    }

    #[test]
    fn a_build_id_decides_without_them() {
        let notes = b"\x04\0\0\0\x04\0\0\0\x01\0\0\0Xen\0abcd\x04\0\0\0\x03\0\0\0\x03\0\0\0GNU\0\x01\x02\xff\0";
        let root = root_with(&[(NOTES, notes)]);
        assert_eq!(fit(&file(Some(&[1, 2, 255]), EMPTY), &root), Ok(Fit::BuildId));
        let error = fit(&file(Some(&[1, 2, 3]), EMPTY), &root).unwrap_err();
        assert!(error.starts_with("types: ") && error.contains("010203") && error.contains("0102ff"), "{error}");
    }

    #[test]
    fn else_names_of_functions_have_to_be_known() {
        let root = root_with(&[("proc/kallsyms", b"ffffffff81000000 T f\nffffffff81000010 t g.isra.0\n")]);
        let types = |names: &[&str]| {
            let mut strings = vec![0_u8];
            let mut words = Vec::new();
            for name in names {
                words.extend([u32::try_from(strings.len()).unwrap(), 12 << 24, 0]);
                strings.extend(name.bytes().chain([0]));
            }
            let length = |length: usize| u32::try_from(length).unwrap();
            let header = [24, 0, length(words.len() * 4), length(words.len() * 4), length(strings.len())];
            let mut bytes = vec![0x9f, 0xeb, 1, 0];
            bytes.extend(header.iter().chain(&words).flat_map(|word| word.to_le_bytes()));
            bytes.extend(strings);
            bytes
        };
        assert_eq!(fit(&file(None, &types(&["f", "g"])), &root), Ok(Fit::Names(2, 2)));
        assert!(fit(&file(None, &types(&["f", "h"])), &root).unwrap_err().contains("1 of its 2 functions"));
        assert_eq!(fit(&file(None, &types(&["f"])), &root_with(&[])), Ok(Fit::Unknown));
    }

    #[test]
    fn what_has_no_types_is_refused_by_its_name() {
        let folder = root_with(&[("text", b"no types"), ("raw", EMPTY)]);
        let read = |name: &str| File::read(&folder.path().join(name)).map(|_| ()).map_err(|error| error.to_string());
        assert!(read("text").unwrap_err().contains("text: neither BTF nor an ELF file"));
        assert!(read("nowhere").unwrap_err().contains("nowhere"));
        assert_eq!(read("raw"), Ok(()));
        let own = PathBuf::from("/proc/self/exe");
        let error = File::read(&own).map(|_| ()).unwrap_err().to_string();
        assert!(error.contains("no section .BTF"), "{error}");
    }
}

//! Names of addresses in the running kernel, by blazesym from /proc/kallsyms.
//!
//! Whether the table shows addresses is decided when it is opened: its reader may be somebody who had it opened by another.

use std::{
    fs::{self, File},
    io::{self, Read as _, Seek as _, Write as _},
    os::fd::AsRawFd as _,
    path::{Path, PathBuf},
    sync::{Mutex, OnceLock, PoisonError},
};

use blazesym::{
    MaybeDefault,
    symbolize::{
        Input, Symbolizer,
        source::{Kernel, Source},
    },
};

/// The running kernel's symbols.
pub const SYMBOLS: &str = "/proc/kallsyms";

/// The table as somebody has opened it who may see addresses.
static OPENED: OnceLock<Mutex<File>> = OnceLock::new();

/// From now on the table is read from a file that somebody else has opened.
///
/// # Errors
///
/// When it is no table of symbols, or there is one already.
pub fn read_opened(mut file: File) -> io::Result<()> {
    let wrong = |text| io::Error::new(io::ErrorKind::InvalidData, text);
    let mut begin = [0; 64];
    file.rewind()?;
    let read = file.read(&mut begin)?;
    let line = String::from_utf8_lossy(&begin[..read]);
    let address = line.split(' ').next().unwrap_or_default();
    if address.len() != 16 || u64::from_str_radix(address, 16).is_err() {
        return Err(wrong("it is no table of kernel symbols"));
    }
    OPENED.set(Mutex::new(file)).map_err(|_| wrong("there is a table of kernel symbols already"))
}

/// The text of the running kernel's table; `root` is "/" but for tests.
///
/// # Errors
///
/// When it cannot be read.
pub(super) fn text(root: &Path) -> io::Result<String> {
    let Some(opened) = OPENED.get() else { return fs::read_to_string(root.join(SYMBOLS.trim_start_matches('/'))) };
    let mut file = opened.lock().unwrap_or_else(PoisonError::into_inner);
    file.rewind()?;
    let mut text = String::new();
    file.read_to_string(&mut text)?;
    Ok(text)
}

/// The running kernel's table as a file that can be opened by its path.
#[derive(Debug)]
pub struct Table {
    /// What was read from a table that is not ours to open, for as long as names are looked for: it takes megabytes.
    copy: Option<File>,
}

impl Table {
    /// # Errors
    ///
    /// When there is no memory for a copy.
    pub fn open() -> Result<Self, String> {
        let Some(_) = OPENED.get() else { return Ok(Self { copy: None }) };
        let copied = || {
            let file = rustix::fs::memfd_create("kallsyms", rustix::fs::MemfdFlags::CLOEXEC)?;
            let mut file = File::from(file);
            file.write_all(text(Path::new("/"))?.as_bytes())?;
            io::Result::Ok(file)
        };
        copied().map(|copy| Self { copy: Some(copy) }).map_err(|error| format!("copy {SYMBOLS}: {error}"))
    }

    /// Its path.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        match &self.copy {
            Some(copy) => format!("/proc/self/fd/{}", copy.as_raw_fd()).into(),
            None => SYMBOLS.into(),
        }
    }
}

/// What programs leave at the top of a stack that they take: themselves, and what called them.
const PROGRAMS: [&str; 3] = ["bpf_prog_", "bpf_trampoline_", "bpf_trace_run"];

/// The function of each address with the offset in it. An address without a name stays a number; where the table hides its
/// addresses (kptr_restrict) all do.
///
/// # Errors
///
/// When the table of symbols cannot be read.
pub fn name_addresses(symbols: &Path, addresses: &[u64]) -> Result<Vec<String>, String> {
    let source = Source::Kernel(Kernel {
        kallsyms: MaybeDefault::Some(symbols.to_owned()),
        vmlinux: MaybeDefault::None,
        debug_syms: false,
        ..Kernel::default()
    });
    // Not kept: the table takes megabytes, and stacks are rare.
    let symbolizer = Symbolizer::new();
    let found = symbolizer.symbolize(&source, Input::AbsAddr(addresses));
    let found = found.map_err(|error| format!("{}: {error}", symbols.display()))?;
    let names = addresses.iter().zip(&found).map(|(address, symbol)| match symbol.as_sym() {
        // A table that hides addresses has all symbols at zero: none of them is it.
        Some(symbol) if symbol.addr != 0 => format!("{}+{:#x}", symbol.name, symbol.offset),
        _ => format!("{address:#x}"),
    });
    Ok(names.collect())
}

/// The functions of each stack with the offsets in them, innermost first, from the traced function on.
///
/// # Errors
///
/// When the table of symbols cannot be read.
pub fn name_stacks(symbols: &Path, stacks: &[&[u64]]) -> Result<Vec<Vec<String>>, String> {
    let mut names = name_addresses(symbols, &stacks.concat())?.into_iter();
    Ok(stacks.iter().map(|stack| from_traced(names.by_ref().take(stack.len()).collect())).collect())
}

/// A stack without the programs at its top.
#[must_use]
pub fn from_traced(names: Vec<String>) -> Vec<String> {
    names.into_iter().skip_while(|name| PROGRAMS.iter().any(|program| name.starts_with(program))).collect()
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn addresses_are_named_and_programs_left_out() {
        let mut table = tempfile::NamedTempFile::new().unwrap();
        let lines = [
            "ffffffff81000000 T _stext",
            "ffffffff81001000 T do_wp_page",
            "ffffffff81002000 t handle_pte_fault",
            "ffffffffc0000000 t bpf_prog_0123456789abcdef_do_wp_page_enter\t[bpf]",
        ];
        writeln!(table, "{}", lines.join("\n")).unwrap();
        let stack = [0xffff_ffff_c000_0010, 0xffff_ffff_8100_1004, 0xffff_ffff_8100_2abc, 0x10];
        let names = name_stacks(table.path(), &[&stack, &[]]).unwrap();
        assert_eq!(names, [vec!["do_wp_page+0x4", "handle_pte_fault+0xabc", "0x10"], vec![]]);
    }

    #[test]
    fn where_addresses_are_hidden_there_are_no_names() {
        let mut table = tempfile::NamedTempFile::new().unwrap();
        writeln!(table, "0000000000000000 T _stext\n0000000000000000 T do_wp_page").unwrap();
        assert_eq!(name_stacks(table.path(), &[&[0xffff_ffff_8100_1004]]).unwrap(), [["0xffffffff81001004"]]);
    }

    #[test]
    fn a_table_opened_by_another_is_told_from_other_files() {
        let mut other = tempfile::tempfile().unwrap();
        writeln!(other, "kernel.org").unwrap();
        assert!(read_opened(other).unwrap_err().to_string().contains("no table of kernel symbols"));
        assert!(read_opened(tempfile::tempfile().unwrap()).is_err(), "empty");
    }

    #[test]
    fn a_table_that_is_not_there_is_an_error_with_its_name() {
        let error = name_stacks(Path::new("/nonexistent/kallsyms"), &[&[1]]).unwrap_err();
        assert!(error.contains("/nonexistent/kallsyms"), "{error}");
    }
}

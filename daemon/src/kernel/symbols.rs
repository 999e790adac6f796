//! Names of addresses in the running kernel, by blazesym from /proc/kallsyms.

use std::path::Path;

use blazesym::{
    MaybeDefault,
    symbolize::{
        Input, Symbolizer,
        source::{Kernel, Source},
    },
};

/// The running kernel's symbols.
pub const SYMBOLS: &str = "/proc/kallsyms";

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
    fn a_table_that_is_not_there_is_an_error_with_its_name() {
        let error = name_stacks(Path::new("/nonexistent/kallsyms"), &[&[1]]).unwrap_err();
        assert!(error.contains("/nonexistent/kallsyms"), "{error}");
    }
}

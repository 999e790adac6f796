//! Writes offsets and argument positions into the kernel object's instructions, and checks that the object belongs
//! to this binary. Knows ELF and the BPF instruction format; nothing of kernels.

use object::{Object as _, ObjectSection as _, ObjectSymbol as _, SectionKind};
use probe_common::{
    abi::{ABI, ABI_SYMBOL},
    relocation::{COUNT, DISPLACEMENT, IMMEDIATE},
};

/// Why an object cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum ObjectError {
    #[error("not an ELF object: {0}")]
    Elf(#[from] object::Error),
    #[error("not a kernel object of mmscope: it has no symbol {ABI_SYMBOL}")]
    NoAbi,
    #[error("it belongs to another build of mmscope (layout {found:016x}, this binary has {ABI:016x})")]
    OtherBuild { found: u64 },
}

const INSTRUCTION: usize = 8;
/// BPF_LDX | BPF_MEM, without the size bits.
const LOAD: u8 = 0x61;
const LOAD_MASK: u8 = 0xe7;
/// BPF_ALU64 | BPF_MOV | BPF_K.
const MOVE: u8 = 0xb7;
/// BPF_LD | BPF_IMM | BPF_DW: takes two instructions' room.
const WIDE: u8 = 0x18;

/// Whether the object was built from the same shared bytes as this binary.
pub(super) fn check(object: &[u8]) -> Result<(), ObjectError> {
    let file = object::File::parse(object)?;
    let symbol = file.symbols().find(|symbol| symbol.name() == Ok(ABI_SYMBOL)).ok_or(ObjectError::NoAbi)?;
    let section = symbol.section_index().ok_or(ObjectError::NoAbi)?;
    let data = file.section_by_index(section)?.data()?;
    let at = symbol.address() as usize;
    let bytes = data.get(at..at + 8).and_then(|bytes| bytes.try_into().ok()).ok_or(ObjectError::NoAbi)?;
    match u64::from_le_bytes(bytes) {
        ABI => Ok(()),
        found => Err(ObjectError::OtherBuild { found }),
    }
}

/// Sections of programs whose context is the registers.
const KPROBES: [&str; 2] = ["kprobe", "kretprobe"];

/// A copy of the object with every place rewritten, by another table in programs of kprobes. What this kernel does not have becomes offset zero: the plan
/// leaves the programs that need it alone, and in the others it stands in dead code.
pub(super) fn relocate(
    object: &[u8],
    relocations: &[Option<i32>; COUNT],
    of_kprobes: &[Option<i32>; COUNT],
) -> Result<Vec<u8>, ObjectError> {
    let mut out = object.to_vec();
    let file = object::File::parse(object)?;
    for section in file.sections().filter(|section| section.kind() == SectionKind::Text) {
        let Some((start, length)) = section.file_range() else { continue };
        let is_kprobe = KPROBES.contains(&section.name()?.split('/').next().unwrap_or_default());
        let relocations = if is_kprobe { of_kprobes } else { relocations };
        let code = &mut out[start as usize..(start + length) as usize];
        let mut at = 0;
        while at + INSTRUCTION <= code.len() {
            rewrite(&mut code[at..at + INSTRUCTION], relocations);
            at += if code[at] == WIDE { 2 * INSTRUCTION } else { INSTRUCTION };
        }
    }
    Ok(out)
}

fn rewrite(instruction: &mut [u8], relocations: &[Option<i32>; COUNT]) {
    let value = |id: i32| -> Option<i32> {
        let id = usize::try_from(id).ok().filter(|&id| id < COUNT)?;
        Some(relocations[id].unwrap_or(0))
    };
    if instruction[0] & LOAD_MASK == LOAD {
        let displacement = i16::from_le_bytes([instruction[2], instruction[3]]);
        if let Some(value) = value(i32::from(displacement) - i32::from(DISPLACEMENT)) {
            instruction[2..4].copy_from_slice(&(value as i16).to_le_bytes());
        }
    } else if instruction[0] == MOVE {
        let bytes = [instruction[4], instruction[5], instruction[6], instruction[7]];
        if let Some(value) = value(i32::from_le_bytes(bytes).wrapping_sub(IMMEDIATE)) {
            instruction[4..8].copy_from_slice(&value.to_le_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn relocations() -> [Option<i32>; COUNT] {
        let mut relocations = [None; COUNT];
        relocations[3] = Some(0x0524);
        relocations
    }

    #[test]
    fn loads_and_moves_are_rewritten_and_nothing_else() {
        // r0 = *(u64 *)(r1 + DISPLACEMENT + 3)
        let mut load = [0x79, 0x10, 0x03, 0x7a, 0, 0, 0, 0];
        rewrite(&mut load, &relocations());
        assert_eq!(load, [0x79, 0x10, 0x24, 0x05, 0, 0, 0, 0]);
        // r1 = IMMEDIATE + 3
        let mut constant = [0xb7, 0x01, 0, 0, 0x03, 0x7a, 0x6d, 0x6d];
        rewrite(&mut constant, &relocations());
        assert_eq!(constant, [0xb7, 0x01, 0, 0, 0x24, 0x05, 0, 0]);
        // *(u64 *)(r1 + DISPLACEMENT + 3) = r0: a store is none of ours.
        let mut store = [0x7b, 0x01, 0x03, 0x7a, 0, 0, 0, 0];
        rewrite(&mut store, &relocations());
        assert_eq!(store, [0x7b, 0x01, 0x03, 0x7a, 0, 0, 0, 0]);
        // An ordinary load.
        let mut other = [0x61, 0x10, 0x08, 0x00, 0, 0, 0, 0];
        rewrite(&mut other, &relocations());
        assert_eq!(other, [0x61, 0x10, 0x08, 0x00, 0, 0, 0, 0]);
    }

    #[test]
    fn what_the_kernel_lacks_becomes_zero() {
        let mut load = [0x79, 0x10, 0x04, 0x7a, 0, 0, 0, 0];
        rewrite(&mut load, &relocations());
        assert_eq!(load[2..4], [0, 0]);
    }

    #[test]
    fn bytes_that_are_no_object_are_refused() {
        assert!(matches!(check(b"not elf"), Err(ObjectError::Elf(_))));
    }
}

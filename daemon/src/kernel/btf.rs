//! A reader of BTF, as far as hooks need it: prototypes of functions, offsets of members, values of enums.
//!
//! Knows the format (Documentation/bpf/btf.rst) and nothing of mmscope. Every index is checked: the bytes may be a
//! file.

use foldhash::HashMap;

/// Why bytes are no BTF.
#[derive(Debug, thiserror::Error)]
pub enum BtfError {
    /// The header is not one.
    #[error("no BTF header")]
    Header,
    /// A type refers beyond the end.
    #[error("BTF is cut short or damaged at byte {0}")]
    Damaged(usize),
    /// A type of a kind that came after this reader.
    #[error("BTF has a type of unknown kind {0}")]
    UnknownKind(u32),
}

const KIND_INT: u32 = 1;
const KIND_PTR: u32 = 2;
const KIND_ARRAY: u32 = 3;
const KIND_STRUCT: u32 = 4;
const KIND_UNION: u32 = 5;
const KIND_ENUM: u32 = 6;
pub(super) const KIND_FWD: u32 = 7;
pub(super) const KIND_TYPEDEF: u32 = 8;
const KIND_VOLATILE: u32 = 9;
const KIND_CONST: u32 = 10;
const KIND_RESTRICT: u32 = 11;
pub(super) const KIND_FUNC: u32 = 12;
const KIND_FUNC_PROTO: u32 = 13;
const KIND_VAR: u32 = 14;
const KIND_DATASEC: u32 = 15;
const KIND_FLOAT: u32 = 16;
const KIND_DECL_TAG: u32 = 17;
const KIND_TYPE_TAG: u32 = 18;
const KIND_ENUM64: u32 = 19;

/// How deep a chain of modifiers, or a nest of anonymous structs, may go before it is called damaged.
const DEPTH: u32 = 32;

#[derive(Clone, Copy)]
struct Type<'a> {
    name: u32,
    info: u32,
    /// Size or type, by kind.
    value: u32,
    rest: &'a [u8],
}

impl Type<'_> {
    fn kind(&self) -> u32 {
        self.info >> 24 & 0x1f
    }

    fn count(&self) -> usize {
        (self.info & 0xffff) as usize
    }

    /// Whether member offsets also carry a bit-field size.
    fn has_bitfields(&self) -> bool {
        self.info >> 31 != 0
    }

    /// The n-th little-endian word after the type's own three.
    fn word(&self, n: usize) -> Option<u32> {
        word(self.rest, n * 4)
    }
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..at.checked_add(4)?)?;
    Some(u32::from_le_bytes(bytes.try_into().ok()?))
}

/// Where a member of a struct lies.
struct Member {
    /// Its first bit.
    bits: u32,
    /// Its type.
    id: u32,
    /// Bits that it has, of a bit-field; else zero.
    width: u32,
}

/// Types of a kernel, read in place.
pub struct Btf<'a> {
    strings: &'a [u8],
    types: &'a [u8],
    /// Byte offset of each type; the first is type 1.
    offsets: Vec<u32>,
    /// First id by name and kind, of the kinds that are looked up by name.
    names: HashMap<(&'a [u8], u32), u32>,
}

impl<'a> Btf<'a> {
    /// Reads the header and finds where each type begins.
    ///
    /// # Errors
    ///
    /// When the bytes are not little-endian BTF of version 1, or refer beyond their end.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, BtfError> {
        if bytes.get(..3) != Some(&[0x9f, 0xeb, 1]) {
            return Err(BtfError::Header);
        }
        let header = |n: usize| word(bytes, n).map(|value| value as usize).ok_or(BtfError::Header);
        let base = header(4)?;
        let section = |offset: usize, length: usize| {
            let start = base.checked_add(offset)?;
            bytes.get(start..start.checked_add(length)?)
        };
        let types = section(header(8)?, header(12)?).ok_or(BtfError::Header)?;
        let strings = section(header(16)?, header(20)?).ok_or(BtfError::Header)?;
        let mut btf = Self { strings, types, offsets: Vec::new(), names: HashMap::default() };
        let mut at = 0;
        while at < types.len() {
            let info = word(types, at + 4).ok_or(BtfError::Damaged(at))?;
            let ty = Type { name: 0, info, value: 0, rest: &[] };
            let extra = match ty.kind() {
                KIND_PTR | KIND_FWD | KIND_TYPEDEF | KIND_VOLATILE | KIND_CONST | KIND_RESTRICT | KIND_FUNC
                | KIND_FLOAT | KIND_TYPE_TAG => 0,
                KIND_INT | KIND_VAR | KIND_DECL_TAG => 4,
                KIND_ARRAY => 12,
                KIND_STRUCT | KIND_UNION | KIND_DATASEC | KIND_ENUM64 => 12 * ty.count(),
                KIND_ENUM | KIND_FUNC_PROTO => 8 * ty.count(),
                kind => return Err(BtfError::UnknownKind(kind)),
            };
            btf.offsets.push(at as u32);
            if matches!(ty.kind(), KIND_STRUCT | KIND_FUNC | KIND_TYPEDEF | KIND_ENUM) {
                let name = word(types, at).ok_or(BtfError::Damaged(at))?;
                let id = btf.offsets.len() as u32;
                if let Some(name) = string(strings, name) {
                    btf.names.entry((name, ty.kind())).or_insert(id);
                }
            }
            at += 12 + extra;
        }
        if at != types.len() {
            return Err(BtfError::Damaged(at));
        }
        Ok(btf)
    }

    fn get(&self, id: u32) -> Option<Type<'a>> {
        let at = *self.offsets.get((id as usize).checked_sub(1)?)? as usize;
        Some(Type {
            name: word(self.types, at)?,
            info: word(self.types, at + 4)?,
            value: word(self.types, at + 8)?,
            rest: self.types.get(at + 12..)?,
        })
    }

    /// Number of a function's type.
    #[must_use]
    pub fn function_id(&self, name: &str) -> Option<u32> {
        self.names.get(&(name.as_bytes(), KIND_FUNC)).copied()
    }

    /// Name and number of the type by which a program is attached to a raw tracepoint.
    #[must_use]
    pub fn tracepoint_id(&self, name: &str) -> Option<(String, u32)> {
        let name = format!("btf_trace_{name}");
        let id = *self.names.get(&(name.as_bytes(), KIND_TYPEDEF))?;
        Some((name, id))
    }

    /// Names of all functions.
    pub(super) fn functions(&self) -> impl Iterator<Item = &'a str> + '_ {
        let functions = self.names.keys().filter(|(_, kind)| *kind == KIND_FUNC);
        functions.filter_map(|(name, _)| std::str::from_utf8(name).ok())
    }

    fn text(&self, offset: u32) -> &'a str {
        string(self.strings, offset).and_then(|bytes| std::str::from_utf8(bytes).ok()).unwrap_or("")
    }

    fn find(&self, name: &str, kind: u32) -> Option<Type<'a>> {
        self.get(*self.names.get(&(name.as_bytes(), kind))?)
    }

    /// Type under typedefs and qualifiers.
    fn strip(&self, mut id: u32) -> Option<Type<'a>> {
        for _ in 0..DEPTH {
            let ty = self.get(id)?;
            match ty.kind() {
                KIND_TYPEDEF | KIND_VOLATILE | KIND_CONST | KIND_RESTRICT | KIND_TYPE_TAG => id = ty.value,
                _ => return Some(ty),
            }
        }
        None
    }

    /// Byte offset of a member, through nested and anonymous structs: `context.ctx_id` in `mm_struct`.
    #[must_use]
    pub fn member_offset(&self, structure: &str, path: &str) -> Option<u32> {
        let mut ty = self.find(structure, KIND_STRUCT)?;
        let mut offset = 0;
        for name in path.split('.') {
            let Member { bits, id, width: 0 } = self.member(ty, name, 0)? else { return None };
            offset += bits;
            ty = self.strip(id).or_else(|| self.get(id))?;
        }
        (offset % 8 == 0).then_some(offset / 8)
    }

    /// Bit offset of a bit-field of one bit.
    #[must_use]
    pub fn bit_offset(&self, structure: &str, name: &str) -> Option<u32> {
        let Member { bits, width: 1, .. } = self.member(self.find(structure, KIND_STRUCT)?, name, 0)? else {
            return None;
        };
        Some(bits)
    }

    /// Size of a struct, bytes.
    #[must_use]
    pub fn size(&self, structure: &str) -> Option<u32> {
        Some(self.find(structure, KIND_STRUCT)?.value)
    }

    fn member(&self, ty: Type<'a>, name: &str, depth: u32) -> Option<Member> {
        if depth > DEPTH || !matches!(ty.kind(), KIND_STRUCT | KIND_UNION) {
            return None;
        }
        for n in 0..ty.count() {
            let (member, id, raw) = (ty.word(n * 3)?, ty.word(n * 3 + 1)?, ty.word(n * 3 + 2)?);
            let (bits, width) = if ty.has_bitfields() { (raw & 0xff_ffff, raw >> 24) } else { (raw, 0) };
            if member == 0 || self.text(member).is_empty() {
                if let Some(inner) = self.member(self.strip(id)?, name, depth + 1) {
                    return Some(Member { bits: bits + inner.bits, ..inner });
                }
            } else if self.text(member) == name {
                return Some(Member { bits, id, width });
            }
        }
        None
    }

    /// Prototype of a function as C writes it, without its name: `long(struct mmu_gather *tlb, ..)`.
    #[must_use]
    pub fn function(&self, name: &str) -> Option<String> {
        let proto = self.get(self.find(name, KIND_FUNC)?.value)?;
        self.prototype(proto, 0)
    }

    /// Prototype of a raw tracepoint's arguments. They have no names; the first, the registered data, is left out.
    #[must_use]
    pub fn tracepoint(&self, name: &str) -> Option<String> {
        let typedef = self.find(&format!("btf_trace_{name}"), KIND_TYPEDEF)?;
        let pointer = self.strip(typedef.value)?;
        let proto = if pointer.kind() == KIND_PTR { self.get(pointer.value)? } else { return None };
        self.prototype(proto, 1)
    }

    fn prototype(&self, proto: Type<'a>, skip: usize) -> Option<String> {
        if proto.kind() != KIND_FUNC_PROTO {
            return None;
        }
        let mut text = self.type_text(proto.value, 0);
        text.push('(');
        for n in skip..proto.count() {
            if n > skip {
                text.push_str(", ");
            }
            let ty = self.type_text(proto.word(n * 2 + 1)?, 0);
            let name = self.text(proto.word(n * 2)?);
            text.push_str(&ty);
            if !name.is_empty() && !ty.ends_with('*') {
                text.push(' ');
            }
            text.push_str(name);
        }
        text.push(')');
        Some(text)
    }

    /// A type as C writes it, qualifiers left out: they differ between builds and change no register.
    fn type_text(&self, id: u32, depth: u32) -> String {
        if id == 0 {
            return "void".to_owned();
        }
        let Some(ty) = self.get(id).filter(|_| depth < DEPTH) else {
            return "?".to_owned();
        };
        let name = self.text(ty.name);
        match ty.kind() {
            KIND_PTR => {
                let target = self.type_text(ty.value, depth + 1);
                let space = if target.ends_with('*') { "" } else { " " };
                format!("{target}{space}*")
            }
            KIND_VOLATILE | KIND_CONST | KIND_RESTRICT | KIND_TYPE_TAG => self.type_text(ty.value, depth + 1),
            KIND_STRUCT => format!("struct {name}"),
            KIND_UNION => format!("union {name}"),
            KIND_ENUM | KIND_ENUM64 => format!("enum {name}"),
            KIND_FWD => format!("struct {name}"),
            KIND_FUNC_PROTO => "function".to_owned(),
            KIND_ARRAY => "array".to_owned(),
            _ => name.to_owned(),
        }
    }

    /// Whether an enum has a value of this name: `BPF_FUNC_task_pt_regs` in `bpf_func_id`.
    #[must_use]
    pub fn has_enumerator(&self, enumeration: &str, name: &str) -> bool {
        self.enumerator(enumeration, name).is_some()
    }

    /// A value of an enum, by its name.
    #[must_use]
    pub fn enumerator(&self, enumeration: &str, name: &str) -> Option<u32> {
        let ty = self.find(enumeration, KIND_ENUM)?;
        let n = (0..ty.count()).find(|n| ty.word(n * 2).is_some_and(|at| self.text(at) == name))?;
        ty.word(n * 2 + 1)
    }
}

fn string(strings: &[u8], offset: u32) -> Option<&[u8]> {
    let rest = strings.get(offset as usize..)?;
    let end = rest.iter().position(|&byte| byte == 0)?;
    rest.get(..end)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// BTF of: `struct inner { int a; int b; }; struct outer { int x; struct { struct inner in; }; };`
    /// `long f(struct outer *o, int n)`.
    fn sample() -> Vec<u8> {
        let mut strings = vec![0_u8];
        let mut name = |text: &str| {
            let at = strings.len() as u32;
            strings.extend_from_slice(text.as_bytes());
            strings.push(0);
            at
        };
        let (int, long, inner, outer, a, b, x, field, f, o, n) = (
            name("int"),
            name("long"),
            name("inner"),
            name("outer"),
            name("a"),
            name("b"),
            name("x"),
            name("in"),
            name("f"),
            name("o"),
            name("n"),
        );
        let kind = |kind: u32, count: u32| kind << 24 | count;
        let words: Vec<u32> = [
            vec![int, kind(KIND_INT, 0), 4, 0x0100_0020],
            vec![long, kind(KIND_INT, 0), 8, 0x0100_0040],
            vec![inner, kind(KIND_STRUCT, 2), 8, a, 1, 0, b, 1, 32],
            vec![0, kind(KIND_STRUCT, 1), 8, field, 3, 0],
            vec![outer, kind(KIND_STRUCT, 2), 12, x, 1, 0, 0, 4, 32],
            vec![0, kind(KIND_PTR, 0), 5],
            vec![0, kind(KIND_FUNC_PROTO, 2), 2, o, 6, n, 1],
            vec![f, kind(KIND_FUNC, 0), 7],
        ]
        .concat();
        let types: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        let mut bytes = vec![0x9f, 0xeb, 1, 0];
        for header in [24, 0, types.len() as u32, types.len() as u32, strings.len() as u32] {
            bytes.extend_from_slice(&header.to_le_bytes());
        }
        bytes.extend(types);
        bytes.extend(strings);
        bytes
    }

    #[test]
    fn members_are_found_through_anonymous_structs() {
        let bytes = sample();
        let btf = Btf::parse(&bytes).unwrap();
        assert_eq!(btf.size("outer"), Some(12));
        assert_eq!(btf.member_offset("outer", "x"), Some(0));
        assert_eq!(btf.member_offset("outer", "in.b"), Some(8));
        assert_eq!(btf.member_offset("outer", "in.c"), None);
        assert_eq!(btf.member_offset("nowhere", "x"), None);
    }

    #[test]
    fn prototypes_read_as_c() {
        let bytes = sample();
        let btf = Btf::parse(&bytes).unwrap();
        assert_eq!(btf.function("f").as_deref(), Some("long(struct outer *o, int n)"));
        assert_eq!(btf.function("g"), None);
    }

    #[test]
    fn bytes_cut_anywhere_are_refused_or_read_without_panic() {
        let bytes = sample();
        for length in 0..bytes.len() {
            if let Ok(btf) = Btf::parse(&bytes[..length]) {
                let _ = btf.function("f");
                let _ = btf.member_offset("outer", "in.b");
            }
        }
        assert!(matches!(Btf::parse(b"\x9f\xeb\x02"), Err(BtfError::Header)));
    }
}

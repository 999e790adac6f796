//! What programs are attached to, as the running kernel's BTF numbers it.

use super::btf::{Btf, KIND_FUNC, KIND_FWD, KIND_TYPEDEF};

/// Types by which functions and tracepoints are named when a program is attached to them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Targets {
    /// In the order of their numbers.
    types: Vec<Target>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Target {
    id: u32,
    kind: u32,
    name: String,
}

impl Targets {
    pub(super) fn find(btf: &Btf<'_>, functions: &[&str], tracepoints: &[&str]) -> Self {
        let function =
            |name: &&str| Some(Target { id: btf.function_id(name)?, kind: KIND_FUNC, name: (*name).to_owned() });
        let tracepoint = |name: &&str| {
            let (name, id) = btf.tracepoint_id(name)?;
            Some(Target { id, kind: KIND_TYPEDEF, name })
        };
        let mut types: Vec<Target> =
            functions.iter().filter_map(function).chain(tracepoints.iter().filter_map(tracepoint)).collect();
        types.sort_unstable();
        Self { types }
    }

    /// BTF in which these types have their numbers, and nothing else has a name. A kernel's own has a hundred thousand, and
    /// whoever looks one up by name goes through them all.
    #[must_use]
    pub fn btf(&self) -> Vec<u8> {
        let mut strings = vec![0];
        let mut types: Vec<u8> = Vec::new();
        let mut next = 1;
        let mut add = |name: usize, kind: u32| {
            for word in [u32::try_from(name).unwrap_or_default(), kind << 24, 0] {
                types.extend_from_slice(&word.to_le_bytes());
            }
        };
        for target in &self.types {
            (next..target.id).for_each(|_| add(0, KIND_FWD));
            add(strings.len(), target.kind);
            strings.extend_from_slice(target.name.as_bytes());
            strings.push(0);
            next = target.id + 1;
        }
        let length = |bytes: &[u8]| u32::try_from(bytes.len()).unwrap_or_default();
        let mut bytes = vec![0x9f, 0xeb, 1, 0];
        for word in [24, 0, length(&types), length(&types), length(&strings)] {
            bytes.extend_from_slice(&word.to_le_bytes());
        }
        bytes.extend(types);
        bytes.extend(strings);
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_keep_their_numbers() {
        let target = |id, kind, name: &str| Target { id, kind, name: name.to_owned() };
        let types = vec![target(2, KIND_FUNC, "f"), target(3, KIND_TYPEDEF, "btf_trace_t"), target(70, KIND_FUNC, "g")];
        let bytes = Targets { types }.btf();
        let btf = Btf::parse(&bytes).unwrap();
        assert_eq!([btf.function_id("f"), btf.function_id("g"), btf.function_id("h")], [Some(2), Some(70), None]);
        assert_eq!(btf.tracepoint_id("t"), Some(("btf_trace_t".to_owned(), 3)));
        assert!(Btf::parse(&Targets::default().btf()).is_ok());
    }
}

//! What holds for names whatever the kernel says: of commands, of lines of mountinfo, of /proc/PID/cgroup.

use super::{LONGEST, Parts, cgroup::longest_path, printable};
use crate::kernel::CgroupMount;

/// Any bytes, as each of these.
pub(crate) fn names(input: &[u8]) {
    command(input);
    let Ok(text) = std::str::from_utf8(input) else { return };
    cgroups(text);
    text.lines().for_each(parts);
    text.lines().for_each(mounts);
}

fn command(input: &[u8]) {
    let name = printable(input);
    assert!(!name.chars().any(char::is_control), "{name:?}");
    let end = input.iter().position(|&byte| byte == 0).unwrap_or(input.len());
    assert!(name.chars().count() <= end, "no byte becomes several characters: {name:?}");
    assert_eq!(printable(name.as_bytes()), name, "once is enough");
    assert!(name.chars().count() <= LONGEST, "{name:?}");
    if end <= LONGEST && input[..end].iter().all(|byte| (b' '..=b'~').contains(byte)) {
        assert_eq!(name.as_bytes(), &input[..end], "what is printable stays");
    }
}

fn cgroups(text: &str) {
    // Split by hand, and not by what is looked at.
    let path = |line: &str| {
        let first = line.find(':')?;
        let second = first + 1 + line[first + 1..].find(':')?;
        Some(line[second + 1..].len())
    };
    let lengths = text.lines().filter_map(path);
    assert_eq!(longest_path(text).map(str::len), lengths.max(), "{text:?}");
}

/// What a path says is in it.
fn parts(path: &str) {
    let Parts { slice, unit, user_unit, runtime: _, container, qos, .. } = Parts::of(path);
    for part in [slice, unit, user_unit, container] {
        assert!(path.contains(part), "{part:?} of {path:?}");
    }
    assert!(["", "guaranteed", "burstable", "besteffort"].contains(&qos), "{qos:?}");
}

fn mounts(line: &str) {
    let Some(CgroupMount { point, options }) = CgroupMount::all(line).next() else { return };
    let end = line.find(" - ").unwrap_or_else(|| panic!("{line:?} has no file system"));
    let (mount, system) = (&line[..end], &line[end + 3..]);
    assert!(mount.split(' ').nth(4) == Some(point) && system.starts_with("cgroup"), "{line:?}");
    let expected = system.split(' ').nth(2).unwrap_or_default();
    assert!(options.is_none_or(|options| options == expected), "{line:?}");
}

//! By which hierarchy of cgroups tasks are named: v2, or a controller of v1 where that is mounted.

/// Controllers whose v1 hierarchy says where a task belongs, the one that says most first: services and containers are in each of
/// these.
pub(super) const CONTROLLERS: [&str; 4] = ["memory", "pids", "cpu", "cpuacct"];

/// A mounted file system of cgroups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CgroupMount<'a> {
    /// Where.
    pub point: &'a str,
    /// Of v1, its controllers and other options; none of v2.
    pub options: Option<&'a str>,
}

impl<'a> CgroupMount<'a> {
    /// Those of the lines of /proc/self/mountinfo.
    pub fn all(mountinfo: &'a str) -> impl Iterator<Item = Self> {
        mountinfo.lines().filter_map(Self::of_line)
    }

    fn of_line(line: &'a str) -> Option<Self> {
        let (mount, system) = line.split_once(" - ")?;
        let point = mount.split(' ').nth(4)?;
        let mut system = system.split(' ');
        match system.next()? {
            "cgroup2" => Some(Self { point, options: None }),
            "cgroup" => Some(Self { point, options: Some(system.nth(1).unwrap_or_default()) }),
            _ => None,
        }
    }

    /// Whether this is the v1 hierarchy of a controller.
    #[must_use]
    pub fn is_of(&self, controller: &str) -> bool {
        self.options.is_some_and(|options| options.split(',').any(|option| option == controller))
    }
}

/// The v1 controller by which tasks are named here; none where v2 says it.
#[must_use]
pub fn naming_controller(mountinfo: &str) -> Option<&'static str> {
    CONTROLLERS.into_iter().find(|controller| CgroupMount::all(mountinfo).any(|mount| mount.is_of(controller)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HYBRID: &str = "30 23 0:26 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw,nsdelegate\n\
        31 23 0:27 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,name=systemd\n\
        32 23 0:28 / /sys/fs/cgroup/cpu,cpuacct rw,nosuid shared:9 - cgroup cgroup rw,cpu,cpuacct\n";

    #[test]
    fn the_controller_that_says_most_names() {
        assert_eq!(naming_controller(HYBRID), Some("cpu"));
        let memory = format!("{HYBRID}33 23 0:29 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n");
        assert_eq!(naming_controller(&memory), Some("memory"));
        let mount = CgroupMount::all(&memory).find(|mount| mount.is_of("memory")).unwrap();
        assert_eq!(mount.point, "/sys/fs/cgroup/memory");
    }

    #[test]
    fn v2_names_where_v1_has_none_of_them() {
        assert_eq!(naming_controller("30 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n"), None);
        assert_eq!(naming_controller("31 23 0:27 / /sys/fs/cgroup/net_cls rw - cgroup cgroup rw,net_cls\n"), None);
        assert_eq!(naming_controller("30 23 0:26 / /memory rw - tmpfs memory rw,memory\nshort\n"), None);
    }
}

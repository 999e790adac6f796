//! From a cgroup's id, or a process's id, to the cgroup's path. Knows the v2 hierarchy, v1 and both at once.

use std::{
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use super::cache::Cache;
use crate::kernel::CgroupMount;

/// Cgroups remembered; the half of them for certain, so that a host with 20,000, each in a pod's, is not walked
/// through again and again.
const PATHS: usize = 96 * 1024;
/// Walks through all cgroups in one tick.
const WALKS: u32 = 1;

/// The mounted hierarchies.
pub(super) struct Hierarchies {
    root: PathBuf,
    /// Where that is mounted whose ids are asked for.
    asked: Option<PathBuf>,
    /// Its v1 controller; none where it is v2.
    controller: Option<String>,
    /// Whether a v1 hierarchy is mounted.
    has_v1: bool,
    /// Paths by id of that hierarchy; of one that was gone when it was looked for, none.
    paths: Cache<u64, Option<String>>,
    walks_left: u32,
}

impl Hierarchies {
    /// Ids will be those of a v1 controller's cgroups, or of v2.
    pub(super) fn read(root: PathBuf, controller: Option<&str>) -> Self {
        let mounts = fs::read_to_string(root.join("proc/self/mountinfo")).unwrap_or_default();
        let is_asked = |mount: &CgroupMount<'_>| match controller {
            Some(controller) => mount.is_of(controller),
            None => mount.options.is_none(),
        };
        let asked =
            CgroupMount::all(&mounts).find(is_asked).map(|mount| root.join(mount.point.trim_start_matches('/')));
        let has_v1 = CgroupMount::all(&mounts).any(|mount| mount.options.is_some());
        let controller = controller.map(str::to_owned);
        Self { root, asked, controller, has_v1, paths: Cache::new(PATHS), walks_left: WALKS }
    }

    /// Path of the cgroup with this id; where that is only the root and v1 is mounted, the path that says most of those that the
    /// hierarchies have for the process.
    pub(super) fn path(&mut self, id: u64, tgid: u32) -> String {
        let asked = self.path_of_id(id, tgid);
        if self.has_v1
            && asked.as_deref().is_none_or(|path| path == "/")
            && let Some(path) = self.path_of_process(tgid)
        {
            return path;
        }
        asked.or_else(|| self.path_of_process(tgid)).unwrap_or_default()
    }

    fn path_of_id(&mut self, id: u64, tgid: u32) -> Option<String> {
        let mount = self.asked.clone()?;
        if id == 0 {
            return None;
        }
        if let Some(known) = self.paths.get(&id) {
            return known;
        }
        // Most processes are still there, and cost two small reads; a walk costs as many as there are cgroups.
        let path = self.asked_path_of_process(&mount, id, tgid);
        if path.is_none() && self.walks_left > 0 {
            self.walks_left -= 1;
            // The id of a cgroup is the inode of its directory. One walk names them all.
            walk(&mount, &mount, &mut self.paths, &mut { PATHS }, 0);
            if let Some(known) = self.paths.get(&id) {
                return known;
            }
        }
        self.paths.insert(id, path.clone());
        path
    }

    /// What /proc says of the process, if that is the cgroup with this id: the process may have moved.
    fn asked_path_of_process(&self, mount: &Path, id: u64, tgid: u32) -> Option<String> {
        if tgid == 0 {
            return None;
        }
        let text = fs::read_to_string(self.root.join(format!("proc/{tgid}/cgroup"))).ok()?;
        let path = path_of(&text, self.controller.as_deref())?;
        let metadata = fs::metadata(mount.join(path.trim_start_matches('/'))).ok()?;
        (metadata.ino() == id).then(|| path.to_owned())
    }

    /// A new tick: it may walk again.
    pub(super) fn begin_tick(&mut self) {
        self.walks_left = WALKS;
    }

    /// Cgroups that were forgotten for want of room.
    pub(super) fn forgotten(&self) -> u64 {
        self.paths.forgotten()
    }

    fn path_of_process(&self, tgid: u32) -> Option<String> {
        if tgid == 0 {
            return None;
        }
        let text = fs::read_to_string(self.root.join(format!("proc/{tgid}/cgroup"))).ok()?;
        longest_path(&text).map(str::to_owned)
    }
}

/// Of the paths that the hierarchies have for a process, the one that says most: the first of the longest.
pub(super) fn longest_path(cgroup: &str) -> Option<&str> {
    let mut longest: Option<&str> = None;
    for path in cgroup.lines().filter_map(|line| line.splitn(3, ':').nth(2)) {
        if longest.is_none_or(|found| path.len() > found.len()) {
            longest = Some(path);
        }
    }
    longest
}

/// The path that one hierarchy has for a process, in lines as `4:cpu,cpuacct:/batch`; v2's is `0::/batch`.
pub(super) fn path_of<'a>(cgroup: &'a str, controller: Option<&str>) -> Option<&'a str> {
    cgroup.lines().find_map(|line| {
        let mut parts = line.splitn(3, ':').skip(1);
        let (controllers, path) = (parts.next()?, parts.next()?);
        let is_it = match controller {
            Some(controller) => controllers.split(',').any(|name| name == controller),
            None => controllers.is_empty(),
        };
        is_it.then_some(path)
    })
}

/// Nesting of cgroups that is followed.
const DEPTH: u32 = 32;

fn walk(mount: &Path, directory: &Path, paths: &mut Cache<u64, Option<String>>, left: &mut usize, depth: u32) {
    if depth > DEPTH || *left == 0 {
        return;
    }
    *left -= 1;
    if let Ok(metadata) = fs::metadata(directory) {
        let path = directory.strip_prefix(mount).unwrap_or(directory);
        paths.insert(metadata.ino(), Some(format!("/{}", path.display())));
    }
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            walk(mount, &entry.path(), paths, left, depth + 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_that_says_most_is_taken() {
        let text = "3:memory:/user.slice\n1:name=systemd:/user.slice/session-2.scope\n0::/\n";
        assert_eq!(longest_path(text), Some("/user.slice/session-2.scope"));
        assert_eq!(longest_path("0::/system.slice/a:b.service\n"), Some("/system.slice/a:b.service"));
        assert_eq!(longest_path(""), None);
    }

    #[test]
    fn ids_are_inodes_of_the_unified_hierarchy() {
        let root = tempfile::tempdir().unwrap();
        let unified = root.path().join("sys/fs/cgroup");
        fs::create_dir_all(unified.join("system.slice/a.service")).unwrap();
        fs::create_dir_all(root.path().join("proc/self")).unwrap();
        fs::write(
            root.path().join("proc/self/mountinfo"),
            "30 23 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n",
        )
        .unwrap();
        let id = fs::metadata(unified.join("system.slice/a.service")).unwrap().ino();
        let mut hierarchies = Hierarchies::read(root.path().to_owned(), None);
        assert_eq!(hierarchies.path(id, 1), "/system.slice/a.service");
        assert_eq!(hierarchies.path(fs::metadata(&unified).unwrap().ino(), 1), "/");
        assert_eq!(hierarchies.path(u64::MAX, 0), "", "a cgroup that is gone");
    }

    #[test]
    fn beside_v1_the_process_tells_where_v2_says_nothing() {
        let root = tempfile::tempdir().unwrap();
        let unified = root.path().join("sys/fs/cgroup/unified");
        fs::create_dir_all(&unified).unwrap();
        fs::create_dir_all(root.path().join("proc/self")).unwrap();
        fs::create_dir_all(root.path().join("proc/7")).unwrap();
        fs::write(
            root.path().join("proc/self/mountinfo"),
            "30 23 0:26 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n\
             31 23 0:27 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n",
        )
        .unwrap();
        fs::write(root.path().join("proc/7/cgroup"), "4:memory:/batch\n0::/\n").unwrap();
        let mut hierarchies = Hierarchies::read(root.path().to_owned(), None);
        let id = fs::metadata(&unified).unwrap().ino();
        assert_eq!(hierarchies.path(id, 7), "/batch");
        assert_eq!(hierarchies.path(id, 8), "/");
    }

    #[test]
    fn ids_of_a_v1_controller_are_looked_for_in_its_hierarchy() {
        let root = tempfile::tempdir().unwrap();
        let memory = root.path().join("sys/fs/cgroup/memory");
        fs::create_dir_all(memory.join("docker/web")).unwrap();
        fs::create_dir_all(root.path().join("proc/self")).unwrap();
        fs::create_dir_all(root.path().join("proc/7")).unwrap();
        fs::write(
            root.path().join("proc/self/mountinfo"),
            "30 23 0:26 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n\
             31 23 0:27 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n",
        )
        .unwrap();
        let id = fs::metadata(memory.join("docker/web")).unwrap().ino();
        fs::write(root.path().join("proc/7/cgroup"), "4:memory:/docker/web\n0::/system.slice/a.service\n").unwrap();
        let read = || Hierarchies::read(root.path().to_owned(), Some("memory"));
        assert_eq!(read().path(id, 7), "/docker/web", "not where v2 has it");
        assert_eq!(read().path(id, 8), "/docker/web", "its process is gone");
    }

    #[test]
    fn each_hierarchy_has_its_line() {
        let text = "4:cpu,cpuacct:/a:b\n3:memory:/m\n1:name=systemd:/s\n0::/u\n";
        assert_eq!(path_of(text, Some("cpuacct")), Some("/a:b"));
        assert_eq!((path_of(text, Some("memory")), path_of(text, None)), (Some("/m"), Some("/u")));
        assert_eq!(path_of(text, Some("pids")), None);
    }

    #[test]
    fn a_process_that_is_there_spares_the_walk_and_one_tick_has_one() {
        let root = tempfile::tempdir().unwrap();
        let unified = root.path().join("sys/fs/cgroup");
        for name in ["a", "b", "c", "d"] {
            fs::create_dir_all(unified.join(name)).unwrap();
        }
        fs::create_dir_all(root.path().join("proc/self")).unwrap();
        fs::create_dir_all(root.path().join("proc/7")).unwrap();
        let mounts = "30 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n";
        fs::write(root.path().join("proc/self/mountinfo"), mounts).unwrap();
        fs::write(root.path().join("proc/7/cgroup"), "0::/a\n").unwrap();
        let id = |name: &str| fs::metadata(unified.join(name)).unwrap().ino();
        let mut hierarchies = Hierarchies::read(root.path().to_owned(), None);
        assert_eq!(hierarchies.path(id("a"), 7), "/a");
        assert_eq!(hierarchies.walks_left, WALKS);
        assert_eq!(hierarchies.path(id("b"), 8), "/b", "its process is gone");
        assert_eq!(hierarchies.walks_left, 0);
        assert_eq!(hierarchies.path(id("c"), 7), "/c", "known by the walk; the process has moved");
        fs::create_dir(unified.join("e")).unwrap();
        assert_eq!(hierarchies.path(id("e"), 9), "", "no second walk");
        hierarchies.begin_tick();
        assert_eq!(hierarchies.path(id("e"), 9), "", "what was gone stays so");
        assert_eq!(hierarchies.walks_left, WALKS);
    }
}

//! What a cgroup's path says of its own: systemd's slice and unit, a container's runtime and id, a pod's uid and class. Pure;
//! the same for v1 and v2, whose paths differ by what comes before. Asks nobody.

/// What is recognised in a path; what is not is empty.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Parts<'a> {
    /// The innermost slice around the unit: `system.slice`.
    pub slice: &'a str,
    /// systemd's unit: `nginx.service`, `session-2.scope`.
    pub unit: &'a str,
    /// A unit of a user's own systemd, inside `user@1000.service`.
    pub user_unit: &'a str,
    /// `docker`, `containerd`, `cri-o`, `podman`, `lxc`, `nspawn`; empty where the path has an id and no more.
    pub runtime: &'static str,
    /// Id of the container, or its name where that is what the runtime writes.
    pub container: &'a str,
    /// Uid of the pod as the path has it: with the systemd driver `_` stands for `-`.
    pod: &'a str,
    /// The pod's class: `guaranteed`, `burstable`, `besteffort`.
    pub qos: &'static str,
}

/// What runtimes write before an id.
const PREFIXES: [(&str, &str); 8] = [
    ("cri-containerd-", "containerd"),
    ("nerdctl-", "containerd"),
    ("docker-", "docker"),
    ("libpod-payload-", "podman"),
    ("libpod-", "podman"),
    ("crio-", "cri-o"),
    ("lxc.payload.", "lxc"),
    ("systemd-nspawn@", "nspawn"),
];
/// Ends of systemd's units that processes are in.
const UNITS: [&str; 5] = [".service", ".scope", ".socket", ".mount", ".swap"];
/// Shortest id that runtimes cut theirs to.
const SHORTEST_ID: usize = 12;

impl<'a> Parts<'a> {
    /// Of a path, as v2 has it or /proc/PID/cgroup.
    #[must_use]
    pub fn of(path: &'a str) -> Self {
        let mut parts = Self::default();
        let mut is_in_user = false;
        let mut before = "";
        for component in path.split('/').filter(|component| !component.is_empty() && *component != "..") {
            if component.ends_with(".slice") {
                if parts.unit.is_empty() {
                    parts.slice = component;
                }
            } else if UNITS.iter().any(|end| component.ends_with(end)) {
                if parts.unit.is_empty() {
                    parts.unit = component;
                    is_in_user = component.starts_with("user@");
                } else if is_in_user && parts.user_unit.is_empty() {
                    parts.user_unit = component;
                }
            }
            parts.look_for_pod(component);
            parts.look_for_container(component, before);
            before = component;
        }
        parts
    }

    /// Uid of the pod, as Kubernetes writes it.
    #[must_use]
    pub fn pod_uid(&self) -> String {
        self.pod.replace('_', "-")
    }

    /// Whether nothing was recognised.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// `pod<uid>` of the cgroupfs driver, `kubepods-burstable-pod<uid>.slice` of systemd's, with `kubelet-` before it in kind, and
    /// as one component with colons where the one wrote for the other.
    fn look_for_pod(&mut self, component: &'a str) {
        let first = component.split(':').next().unwrap_or_default();
        match first {
            "kubepods" | "kubepods.slice" | "kubelet-kubepods.slice" => self.qos = "guaranteed",
            "burstable" if !self.qos.is_empty() => self.qos = "burstable",
            "besteffort" if !self.qos.is_empty() => self.qos = "besteffort",
            _ => {}
        }
        let slice = first.strip_suffix(".slice").unwrap_or(first);
        let slice = slice.strip_prefix("kubelet-").unwrap_or(slice);
        let uid = if let Some(rest) = slice.strip_prefix("kubepods-") {
            let classes = [("burstable", "burstable"), ("besteffort", "besteffort")];
            let class = classes.into_iter().find_map(|(class, qos)| Some((rest.strip_prefix(class)?, qos)));
            let (rest, qos) = class.unwrap_or((rest, "guaranteed"));
            self.qos = qos;
            rest.trim_start_matches('-').strip_prefix("pod")
        } else if self.qos.is_empty() {
            None
        } else {
            slice.strip_prefix("pod")
        };
        if let Some(uid) = uid.filter(|uid| is_uid(uid)) {
            self.pod = uid;
        }
    }

    fn look_for_container(&mut self, component: &'a str, before: &str) {
        // `...slice:cri-containerd:<id>`
        if let Some((rest, id)) = component.rsplit_once(':').filter(|(_, id)| is_id(id)) {
            let runtimes = [("cri-containerd", "containerd"), ("crio", "cri-o"), ("docker", "docker")];
            let runtime = runtimes.into_iter().find(|(name, _)| rest.ends_with(name));
            (self.container, self.runtime) = (id, runtime.map_or("", |(_, runtime)| runtime));
            return;
        }
        let stem = UNITS.iter().find_map(|end| component.strip_suffix(end)).unwrap_or(component);
        let prefixed = PREFIXES.into_iter().find_map(|(prefix, runtime)| Some((stem.strip_prefix(prefix)?, runtime)));
        if let Some((id, runtime)) = prefixed {
            // crio-conmon- and libpod-conmon- are their monitors' own: what follows is no id.
            if is_id(id) || (matches!(runtime, "lxc" | "nspawn") && !id.is_empty()) {
                (self.container, self.runtime) = (id, runtime);
            }
            return;
        }
        let is_named = before == "lxc" && !component.is_empty();
        if is_named || (before == "docker" && is_id(component)) {
            (self.container, self.runtime) = (component, if is_named { "lxc" } else { "docker" });
        } else if self.container.is_empty() && component.len() >= 64 && is_id(component) {
            // Of which runtime the path does not say.
            self.container = component;
        }
    }
}

/// `<64 hex digits>`, or as ECS has it `<32 hex digits>-<digits>`.
fn is_id(text: &str) -> bool {
    let hex = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
    match text.split_once('-') {
        Some((task, number)) => {
            task.len() == 32 && hex(task) && !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit())
        }
        None => text.len() >= SHORTEST_ID && hex(text),
    }
}

/// With `-` or `_` or, of a static pod, neither.
fn is_uid(text: &str) -> bool {
    text.len() >= 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-' || byte == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "3a4f9e0f2f1c4a0db8f1f6d4f0a1b2c3d4e5f60718293a4b5c6d7e8f90a1b2c3";
    const UID: &str = "6fb1c3b0-7a0e-4c8e-9a57-0e1d1a3bfa11";
    const TASK: &str = "0123456789abcdef0123456789abcdef-1234567890";
    const STATIC: &str = "0123456789abcdef0123456789abcdef";

    /// Slice, unit, unit of the user's, runtime, container, uid of the pod, class.
    type Row = (&'static str, [&'static str; 7]);

    const SYSTEMD: &[Row] = &[
        ("", ["", "", "", "", "", "", ""]),
        ("/", ["", "", "", "", "", "", ""]),
        ("/init.scope", ["", "init.scope", "", "", "", "", ""]),
        ("/system.slice/nginx.service", ["system.slice", "nginx.service", "", "", "", "", ""]),
        ("/system.slice/nginx.service/workers/1", ["system.slice", "nginx.service", "", "", "", "", ""]),
        (
            "/system.slice/system-getty.slice/getty@tty1.service",
            ["system-getty.slice", "getty@tty1.service", "", "", "", "", ""],
        ),
        ("/user.slice/user-1000.slice/session-2.scope", ["user-1000.slice", "session-2.scope", "", "", "", "", ""]),
        (
            "/user.slice/user-1000.slice/user@1000.service/app.slice/firefox.service",
            ["user-1000.slice", "user@1000.service", "firefox.service", "", "", "", ""],
        ),
        (
            "/user.slice/user-1000.slice/user@1000.service/init.scope",
            ["user-1000.slice", "user@1000.service", "init.scope", "", "", "", ""],
        ),
        ("/batch/night", ["", "", "", "", "", "", ""]),
    ];

    const CONTAINERS: &[Row] = &[
        ("/docker/ID", ["", "", "", "docker", "ID", "", ""]),
        ("/docker/ID/nested", ["", "", "", "docker", "ID", "", ""]),
        ("/system.slice/docker-ID.scope", ["system.slice", "docker-ID.scope", "", "docker", "ID", "", ""]),
        ("/system.slice/docker.service", ["system.slice", "docker.service", "", "", "", "", ""]),
        (
            "/user.slice/user-1000.slice/user@1000.service/user.slice/docker-ID.scope",
            ["user-1000.slice", "user@1000.service", "docker-ID.scope", "docker", "ID", "", ""],
        ),
        ("/machine.slice/libpod-ID.scope", ["machine.slice", "libpod-ID.scope", "", "podman", "ID", "", ""]),
        ("/machine.slice/libpod-ID.scope/container", ["machine.slice", "libpod-ID.scope", "", "podman", "ID", "", ""]),
        ("/libpod_parent/libpod-ID", ["", "", "", "podman", "ID", "", ""]),
        ("/machine.slice/libpod-conmon-ID.scope", ["machine.slice", "libpod-conmon-ID.scope", "", "", "", "", ""]),
        ("/ecs/TASK/ID", ["", "", "", "", "ID", "", ""]),
        ("/ecs/docker-TASK", ["", "", "", "docker", "TASK", "", ""]),
        ("/lxc/web", ["", "", "", "lxc", "web", "", ""]),
        ("/lxc.payload.web/system.slice/a.service", ["system.slice", "a.service", "", "lxc", "web", "", ""]),
        (
            "/machine.slice/systemd-nspawn@web.service",
            ["machine.slice", "systemd-nspawn@web.service", "", "nspawn", "web", "", ""],
        ),
        ("/system.slice/nerdctl-ID.scope", ["system.slice", "nerdctl-ID.scope", "", "containerd", "ID", "", ""]),
        ("/../../system.slice/docker-ID.scope", ["system.slice", "docker-ID.scope", "", "docker", "ID", "", ""]),
    ];

    const PODS: &[Row] = &[
        ("/kubepods/burstable/podUID/ID", ["", "", "", "", "ID", "UID", "burstable"]),
        ("/kubepods/besteffort/podUID/ID", ["", "", "", "", "ID", "UID", "besteffort"]),
        ("/kubepods/podUID/ID", ["", "", "", "", "ID", "UID", "guaranteed"]),
        ("/kubepods/podUID", ["", "", "", "", "", "UID", "guaranteed"]),
        ("/kubepods/burstable/podUID/crio-ID", ["", "", "", "cri-o", "ID", "UID", "burstable"]),
        ("/kubepods/burstable/podUID/crio-conmon-ID", ["", "", "", "", "", "UID", "burstable"]),
        ("/kubepods/burstable/podSTATIC/ID", ["", "", "", "", "ID", "STATIC", "burstable"]),
        (
            "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-podU_D.slice/cri-containerd-ID.scope",
            ["kubepods-burstable-podU_D.slice", "cri-containerd-ID.scope", "", "containerd", "ID", "UID", "burstable"],
        ),
        (
            "/kubepods.slice/kubepods-podU_D.slice/crio-ID.scope",
            ["kubepods-podU_D.slice", "crio-ID.scope", "", "cri-o", "ID", "UID", "guaranteed"],
        ),
        (
            "/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-podU_D.slice/docker-ID.scope/inner",
            ["kubepods-besteffort-podU_D.slice", "docker-ID.scope", "", "docker", "ID", "UID", "besteffort"],
        ),
        (
            "/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-besteffort.slice/\
             kubelet-kubepods-besteffort-podU_D.slice/cri-containerd-ID.scope",
            [
                "kubelet-kubepods-besteffort-podU_D.slice",
                "cri-containerd-ID.scope",
                "",
                "containerd",
                "ID",
                "UID",
                "besteffort",
            ],
        ),
        (
            "/system.slice/containerd.service/kubepods-burstable-podU_D.slice:cri-containerd:ID",
            ["system.slice", "containerd.service", "", "containerd", "ID", "UID", "burstable"],
        ),
        // A pod in a docker container, as kind has it: the innermost is told.
        (
            "/system.slice/docker-TASK.scope/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-podU_D.slice/\
             cri-containerd-ID.scope",
            ["system.slice", "docker-TASK.scope", "", "containerd", "ID", "UID", "guaranteed"],
        ),
        ("/podman/podinfo", ["", "", "", "", "", "", ""]),
    ];

    fn filled(text: &str) -> String {
        let text = text.replace("U_D", &UID.replace('-', "_")).replace("UID", UID).replace("TASK", TASK);
        text.replace("STATIC", STATIC).replace("ID", ID)
    }

    #[test]
    fn paths_as_systems_have_them() {
        for (path, expected) in SYSTEMD.iter().chain(CONTAINERS).chain(PODS) {
            let path = filled(path);
            let parts = Parts::of(&path);
            let pod_uid = parts.pod_uid();
            let told = [parts.slice, parts.unit, parts.user_unit, parts.runtime, parts.container, &*pod_uid, parts.qos];
            assert_eq!(told, expected.map(filled).each_ref().map(String::as_str), "{path}");
        }
    }

    #[test]
    fn what_only_looks_like_it_is_nothing() {
        for path in
            ["/docker/web", "/system.slice/docker-web.scope", "/pod123", "/burstable/a", "/kubepods-x", "/a:b/c:d"]
        {
            let parts = Parts::of(path);
            assert_eq!((parts.container, parts.pod, parts.runtime), ("", "", ""), "{path}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_path_is_taken(path in "(/[a-z0-9:.@_-]{0,40}){0,6}", any in ".{0,80}") {
            for path in [&path, &any] {
                let parts = Parts::of(path);
                proptest::prop_assert!(path.contains(parts.container) && path.contains(parts.unit));
            }
        }
    }
}

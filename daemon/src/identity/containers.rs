//! Names of containers and pods, from files of this host alone: those that the kubelet names its logs by, Docker's own state, or a
//! file that somebody else writes. Each source is opt-in, and looked at again when it has changed. Asks no socket.

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use serde::Deserialize;

use super::shown;
use crate::config::Containers as Sources;

/// Names remembered.
const BOUND: usize = 4_096;
/// Largest file of names or of a container's state.
const LARGEST: u64 = 4 << 20;
/// Between two looks at a source.
const PAUSE: Duration = Duration::from_secs(10);

/// How a container is called.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields, default)]
pub struct ContainerName {
    /// The container's own name.
    pub name: String,
    /// Its pod.
    pub pod: String,
    /// The pod's namespace.
    pub namespace: String,
}

/// By id.
pub type ContainerNames = BTreeMap<String, ContainerName>;

/// The sources, and what they said.
pub(super) struct Containers {
    sources: Sources,
    names: Arc<ContainerNames>,
    looked: Option<Instant>,
    changed: [Option<SystemTime>; 3],
    over: u64,
    /// What was complained of last: once is enough.
    complaint: String,
}

impl Containers {
    pub(super) fn new(sources: Sources) -> Self {
        Self { sources, names: Arc::default(), looked: None, changed: [None; 3], over: 0, complaint: String::new() }
    }

    pub(super) fn names(&self) -> Arc<ContainerNames> {
        self.names.clone()
    }

    /// Names that found no room, at each look.
    pub(super) fn over(&self) -> u64 {
        self.over
    }

    /// Looks at the sources again if it is time, and one has changed.
    pub(super) fn refresh(&mut self, now: Instant) {
        let Sources { names_file, kubernetes_logs, docker_state } = &self.sources;
        if [names_file, kubernetes_logs, docker_state].iter().all(|source| source.is_none())
            || self.looked.is_some_and(|looked| now.saturating_duration_since(looked) < PAUSE)
        {
            return;
        }
        self.looked = Some(now);
        let changed = [names_file, kubernetes_logs, docker_state]
            .map(|source| fs::metadata(source.as_ref()?).and_then(|metadata| metadata.modified()).ok());
        if changed == self.changed && self.names.len() + self.complaint.len() > 0 {
            return;
        }
        self.changed = changed;
        let mut found = ContainerNames::new();
        let mut complaints = Vec::new();
        let mut take = |source: &Option<std::path::PathBuf>, read: fn(&Path) -> Result<ContainerNames, String>| {
            let Some(path) = source else { return };
            match read(path) {
                Ok(names) => found.extend(names),
                Err(error) => complaints.push(format!("{}: {error}", path.display())),
            }
        };
        take(docker_state, docker);
        take(kubernetes_logs, kubernetes);
        take(names_file, file);
        if found.len() > BOUND {
            self.over += (found.len() - BOUND) as u64;
            found = found.into_iter().take(BOUND).collect();
        }
        self.names = Arc::new(found);
        let complaint = complaints.join("; ");
        if !complaint.is_empty() && complaint != self.complaint {
            tracing::warn!("names of containers: {complaint}");
        }
        self.complaint = complaint;
    }
}

fn read(path: &Path) -> Result<String, String> {
    if fs::metadata(path).map_err(|error| error.to_string())?.len() > LARGEST {
        return Err("it is too large".to_owned());
    }
    fs::read_to_string(path).map_err(|error| error.to_string())
}

/// `{"ID": {"name": "..", "pod": "..", "namespace": ".."}}`.
fn file(path: &Path) -> Result<ContainerNames, String> {
    let names: ContainerNames = serde_json::from_str(&read(path)?).map_err(|error| error.to_string())?;
    Ok(names.into_iter().map(|(id, name)| (id, clean(name))).collect())
}

fn clean(name: ContainerName) -> ContainerName {
    ContainerName { name: shown(&name.name), pod: shown(&name.pod), namespace: shown(&name.namespace) }
}

/// Names of links in the kubelet's folder: `POD_NAMESPACE_CONTAINER-ID.log`.
fn kubernetes(folder: &Path) -> Result<ContainerNames, String> {
    let entries = fs::read_dir(folder).map_err(|error| error.to_string())?;
    let named = entries.flatten().filter_map(|entry| {
        let name = entry.file_name();
        let (rest, id) = name.to_str()?.strip_suffix(".log")?.rsplit_once('-')?;
        let mut parts = rest.splitn(3, '_');
        let (pod, namespace, name) = (parts.next()?, parts.next()?, parts.next()?);
        let name = ContainerName { name: name.to_owned(), pod: pod.to_owned(), namespace: namespace.to_owned() };
        Some((id.to_owned(), clean(name)))
    });
    Ok(named.take(2 * BOUND).collect())
}

/// `ID/config.v2.json` in Docker's folder has the name, with a slash before it.
fn docker(folder: &Path) -> Result<ContainerNames, String> {
    #[derive(Deserialize)]
    struct State {
        #[serde(rename = "Name")]
        name: String,
    }
    let entries = fs::read_dir(folder).map_err(|error| error.to_string())?;
    let named = entries.flatten().filter_map(|entry| {
        let state: State = serde_json::from_str(&read(&entry.path().join("config.v2.json")).ok()?).ok()?;
        let name = ContainerName { name: state.name.trim_start_matches('/').to_owned(), ..ContainerName::default() };
        Some((entry.file_name().to_str()?.to_owned(), clean(name)))
    });
    Ok(named.take(2 * BOUND).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "3a4f9e0f2f1c4a0db8f1f6d4f0a1b2c3d4e5f60718293a4b5c6d7e8f90a1b2c3";

    #[test]
    fn each_source_names_its_containers() {
        let root = tempfile::tempdir().unwrap();
        let at = |name: &str| root.path().join(name);
        fs::create_dir_all(at("logs")).unwrap();
        fs::write(at(&format!("logs/web-7f9c_shop_front-end-{ID}.log")), "").unwrap();
        fs::write(at("logs/unrelated.txt"), "").unwrap();
        fs::create_dir_all(at("docker/aaa")).unwrap();
        fs::create_dir_all(at("docker/bbb")).unwrap();
        fs::write(at("docker/aaa/config.v2.json"), r#"{"ID":"aaa","Name":"/data\u0007base","State":{}}"#).unwrap();
        fs::write(at("names.json"), r#"{"ccc": {"name": "c", "pod": "p"}}"#).unwrap();
        let mut containers = Containers::new(Sources {
            names_file: Some(at("names.json")),
            kubernetes_logs: Some(at("logs")),
            docker_state: Some(at("docker")),
        });
        let start = Instant::now();
        containers.refresh(start);
        let name = |name: &str, pod: &str, namespace: &str| ContainerName {
            name: name.to_owned(),
            pod: pod.to_owned(),
            namespace: namespace.to_owned(),
        };
        assert_eq!(containers.names()[ID], name("front-end", "web-7f9c", "shop"));
        assert_eq!(containers.names()["aaa"], name("data\u{fffd}base", "", ""));
        assert_eq!(containers.names()["ccc"], name("c", "p", ""));

        fs::write(at("names.json"), "[").unwrap();
        containers.refresh(start + PAUSE / 2);
        assert!(containers.names().contains_key("ccc"), "not yet looked at again");
        fs::File::open(at("names.json")).unwrap().set_modified(SystemTime::UNIX_EPOCH).unwrap();
        containers.refresh(start + PAUSE);
        assert_eq!(containers.names().len(), 2, "what cannot be read names nothing");
        assert!(containers.complaint.contains("names.json"), "{}", containers.complaint);
    }

    #[test]
    fn without_a_source_nothing_is_looked_at() {
        let mut containers = Containers::new(Sources::default());
        containers.refresh(Instant::now());
        assert!(containers.looked.is_none() && containers.names().is_empty());
    }
}

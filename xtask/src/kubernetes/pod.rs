//! What the pod is meant to be allowed, and no more: as the API's types do not say it.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

/// Capabilities that something in mmscope has a use for; deploy/kubernetes/README.md says which.
const CAPABILITIES: [&str; 5] = ["BPF", "PERFMON", "SYS_RESOURCE", "SYS_ADMIN", "SYSLOG"];

/// Paths of probes, as the daemon serves them.
const PROBES: [(&str, &str); 3] =
    [("startupProbe", "/-/ready"), ("readinessProbe", "/-/ready"), ("livenessProbe", "/-/healthy")];

/// An error that names what the pod may and should not, or lacks.
pub(super) fn check(objects: &[Value]) -> Result<()> {
    let set = objects.iter().find(|object| object["kind"] == "DaemonSet").context("no DaemonSet")?;
    let pod = &set["spec"]["template"]["spec"];
    for (field, wanted) in [("hostPID", json!(true)), ("automountServiceAccountToken", json!(false))] {
        ensure!(pod[field] == wanted, "{field} is {}", pod[field]);
    }
    for field in ["hostNetwork", "hostIPC"] {
        ensure!(pod[field].is_null(), "{field} is {}", pod[field]);
    }
    ensure!(pod["securityContext"]["seccompProfile"]["type"] == "RuntimeDefault", "no seccomp profile");
    let [container] = pod["containers"].as_array().map_or(&[][..], Vec::as_slice) else {
        anyhow::bail!("one container is meant to be there");
    };
    confined(container)?;
    for (probe, path) in PROBES {
        let get = &container[probe]["httpGet"];
        ensure!(get["path"] == path && get["port"] == "metrics", "{probe} asks {get}");
    }
    let limits = &container["resources"]["limits"];
    ensure!(limits["memory"].is_string(), "no bound on memory");
    mounts(pod, container)
}

fn confined(container: &Value) -> Result<()> {
    let context = &container["securityContext"];
    for (field, wanted) in
        [("allowPrivilegeEscalation", false), ("privileged", false), ("readOnlyRootFilesystem", true)]
    {
        ensure!(context[field] == wanted, "{field} is {}", context[field]);
    }
    let capabilities = &context["capabilities"];
    ensure!(capabilities["drop"] == json!(["ALL"]), "not all capabilities are dropped");
    for added in capabilities["add"].as_array().into_iter().flatten() {
        ensure!(CAPABILITIES.iter().any(|known| added == known), "nothing in mmscope has a use for {added}");
    }
    Ok(())
}

/// Nothing of the host can be written to.
fn mounts(pod: &Value, container: &Value) -> Result<()> {
    let volumes = pod["volumes"].as_array().context("no volumes")?;
    for mount in container["volumeMounts"].as_array().context("no mounts")? {
        let name = &mount["name"];
        ensure!(mount["readOnly"] == true, "{name} can be written to");
        ensure!(volumes.iter().any(|volume| volume["name"] == *name), "there is no volume {name}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::check;

    fn set() -> Value {
        let probe = |path: &str| json!({"httpGet": {"path": path, "port": "metrics"}});
        json!({"kind": "DaemonSet", "spec": {"template": {"spec": {
            "hostPID": true, "automountServiceAccountToken": false,
            "securityContext": {"seccompProfile": {"type": "RuntimeDefault"}},
            "volumes": [{"name": "a"}],
            "containers": [{
                "startupProbe": probe("/-/ready"), "readinessProbe": probe("/-/ready"), "livenessProbe": probe("/-/healthy"),
                "resources": {"limits": {"memory": "256Mi"}},
                "volumeMounts": [{"name": "a", "readOnly": true}],
                "securityContext": {
                    "allowPrivilegeEscalation": false, "privileged": false, "readOnlyRootFilesystem": true,
                    "capabilities": {"drop": ["ALL"], "add": ["BPF"]}
                }
            }]
        }}}})
    }

    #[test]
    fn more_than_is_meant_is_refused() {
        assert!(check(&[set()]).is_ok());
        let container = "/spec/template/spec/containers/0";
        for (path, value) in [
            ("/spec/template/spec/hostPID".to_owned(), json!(false)),
            (format!("{container}/securityContext/privileged"), json!(true)),
            (format!("{container}/securityContext/readOnlyRootFilesystem"), json!(false)),
            (format!("{container}/securityContext/capabilities/drop"), json!([])),
            (format!("{container}/securityContext/capabilities/add"), json!(["BPF", "SYS_PTRACE"])),
            (format!("{container}/volumeMounts/0/readOnly"), json!(false)),
            (format!("{container}/volumeMounts/0/name"), json!("b")),
            (format!("{container}/livenessProbe/httpGet/path"), json!("/healthz")),
        ] {
            let mut set = set();
            *set.pointer_mut(&path).unwrap() = value;
            assert!(check(&[set]).is_err(), "{path}");
        }
    }
}

//! What happens in a proof, one thing after the other: causes in the guest, causes that are exposed in place of a daemon, and what
//! is waited for.

use std::time::Duration;

use anyhow::Result;

use super::exposed::{self, MADE, RECORDED};
use super::follow::Follower;
use super::loads::{self, Load};
use super::outage::{self, Outage};
use super::own::Own;
use super::stage::{GUEST, Stage};

/// For an alert to fire and arrive, and for one to be resolved: the longest wait of a rule in the proof's scale is half a minute, the
/// longest window two.
const PATIENCE: Duration = Duration::from_secs(180);

const INSTANCES: &[&str] = &[RECORDED, MADE];
const ABSENT: &str = "MmscopeAbsent";

/// Something that happens in the guest until the host says that it is over.
pub(super) struct Step {
    /// A word for both sides.
    pub(super) name: &'static str,
    /// What the guest does.
    pub(super) doing: Doing,
    /// Alerts that it raises, and by what.
    causes: Vec<Cause>,
    /// Whether they are resolved so late that nobody waits for it at once.
    is_slow: bool,
}

/// What raises an alert.
struct Cause {
    alert: &'static str,
    by: String,
    /// Whom the daemon's own alert must be about; nobody in particular if it is about the host.
    comm: Option<&'static str>,
}

impl Step {
    /// Programs beside the daemon.
    pub(super) fn of_loads(name: &'static str, loads: &'static [Load]) -> Self {
        let cause =
            |load: &Load| Cause { alert: load.alert, by: format!("`mmload {}`", load.args), comm: Some(load.name) };
        Self { name, doing: Doing::Loads(loads), causes: loads.iter().map(cause).collect(), is_slow: false }
    }

    fn names(&self) -> impl Iterator<Item = &'static str> {
        self.causes.iter().map(|cause| cause.alert)
    }
}

/// What the guest does in a step.
pub(super) enum Doing {
    /// Runs programs beside the daemon.
    Loads(&'static [Load]),
    /// Runs a shell's lines.
    Shell(&'static str),
}

fn of_shell(name: &'static str, script: &'static str, is_slow: bool, alerts: &[(&'static str, &str)]) -> Step {
    let causes = alerts.iter().map(|&(alert, by)| Cause { alert, by: by.to_owned(), comm: None }).collect();
    Step { name, doing: Doing::Shell(script), causes, is_slow }
}

// `start CONFIG ARGS`, `stop` and `until_over` are guest.rs's.
const RESTARTS: &str = "
for n in 1 2; do stop; start /config.toml; sleep 5; done
stop
start /few-alerts.toml
until is_over restarts; do
    mmload --name one flip --threads 2 --cycles 500 >/dev/null &
    mmload --name two flip --threads 2 --cycles 500 >/dev/null
    wait $!
done
stop
start /config.toml
";

const DETACHED: &str = "
touch /run/mmscope.stop
until_over detached
rm /run/mmscope.stop
";

const REFUSED: &str = "
stop
cp /config.toml /run/reload.toml
start /run/reload.toml
echo 'tik = 1' >>/run/reload.toml
kill -HUP $mmscope
until_over refused
stop
start /config.toml
";

const SHED: &str = "
stop
start /config.toml --shed=waits
until_over shed
stop
start /config.toml
";

const BLIND: &str = r#"
stop
mount --bind /old-version /proc/version
start /losing.toml --without=fentry --without=kprobe
until is_over blind; do mmload --name many flip --threads 2 --cycles 2000 >/dev/null; done
# It tells that it loses nothing more, before it leaves.
for second in $(seq 120); do
    told 'mmscope_alerts_active{class="blind",severity="warning"} 0' && break
    sleep 1
done
stop
umount /proc/version
start /config.toml
"#;

const DOWN: &str = "
stop
until_over down
start /config.toml
";

/// All steps, or those of the short form.
pub(super) fn of(short: bool) -> Vec<Step> {
    let down = of_shell("down", DOWN, false, &[("MmscopeDown", "mmscope ended")]);
    if short {
        return vec![Step::of_loads("first", loads::FIRST), down];
    }
    vec![
        Step::of_loads("first", loads::FIRST),
        Step::of_loads("second", loads::SECOND),
        Step::of_loads("third", loads::THIRD),
        Step::of_loads("fourth", loads::FOURTH),
        of_shell(outage::NAME, outage::SCRIPT, false, &[]),
        of_shell("detached", DETACHED, false, &[("MmscopeDetached", "`/run/mmscope.stop`")]),
        of_shell("refused", REFUSED, false, &[("MmscopeConfigRefused", "SIGHUP, and a key that there is not")]),
        of_shell("shed", SHED, false, &[("MmscopeOverBudget", "`mmscope run --shed=waits`")]),
        of_shell(
            "restarts",
            RESTARTS,
            true,
            &[
                ("MmscopeRestarting", "mmscope ended and started three times"),
                ("MmscopeAlertsDropped", "`anomaly.alerts = 1` and two processes with findings"),
                ("MmscopeNotTelling", "a webhook that takes no POST"),
            ],
        ),
        of_shell(
            "blind",
            BLIND,
            false,
            &[
                ("MmscopeBlind", "`mmscope run --without=fentry --without=kprobe`"),
                ("MmscopeLosing", "records from 1 us on, and a look in two seconds"),
                ("MmscopeVersionExposed", "an older kernel's text laid over /proc/version"),
            ],
        ),
        down,
    ]
}

/// Runs all; what was wrong besides the ways of alerts, and what was seen while Alertmanagers were down.
pub(super) fn run(
    steps: &[Step],
    stage: &Stage,
    follower: &mut Follower<'_>,
    short: bool,
    ended: &dyn Fn() -> bool,
) -> Result<(Vec<String>, Option<Outage>)> {
    let (mut problems, mut outage) = (Vec::new(), None);
    if !expose(stage, follower, short, ended)? {
        problems.push("not all targets were scraped".to_owned());
    }
    let slow: Vec<&str> = steps.iter().filter(|step| step.is_slow).flat_map(Step::names).collect();
    for step in steps {
        let alerts: Vec<&str> = step.names().collect();
        eprintln!("proof: {} {}", step.name, alerts.join(", "));
        for Cause { alert, by, comm } in &step.causes {
            follower.begin(alert, GUEST, by, Own::of(alert, *comm));
        }
        stage.say(&format!("go-{}", step.name))?;
        if step.name == outage::NAME {
            outage = Some(outage::run(follower.direct, stage, ended)?);
        }
        follower.wait_received(&alerts, PATIENCE, ended)?;
        stage.say(&format!("over-{}", step.name))?;
        follower.end(&alerts);
        // What one step has raised beside its own is none of the next one's.
        if !step.is_slow && !follower.wait_quiet(GUEST, &slow, PATIENCE, ended)? {
            problems.push(format!("after {}: alerts of the guest did not end", step.name));
        }
        if step.name == outage::NAME
            && let Some(outage) = &mut outage
        {
            problems.extend(outage.judge(follower.direct, stage, ended)?);
        }
    }
    if !short {
        eprintln!("proof: absent: {ABSENT}");
        follower.begin(ABSENT, "", "no target in the file that Prometheus follows", None);
        stage.scrape(&[])?;
        follower.wait_received(&[ABSENT], PATIENCE, ended)?;
        follower.end(&[ABSENT]);
        stage.scrape(&[GUEST, MADE])?;
    }
    eprintln!("proof: waiting for what is resolved late");
    follower.wait_all_resolved(PATIENCE, ended)?;
    Ok((problems, outage))
}

/// What is exposed in place of a daemon, from its beginning to its end; whether all targets were scraped.
fn expose(stage: &Stage, follower: &mut Follower<'_>, short: bool, ended: &dyn Fn() -> bool) -> Result<bool> {
    let exposures = exposed::all(short);
    let names: Vec<&str> = exposures.iter().map(|exposure| exposure.alert).collect();
    let expose_all = |of: fn(&str) -> &'static str| INSTANCES.iter().try_for_each(|name| stage.expose(name, of(name)));
    eprintln!("proof: exposed: {}", names.join(", "));
    // As it was before: a rise has to be seen, not a beginning.
    expose_all(exposed::before)?;
    stage.scrape(&[&[GUEST], INSTANCES].concat())?;
    let scraped = follower.wait_scraped(1 + INSTANCES.len(), PATIENCE, ended)?;
    exposures.iter().for_each(|exposure| follower.begin(exposure.alert, exposure.instance, exposure.by, None));
    expose_all(exposed::during)?;
    follower.wait_received(&names, PATIENCE, ended)?;
    expose_all(exposed::after)?;
    // Without the recording: its ticks stand still for good.
    stage.scrape(&[GUEST, MADE])?;
    follower.end(&names);
    Ok(scraped)
}

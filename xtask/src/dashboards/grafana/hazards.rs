//! What mmscope warns of: classes, outcomes and alerts over time.

use super::board::Board;
use super::links::{self, HAZARDS, PROCESS};
use super::panel::Panel;
use super::style::Kind;

/// Hazards in each interval. A series begins with its first event, which no increase sees: what was not there one
/// interval ago counts whole.
pub(super) const EVENTS_OF_SUBJECT: &str = "sum by (class, outcome) ((mmscope_hazards_total{@subject} unless \
    mmscope_hazards_total{@subject} offset @rate) or increase(mmscope_hazards_total{@subject}[@rate]))";

const NONE_SEEN: &str = "none seen";

pub(super) fn board() -> Board {
    Board {
        uid: HAZARDS,
        title: "Hazards",
        description: "What mmscope warns of, by class and outcome, and the alerts of it over time. \
            docs/anomalies.md has the classes",
        subjects: true,
        docs: true,
        sections: vec![
            ("Now", now()),
            ("Over time", over_time()),
            ("Where", vec![by_subject(), judged(), rules()]),
            ("Who is told", told()),
        ],
    }
}

fn now() -> Vec<Panel> {
    vec![
        Panel::new(Kind::Stat, "Alerts raised", "By mmscope itself, of whatever severity.")
            .ask("sum(mmscope_alerts_active{@host})", "alerts")
            .steps(&[(1.0, "orange")]),
        Panel::new(
            Kind::Stat,
            "Writes exposed",
            "Pages that were copied inside another task's pending flush, since mmscope began. One is too many.",
        )
        .ask("sum(mmscope_hazards_total{@subject,class=\"stale_write_overlap\",outcome=\"exposed\"})", "exposed")
        .steps(&[(1.0, "red")])
        .empty("none seen, if the class is judged here"),
        Panel::new(Kind::Stat, "Hazards", "Of all classes, since mmscope began.")
            .ask("sum(mmscope_hazards_total{@subject})", "hazards")
            .empty(NONE_SEEN)
            .unit("short"),
        Panel::new(Kind::Stat, "Classes judged", "Classes that at least one of these hosts can judge.")
            .ask("count(count by (class) (mmscope_alerts_active{@host}))", "classes"),
        Panel::new(Kind::Stat, "Records", "Single events over their threshold, which bring stacks.")
            .ask("sum(rate(mmscope_records_total{@host}[@rate]))", "per second")
            .unit("cps"),
        Panel::new(Kind::Stat, "Alerts dropped", "Since mmscope began, for want of room.")
            .ask("sum(mmscope_alerts_dropped_total{@host})", "dropped")
            .steps(&[(1.0, "orange")]),
    ]
}

fn over_time() -> Vec<Panel> {
    let states = [("0", "clear", "green")];
    vec![
        Panel::new(
            Kind::Timeline,
            "Alerts, by class",
            "Number of alerts that are raised; a class that is not \
            judged here has no line.",
        )
        .ask("sum by (class) (mmscope_alerts_active{@host})", "{{class}}")
        .steps(&[(1.0, "orange")])
        .names(&states)
        .size(24, 10)
        .links(&[links::to_page("What this class means", "anomalies.md#${__field.labels.class}")]),
        Panel::new(Kind::Areas, "Alerts, by severity", "Number of alerts that are raised.")
            .ask("sum by (severity) (mmscope_alerts_active{@host})", "{{severity}}"),
        Panel::new(Kind::Bars, "Hazards, by class", "In each interval.")
            .ask(
                "sum by (class) ((mmscope_hazards_total{@subject} unless mmscope_hazards_total{@subject} offset \
                    @rate) or increase(mmscope_hazards_total{@subject}[@rate]))",
                "{{class}}",
            )
            .unit("short")
            .empty(NONE_SEEN),
        Panel::new(Kind::Bars, "Hazards, by class and outcome", "In each interval.")
            .ask(EVENTS_OF_SUBJECT, "{{class}} {{outcome}}")
            .unit("short")
            .empty(NONE_SEEN),
    ]
}

fn by_subject() -> Panel {
    Panel::new(Kind::Table, "Hazards, by process", "Since mmscope began; the hazards of a whole host have no process.")
        .column(
            "Hazards",
            "none",
            "sum by (instance, cgroup, comm, class, outcome) (mmscope_hazards_total{@subject}) > 0",
        )
        .sort("Hazards")
        .empty(NONE_SEEN)
        .links_of("comm", &[links::from_row("This process", PROCESS, &["instance", "cgroup", "comm"])])
        .links_of("class", &[links::to_page("What this class means", "anomalies.md#${__value.raw}")])
        .size(14, 10)
}

fn judged() -> Panel {
    Panel::new(Kind::Table, "Classes", "On how many hosts each class is judged, and alerts of it.")
        .column("Judged on", "none", "count by (class) (count by (class, instance) (mmscope_alerts_active{@host}))")
        .column("Alerts", "none", "sum by (class) (mmscope_alerts_active{@host})")
        .sort("Alerts")
        .coloured("Alerts", &[(1.0, "orange")])
        .links_of("class", &[links::to_page("What this class means", "anomalies.md#${__value.raw}")])
        .size(10, 10)
}

fn rules() -> Panel {
    Panel::new(
        Kind::Table,
        "Alerts of Prometheus's rules",
        "Alerts of the rules in dashboards/rules that fire or are pending; a click on a name opens its runbook.",
    )
    .column(
        "Alerts",
        "none",
        "count by (alertname, alertstate, severity, instance) (ALERTS{@host,alertname=~\"Mmscope.+\"})",
    )
    .sort("Alerts")
    .empty("no alert fires, or the rules are not loaded")
    .links_of("alertname", &[links::to_page("Runbook", "runbooks/${__value.raw}.md")])
}

fn told() -> Vec<Panel> {
    let none = "no receiver of alerts is configured";
    let rate = |family: &str| format!("sum by (sink) (rate({family}{{@host}}[@rate]))");
    vec![
        Panel::new(Kind::Bars, "Told", "Messages by receiver.")
            .ask(&rate("mmscope_notifications_sent_total"), "{{sink}}")
            .unit("cps")
            .empty(none)
            .size(6, 8),
        Panel::new(Kind::Lines, "Waiting to be told", "A queue that grows is a receiver that does not answer.")
            .ask("sum by (sink) (mmscope_notification_queue_length{@host})", "{{sink}}")
            .empty(none)
            .size(6, 8),
        Panel::new(Kind::Bars, "Attempts that failed", "By receiver and reason.")
            .ask(
                "sum by (sink, reason) (rate(mmscope_notification_failures_total{@host}[@rate]))",
                "{{sink}} {{reason}}",
            )
            .unit("cps")
            .empty(none)
            .size(6, 8),
        Panel::new(
            Kind::Bars,
            "Not told",
            "Dropped ones nobody has heard of; of suppressed ones a later state was told.",
        )
        .ask(&rate("mmscope_notifications_dropped_total"), "dropped: {{sink}}")
        .ask(&rate("mmscope_notifications_suppressed_total"), "suppressed: {{sink}}")
        .unit("cps")
        .empty(none)
        .size(6, 8),
    ]
}

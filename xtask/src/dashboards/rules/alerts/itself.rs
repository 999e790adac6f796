//! Alerts on mmscope itself: whether it is there, looks, sees, and keeps to its budget.

use super::{Alert, NOW, Severity, When, bounds, minutes};

/// The hooks that are absent, as a template.
const HOOKS: &str = "Absent, with nothing that tells the same:{{ range printf \"mmscope_probe_attached{reason!~'not needed.*',\
    job='%s',instance='%s'} == 0\" $labels.job $labels.instance | query }} {{ .Labels.probe }} ({{ .Labels.reason }});{{ end }} \
    what they would tell is absent from this host's metrics, never zero.";

/// What was lost lately, as a template.
const LOSSES: &str = "Its figures are too low. Lost per second:{{ range printf \"topk(3, rate(mmscope_lost_total{job='%s',\
    instance='%s'}[@window@]) > 0)\" $labels.job $labels.instance | query }} {{ .Labels.reason }} {{ .Value | humanize }};\
    {{ end }} skipped by programs:{{ range printf \"topk(3, rate(mmscope_probe_misses_total{job='%s',instance='%s'}\
    [@window@]) > 0)\" $labels.job $labels.instance | query }} {{ .Labels.probe }} {{ .Value | humanize }};{{ end }}";

/// All of them.
pub(crate) const ITSELF: &[Alert] = &[
    Alert {
        name: "MmscopeAbsent",
        severity: Severity::Warning,
        when: When::Query("absent(up{job=\"@job@\"})", bounds::LATELY),
        pending: minutes(10),
        summary: "no target at all",
        description: "Prometheus has no target of the job @job@: a scrape configuration or a service discovery has lost them, \
                      and no other alert of mmscope can fire.",
    },
    Alert {
        name: "MmscopeDown",
        severity: Severity::Warning,
        when: When::Query("up{job=\"@job@\"} == 0", bounds::LATELY),
        pending: minutes(5),
        summary: "mmscope does not answer",
        description: "Scrapes fail. It has ended, its start was refused, or it cannot be reached.",
    },
    Alert {
        name: "MmscopeStale",
        severity: Severity::Warning,
        when: When::Query("rate(mmscope_ticks_total[@window@]) == 0", bounds::TICKS),
        pending: minutes(5),
        summary: "mmscope answers and no longer looks at the kernel",
        description: "No tick in the last @window@: every scrape tells the same old snapshot, and its alerts are those of then.",
    },
    Alert {
        name: "MmscopeRestarting",
        severity: Severity::Warning,
        when: When::Query(
            "changes(process_start_time_seconds{job=\"@job@\"}[@window@]) >= @restarts@",
            bounds::RESTARTS_WITHIN,
        ),
        pending: NOW,
        summary: "mmscope starts again and again",
        description: "{{ $value }} starts in the last @window@. Each attaches anew, and what happens meanwhile is not seen.",
    },
    Alert {
        name: "MmscopeBlind",
        severity: Severity::Info,
        when: When::Query("mmscope_alerts_active{class=\"blind\",severity=\"info\"} > 0", bounds::LATELY),
        pending: minutes(15),
        summary: "mmscope could not attach all hooks",
        description: HOOKS,
    },
    Alert {
        name: "MmscopeLosing",
        severity: Severity::Warning,
        when: When::Query("mmscope_alerts_active{class=\"blind\",severity=\"warning\"} > 0", bounds::LATELY),
        pending: minutes(10),
        summary: "mmscope loses events",
        description: LOSSES,
    },
    Alert {
        name: "MmscopeKernelMismatch",
        severity: Severity::Warning,
        when: When::Query("increase(mmscope_kernel_pending_mismatch_total[@window@]) > 0", bounds::LATELY),
        pending: NOW,
        summary: "the kernel's count of pending flushes is not mmscope's",
        description: "mm->tlb_flush_pending differed from the windows that mmscope has open: windows are not seen, or one \
                      never ends.",
    },
    Alert {
        name: "MmscopeAlertsDropped",
        severity: Severity::Warning,
        when: When::Query("increase(mmscope_alerts_dropped_total[@window@]) > 0", bounds::LATELY),
        pending: NOW,
        summary: "more findings than mmscope has room for alerts",
        description: "{{ $value | humanize }} findings in the last @window@ found no room (anomaly.alerts). The gravest are kept.",
    },
    Alert {
        name: "MmscopeNotTelling",
        severity: Severity::Warning,
        when: When::Query(
            "sum by (cluster, job, instance, sink) (increase(mmscope_notification_failures_total[@window@])) > 0 \
             unless sum by (cluster, job, instance, sink) (increase(mmscope_notifications_sent_total[@window@])) > 0",
            bounds::LATELY,
        ),
        pending: minutes(10),
        summary: "mmscope cannot tell a receiver of its alerts",
        description: "The receiver {{ $labels.sink }} has taken nothing in the last @window@.{{ range printf \
                      \"sum by (reason) (increase(mmscope_notification_failures_total{job='%s',instance='%s',sink='%s'}[@window@])) > 0\" \
                      $labels.job $labels.instance $labels.sink | query }} {{ .Labels.reason }} {{ .Value | humanize }};{{ end }}",
    },
    Alert {
        name: "MmscopeConfigRefused",
        severity: Severity::Warning,
        when: When::Query("mmscope_config_last_reload_successful == 0", bounds::LATELY),
        pending: minutes(5),
        summary: "mmscope has refused its configuration file",
        description: "The file as it is now is not what mmscope goes by: what was in force before stays, and the next start will \
                      fail. Its log names file, line and key.",
    },
    Alert {
        name: "MmscopeOverBudget",
        severity: Severity::Warning,
        when: When::Query("mmscope_governor_level > 0 < @detached@", bounds::LATELY),
        pending: minutes(15),
        summary: "mmscope measures less, to keep to its budget",
        description: "It is at level {{ $value }}: given up are 1 stacks, 2 hazards too, 3 waits too, 4 most lock events too.\
                      {{ range printf \"mmscope_overhead_ratio{job='%s',instance='%s'}\" $labels.job $labels.instance | query }} \
                      What is left costs {{ .Value | humanizePercentage }} of the host's CPU time.{{ end }}",
    },
    Alert {
        name: "MmscopeDetached",
        severity: Severity::Warning,
        when: When::Query("mmscope_governor_level >= @detached@", bounds::LATELY),
        pending: minutes(5),
        summary: "mmscope has detached everything",
        description: "It could not keep to its budget otherwise, or its stop file exists. Nothing is measured on this host, and \
                      no class can be raised.",
    },
];

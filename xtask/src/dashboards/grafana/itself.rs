//! mmscope about itself: can its data be trusted, and what does it cost.

use super::board::Board;
use super::links::{self, HAZARDS, ITSELF};
use super::panel::Panel;
use super::style::Kind;

/// The process_* families are every exporter's; these are mmscope's.
const OF_MMSCOPE: &str = "and on (job, instance) mmscope_build_info{@host}";

/// Hooks without which something is not measured: those that another hook stands in for are left out, and so are those
/// that this kernel's version makes superfluous.
const WANTED: &str = "reason!~\"|not needed: .*|from .* on .*\"";

/// Levels of the governor: each gives up what stands before it too.
const LEVELS: [(&str, &str, &str); 6] = [
    ("0", "nothing", "green"),
    ("1", "stacks", "yellow"),
    ("2", "hazards", "yellow"),
    ("3", "waits", "orange"),
    ("4", "most lock events", "orange"),
    ("5", "everything", "red"),
];

pub(super) fn board() -> Board {
    Board {
        uid: ITSELF,
        title: "Can I trust this data?",
        description: "What mmscope sees and does not see on each host, what it lost and missed, and what it costs",
        subjects: false,
        docs: false,
        sections: vec![
            ("At a glance", glance()),
            ("Hooks", hooks()),
            ("Lost and missed", lost()),
            ("Room", room()),
            ("Cost", cost()),
        ],
    }
}

fn glance() -> Vec<Panel> {
    vec![
        Panel::new(
            Kind::Stat,
            "Given up",
            "What is not measured at the moment to keep the budget, on the host where it is most.",
        )
        .ask("max(mmscope_governor_level{@host})", "given up")
        .steps(&[(1.0, "yellow"), (3.0, "orange"), (5.0, "red")])
        .names(&LEVELS),
        Panel::new(Kind::Stat, "Hooks attached", "Over all hosts.")
            .ask("sum(mmscope_probe_attached{@host})", "attached"),
        Panel::new(Kind::Stat, "Hooks absent", "Those with nothing in their place: what needs them is absent too.")
            .ask(
                &format!(
                    "count(mmscope_probe_attached{{@host,{WANTED}}} == 0) or 0 * count(mmscope_probe_attached{{@host}})"
                ),
                "absent",
            )
            .steps(&[(1.0, "orange")]),
        Panel::new(Kind::Stat, "Lost", "Events that the probes lost, of all reasons.")
            .ask("sum(rate(mmscope_lost_total{@host}[@rate]))", "per second")
            .unit("cps")
            .steps(&[(0.001, "orange")]),
        Panel::new(
            Kind::Stat,
            "Differs from the kernel",
            "Looks at which the kernel's own count of pending flushes differed from mmscope's, since it began.",
        )
        .ask("sum(mmscope_kernel_pending_mismatch_total{@host})", "looks")
        .steps(&[(1.0, "red")]),
        Panel::new(Kind::Stat, "Blind", "Alerts that mmscope has raised about its own sight.")
            .ask("sum(mmscope_alerts_active{@host,class=\"blind\"})", "alerts")
            .steps(&[(1.0, "orange")])
            .links(&[links::from_series("Hazards", HAZARDS, &[])]),
    ]
}

fn hooks() -> Vec<Panel> {
    vec![
        Panel::new(
            Kind::Table,
            "Hooks",
            "On how many hosts each is attached, at which tier, and where it is \
            not, why. F is fentry or fexit, T a tracepoint.",
        )
        .column("Hosts", "none", "count by (probe, tier, reason) (mmscope_probe_attached{@host})")
        .column("State", "none", "max by (probe, tier, reason) (mmscope_probe_attached{@host})")
        .names_of("State", &[("1", "attached", "green"), ("0", "absent", "orange")])
        .sort("State")
        .wide("reason", 700)
        .size(24, 12),
        Panel::new(
            Kind::Lines,
            "Hooks attached, by tier",
            "A change is a restart on another kernel, or with \
            other options.",
        )
        .ask("sum by (tier) (mmscope_probe_attached{@host} == 1)", "tier {{tier}}")
        .size(12, 7),
        Panel::new(Kind::Lines, "Hooks absent and not replaced, by host", "Their answers are absent on these hosts.")
            .ask(&format!("count by (instance) (mmscope_probe_attached{{@host,{WANTED}}} == 0)"), "{{instance}}")
            .empty("every hook is attached, or another stands in for it")
            .size(12, 7)
            .links(&[links::from_series("This host", ITSELF, &["instance"])]),
    ]
}

fn lost() -> Vec<Panel> {
    vec![
        Panel::new(Kind::Areas, "Lost, by reason", "docs/metrics.md has what each reason means for the figures.")
            .ask("sum by (reason) (rate(mmscope_lost_total{@host}[@rate]))", "{{reason}}")
            .unit("cps"),
        Panel::new(Kind::Areas, "Missed, by hook", "Programs that the kernel skipped on a CPU where they ran already.")
            .ask("sum by (probe) (rate(mmscope_probe_misses_total{@host}[@rate]))", "{{probe}}")
            .unit("cps"),
        Panel::new(Kind::Bars, "Differences from the kernel's own count", "In each interval: any is a bug or a miss.")
            .ask("sum by (instance) (increase(mmscope_kernel_pending_mismatch_total{@host}[@rate]))", "{{instance}}")
            .unit("short"),
        Panel::new(
            Kind::Table,
            "Lost since mmscope began",
            "Those that are older than the probes are lost at each start, and harmless.",
        )
        .column("Lost", "none", "sum by (reason) (mmscope_lost_total{@host})")
        .column("Hosts", "none", "sum by (reason) (mmscope_lost_total{@host} > bool 0)")
        .sort("Lost")
        .coloured("Lost", &[(1.0, "orange")])
        .size(12, 9),
        Panel::new(Kind::Table, "Missed since mmscope began", "By hook.")
            .column("Missed", "none", "sum by (probe) (mmscope_probe_misses_total{@host})")
            .column("Hosts", "none", "sum by (probe) (mmscope_probe_misses_total{@host} > bool 0)")
            .sort("Missed")
            .coloured("Missed", &[(1.0, "orange")])
            .size(12, 9),
    ]
}

fn room() -> Vec<Panel> {
    vec![
        Panel::new(
            Kind::Gauges,
            "Fill of the kernel side's tables",
            "The fullest of all hosts. What finds no room is counted as lost, or under the subject \"other\".",
        )
        .ask("max by (map) (mmscope_map_entries{@host} / mmscope_map_capacity{@host})", "{{map}}")
        .unit("percentunit")
        .scale(0.0, 1.0)
        .steps(&[(0.8, "orange"), (0.95, "red")]),
        Panel::new(Kind::Lines, "Fill over time", "Of the fullest host.")
            .ask("max by (map) (mmscope_map_entries{@host} / mmscope_map_capacity{@host})", "{{map}}")
            .unit("percentunit"),
        Panel::new(Kind::Gauges, "Memory of the tables", "Of the kernel's memory, on the host where each is largest.")
            .ask("max by (map) (mmscope_map_bytes{@host})", "{{map}}")
            .unit("bytes"),
        Panel::new(Kind::Lines, "Looks", "Ticks per second. A scrape is as old as the last of them.")
            .ask("sum by (instance) (rate(mmscope_ticks_total{@host}[@rate]))", "{{instance}}")
            .unit("hertz"),
        Panel::new(
            Kind::Lines,
            "Records",
            "Single events over their threshold; the ring has room for so many at a time.",
        )
        .ask("sum by (instance) (rate(mmscope_records_total{@host}[@rate]))", "{{instance}}")
        .unit("cps"),
        Panel::new(
            Kind::Lines,
            "Dropped for want of room",
            "Findings among the alerts, and figures of subjects among the baselines.",
        )
        .ask("sum by (instance) (rate(mmscope_alerts_dropped_total{@host}[@rate]))", "alerts {{instance}}")
        .ask("sum by (instance) (rate(mmscope_baselines_dropped_total{@host}[@rate]))", "baselines {{instance}}")
        .unit("cps"),
        Panel::new(
            Kind::Lines,
            "Subjects",
            "Those that are told apart, and those that are about to go into \"other\".",
        )
        .ask("sum by (instance, state) (mmscope_subjects{@host})", "{{state}} {{instance}}"),
        Panel::new(
            Kind::Lines,
            "Subjects folded",
            "Into \"other\": because another has the place, or for want of series. docs/subjects.md.",
        )
        .ask("sum by (instance, reason) (rate(mmscope_subjects_folded_total{@host}[@rate]))", "{{reason}} {{instance}}")
        .ask("sum by (instance) (rate(mmscope_series_folded_total{@host}[@rate]))", "series {{instance}}")
        .ask(
            "sum by (instance, memory) (rate(mmscope_names_forgotten_total{@host}[@rate]))",
            "names: {{memory}} {{instance}}",
        )
        .unit("cps"),
        Panel::new(Kind::Table, "Cgroups", "Of those subjects that are told apart: units, containers, pods.")
            .column("Hosts", "none", "count by (cgroup, unit, container, pod) (mmscope_cgroup_info{@host})")
            .sort("Hosts")
            .size(12, 9),
        Panel::new(Kind::Lines, "Requests", "Answers by code, and connections that are open.")
            .ask("sum by (code) (rate(mmscope_http_answers_total{@host}[@rate]))", "{{code}}")
            .ask("sum(mmscope_http_connections{@host})", "connections"),
        Panel::new(
            Kind::Lines,
            "Requests refused",
            "Connections and requests that mmscope did not serve, by reason. docs/web.md.",
        )
        .ask("sum by (reason) (rate(mmscope_http_refused_total{@host}[@rate]))", "{{reason}}")
        .ask("sum by (result) (rate(mmscope_web_config_reloads_total{@host}[@rate]))", "files {{result}}")
        .unit("cps"),
        Panel::new(
            Kind::Table,
            "Configuration files",
            "A file that is bad when it is read again changes nothing: the one before stays in force.",
        )
        .column("File", "none", "max by (instance) (mmscope_config_last_reload_successful{@host})")
        .column(
            "Good one read",
            "s",
            "time() - max by (instance) (mmscope_config_last_reload_success_timestamp_seconds{@host})",
        )
        .names_of("File", &[("1", "good", "green"), ("0", "bad", "red")])
        .sort("Good one read")
        .size(24, 7),
    ]
}

fn cost() -> Vec<Panel> {
    let process = |metric: &str| format!("{metric}{{@host}} {OF_MMSCOPE}");
    let statistics = "the kernel's BPF statistics are off";
    vec![
        Panel::new(
            Kind::Lines,
            "Overhead",
            "What the probes take of the host's processor time, and what they \
            may take.",
        )
        .ask("mmscope_overhead_ratio{@host}", "{{instance}}")
        .ask("max(mmscope_overhead_budget_ratio{@host})", "budget")
        .unit("percentunit")
        .empty("no budget is set, or the kernel does not tell"),
        Panel::new(
            Kind::Timeline,
            "Given up to keep the budget",
            "What is not measured at the moment, because \
            the probes took too much.",
        )
        .ask("max by (instance) (mmscope_governor_level{@host})", "{{instance}}")
        .steps(&[(1.0, "yellow"), (3.0, "orange"), (5.0, "red")])
        .names(&LEVELS),
        Panel::new(
            Kind::Areas,
            "Time without measurement",
            "The part of the time in which things were not \
            measured, on average of the hosts: what happened meanwhile is in no total.",
        )
        .ask("avg by (up_to) (rate(mmscope_governor_shed_seconds_total{@host}[@rate]))", "up to {{up_to}}")
        .unit("percentunit"),
        Panel::new(Kind::Lines, "Sampling of mmap_lock", "Above one, totals of mmap_lock are estimates.")
            .ask("max by (instance) (mmscope_mmap_lock_sampling{@host})", "{{instance}}"),
        Panel::new(
            Kind::Lines,
            "Processor time of the daemon",
            "In processors; the probes' time is that of \
            whom they interrupt.",
        )
        .ask(&format!("rate(process_cpu_seconds_total{{@host}}[@rate]) {OF_MMSCOPE}"), "{{instance}}")
        .unit("percentunit"),
        Panel::new(Kind::Lines, "Memory of the daemon", "Resident, and address space.")
            .ask(&process("process_resident_memory_bytes"), "{{instance}} resident")
            .ask(&process("process_virtual_memory_bytes"), "{{instance}} virtual")
            .unit("bytes"),
        Panel::new(Kind::Lines, "Open files, of those allowed", "Scrapes that hang keep theirs.")
            .ask(&format!("process_open_fds{{@host}} / process_max_fds{{@host}} {OF_MMSCOPE}"), "{{instance}}")
            .unit("percentunit"),
        Panel::new(Kind::Table, "Versions and starts", "What runs where, and since when.")
            .column("Up", "none", "sum by (cluster, job, instance, version) (mmscope_build_info{@host})")
            .column(
                "Running for",
                "s",
                &format!(
                    "time() - (max by (cluster, job, instance) \
                (process_start_time_seconds{{@host}} {OF_MMSCOPE}))"
                ),
            )
            .hide("Up")
            .sort("Running for")
            .links_of("instance", &[links::from_row("This host", ITSELF, &["instance"])])
            .size(8, 8),
        Panel::new(Kind::Lines, "Time of one run, by hook", "Mean time of a program of the probes; see what is slow.")
            .ask(
                "sum by (probe) (rate(mmscope_probe_run_seconds_total{@host}[@rate])) / sum by (probe) \
                    (rate(mmscope_probe_runs_total{@host}[@rate]))",
                "{{probe}}",
            )
            .unit("s")
            .empty(statistics)
            .size(12, 8),
        Panel::new(
            Kind::Areas,
            "Time in the probes, by hook",
            "Shares of it: mmscope has the kernel measure for 50 ms at a time, so that sums are those of samples.",
        )
        .ask(
            "sum by (probe) (rate(mmscope_probe_run_seconds_total{@host}[@rate])) / on () group_left () \
                    sum (rate(mmscope_probe_run_seconds_total{@host}[@rate]))",
            "{{probe}}",
        )
        .unit("percentunit")
        .empty(statistics)
        .size(12, 8),
    ]
}

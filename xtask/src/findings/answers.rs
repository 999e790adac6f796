//! From a difference of scrapes to the cells of a table: the questions that mmscope answers, asked about one program. Pure.
//! A family that is not measured is a dash; it is never zero.

use super::programs::Program;
use super::scrape::{By, Difference, Histogram, Labels};

/// A column: its heading, and what stands in it.
type Column = (&'static str, fn(&Asked<'_>) -> String);

/// One for each question or part of one. The last two are about the whole guest.
const COLUMNS: &[Column] = &[
    ("windows by path", |asked| asked.windows("outer")),
    ("inner windows", |asked| asked.windows("inner")),
    ("holds", |asked| asked.durations("mmscope_mmap_lock_hold_seconds", "mode")),
    ("waits", |asked| asked.durations("mmscope_mmap_lock_wait_seconds", "mode")),
    ("most held by", |asked| asked.top_operation("hold")),
    ("most waited in", |asked| asked.top_operation("wait")),
    ("forced flushes", |asked| asked.warranted("mmscope_forced_flushes_total", &["warranted"])),
    ("escalations", |asked| asked.warranted("mmscope_tlb_escalations_total", &["cause", "warranted"])),
    ("PTE cycles", |asked| asked.pte_cycles()),
    ("generation changes", |asked| asked.generation_changes()),
    ("saved by downgrades", |asked| asked.downgrade_saving()),
    ("mprotects", |asked| asked.mprotects()),
    ("hazards", |asked| asked.hazards()),
    ("userfaults", |asked| asked.durations("mmscope_userfault_seconds", "reason")),
    ("failed ioctls", |asked| asked.counts("mmscope_uffd_ioctl_errors_total", &["ioctl", "errno"])),
    ("most blocked", |asked| asked.most_blocked()),
    ("lost", |asked| asked.lost()),
];

/// A program's row.
pub(super) struct Row {
    cells: Vec<String>,
}

impl Row {
    /// Asks everything.
    pub(super) fn new(program: &Program, seconds: f64, difference: &Difference) -> Self {
        let asked = Asked { program, difference };
        let mut cells = vec![program.name.to_owned(), format!("{seconds:.0} s")];
        cells.extend(COLUMNS.iter().map(|(_, answer)| answer(&asked)));
        Self { cells }
    }

    /// What a program has that did not get so far.
    pub(super) fn failed(program: &Program, why: &str) -> Self {
        let mut cells = vec![format!("{} (failed: {})", program.name, why.replace('|', "/"))];
        cells.extend(vec!["-".to_owned(); COLUMNS.len() + 1]);
        Self { cells }
    }

    /// The headings of all rows.
    pub(super) fn headings() -> Vec<&'static str> {
        let own = ["program", "load took"].into_iter();
        own.chain(COLUMNS.iter().map(|(heading, _)| *heading)).collect()
    }

    /// As many as there are headings.
    pub(super) fn cells(&self) -> &[String] {
        &self.cells
    }
}

struct Asked<'a> {
    program: &'a Program,
    difference: &'a Difference,
}

impl Asked<'_> {
    fn numbers(&self, family: &str, by: &[&str]) -> Option<By<f64>> {
        let wanted = |labels: &Labels| labels.get("comm").is_some_and(|comm| self.program.has(comm));
        self.difference.is_measured(family).then(|| self.difference.numbers(family, wanted, by))
    }

    fn histograms(&self, family: &str, kind: Option<&str>, by: &[&str]) -> Option<By<Histogram>> {
        let wanted = |labels: &Labels| {
            labels.get("comm").is_some_and(|comm| self.program.has(comm))
                && kind.is_none_or(|kind| labels.get("kind").is_some_and(|found| found == kind))
        };
        self.difference.is_measured(family).then(|| self.difference.histograms(family, wanted, by))
    }

    fn windows(&self, kind: &str) -> String {
        told(self.histograms("mmscope_flush_window_seconds", Some(kind), &["path"]).map(each_duration))
    }

    fn durations(&self, family: &str, by: &str) -> String {
        told(self.histograms(family, None, &[by]).map(each_duration))
    }

    /// Each combination of label values with its count, the most frequent first.
    fn counts(&self, family: &str, by: &[&str]) -> String {
        told(self.numbers(family, by).map(|counts| each_count(&counts, named)))
    }

    fn warranted(&self, family: &str, by: &[&str]) -> String {
        told(self.numbers(family, by).map(|counts| {
            each_count(&counts, |values| {
                let words: Vec<&str> = values
                    .iter()
                    .map(|value| match value.as_str() {
                        "true" => "warranted",
                        "false" => "unwarranted",
                        other => other,
                    })
                    .collect();
                words.join(" ")
            })
        }))
    }

    /// None were there only if the gravest could have been seen; which classes a kernel lets mmscope judge, its alerts tell.
    fn hazards(&self) -> String {
        let gravest = |labels: &Labels| labels.get("class").is_some_and(|class| class == "stale_write_overlap");
        let found = self.counts("mmscope_hazards_total", &["class", "outcome"]);
        if found == "-" && self.difference.has("mmscope_alerts_active", gravest) {
            told(Some(String::new()))
        } else {
            found
        }
    }

    fn pte_cycles(&self) -> String {
        let name = |values: &[String]| if values == ["true"] { "flushed" } else { "unflushed" }.to_owned();
        told(self.numbers("mmscope_pte_cycles_total", &["flushed"]).map(|counts| each_count(&counts, name)))
    }

    fn generation_changes(&self) -> String {
        let name = |values: &[String]| if values == ["true"] { "needed" } else { "needless" }.to_owned();
        told(self.numbers("mmscope_pte_generation_changes_total", &["needed"]).map(|counts| each_count(&counts, name)))
    }

    fn downgrade_saving(&self) -> String {
        let saved = self.numbers("mmscope_mmap_lock_downgrade_saving_seconds_total", &[]);
        told(saved.map(|saved| saved.into_values().next().map(seconds).unwrap_or_default()))
    }

    fn mprotects(&self) -> String {
        told(self.histograms("mmscope_mprotect_vmas", None, &[]).map(|found| {
            let Some(histogram) = found.values().next() else { return String::new() };
            let several = histogram.above(1.0).map_or("-".to_owned(), |several| percent(several, histogram.count));
            format!("{} ({several} of several VMAs)", histogram.count)
        }))
    }

    /// The operation with the most of the time, and its part.
    fn top_operation(&self, phase: &str) -> String {
        told(self.numbers("mmscope_mmap_lock_operation_seconds_total", &["phase", "operation"]).map(|times| {
            top(times
                .into_iter()
                .filter(|(values, _)| values[0] == phase)
                .map(|(values, time)| (values[1].clone(), time)))
        }))
    }

    /// Operations of everybody: this family knows no subject.
    fn most_blocked(&self) -> String {
        let family = "mmscope_mmap_lock_blocked_seconds_total";
        let measured = self.difference.is_measured(family);
        told(measured.then(|| {
            let times = self.difference.numbers(family, |_| true, &["waiter", "holder"]);
            top(times.into_iter().map(|(values, time)| (values.join(" by "), time)))
        }))
    }

    /// By all of mmscope.
    fn lost(&self) -> String {
        if !self.difference.is_measured("mmscope_lost_total") {
            return told(None);
        }
        let mut lost = self.difference.numbers("mmscope_lost_total", |_| true, &["reason"]);
        let skipped: f64 = self.difference.numbers("mmscope_probe_misses_total", |_| true, &[]).values().sum();
        if skipped != 0.0 {
            lost.insert(vec!["skipped by the kernel".to_owned()], skipped);
        }
        told(Some(each_count(&lost, named)))
    }
}

/// A dash for what is not measured, a zero for what did not happen.
fn told(answer: Option<String>) -> String {
    match answer {
        None => "-".to_owned(),
        Some(text) if text.is_empty() => "0".to_owned(),
        Some(text) => text,
    }
}

fn each_duration(found: By<Histogram>) -> String {
    let mut found: Vec<(Vec<String>, Histogram)> = found.into_iter().filter(|(_, own)| own.count > 0.0).collect();
    found.sort_by(|one, other| other.1.count.total_cmp(&one.1.count));
    let cells: Vec<String> = found
        .iter()
        .map(|(values, own)| {
            let mean = seconds(own.sum / own.count);
            let p99 = own.p99();
            let p99 = if p99.is_finite() { format!("<={}", seconds(p99)) } else { "off the scale".to_owned() };
            format!("{} {}: mean {mean}, p99 {p99}", values.join(" "), own.count)
        })
        .collect();
    cells.join("; ")
}

fn each_count(counts: &By<f64>, name: impl Fn(&[String]) -> String) -> String {
    let mut counts: Vec<(String, f64)> = counts.iter().map(|(values, count)| (name(values), *count)).collect();
    counts.sort_by(|one, other| other.1.total_cmp(&one.1));
    let cells: Vec<String> = counts.iter().map(|(name, count)| format!("{name} {count}")).collect();
    cells.join("; ")
}

/// Label values in a row; some series have an empty one.
fn named(values: &[String]) -> String {
    let values: Vec<&str> = values.iter().map(String::as_str).filter(|value| !value.is_empty()).collect();
    values.join(" ")
}

/// The largest of some times, and its part of all.
fn top(times: impl Iterator<Item = (String, f64)>) -> String {
    let times: Vec<(String, f64)> = times.collect();
    let all: f64 = times.iter().map(|(_, time)| time).sum();
    let most = times.iter().max_by(|one, other| one.1.total_cmp(&other.1));
    most.map(|(name, time)| format!("{name} {} ({})", seconds(*time), percent(*time, all))).unwrap_or_default()
}

fn percent(part: f64, all: f64) -> String {
    if all > 0.0 { format!("{:.0} %", 100.0 * part / all) } else { "-".to_owned() }
}

/// "16.4us", as the daemon's own table has it.
fn seconds(time: f64) -> String {
    let units = [(1.0, "s"), (1e-3, "ms"), (1e-6, "us")];
    let unit = units.iter().find(|(unit, _)| time >= *unit);
    unit.map_or_else(|| format!("{:.0}ns", time * 1e9), |(unit, name)| format!("{:.1}{name}", time / unit))
}

#[cfg(test)]
mod tests {
    use super::{Row, seconds};
    use crate::findings::programs::Program;
    use crate::findings::scrape::tests::difference;

    const PROGRAM: Program = Program {
        name: "p",
        about: "",
        packages: &[],
        comms: &["own", "many-*"],
        prepare: "",
        work: "",
        load: 1,
        short: 1,
    };

    fn cell(before: &str, after: &str, heading: &str) -> String {
        let row = Row::new(&PROGRAM, 1.0, &difference(before, after));
        let number = Row::headings().iter().position(|known| *known == heading);
        number.map(|number| row.cells()[number].clone()).unwrap_or_default()
    }

    #[test]
    fn what_is_not_measured_is_a_dash_everywhere() {
        let row = Row::new(&PROGRAM, 2.4, &difference("", ""));
        assert_eq!(row.cells()[..3], ["p", "2 s", "-"]);
        assert_eq!(row.cells().len(), Row::headings().len());
        assert!(row.cells()[2..].iter().all(|cell| cell == "-"), "{:?}", row.cells());
    }

    #[test]
    fn others_commands_do_not_count() {
        let text = "# TYPE mmscope_forced_flushes_total counter\n\
            mmscope_forced_flushes_total{comm=\"own\",cgroup=\"/\",warranted=\"true\"} 2\n\
            mmscope_forced_flushes_total{comm=\"many-vm\",cgroup=\"/\",warranted=\"false\"} 7\n\
            mmscope_forced_flushes_total{comm=\"other\",cgroup=\"/\",warranted=\"true\"} 100\n";
        assert_eq!(cell("", text, "forced flushes"), "unwarranted 7; warranted 2");
        // Nothing since: measured, and none.
        assert_eq!(cell(text, text, "forced flushes"), "0");
    }

    #[test]
    fn no_hazards_is_told_where_they_can_be_judged_only() {
        let alerts = "# TYPE mmscope_alerts_active gauge\n\
            mmscope_alerts_active{class=\"long_window\",severity=\"warning\"} 0\n";
        assert_eq!(cell("", alerts, "hazards"), "-");
        let alerts = alerts.replace("long_window", "stale_write_overlap");
        assert_eq!(cell("", &alerts, "hazards"), "0");
        let hazards = "# TYPE mmscope_hazards_total counter\n\
            mmscope_hazards_total{comm=\"own\",cgroup=\"/\",class=\"stale_write_overlap\",outcome=\"mitigated\"} 3\n";
        assert_eq!(cell("", hazards, "hazards"), "stale_write_overlap mitigated 3");
        assert_eq!(cell("", &hazards.replace("mitigated", ""), "hazards"), "stale_write_overlap 3");
    }

    #[test]
    fn nothing_saved_is_a_zero_without_unit() {
        let saved = "# TYPE mmscope_mmap_lock_downgrade_saving_seconds_total counter\n\
            mmscope_mmap_lock_downgrade_saving_seconds_total{comm=\"other\",cgroup=\"/\"} 2\n";
        assert_eq!(cell("", saved, "saved by downgrades"), "0");
        assert_eq!(cell("", &saved.replace("other", "own"), "saved by downgrades"), "2.0s");
    }

    #[test]
    fn windows_are_told_by_path_with_mean_and_bound() {
        let mut text = "# TYPE mmscope_flush_window_seconds histogram\n".to_owned();
        for (path, count, sum) in [("zap", 100, 0.002), ("mprotect", 4, 0.00001)] {
            let labels = format!("comm=\"own\",cgroup=\"/\",path=\"{path}\",kind=\"outer\"");
            text.push_str(&format!(
                "mmscope_flush_window_seconds_bucket{{{labels},le=\"0.000004096\"}} {}\n\
                mmscope_flush_window_seconds_bucket{{{labels},le=\"0.032768\"}} {count}\n\
                mmscope_flush_window_seconds_bucket{{{labels},le=\"+Inf\"}} {count}\n\
                mmscope_flush_window_seconds_sum{{{labels}}} {sum}\n\
                mmscope_flush_window_seconds_count{{{labels}}} {count}\n",
                if path == "zap" { 50 } else { 4 }
            ));
        }
        let told = "zap 100: mean 20.0us, p99 <=32.8ms; mprotect 4: mean 2.5us, p99 <=4.1us";
        assert_eq!(cell("", &text, "windows by path"), told);
        assert_eq!(cell("", &text, "inner windows"), "0");
    }

    #[test]
    fn the_top_operation_and_the_share_of_several_vmas() {
        let text = "# TYPE mmscope_mmap_lock_operation_seconds_total counter\n\
            mmscope_mmap_lock_operation_seconds_total{comm=\"own\",operation=\"mmap\",phase=\"hold\"} 3\n\
            mmscope_mmap_lock_operation_seconds_total{comm=\"own\",operation=\"brk\",phase=\"hold\"} 1\n\
            # TYPE mmscope_mprotect_vmas histogram\n\
            mmscope_mprotect_vmas_bucket{comm=\"own\",le=\"1\"} 6\n\
            mmscope_mprotect_vmas_bucket{comm=\"own\",le=\"+Inf\"} 8\n\
            mmscope_mprotect_vmas_sum{comm=\"own\"} 10\n\
            mmscope_mprotect_vmas_count{comm=\"own\"} 8\n";
        assert_eq!(cell("", text, "most held by"), "mmap 3.0s (75 %)");
        assert_eq!(cell("", text, "most waited in"), "0");
        assert_eq!(cell("", text, "mprotects"), "8 (25 % of several VMAs)");
    }

    #[test]
    fn times_have_units() {
        assert_eq!([2.5, 0.0164, 16.4e-6, 256e-9].map(seconds), ["2.5s", "16.4ms", "16.4us", "256ns"]);
    }
}

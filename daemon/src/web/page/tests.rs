//! Pages and data of a moment: what is there is told, what cannot be measured is named, names are text.

use std::time::Duration;

use super::*;
use crate::{
    anomaly::{Class, Hazard, MmLook, Raised, Severity},
    intake::{Counts, Histogram},
    plan::Tier,
    scope::{Seen, Sight},
};

fn subject(comm: &str) -> Subject {
    Subject { comm: comm.to_owned(), cgroup: "/a b&c".to_owned() }
}

/// A process of that name held mmap_lock for two milliseconds, and is the subject of an alert and a hazard.
fn moment(comm: &str, hooks: Vec<HookState>) -> (Snapshot, History) {
    let mut counts = Counts { forced: [3, 1], ..Counts::default() };
    let mut histogram = Histogram { sum_ns: 2_000_000, ..Histogram::default() };
    histogram.buckets[Histogram::bucket(2_000_000)] = 1;
    counts.add_histogram(probe_common::series::HOLD, &histogram);
    let raised = Raised {
        class: Class::LockConvoy,
        severity: Severity::Warning,
        subject: Some(subject(comm)),
        about: "",
        since: Duration::from_secs(1),
        text: "held <long>".to_owned(),
    };
    let hazard = Hazard { subject: Some(subject(comm)), class: Class::StaleWriteOverlap, outcome: "exposed", count: 2 };
    let snapshot = Snapshot {
        hooks,
        subjects: [(subject(comm), counts.clone())].into(),
        alerts: [((Class::LockConvoy, Severity::Warning), 1)].into(),
        raised: vec![raised],
        hazards: vec![hazard],
        unjudged: vec![(Class::UffdSlow, "needs <hooks>".to_owned())],
        blocked_ns: vec![5_000_000],
        lost: vec![7],
        ticks: 1,
        ..Snapshot::default()
    };
    let mm = MmLook { subject: subject(comm), tgid: 1, counts, fault_age: None, since_ioctl: None, reclaim_age: None };
    let sight = Sight { uptime: Duration::from_secs(61), mms: vec![mm], ..Sight::default() };
    let mut history = History::default();
    history.take(&sight, &Seen { snapshot: snapshot.clone(), transitions: Vec::new() });
    (snapshot, history)
}

fn attached() -> Vec<HookState> {
    vec![HookState::Attached(Tier::F); HOOKS.len()]
}

fn front_of((snapshot, history): &(Snapshot, History), asked: Asked) -> String {
    let origin = Origin::default();
    layout::front(&Overview::new(&Moment { snapshot, history, origin: &origin }, subjects::TOP), &asked, "/metrics")
        .into_string()
}

#[test]
fn what_processes_call_themselves_is_text() {
    let evil = moment("<i>'\"&", attached());
    let page = front_of(&evil, Asked::default());
    assert!(!page.contains("<i>") && page.contains("&lt;i&gt;"), "{page}");
    assert!(page.contains("subject?comm=%3Ci%3E%27%22%26&amp;cgroup=/a%20b%26c"), "{page}");
    assert!(page.contains("held &lt;long&gt;") && page.contains("needs &lt;hooks&gt;"));
    let origin = Origin::default();
    let moment = Moment { snapshot: &evil.0, history: &evil.1, origin: &origin };
    let about = About::new(&moment, &subject("<i>'\"&")).unwrap();
    assert!(!layout::subject(&about, &Head::new(&moment), "/metrics").into_string().contains("<i>"));
}

#[test]
fn nothing_inside_of_a_page_needs_more_than_the_policy_gives() {
    let page = front_of(&moment("a", attached()), Asked::default());
    for forbidden in [" style=", "<style", " onclick", "javascript:", "http://", "https://", "//cdn"] {
        assert!(!page.contains(forbidden), "{forbidden}");
    }
    assert_eq!(page.matches("<script").count(), 2);
    assert!(!POLICY.contains("unsafe") && POLICY.starts_with("default-src 'none'"));
}

#[test]
fn what_cannot_be_measured_is_named_and_is_no_zero() {
    let mut hooks = attached();
    hooks.fill(HookState::Absent("refused by the kernel".to_owned()));
    let page = front_of(&moment("a", hooks), Asked { by: Measure::Hold, ..Asked::default() });
    assert!(page.contains("Lock waited for</strong> cannot be measured on this kernel: the hook contention_begin is absent: refused by the kernel"), "{page}");
    assert!(page.contains("title=\"not measured\">n/a"));
    assert_eq!(page.matches("Cannot be measured on this kernel").count(), 5, "four heatmaps and the blame matrix");
    assert!(!page.contains("data-heat"));
    let mut hooks = attached();
    let gather = HOOKS.iter().position(|hook| hook.name == "tlb_gather_mmu").unwrap();
    hooks[gather] = HookState::Absent("refused by the kernel".to_owned());
    let page = front_of(&moment("a", hooks), Asked::default());
    assert!(page.contains("aria-sort=\"descending\"><a id=\"by-hold\""), "ordered by what there is: {page}");
    let whole = front_of(&moment("a", attached()), Asked::default());
    assert!(!whole.contains("annot be measured"), "{whole}");
    assert!(whole.contains("None in the last 15 minutes."), "that is a zero");
}

#[test]
fn flushes_that_nothing_tells_are_no_zeros() {
    let about = |hooks: Vec<HookState>| {
        let (snapshot, history) = moment("a", hooks);
        let origin = Origin::default();
        let moment = Moment { snapshot: &snapshot, history: &history, origin: &origin };
        About::new(&moment, &subject("a")).unwrap().html().into_string()
    };
    assert!(about(attached()).contains("TLB flushes:"));
    let mut hooks = attached();
    for (hook, state) in HOOKS.iter().zip(&mut hooks) {
        if ["flush_tlb_mm_range", "tlb_flush"].contains(&hook.name) {
            *state = HookState::Absent("this kernel flushes inline, which nothing tells".to_owned());
        }
    }
    assert!(!about(hooks).contains("TLB flushes:"));
}

#[test]
fn a_host_on_which_nothing_happened_says_so() {
    let quiet = (Snapshot { hooks: attached(), ..Snapshot::default() }, History::default());
    let page = front_of(&quiet, Asked::default());
    for told in [
        "No alert is raised",
        "no hazard since the start",
        "No subject was active yet",
        "Nobody waited",
        "Nothing was lost",
    ] {
        assert!(page.contains(told), "{told}: {page}");
    }
    assert!(page.contains("this kernel does not tell"), "no misses, no zero");
}

#[test]
fn the_order_and_the_period_are_asked_by_the_address() {
    let page = front_of(&moment("a", attached()), Asked { period: Period::Start, by: Measure::Hold });
    assert!(page.contains("aria-sort=\"descending\"><a id=\"by-hold\""), "{page}");
    assert!(page.contains("id=\"period-start\" href=\"./?period=start&amp;by=hold\" aria-current=\"true\""), "{page}");
    assert!(page.contains("2.00\u{202f}ms"));
}

#[test]
fn the_data_are_those_of_the_page() {
    let (snapshot, history) = moment("a", attached());
    let origin = Origin::default();
    let moment = Moment { snapshot: &snapshot, history: &history, origin: &origin };
    let told = serde_json::to_value(Overview::new(&moment, subjects::TOP)).unwrap();
    assert_eq!(told["wrong"]["alerts"][0]["class"], "lock_convoy");
    assert_eq!(told["wrong"]["hazards"][0]["recent"], 2);
    assert_eq!(told["subjects"]["rows"][0]["recent"]["hold_ns"], 2_000_000);
    assert_eq!(told["blame"]["total"]["blocked_ns"][0][0], 5_000_000);
    assert_eq!(told["losses"]["lost"].as_object().unwrap().len(), 1);
    assert_eq!(told["subjects"]["rows"][0]["recent"]["userfaults_ns"], 0);
    assert_eq!(
        overview_of(&snapshot, &history, &origin, 0)["subjects"]["rows"],
        serde_json::json!([]),
        "nobody asked for"
    );
    let columns = serde_json::to_value(Columns::new(&moment, Duration::ZERO)).unwrap();
    assert_eq!(columns["columns"][0]["holds"], serde_json::json!([13, 1]), "a bucket, and its events");
    assert_eq!(columns["columns"][0]["waits"], serde_json::json!([]));
    let later = serde_json::to_value(Columns::new(&moment, Duration::from_secs(61))).unwrap();
    assert_eq!(later["columns"], serde_json::json!([]));
    let about = serde_json::to_value(About::new(&moment, &subject("a")).unwrap()).unwrap();
    assert_eq!((&about["minutes"][14]["hold_ns"], &about["forced"]["warranted"]), (&2_000_000.into(), &1.into()));
    assert!(About::new(&moment, &subject("nobody")).is_none());
    let folded = Snapshot { subjects: [].into(), ..snapshot.clone() };
    let moment = Moment { snapshot: &folded, ..moment };
    let told = serde_json::to_value(Subjects::new(&moment, subjects::TOP)).unwrap();
    assert!(told["rows"][0]["total"].is_null() && told["rows"][0]["recent"]["hold_ns"] == 2_000_000, "{told}");
    let page = About::new(&moment, &subject("a")).unwrap().html().into_string();
    assert!(page.contains("is part of") && !page.contains("Counted since the start"), "no zeros of who is in other");
}

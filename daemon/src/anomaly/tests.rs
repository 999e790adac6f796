//! Tests of the whole: what is judged, what is counted once, and that the page of documentation is the table.

use std::{collections::BTreeSet, time::Duration};

use super::{
    Anomalies, Class, Host, Look, MmLook,
    fixture::{histogram, mm},
    look::longer,
};
use crate::{
    config::{self, Config},
    intake::{Counts, Histogram},
    plan::{HOOKS, HookState, Tier},
};

fn look(mms: &[MmLook], second: u64) -> Look<'_> {
    Look {
        now: Duration::from_secs(second),
        interval: Duration::from_secs(1),
        mms,
        records: &[],
        lost: &[],
        pending_mismatches: None,
        probe_misses: 0,
    }
}

#[test]
fn what_cannot_be_judged_is_absent_and_says_why() {
    let mut config = Config::default();
    config.anomaly.disabled = vec![Class::UffdSlow, Class::Blind];
    let mut hooks = vec![HookState::Attached(Tier::F); HOOKS.len()];
    for name in ["arch_tlbbatch_flush", "try_to_unmap_flush"] {
        let index = HOOKS.iter().position(|hook| hook.name == name).unwrap();
        hooks[index] = HookState::Absent("refused".to_owned());
    }
    let mut anomalies = Anomalies::new(&config, Host { hooks, ..Host::default() });
    let why = |class| anomalies.unjudged().iter().find(|(unjudged, _)| *unjudged == class).map(|(_, why)| why.as_str());
    assert_eq!(why(Class::UffdSlow), Some("switched off by anomaly.disabled"));
    assert_eq!(
        why(Class::ReclaimStale),
        Some(
            "needs the hooks try_to_unmap_one + arch_tlbbatch_flush + flush_tlb_mm_range or \
             try_to_unmap_one + try_to_unmap_flush + flush_tlb_batched_pending"
        )
    );
    assert_eq!(why(Class::UffdRefault), None);
    assert_eq!(anomalies.judged().len() + anomalies.unjudged().len(), Class::all().count());

    let slow = histogram(probe_common::series::FAULT, Duration::from_secs(1), 100);
    for second in 1..9 {
        let counts = Counts { refaults: 5_000, ..slow.clone() };
        anomalies.look(&look(&[mm("a", counts)], second));
    }
    let classes: BTreeSet<Class> = anomalies.hazards().iter().map(|hazard| hazard.class).collect();
    assert_eq!(classes, [Class::UffdRefault].into(), "no zero, and nothing of what is switched off");
    let active = anomalies.active();
    assert_eq!(active[&(Class::UffdRefault, super::Severity::Warning)], 1);
    assert_eq!(active[&(Class::LongWindow, super::Severity::Warning)], 0, "judged, and none");
    assert!(!active.keys().any(|(class, _)| [Class::UffdSlow, Class::ReclaimStale].contains(class)));
}

#[test]
fn each_mm_counts_and_one_alert_tells_the_worst() {
    let host = Host { hooks: vec![HookState::Attached(Tier::F); HOOKS.len()], ..Host::default() };
    let mut anomalies = Anomalies::new(&Config::default(), host);
    let refaults = |tgid, refaults| MmLook { tgid, ..mm("a", Counts { refaults, ..Counts::default() }) };
    let mms = [refaults(1, 2_000), refaults(2, 4_000), refaults(3, 10)];
    let told: Vec<_> = (1..9).flat_map(|second| anomalies.look(&look(&mms, second))).collect();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].text.contains("4000 userfaults per second of a in /, process 2"), "{}", told[0].text);
    assert_eq!(anomalies.hazards()[0].count, 8 * 6_010);
}

#[test]
fn a_look_that_is_too_short_makes_no_rate() {
    let host = Host { hooks: vec![HookState::Attached(Tier::F); HOOKS.len()], ..Host::default() };
    let mut config = Config::default();
    config.anomaly.raise_looks = 1;
    let mut anomalies = Anomalies::new(&config, host);
    let mms = [mm("a", Counts { refaults: 50, ..Counts::default() })];
    assert!(anomalies.look(&Look { interval: Duration::ZERO, ..look(&mms, 1) }).is_empty());
}

#[test]
fn buckets_above_a_bound_begin_at_it_or_later() {
    let mut histogram = Histogram { buckets: [1; 27], ..Histogram::default() };
    histogram.buckets[26] = 5;
    let ns = Duration::from_nanos;
    assert_eq!(longer(&histogram, ns(0)), (31, ns(0)));
    assert_eq!(longer(&histogram, ns(256)), (30, ns(256)));
    assert_eq!(longer(&histogram, ns(257)), (29, ns(512)));
    assert_eq!(longer(&histogram, Duration::from_secs(8)), (5, ns(1 << 33)));
    assert_eq!(longer(&histogram, Duration::from_secs(9)), (0, Duration::MAX));
}

/// docs/anomalies.md has a section for each class in the order of the table, each with the class's severities, outcomes, hooks
/// and its bounds at their defaults, and no key that there is not.
#[test]
fn the_page_is_the_table() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/anomalies.md");
    let page = std::fs::read_to_string(&path).unwrap();
    let (head, sections) = page.split_once("\n## ").unwrap();
    let sections: Vec<(&str, &str)> =
        sections.split("\n## ").map(|section| section.split_once('\n').unwrap()).collect();
    let names: Vec<&str> = sections.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, Class::all().map(Class::name).collect::<Vec<_>>());

    let keys = config::Anomaly::default().shown();
    let mut unplaced: BTreeSet<&str> = keys.iter().map(|(key, _)| *key).collect();
    let mut has_bounds = |place: &str, text: &str, of_place: &dyn Fn(&str) -> bool| {
        for (key, default) in keys.iter().filter(|(key, _)| of_place(key)) {
            assert!(text.contains(&format!("`{key}` = {default}")), "{place}: `{key}` = {default} is missing");
            unplaced.remove(key);
        }
        for (at, _) in text.match_indices("` = ") {
            let key = text[..at].rsplit('`').next().unwrap_or_default();
            assert!(keys.iter().any(|(known, _)| *known == key && of_place(key)), "{place}: there is no {key}");
        }
    };
    let belongs = |key: &str, class: &str| key.strip_prefix(class).is_some_and(|rest| rest.starts_with('_'));
    has_bounds("the top", head, &|key| !Class::all().any(|class| belongs(key, class.name())));
    for (class, (name, text)) in Class::all().zip(&sections) {
        has_bounds(name, text, &|key| belongs(key, name));
        let severities: Vec<&str> = class.severities().iter().map(|severity| severity.name()).collect();
        let entry = class.entry();
        let mut lines = vec![format!("- Severity: {}.", severities.join(", "))];
        if class.outcomes() != [""] {
            lines.push(format!("- Outcomes: {}.", class.outcomes().join(", ")));
        }
        if !entry.needs.is_empty() {
            let sets: Vec<String> = entry.needs.iter().map(|set| set.join(" + ")).collect();
            lines.push(format!("- Needs the hooks: {}.", sets.join(" or ")));
        }
        let counted = match entry.counted {
            super::Counted::Event => "each event",
            super::Counted::Episode => "each time it is raised",
        };
        lines.push(format!("- Hazards: {counted}"));
        let raised = match entry.raise {
            super::kinds::Raise::AtOnce => "at once",
            super::kinds::Raise::InARow => "after looks in a row",
            super::kinds::Raise::Again => "when it comes again",
        };
        lines.push(format!("- Raised: {raised}."));
        for line in lines {
            assert!(text.contains(&line), "{name}: this line is missing:\n{line}");
        }
        for part in ["- Rule: ", "- False alarms: ", "- Not seen: ", "- What to do: "] {
            assert!(text.contains(part), "{name}: {part} is missing");
        }
    }
    assert!(unplaced.is_empty(), "{unplaced:?}");
}

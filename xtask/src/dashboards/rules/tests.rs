//! Holds the rules to what exists: metrics, labels, classes, runbooks, tests.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use promql_parser::label::Labels;
use promql_parser::parser::{self, Expr, LabelModifier, VectorSelector};

use super::alerts::{Alert, CLASSES, ITSELF, When};
use super::{RUNBOOKS, Scale, alerting, base, recording};
use crate::catalogue::Catalogue;
use crate::paths;

/// What Prometheus adds to every series of a target.
const OF_TARGETS: &[&str] = &["job", "instance", "cluster"];

fn read(path: &str) -> String {
    let path = paths::root().join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn alerts() -> impl Iterator<Item = &'static Alert> {
    CLASSES.iter().chain(ITSELF)
}

/// Series by name with their labels: those of the daemon's catalogue, and what Prometheus adds of its own.
fn catalogue() -> BTreeMap<String, BTreeSet<String>> {
    let page = Catalogue::read().unwrap_or_else(|error| panic!("{error:#}"));
    let mut known = BTreeMap::from([("up".to_owned(), BTreeSet::new())]);
    for name in page.names() {
        for end in ["", "_bucket", "_sum", "_count"] {
            let metric = format!("{name}{end}");
            if let Some((_, family)) = page.of_metric(&metric) {
                let bound = (end == "_bucket").then(|| "le".to_owned());
                known.insert(metric, family.labels.iter().cloned().chain(bound).collect());
            }
        }
    }
    known
}

/// Every series that an expression asks for.
fn selectors<'a>(expr: &'a Expr, found: &mut Vec<&'a VectorSelector>) {
    match expr {
        Expr::VectorSelector(selector) => found.push(selector),
        Expr::MatrixSelector(selector) => found.push(&selector.vs),
        Expr::Aggregate(aggregate) => selectors(&aggregate.expr, found),
        Expr::Unary(unary) => selectors(&unary.expr, found),
        Expr::Binary(binary) => [&binary.lhs, &binary.rhs].into_iter().for_each(|side| selectors(side, found)),
        Expr::Paren(paren) => selectors(&paren.expr, found),
        Expr::Subquery(subquery) => selectors(&subquery.expr, found),
        Expr::Call(call) => call.args.args.iter().for_each(|arg| selectors(arg, found)),
        Expr::NumberLiteral(_) | Expr::StringLiteral(_) | Expr::Extension(_) => {}
    }
}

/// The labels by which an expression aggregates at its outermost aggregation.
fn grouped_by(expr: &Expr) -> Option<&Labels> {
    match expr {
        Expr::Aggregate(aggregate) => match &aggregate.modifier {
            Some(LabelModifier::Include(labels)) => Some(labels),
            _ => None,
        },
        Expr::Binary(binary) => grouped_by(&binary.lhs),
        Expr::Paren(paren) => grouped_by(&paren.expr),
        Expr::Call(call) => call.args.args.iter().find_map(|arg| grouped_by(arg)),
        _ => None,
    }
}

/// The labels of what an expression asks for; a complaint about what does not exist.
fn check(name: &str, text: &str, known: &BTreeMap<String, BTreeSet<String>>) -> BTreeSet<String> {
    let expr = parser::parse(text).unwrap_or_else(|error| panic!("{name}: {text}: {error}"));
    let mut found = Vec::new();
    selectors(&expr, &mut found);
    assert!(!found.is_empty(), "{name} asks for nothing: {text}");
    let mut labels = BTreeSet::new();
    for selector in found {
        let metric = selector.name.as_deref().unwrap_or_else(|| panic!("{name} asks for series without a name"));
        let of_metric = known.get(metric).unwrap_or_else(|| panic!("{name} asks for {metric}, which does not exist"));
        for matcher in &selector.matchers.matchers {
            let label = matcher.name.as_str();
            assert!(of_metric.contains(label) || OF_TARGETS.contains(&label), "{name}: {metric} has no label {label}");
        }
        labels.extend(of_metric.iter().cloned());
    }
    match grouped_by(&expr) {
        None => labels,
        Some(by) => {
            for label in &by.labels {
                let exists = labels.contains(label) || OF_TARGETS.contains(&label.as_str());
                assert!(exists, "{name} is by {label}, which nothing there has: {text}");
            }
            by.labels.iter().filter(|label| !OF_TARGETS.contains(&label.as_str())).cloned().collect()
        }
    }
}

/// One that is not there would be a panel that stays empty and an alert that stays mute.
#[test]
fn rules_ask_for_metrics_and_labels_that_exist() {
    let mut known = catalogue();
    for rule in recording(Scale::REAL).rules() {
        let (name, expr) = rule.expression();
        let mut labels = check(name, expr, &known);
        if expr.starts_with("histogram_quantile(") {
            labels.remove("le");
        }
        let level = name.split(':').next().unwrap_or_default();
        assert!(OF_TARGETS.contains(&level), "{name} has no level");
        assert!(known.insert(name.to_owned(), labels).is_none(), "{name} is recorded twice");
    }
    for rule in alerting(Scale::REAL, RUNBOOKS).rules() {
        let (name, expr) = rule.expression();
        check(name, expr, &known);
    }
}

#[test]
fn series_that_do_not_exist_are_found() {
    let known = catalogue();
    let wrong = [
        "rate(mmscope_losses_total[5m])",
        "mmscope_alerts_active{klass=\"blind\"} > 0",
        "sum by (comm) (mmscope_lost_total)",
        "histogram_quantile(0.9, sum by (le) (rate(mmscope_lost_total[5m])))",
    ];
    for text in wrong {
        assert!(std::panic::catch_unwind(|| check("x", text, &known)).is_err(), "{text}");
    }
}

/// Classes and their severities are those of docs/anomalies.md, which a test holds to the daemon.
#[test]
fn every_class_and_severity_has_an_alert() {
    let page = read("docs/anomalies.md");
    let mut wanted = BTreeSet::new();
    for section in page.split("\n## ").skip(1) {
        let class = section.lines().next().unwrap_or_default().trim();
        let severities = section.lines().find_map(|line| line.strip_prefix("- Severity: ")).unwrap_or_default();
        for severity in severities.trim_end_matches('.').split(", ") {
            wanted.insert((class.to_owned(), severity.to_owned()));
        }
    }
    assert_eq!(wanted.iter().map(|(class, _)| class).collect::<BTreeSet<_>>().len(), 16, "{wanted:?}");
    for (class, severity) in wanted {
        let matches = format!("class=\"{class}\",severity=\"{severity}\"");
        let has = alerting(Scale::REAL, RUNBOOKS).rules().any(|rule| rule.expression().1.contains(&matches));
        assert!(has, "no alert on {class} of severity {severity}");
    }
    for alert in CLASSES {
        assert!(matches!(alert.when, When::Raised { .. }), "{}: classes are judged by the daemon", alert.name);
    }
}

#[test]
fn every_alert_has_a_runbook_and_every_runbook_an_alert() {
    let folder = paths::root().join(RUNBOOKS);
    let pages: BTreeSet<String> = fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok()?.strip_suffix(".md").map(str::to_owned))
        .filter(|name| name != "README")
        .collect();
    assert_eq!(pages, alerts().map(|alert| alert.name.to_owned()).collect());
    let overview = read("dashboards/README.md");
    for alert in alerts() {
        let Alert { name, severity, summary, .. } = alert;
        let row = format!("| [{name}](../docs/runbooks/{name}.md) | {}: {summary} |", severity.name());
        assert!(overview.contains(&row), "dashboards/README.md has no row {row}");
        let page = read(&format!("{RUNBOOKS}{}.md", alert.name));
        for part in [&format!("# {}\n", alert.name), "## What it means\n", "## How to confirm\n", "## What to do\n"] {
            assert!(page.contains(part), "docs/runbooks/{}.md has no {part:?}", alert.name);
        }
    }
}

/// An alert leads to the same page whoever tells it: the package that the rules are made by and the daemon's name one repository.
#[test]
fn runbooks_are_where_the_daemon_says_they_are() {
    let forge = "https://forge.example/mm/mmscope";
    assert_eq!(base(&format!("{forge}/")), format!("{forge}/blob/HEAD/docs/runbooks/"));
    let page = read("docs/notify.md");
    let default = format!("| `runbook_url` | {}{{alert}}.md |", base(""));
    assert!(page.contains(&default), "docs/notify.md has no {default}");
    let of = |manifest: &str| {
        let text = read(manifest);
        text.lines().find(|line| line.starts_with("repository")).map(str::to_owned)
    };
    assert_eq!(of("xtask/Cargo.toml"), of("daemon/Cargo.toml"));
}

/// promtool runs the tests; this sees to it that there are some.
#[test]
fn every_alert_has_a_case_in_which_it_fires_and_one_in_which_it_does_not() {
    let text = ["classes", "itself"].map(|name| read(&format!("dashboards/rules/tests/{name}.yml"))).concat();
    for alert in alerts() {
        let expr = format!("expr: 'ALERTS{{alertname=\"{}\",alertstate=\"firing\"}}'", alert.name);
        let cases: Vec<&str> = text
            .split("- expr: ")
            .map(|case| case.trim_start())
            .filter(|case| expr.ends_with(case.lines().next().unwrap_or("?")))
            .collect();
        let silent = cases.iter().filter(|case| case.contains("exp_samples: []")).count();
        assert!(silent > 0 && silent < cases.len(), "{}: {silent} silent cases of {}", alert.name, cases.len());
    }
}

#[test]
fn a_shorter_scale_shortens_windows_and_waits() {
    let file = alerting(Scale::faster(30), RUNBOOKS);
    let text = super::yaml(&file).unwrap_or_else(|error| panic!("{error}"));
    for part in ["for: 10s", "[2m]) > 0", "[1m])"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(!text.contains("for: 5m") && !text.contains('@'), "{text}");
}

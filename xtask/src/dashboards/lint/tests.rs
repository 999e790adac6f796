//! For each rule a dashboard that breaks it, and what is said of it.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{check_all, query};
use crate::catalogue::Catalogue;

const PAGE: &str = "\
    | a_seconds | histogram | seconds | comm, cgroup, mode | 2 S | down_read + up_read | How long |\n\
    | b_total | counter | count | reason | 1 |  | How many |\n\
    | mmscope_build_info | gauge | count | version | 1 |  | One |\n\
    | process_open_fds | gauge | count |  | 1 |  | Files |\n";

const HOST: &str = r#"cluster=~"$cluster",job=~"$job",instance=~"$instance""#;

fn variable(name: &str, label: &str, all: &str) -> Value {
    json!({ "type": "query", "name": name, "label": label, "datasource": { "uid": "${datasource}" }, "refresh": 2,
        "multi": true, "includeAll": true, "allValue": all, "query": { "query": format!("label_values(mmscope_build_info, {name})") } })
}

/// A dashboard that keeps every rule, with one query.
fn good(expr: &str) -> Value {
    json!({
        "uid": "one", "title": "One", "description": "One", "editable": false,
        "templating": { "list": [
            { "type": "datasource", "name": "datasource", "label": "Data source", "query": "prometheus" },
            variable("cluster", "Cluster", ".*"), variable("job", "Job", ".+"), variable("instance", "Instance", ".+")
        ] },
        "panels": [{
            "type": "timeseries", "id": 1, "title": "P", "description": "D", "datasource": { "uid": "${datasource}" },
            "fieldConfig": { "defaults": { "unit": "s", "noValue": "none" } },
            "targets": [{ "refId": "A", "datasource": { "uid": "${datasource}" }, "expr": expr.replace("@host", HOST) }]
        }]
    })
}

fn said_of(dashboard: Value) -> Vec<String> {
    let catalogue = Catalogue::parse(PAGE).unwrap();
    check_all(&BTreeMap::from([("file".to_owned(), dashboard)]), &catalogue)
}

fn said_of_query(expr: &str) -> Vec<String> {
    said_of(good(expr))
}

/// What is said of a good dashboard with one value changed.
fn said_with(pointer: &str, value: Value) -> Vec<String> {
    let mut dashboard = good("sum(rate(b_total{@host}[$__rate_interval]))");
    *dashboard.pointer_mut(pointer).unwrap() = value;
    said_of(dashboard)
}

#[track_caller]
fn one(said: &[String], part: &str) {
    assert!(said.len() == 1 && said[0].contains(part), "{said:#?}");
}

#[test]
fn nothing_is_said_of_a_good_one() {
    let good = [
        "sum by (reason) (rate(b_total{@host}[$__rate_interval]))",
        "sum(increase(b_total{@host}[$__range]))",
        "histogram_quantile(0.9, sum by (le, instance) \
            (rate(a_seconds_bucket{@host,mode=\"read\"}[$__rate_interval])))",
        "process_open_fds{@host} and on (job, instance) mmscope_build_info{@host}",
        "count by (alertname) (ALERTS{@host})",
    ];
    for query in good {
        assert_eq!(said_of_query(query), [""; 0], "{query}");
    }
}

#[test]
fn what_is_no_promql() {
    one(&said_of_query("sum(rate(b_total{@host}[$__rate_interval])"), "b_total");
    one(&said_of_query("vector(1)"), "a query for nothing");
}

#[test]
fn a_rate_over_a_range_of_ones_own() {
    one(&said_of_query("rate(b_total{@host}[5m])"), "rate over another range");
    one(&said_of_query("rate(b_total{@host}[$__range])"), "rate over another range");
    one(&said_of_query("increase(b_total{@host}[1h])"), "increase over another range");
}

#[test]
fn a_selector_without_the_chosen_hosts() {
    one(&said_of_query("b_total{job=~\"$job\",cluster=~\"$cluster\"}"), "b_total without instance=~\"$instance\"");
    one(&said_of_query("b_total{job=\"$job\",cluster=~\"$cluster\",instance=~\"$instance\"}"), "b_total without job");
    assert_eq!(said_of_query("b_total").len(), 3);
}

#[test]
fn a_selector_without_the_chosen_subject() {
    let mut dashboard = good("sum(rate(a_seconds_sum{@host}[$__rate_interval]))");
    dashboard["templating"]["list"].as_array_mut().unwrap().push(variable("comm", "Command", ".*"));
    one(&said_of(dashboard), "a_seconds_sum without comm=~\"$comm\"");
}

#[test]
fn a_metric_that_there_is_not() {
    one(&said_of_query("sum(c_total{@host})"), "no metric \"c_total\"");
    one(&said_of_query("sum(a_seconds{@host})"), "no metric \"a_seconds\"");
    one(&said_of_query("sum(b_total_bucket{@host})"), "no metric \"b_total_bucket\"");
}

#[test]
fn a_label_that_the_family_has_not() {
    one(&said_of_query("sum(b_total{@host,mode=\"read\"})"), "b_total has no label mode");
    one(&said_of_query("sum(a_seconds_sum{@host,le=\"1\"})"), "a_seconds_sum has no label le");
    one(&said_of_query("sum by (mode) (b_total{@host})"), "grouped by mode, which none of b_total has");
}

#[test]
fn a_family_of_every_exporter() {
    one(&said_of_query("process_open_fds{@host}"), "process_open_fds is every exporter's");
}

#[test]
fn no_text_for_a_family_that_some_kernels_lack() {
    let mut dashboard = good("sum(a_seconds_sum{@host})");
    dashboard["panels"][0]["fieldConfig"]["defaults"]["noValue"].take();
    one(&said_of(dashboard), "some kernels lack");
}

#[test]
fn panels_without_what_a_reader_needs() {
    one(&said_with("/panels/0/title", json!("")), "no title or no description");
    one(&said_with("/panels/0/description", json!("")), "no title or no description");
    one(&said_with("/panels/0/fieldConfig/defaults/unit", json!("")), "no unit");
    one(&said_with("/panels/0/targets", json!([])), "asks nothing");
    one(&said_with("/panels/0/id", json!(null)), "or it has none");
}

#[test]
fn ids_and_letters_are_unique() {
    let mut dashboard = good("sum(b_total{@host})");
    let panel = dashboard["panels"][0].clone();
    dashboard["panels"].as_array_mut().unwrap().push(panel);
    one(&said_of(dashboard), "its id is another's");
    let mut dashboard = good("sum(b_total{@host})");
    let target = dashboard["panels"][0]["targets"][0].clone();
    dashboard["panels"][0]["targets"].as_array_mut().unwrap().push(target);
    one(&said_of(dashboard), "query A: its letter is another's");
}

#[test]
fn a_data_source_of_ones_own() {
    one(&said_with("/panels/0/datasource/uid", json!("prom")), "data source is not the chosen one");
    one(&said_with("/panels/0/targets/0/datasource/uid", json!("prom")), "query A: its data source");
    one(&said_with("/templating/list/1/datasource/uid", json!("prom")), "variable cluster: its data source");
    one(&said_with("/templating/list/0/label", json!("Prometheus")), "variable for the data source");
    let mut dashboard = good("sum(b_total{@host})");
    dashboard["templating"]["list"].as_array_mut().unwrap().push(json!({ "type": "datasource", "name": "second" }));
    one(&said_of(dashboard), "2 variables for a data source");
}

#[test]
fn variables_that_do_not_do() {
    one(&said_with("/templating/list/2/multi", json!(false)), "variable job: several cannot be chosen");
    one(&said_with("/templating/list/3/allValue", json!("")), "variable instance: several cannot be chosen");
    one(&said_with("/templating/list/1/label", json!("K8s")), "variable cluster: no query, or its label");
    one(&said_with("/templating/list/2/refresh", json!(1)), "variable job: not asked anew");
    one(&said_with("/templating/list/2/query/query", json!("label_values(job)")), "is not label_values");
    one(&said_with("/templating/list/2/query/query", json!("label_values(a{, job)")), "is no selector");
    assert!(said_with("/templating/list/1/name", json!("zone")).contains(&"file: no variable cluster".to_owned()));
}

#[test]
fn a_variable_that_there_is_not() {
    one(&said_with("/panels/0/description", json!("of $comm")), "there is no variable $comm");
    one(&said_with("/panels/0/description", json!("of ${docs:raw}")), "there is no variable $docs");
}

#[test]
fn links_that_lead_nowhere() {
    one(&said_with("/panels/0/description", json!("/d/two?a=b")), "a link to two, which is no dashboard");
    one(&said_with("/panels/0/description", json!("/d/one?var-comm=x")), "a link to one sets comm");
    assert_eq!(said_with("/panels/0/description", json!("/d/one?${job:queryparam}&var-instance=x")), [""; 0]);
}

#[test]
fn dashboards_without_a_name_or_open_to_changes() {
    one(&said_with("/description", json!("")), "no description");
    one(&said_with("/editable", json!(true)), "is editable");
}

#[test]
fn annotations_are_held_to_the_same() {
    let mut dashboard = good("sum(b_total{@host})");
    dashboard["annotations"] = json!({ "list": [{ "name": "N", "target": { "expr": "c_total" } }] });
    one(&said_of(dashboard), "annotation \"N\": there is no metric");
}

#[test]
fn a_family_that_nobody_asks_for() {
    let catalogue = Catalogue::parse(PAGE).unwrap();
    let dashboard = good("sum(a_seconds_count{@host}) / sum(mmscope_build_info{@host})");
    assert_eq!(query::unasked([&dashboard].into_iter(), &catalogue), ["b_total", "process_open_fds"]);
}

//! Links from a value to another dashboard or a page, carrying along what is chosen. Knows the dashboards' uids.

use serde_json::{Value, json};

pub(super) const OVERVIEW: &str = "mmscope-overview";
pub(super) const PROCESS: &str = "mmscope-process";
pub(super) const HAZARDS: &str = "mmscope-hazards";
pub(super) const QUESTIONS: &str = "mmscope-questions";
pub(super) const ITSELF: &str = "mmscope-itself";

/// Variables that every dashboard has: a link carries them unless it sets them.
const CARRIED: [&str; 4] = ["datasource", "cluster", "job", "instance"];

/// A link of the schema's form, which has the same for links of dashboards, panels and values.
pub(super) fn link(title: &str, url: &str) -> Value {
    json!({
        "title": title, "url": url, "type": "link", "icon": "external link", "tooltip": "", "tags": [],
        "asDropdown": false, "includeVars": false, "keepTime": false, "targetBlank": false
    })
}

/// From a row of a table to another dashboard; `fields` are the variables to set from columns of the same name.
pub(super) fn from_row(title: &str, uid: &str, fields: &[&str]) -> Value {
    let set: Vec<String> =
        fields.iter().map(|field| format!("var-{field}=${{__data.fields.{field}:percentencode}}")).collect();
    link(title, &address(uid, fields, &set))
}

/// From a series to another dashboard; `labels` are the variables to set from its labels.
pub(super) fn from_series(title: &str, uid: &str, labels: &[&str]) -> Value {
    let set: Vec<String> =
        labels.iter().map(|label| format!("var-{label}=${{__field.labels.{label}:percentencode}}")).collect();
    link(title, &address(uid, labels, &set))
}

/// From a cell to a page of the documentation, in which `${__value.raw}` stands for the cell's text.
pub(super) fn to_page(title: &str, page: &str) -> Value {
    link(title, &format!("${{docs:raw}}/{page}"))
}

/// The links at the top of each dashboard: to all the others.
pub(super) fn to_others() -> Value {
    json!({
        "title": "mmscope", "type": "dashboards", "tags": ["mmscope"], "icon": "external link", "tooltip": "", "url": "",
        "asDropdown": false, "includeVars": true, "keepTime": true, "targetBlank": false
    })
}

fn address(uid: &str, names: &[&str], set: &[String]) -> String {
    let carried = CARRIED.iter().filter(|name| !names.contains(name)).map(|name| format!("${{{name}:queryparam}}"));
    let mut parameters: Vec<String> = carried.collect();
    parameters.extend_from_slice(set);
    parameters.push("${__url_time_range}".to_owned());
    format!("/d/{uid}?{}", parameters.join("&"))
}

#[cfg(test)]
mod tests {
    use super::{PROCESS, from_row};

    #[test]
    fn what_is_chosen_is_carried_unless_the_row_says_it() {
        assert_eq!(
            from_row("Process", PROCESS, &["instance", "comm"])["url"],
            "/d/mmscope-process?${datasource:queryparam}&${cluster:queryparam}&${job:queryparam}\
             &var-instance=${__data.fields.instance:percentencode}&var-comm=${__data.fields.comm:percentencode}\
             &${__url_time_range}"
        );
    }
}

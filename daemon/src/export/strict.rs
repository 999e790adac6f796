//! A reader of expositions for tests and fuzzers, stricter than those that scrape: it takes what the formats say and nothing
//! more. Shares no code with the writers.

use std::collections::{BTreeMap, BTreeSet};

/// Label names and values, in their order.
type Labels = Vec<(String, String)>;

/// Series with their values, by name and labels; of a protobuf histogram as the text formats would have them.
pub(crate) type Series = BTreeMap<(String, Labels), f64>;

/// Characters of an exemplar's labels that OpenMetrics allows.
const EXEMPLAR: usize = 128;

/// A family as it is being read.
struct Family {
    name: String,
    kind: String,
    /// Parts of its description so far.
    described: Vec<String>,
}

/// Reads Prometheus' text, or OpenMetrics.
///
/// # Errors
///
/// Names the line and what is wrong with it.
pub(crate) fn read(text: &str, is_open_metrics: bool) -> Result<Series, String> {
    let mut series = Series::new();
    let mut families = BTreeSet::new();
    let mut family: Option<Family> = None;
    let text = if is_open_metrics { text.strip_suffix("# EOF\n").ok_or("no # EOF at the end")? } else { text };
    if !text.is_empty() && !text.ends_with('\n') {
        return Err("the last line has no end".to_owned());
    }
    for line in text.split_terminator('\n') {
        let wrong = |why: String| format!("{line:?}: {why}");
        if let Some(comment) = line.strip_prefix("# ") {
            let mut words = comment.splitn(3, ' ');
            let (keyword, name, rest) = (words.next(), words.next(), words.next());
            let (Some(keyword), Some(name), Some(rest)) = (keyword, name, rest) else {
                return Err(wrong("no description".to_owned()));
            };
            if keyword == "HELP" {
                if !is_name(name, true) || !families.insert(name.to_owned()) {
                    return Err(wrong("no name, or one that was there before".to_owned()));
                }
                family = Some(Family { name: name.to_owned(), kind: String::new(), described: Vec::new() });
            }
            let family = family.as_mut().filter(|family| family.name == name);
            let family = family.ok_or_else(|| wrong("describes another family".to_owned()))?;
            describe(family, keyword, rest, is_open_metrics).map_err(wrong)?;
        } else {
            let family = family.as_ref().ok_or_else(|| wrong("belongs to no family".to_owned()))?;
            let (name, labels, value) = sample(line, family, is_open_metrics).map_err(wrong)?;
            if series.insert((name, labels), value).is_some() {
                return Err(wrong("the series was there before".to_owned()));
            }
        }
    }
    histograms(&series)?;
    Ok(series)
}

fn describe(family: &mut Family, keyword: &str, rest: &str, is_open_metrics: bool) -> Result<(), String> {
    if family.described.iter().any(|known| known == keyword) {
        return Err("described twice".to_owned());
    }
    match keyword {
        "HELP" if !rest.contains('\\') => {}
        "TYPE" if ["counter", "gauge", "histogram"].contains(&rest) => rest.clone_into(&mut family.kind),
        "UNIT" if is_open_metrics && family.name.ends_with(&format!("_{rest}")) => {}
        _ => return Err("no such description".to_owned()),
    }
    family.described.push(keyword.to_owned());
    Ok(())
}

fn is_name(name: &str, may_have_colons: bool) -> bool {
    let is_first = |c: char| c.is_ascii_alphabetic() || c == '_' || (c == ':' && may_have_colons);
    name.starts_with(is_first) && name.chars().all(|c| is_first(c) || c.is_ascii_digit())
}

/// Name, labels and value of a line; what follows them is checked.
fn sample(line: &str, family: &Family, is_open_metrics: bool) -> Result<(String, Labels, f64), String> {
    let end = line.find(['{', ' ']).ok_or("no value")?;
    let (name, rest) = line.split_at(end);
    let suffix = name.strip_prefix(&*family.name).ok_or("belongs to another family")?;
    let fits = match (&*family.kind, suffix) {
        ("gauge", "") | ("histogram", "_bucket" | "_sum" | "_count") => true,
        ("counter", suffix) => suffix == if is_open_metrics { "_total" } else { "" },
        _ => false,
    };
    if !fits {
        return Err(format!("{suffix:?} is no end of a {}", family.kind));
    }
    let (labels, rest) = match rest.strip_prefix('{') {
        Some(rest) => read_labels(rest)?,
        None => (Labels::new(), rest),
    };
    let rest = rest.strip_prefix(' ').ok_or("no space before the value")?;
    let (value, exemplar) = rest.split_once(" # ").map_or((rest, None), |(value, exemplar)| (value, Some(exemplar)));
    let value = number(value)?;
    if family.kind != "gauge" && value < 0.0 {
        return Err("falls below zero".to_owned());
    }
    if let Some(exemplar) = exemplar {
        if !is_open_metrics || suffix != "_bucket" {
            return Err("an exemplar where there is none".to_owned());
        }
        check_exemplar(exemplar, &labels)?;
    }
    Ok((name.to_owned(), labels, value))
}

fn number(text: &str) -> Result<f64, String> {
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte));
    let value = text.parse::<f64>().ok().filter(|value| is_number && value.is_finite());
    value.ok_or_else(|| format!("{text:?} is no number"))
}

/// Labels up to the brace that closes them, and what is behind it.
fn read_labels(mut rest: &str) -> Result<(Labels, &str), String> {
    let mut labels = Labels::new();
    loop {
        if let Some(rest) = rest.strip_prefix('}') {
            return if labels.is_empty() { Err("braces around nothing".to_owned()) } else { Ok((labels, rest)) };
        }
        if !labels.is_empty() {
            rest = rest.strip_prefix(',').ok_or("no comma between labels")?;
        }
        let (name, quoted) = rest.split_once("=\"").ok_or("a label without a value")?;
        if !is_name(name, false) || labels.iter().any(|(known, _)| known == name) {
            return Err(format!("{name:?} is no name of a label, or was there before"));
        }
        let (value, behind) = unquoted(quoted)?;
        labels.push((name.to_owned(), value));
        rest = behind;
    }
}

/// A value up to the quote that ends it, and what is behind that.
fn unquoted(text: &str) -> Result<(String, &str), String> {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Ok((value, &text[at + 1..])),
            '\\' => value.push(match chars.next() {
                Some((_, '\\')) => '\\',
                Some((_, '"')) => '"',
                Some((_, 'n')) => '\n',
                _ => return Err("a backslash before what needs none".to_owned()),
            }),
            c => value.push(c),
        }
    }
    Err("a value without an end".to_owned())
}

fn check_exemplar(text: &str, of: &Labels) -> Result<(), String> {
    let (labels, rest) = read_labels(text.strip_prefix('{').ok_or("an exemplar without labels")?)?;
    let length: usize = labels.iter().map(|(name, value)| name.chars().count() + value.chars().count()).sum();
    if length > EXEMPLAR {
        return Err(format!("{length} characters in an exemplar's labels"));
    }
    let mut numbers = rest.strip_prefix(' ').unwrap_or_default().split(' ');
    let (value, time) = (numbers.next().map(number), numbers.next().map(number));
    let (Some(Ok(value)), Some(Ok(_)), None) = (value, time, numbers.next()) else {
        return Err("an exemplar has a value and a time".to_owned());
    };
    if value > bound(of)? { Err("an exemplar above its bucket".to_owned()) } else { Ok(()) }
}

fn bound(labels: &Labels) -> Result<f64, String> {
    let le = labels.iter().find(|(name, _)| name == "le").ok_or("a bucket without a bound")?;
    if le.1 == "+Inf" { Ok(f64::INFINITY) } else { number(&le.1) }
}

/// Whether buckets are cumulative and end with the count.
fn histograms(series: &Series) -> Result<(), String> {
    let mut buckets: BTreeMap<(&str, Labels), Vec<(f64, f64)>> = BTreeMap::new();
    for ((name, labels), value) in series {
        if let Some(name) = name.strip_suffix("_bucket") {
            let others = labels.iter().filter(|(name, _)| name != "le").cloned().collect();
            buckets.entry((name, others)).or_default().push((bound(labels)?, *value));
        }
    }
    for ((name, labels), mut buckets) in buckets {
        buckets.sort_by(|one, other| one.0.total_cmp(&other.0));
        let is_cumulative = buckets.windows(2).all(|pair| pair[0].0 < pair[1].0 && pair[0].1 <= pair[1].1);
        let last = buckets.last().copied();
        let count = series.get(&(format!("{name}_count"), labels.clone())).copied();
        let has_sum = series.contains_key(&(format!("{name}_sum"), labels.clone()));
        if !is_cumulative
            || !has_sum
            || last.is_none_or(|(bound, _)| bound.is_finite())
            || last.map(|last| last.1) != count
        {
            return Err(format!("{name} {labels:?}: buckets {buckets:?}, count {count:?}, has a sum: {has_sum}"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::read;

    const COUNTER: &str = "# HELP a_total Words\n# TYPE a_total counter\n";

    #[test]
    fn what_is_well_formed_is_read() {
        let series = read(&format!("{COUNTER}a_total{{x=\"\\\\ \\\" \\n\"}} 1\na_total 2.5\n"), false).unwrap();
        assert_eq!(series[&("a_total".to_owned(), vec![("x".to_owned(), "\\ \" \n".to_owned())])], 1.0);
        assert_eq!(series.len(), 2);
    }

    #[test]
    fn what_is_not_is_refused() {
        for wrong in [
            "a_total{x=\"1\"} 1",
            "a_total{x=\"1\"}  1\n",
            "a_total{x=\"\\t\"} 1\n",
            "a_total{x=\"1\",x=\"2\"} 1\n",
            "a_total{x=\"1\" 1\n",
            "a_total{} 1\n",
            "a_total 1\na_total 1\n",
            "a_total NaN\n",
            "a_total -1\n",
            "a 1\n",
            "a_total 1 # {x=\"1\"} 1 1\n",
            "# HELP a_total Words\n",
            "# UNIT a_total total\n",
        ] {
            let text = format!("{COUNTER}{wrong}");
            assert!(read(&text, false).is_err(), "{text}");
        }
        let histogram =
            |buckets: &str| read(&format!("# HELP h Words\n# TYPE h histogram\n{buckets}h_sum 1\nh_count 2\n"), false);
        assert!(histogram("h_bucket{le=\"1\"} 1\nh_bucket{le=\"+Inf\"} 2\n").is_ok());
        assert!(histogram("h_bucket{le=\"1\"} 3\nh_bucket{le=\"+Inf\"} 2\n").is_err());
        assert!(histogram("h_bucket{le=\"1\"} 2\n").is_err());
        assert!(histogram("h_bucket{le=\"1\"} 1\nh_bucket{le=\"+Inf\"} 3\n").is_err());
        assert!(read("# EOF", true).is_err() && read("# EOF\n", true).is_ok() && read("", true).is_err());
    }
}

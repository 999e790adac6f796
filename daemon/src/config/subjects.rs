//! Who is told about by name: `[[subject_rules]]` and `[containers]`. What the keys mean is in docs/subjects.md. Knows no figure.

use std::path::PathBuf;

use regex::{Regex, RegexBuilder};
use serde::{Deserialize, Deserializer, de::Error as _};

/// Rules at most: each is tried for every new subject.
const RULES: usize = 64;
/// Memory of one pattern's program.
const PATTERN_BYTES: usize = 256 << 10;

/// A regular expression that has to fit a whole name.
#[derive(Clone, Debug)]
pub struct Pattern {
    text: String,
    regex: Regex,
}

impl Pattern {
    fn new(text: String) -> Result<Self, String> {
        let regex = RegexBuilder::new(&format!("^(?:{text})$")).size_limit(PATTERN_BYTES).build();
        let regex = regex.map_err(|error| {
            let said = error.to_string();
            format!("{text:?} is no regular expression: {}", said.lines().last().unwrap_or_default())
        })?;
        Ok(Self { text, regex })
    }

    /// It, from beginning to end.
    #[must_use]
    pub fn regex(&self) -> &Regex {
        &self.regex
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Pattern {}

impl<'de> Deserialize<'de> for Pattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(String::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

/// One of `[[subject_rules]]`: the first that fits wins.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields, default)]
pub struct SubjectRule {
    /// What the command's name has to be; none: any.
    pub comm: Option<Pattern>,
    /// What the cgroup's path has to be; none: any.
    pub cgroup: Option<Pattern>,
    /// Whether it is summed into "other".
    pub drop: bool,
    /// Name instead, with `$1` or `${name}` for groups of `comm`.
    pub set_comm: Option<String>,
    /// Path instead, with groups of `cgroup`.
    pub set_cgroup: Option<String>,
}

impl SubjectRule {
    fn check(&self) -> Result<(), String> {
        let sets = self.set_comm.is_some() || self.set_cgroup.is_some();
        match (self.comm.is_some() || self.cgroup.is_some(), self.drop, sets) {
            (false, _, _) => return Err("comm or cgroup: one of them has to be there".to_owned()),
            (_, true, true) => return Err("drop: what is dropped has no name to be set".to_owned()),
            (_, false, false) => return Err("drop, set_comm or set_cgroup: one of them has to be there".to_owned()),
            _ => {}
        }
        groups("set_comm", self.set_comm.as_deref(), self.comm.as_ref())?;
        groups("set_cgroup", self.set_cgroup.as_deref(), self.cgroup.as_ref())
    }
}

/// Whether the groups that a replacement names are there: regex takes those that are not for empty.
fn groups(key: &str, replacement: Option<&str>, pattern: Option<&Pattern>) -> Result<(), String> {
    let (Some(replacement), Ok(group)) = (replacement, Regex::new(r"\$(?:\$|\{([^}]*)\}|(\w+))")) else {
        return Ok(());
    };
    let Some(pattern) = pattern else { return Ok(()) };
    for found in group.captures_iter(replacement) {
        let Some(name) = found.get(1).or(found.get(2)).map(|name| name.as_str()) else { continue };
        let is_there = match name.parse::<usize>() {
            Ok(number) => number < pattern.regex.captures_len(),
            Err(_) => pattern.regex.capture_names().flatten().any(|known| known == name),
        };
        if !is_there {
            return Err(format!("{key}: {:?} has no group {name:?}", pattern.text));
        }
    }
    Ok(())
}

/// Whether the rules can be followed.
///
/// # Errors
///
/// Names the rule, by its number, and the key.
pub(super) fn check(rules: &[SubjectRule]) -> Result<(), String> {
    if rules.len() > RULES {
        return Err(format!("subject_rules: {} are more than {RULES}", rules.len()));
    }
    for (n, rule) in rules.iter().enumerate() {
        rule.check().map_err(|message| format!("subject_rules, number {}: {message}", n + 1))?;
    }
    Ok(())
}

/// `[containers]`: where names of containers are read; none is, unless it is named.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields, default)]
pub struct Containers {
    /// A JSON file with `{"ID": {"name": .., "pod": .., "namespace": ..}}`.
    pub names_file: Option<PathBuf>,
    /// The kubelet's folder of logs, /var/log/containers: the names of its files.
    pub kubernetes_logs: Option<PathBuf>,
    /// Docker's folder of containers, /var/lib/docker/containers.
    pub docker_state: Option<PathBuf>,
}

#[cfg(test)]
mod tests {
    use crate::config::Config;

    #[test]
    fn mistakes_in_rules_name_line_and_key() {
        let wrong = |text: &str, parts: &[&str]| {
            let message = Config::parse(&format!("[[subject_rules]]\n{text}")).unwrap_err();
            assert!(parts.iter().all(|part| message.contains(part)) && !message.contains('\n'), "{message}");
        };
        wrong("comm = \"a(\"\ndrop = true", &["line 2", "a(", "unclosed group"]);
        wrong("comms = \"a\"", &["line 2", "comms"]);
        wrong("drop = true", &["number 1", "comm or cgroup"]);
        wrong("comm = \"a\"", &["drop, set_comm or set_cgroup"]);
        wrong("comm = \"a\"\ndrop = true\nset_comm = \"b\"", &["drop"]);
        wrong("comm = \"(a)\"\nset_comm = \"$2\"", &["set_comm", "no group \"2\""]);
        wrong("cgroup = \"(?<x>a)\"\nset_cgroup = \"${y}\"", &["set_cgroup", "no group \"y\""]);
        wrong("comm = \"(?:a{1000}){1000}\"\ndrop = true", &["line 2"]);
        let many = "[[subject_rules]]\ncomm = \"a\"\ndrop = true\n".repeat(65);
        assert!(Config::parse(&many).unwrap_err().contains("65 are more than 64"));
        assert!(Config::parse("[[subject_rules]]\ncomm = \"(a)\"\nset_comm = \"$$1-${1}\"\n").is_ok());
        assert!(Config::parse("[containers]\ndocker = \"/a\"\n").unwrap_err().contains("line 2"));
    }
}

//! Rules of the configuration about subjects: the first that fits says under which name a figure is told, or that it is not told
//! apart. Pure.

use super::{Subject, cache::Cache, shown};
use crate::config::{Pattern, SubjectRule};

/// Subjects whose rule is remembered.
const REMEMBERED: usize = 8 * 1024;

/// The rules, and what they came to.
pub(crate) struct Rules {
    rules: Vec<SubjectRule>,
    known: Cache<Subject, Subject>,
}

impl Rules {
    pub(crate) fn new(rules: Vec<SubjectRule>) -> Self {
        Self { rules, known: Cache::new(REMEMBERED) }
    }

    pub(super) fn forgotten(&self) -> u64 {
        self.known.forgotten()
    }

    /// What a subject is told as.
    pub(crate) fn apply(&mut self, subject: Subject) -> Subject {
        if self.rules.is_empty() || subject.is_other() {
            return subject;
        }
        if let Some(known) = self.known.get(&subject) {
            return known;
        }
        let told = self.rules.iter().find_map(|rule| applied(rule, &subject)).unwrap_or_else(|| subject.clone());
        self.known.insert(subject, told.clone());
        told
    }
}

/// None where the rule does not fit.
fn applied(rule: &SubjectRule, subject: &Subject) -> Option<Subject> {
    let comm = captured(rule.comm.as_ref(), &subject.comm, rule.set_comm.as_deref())?;
    let cgroup = captured(rule.cgroup.as_ref(), &subject.cgroup, rule.set_cgroup.as_deref())?;
    Some(if rule.drop { Subject::other() } else { Subject { comm: shown(&comm), cgroup: shown(&cgroup) } })
}

/// The text, or what it is replaced by; none where the pattern does not fit.
fn captured(pattern: Option<&Pattern>, text: &str, replacement: Option<&str>) -> Option<String> {
    let Some(pattern) = pattern else { return Some(replacement.unwrap_or(text).to_owned()) };
    let captures = pattern.regex().captures(text)?;
    let Some(replacement) = replacement else { return Some(text.to_owned()) };
    let mut out = String::new();
    captures.expand(replacement, &mut out);
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    fn rules(text: &str) -> Rules {
        Rules::new(Config::parse(text).unwrap().subject_rules)
    }

    fn told(rules: &mut Rules, comm: &str, cgroup: &str) -> (String, String) {
        let told = rules.apply(Subject { comm: comm.to_owned(), cgroup: cgroup.to_owned() });
        (told.comm, told.cgroup)
    }

    #[test]
    fn the_first_that_fits_wins() {
        let mut rules = rules(
            "[[subject_rules]]\ncomm = \"cc1(plus)?\"\nset_comm = \"compiler\"\n\
             [[subject_rules]]\ncomm = \"cc.*|as|ld\"\ndrop = true\n\
             [[subject_rules]]\ncgroup = \"(/kubepods\\\\.slice/.*)/[^/]*\\\\.scope\"\nset_cgroup = \"$1\"\n\
             [[subject_rules]]\ncomm = \"worker-(?<kind>[a-z]+)-\\\\d+\"\ncgroup = \"/batch/.*\"\n\
             set_comm = \"worker-${kind}\"\nset_cgroup = \"/batch\"\n",
        );
        for _ in 0..2 {
            let mut told = |comm, cgroup| told(&mut rules, comm, cgroup);
            let own = |comm: &str, cgroup: &str| (comm.to_owned(), cgroup.to_owned());
            assert_eq!(told("cc1plus", "/a"), own("compiler", "/a"));
            assert_eq!(told("cc2", "/a"), own("other", ""));
            assert_eq!(told("cc1plusx", "/a"), own("other", ""), "the whole name has to fit");
            assert_eq!(told("ldd", "/a"), own("ldd", "/a"));
            assert_eq!(told("web", "/kubepods.slice/pod.slice/x.scope"), own("web", "/kubepods.slice/pod.slice"));
            assert_eq!(told("worker-mail-17", "/batch/7"), own("worker-mail", "/batch"));
            assert_eq!(told("worker-mail-17", "/other/7"), own("worker-mail-17", "/other/7"));
        }
    }
}

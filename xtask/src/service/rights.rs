//! What each thread of the service may do, as /proc tells it, beside what deploy/README.md says. Pure.

use super::checks::Row;
use super::facts::Facts;

const CAP_SYS_ADMIN: u64 = 1 << 21;
const CAP_PERFMON: u64 = 1 << 38;
const CAP_BPF: u64 = 1 << 39;
/// What the unit gives.
const BOUND: u64 = CAP_SYS_ADMIN | CAP_PERFMON | CAP_BPF;

/// A thread: "mmscope Name=warden Uid=999 CapInh=…".
struct Thread<'a> {
    process: &'a str,
    fields: Vec<(&'a str, &'a str)>,
}

impl<'a> Thread<'a> {
    fn read(line: &'a str) -> Option<Self> {
        let mut words = line.split_whitespace();
        let process = words.next()?;
        Some(Self { process, fields: words.filter_map(|word| word.split_once('=')).collect() })
    }

    fn field(&self, name: &str) -> &'a str {
        self.fields.iter().find(|(known, _)| *known == name).map_or("", |(_, value)| value)
    }

    fn set(&self, name: &str) -> Option<u64> {
        u64::from_str_radix(self.field(name), 16).ok()
    }

    /// Effective and permitted, which must be the same, without any that could be had again or inherited.
    fn rights(&self) -> Option<u64> {
        let effective = self.set("CapEff")?;
        let same = self.set("CapPrm")? == effective && self.set("CapInh")? == 0 && self.set("CapAmb")? == 0;
        same.then_some(effective)
    }

    fn is_confined(&self) -> bool {
        self.field("NoNewPrivs") == "1"
            && self.field("Seccomp") == "2"
            && self.field("Uid") != "0"
            && self.set("CapBnd").is_some_and(|bound| bound & !BOUND == 0)
    }
}

/// `is_long`: looked at a second time, after everything was attached again.
pub(super) fn judge(facts: &Facts, is_long: bool) -> Vec<Row> {
    let mut rows = Vec::new();
    let looks = [
        (
            "rights",
            ["the warden's rights", "the helper's rights", "rights of every other thread", "every thread is confined"],
        ),
        (
            "rights_again",
            [
                "the warden's rights, after everything was attached again",
                "the helper's rights, then",
                "rights of every other thread, then",
                "every thread is confined, then",
            ],
        ),
    ];
    for (name, when) in looks.into_iter().take(if is_long { 2 } else { 1 }) {
        rows.extend(judge_once(facts.get(name).unwrap_or_default(), when));
    }
    rows
}

fn judge_once(text: &str, [warden, helper, others, confined]: [&'static str; 4]) -> Vec<Row> {
    let threads: Vec<Thread<'_>> = text.lines().filter_map(Thread::read).collect();
    let is_warden = |thread: &&Thread<'_>| thread.process == "mmscope" && thread.field("Name") == "warden";
    let is_helper = |thread: &&Thread<'_>| thread.process == "helper";
    let is_other = |thread: &&Thread<'_>| !is_warden(thread) && !is_helper(thread);
    let of = |choose: &dyn Fn(&&Thread<'_>) -> bool| -> Vec<Option<u64>> {
        threads.iter().filter(choose).map(Thread::rights).collect()
    };
    // Where maps cannot be read without it (before 5.19) who ticks has CAP_BPF.
    let (of_warden, of_helper, of_others) = (of(&is_warden), of(&is_helper), of(&is_other));
    let few = of_others.iter().all(|rights| rights.is_some_and(|rights| rights & !CAP_BPF == 0));
    let all_confined = !threads.is_empty() && threads.iter().all(Thread::is_confined);
    let unconfined = threads.iter().filter(|thread| !thread.is_confined()).map(|thread| thread.field("Name"));
    vec![
        row(warden, "CAP_PERFMON CAP_BPF", &of_warden, of_warden == [Some(CAP_PERFMON | CAP_BPF)]),
        row(helper, "CAP_SYS_ADMIN", &of_helper, of_helper == [Some(CAP_SYS_ADMIN)]),
        row(others, "none, or CAP_BPF before 5.19", &of_others, few && of_others.len() >= 3),
        Row {
            what: confined,
            wanted: "no new privileges, a filter, no root".to_owned(),
            seen: if all_confined {
                format!("{} threads", threads.len())
            } else {
                unconfined.collect::<Vec<_>>().join(" ")
            },
            is_good: all_confined,
        },
    ]
}

fn row(what: &'static str, wanted: &str, seen: &[Option<u64>], is_good: bool) -> Row {
    let mut sets: Vec<String> = seen.iter().map(|rights| rights.map_or("differing sets".to_owned(), names)).collect();
    let count = sets.len();
    sets.sort();
    sets.dedup();
    let seen = if count == 0 { "no such thread".to_owned() } else { format!("{count}: {}", sets.join("; ")) };
    Row { what, wanted: wanted.to_owned(), seen, is_good }
}

fn names(rights: u64) -> String {
    let known = [(CAP_SYS_ADMIN, "CAP_SYS_ADMIN"), (CAP_PERFMON, "CAP_PERFMON"), (CAP_BPF, "CAP_BPF")];
    let mut names: Vec<String> =
        known.iter().filter(|(bit, _)| rights & bit != 0).map(|(_, name)| (*name).to_owned()).collect();
    let unknown = rights & !BOUND;
    if unknown != 0 {
        names.push(format!("{unknown:#x}"));
    }
    if names.is_empty() { "none".to_owned() } else { names.join(" ") }
}

#[cfg(test)]
mod tests {
    use super::{Row, judge_once};

    const NAMES: [&str; 4] = ["warden", "helper", "others", "confined"];

    fn thread(process: &str, name: &str, rights: &str) -> String {
        format!(
            "{process} Name={name} Uid=999 CapInh=0000000000000000 CapPrm={rights} CapEff={rights} CapBnd=000000c000200000 \
             CapAmb=0000000000000000 NoNewPrivs=1 Seccomp=2\n"
        )
    }

    fn service() -> String {
        let (none, bpf) = ("0000000000000000", "0000008000000000");
        let mut text = thread("mmscope", "warden", "000000c000000000") + &thread("helper", "exe", "0000000000200000");
        for rights in [none, none, bpf] {
            text += &thread("mmscope", "mmscope", rights);
        }
        text
    }

    fn failed(text: &str) -> Vec<&'static str> {
        judge_once(text, NAMES).into_iter().filter(|row: &Row| !row.is_good).map(|row| row.what).collect()
    }

    #[test]
    fn each_thread_has_what_it_has_a_use_for() {
        assert_eq!(failed(&service()), [""; 0]);
        assert_eq!(failed(""), NAMES);
    }

    #[test]
    fn one_right_too_much_is_told() {
        let more = |process, name, rights| failed(&(service() + &thread(process, name, rights)));
        assert_eq!(more("mmscope", "mmscope", "0000004000000000"), ["others"], "CAP_PERFMON");
        assert_eq!(more("helper", "exe", "0000000000200000"), ["helper"], "two of them");
        assert_eq!(more("mmscope", "warden", "0000000000000000"), ["warden"]);
        let ambient = service().replacen("CapAmb=0000000000000000", "CapAmb=000000c000000000", 1);
        assert_eq!(failed(&ambient), ["warden"]);
        assert_eq!(failed(&service().replacen("Seccomp=2", "Seccomp=0", 1)), ["confined"]);
        assert_eq!(failed(&service().replacen("CapBnd=000000c000200000", "CapBnd=000001ffffffffff", 1)), ["confined"]);
    }
}

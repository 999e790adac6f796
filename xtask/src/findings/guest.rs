//! The guest's side: the script that starts mmscope, scrapes, lets the load work and scrapes again, and its output cut into
//! parts. Knows nothing of what a scrape says.

use super::programs::Program;
use crate::vm::START_MMSCOPE;

/// A line that begins so is the script's own.
const MARK: &str = "@@@ ";

/// What a guest told.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Told {
    /// The scrape before the load.
    pub(super) before: String,
    /// The scrape after it.
    pub(super) after: String,
    /// How long the load took, by the guest's clock.
    pub(super) seconds: f64,
    /// The load's last words.
    pub(super) notes: Vec<String>,
    /// What was wrong.
    pub(super) problems: Vec<String>,
}

/// The guest's command line.
pub(super) fn script(program: &Program) -> String {
    SCRIPT
        .replace("@START@", START_MMSCOPE)
        .replace("@PREPARE@", program.prepare.trim())
        .replace("@WORK@", program.work.trim())
}

// Prepared first: what belongs to the load is then all that mmscope sees.
const SCRIPT: &str = r#"
scrape() {
    echo "@@@ scrape $1"
    get metrics || echo "@@@ problem no scrape $1"
    echo "@@@ end"
}
said() { tail -n "$2" "$1" | cut -c 1-200 | sed 's/^/@@@ note /'; }

mkdir -p /var/tmp/work
cd /var/tmp/work
cat >/run/prepare <<'PREPARE_ENDS'
set -e
@PREPARE@
PREPARE_ENDS
cat >/run/work <<'WORK_ENDS'
set -e
@WORK@
WORK_ENDS

sh /run/prepare >/run/prepare.log 2>&1 || { said /run/prepare.log 10; echo "@@@ problem the preparation failed"; exit; }
@START@
# A tick, so that there is something to read.
sleep 2
scrape before
read -r start rest </proc/uptime
sh /run/work >/run/work.log 2>&1
code=$?
read -r end rest </proc/uptime
# Two ticks, so that all has been read.
sleep 3
scrape after
echo "@@@ seconds $start $end"
if [ "$code" = 0 ]; then
    said /run/work.log 3
else
    said /run/work.log 10
    echo "@@@ problem the load ended with exit code $code"
fi
kill -TERM "$mmscope" || echo "@@@ problem mmscope had ended before the load did"
wait "$mmscope"
code=$?
[ "$code" = 0 ] || { said /run/mmscope.log 10; echo "@@@ problem mmscope ended with exit code $code"; }
exit 0
"#;

/// Cuts a guest's output.
pub(super) fn read(output: &str) -> Told {
    let mut told = Told::default();
    let mut finished = false;
    let mut part = None;
    for line in output.lines() {
        let Some(words) = line.strip_prefix(MARK) else {
            let into = match part {
                Some("before") => &mut told.before,
                Some("after") => &mut told.after,
                _ => continue,
            };
            into.push_str(line);
            into.push('\n');
            continue;
        };
        match words.split_once(' ').unwrap_or((words, "")) {
            ("scrape", name) => part = Some(name),
            ("end", _) => part = None,
            ("seconds", times) => {
                let times: Vec<f64> = times.split(' ').filter_map(|time| time.parse().ok()).collect();
                if let [start, end] = times[..] {
                    told.seconds = end - start;
                    finished = true;
                }
            }
            ("note", text) => told.notes.push(text.to_owned()),
            ("problem", text) => told.problems.push(text.to_owned()),
            _ => {}
        }
    }
    if !finished && told.problems.is_empty() {
        told.problems.push("the guest ended before the load did".to_owned());
    }
    told
}

#[cfg(test)]
mod tests {
    use super::read;

    #[test]
    fn a_guests_output_is_cut_into_scrapes() {
        let told = read(
            "noise\n@@@ scrape before\na 1\n@@@ end\nnoise\n@@@ scrape after\na 2\nb 3\n@@@ end\n@@@ seconds 10.5 \
             12.0\n@@@ note so many\n@@@ problem too few\n",
        );
        assert_eq!((told.before.as_str(), told.after.as_str(), told.seconds), ("a 1\n", "a 2\nb 3\n", 1.5));
        assert_eq!((told.notes, told.problems), (vec!["so many".to_owned()], vec!["too few".to_owned()]));
    }

    #[test]
    fn a_guest_that_does_not_finish_is_a_problem() {
        assert_eq!(read("@@@ scrape before\n").problems, ["the guest ended before the load did"]);
    }
}

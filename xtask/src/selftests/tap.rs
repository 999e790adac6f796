//! What a test said, without what differs from run to run. Reads TAP and the forms that the kernel's older tests have
//! instead; a line of no known form is no result. Knows nothing of guests.

/// The results in a test's output, one string each: a verdict and the name, without numbering, addresses and times.
pub(crate) fn results(output: &str) -> Vec<String> {
    let mut found = Vec::new();
    // khugepaged says once which kind of memory the lines after it are about.
    let mut about = String::new();
    for line in output.lines() {
        let line = without_colours(line);
        let line = line.trim();
        if let Some(kind) = line.strip_prefix("Run test: ") {
            about = format!("{}: ", steady(kind));
        }
        let known = tap(line).or_else(|| bracketed(line)).or_else(|| testing(line)).or_else(|| passed(line));
        if let Some((verdict, name)) = known {
            found.push(format!("{} {}", verdict.word(), steady(&name)));
        } else if let Some((verdict, name)) = dotted(line) {
            found.push(format!("{} {about}{}", verdict.word(), steady(&name)));
        }
    }
    found
}

/// What a result is.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Verdict {
    Ok,
    NotOk,
    Skip,
    ExpectedFailure,
}

impl Verdict {
    fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::NotOk => "not ok",
            Self::Skip => "skip",
            Self::ExpectedFailure => "xfail",
        }
    }
}

/// "ok 3 - name", "not ok 4 name", "ok 5 # SKIP name (why)".
fn tap(line: &str) -> Option<(Verdict, String)> {
    let (verdict, rest) = match (line.strip_prefix("ok "), line.strip_prefix("not ok ")) {
        (Some(rest), _) => (Verdict::Ok, rest),
        (_, Some(rest)) => (Verdict::NotOk, rest),
        _ => return None,
    };
    let (number, name) = rest.split_once(' ').unwrap_or((rest, ""));
    number.parse::<u32>().ok()?;
    let name = name.strip_prefix("- ").unwrap_or(name);
    for (mark, meant) in [("# SKIP", Verdict::Skip), ("# XFAIL", Verdict::ExpectedFailure)] {
        if let Some((before, after)) = name.split_once(mark) {
            return Some((meant, format!("{}{after}", before.trim_end()).trim().to_owned()));
        }
    }
    Some((verdict, name.to_owned()))
}

/// "[OK]\tname" and "name [PASS]".
fn bracketed(line: &str) -> Option<(Verdict, String)> {
    let marks = [("[OK]", Verdict::Ok), ("[PASS]", Verdict::Ok), ("[FAIL]", Verdict::NotOk), ("[SKIP]", Verdict::Skip)];
    marks.into_iter().find_map(|(mark, verdict)| {
        let (before, after) = line.split_once(mark)?;
        Some((verdict, format!("{} {}", before.trim(), after.trim()).trim().to_owned()))
    })
}

/// "Testing register-ioctls on anon... done", "testing signal delivery: done."
fn testing(line: &str) -> Option<(Verdict, String)> {
    let rest = line.strip_prefix("Testing ").or_else(|| line.strip_prefix("testing "))?;
    let (name, end) = rest.split_once("... ").or_else(|| rest.split_once(": "))?;
    let verdict = match end.split([' ', '.']).next()? {
        "done" => Verdict::Ok,
        "skipped" => Verdict::Skip,
        "failed" => Verdict::NotOk,
        // What 5.10 counted is all that it says of a success.
        "userfaults:" => Verdict::Ok,
        _ => return None,
    };
    Some((verdict, name.to_owned()))
}

/// "test  3 PASSED (iteration 1)".
fn passed(line: &str) -> Option<(Verdict, String)> {
    let (number, rest) = line.strip_prefix("test ")?.trim_start().split_once(' ')?;
    let iteration = rest.strip_prefix("PASSED")?;
    Some((Verdict::Ok, format!("test {number}{iteration}")))
}

/// "Collapse fully populated PTE table.... OK": a dot for each time that it looked.
fn dotted(line: &str) -> Option<(Verdict, String)> {
    let (name, word) = line.rsplit_once(' ')?;
    let name = name.strip_suffix("...")?;
    let verdict = match word {
        "OK" => Verdict::Ok,
        "Fail" => Verdict::NotOk,
        "Skip" => Verdict::Skip,
        _ => return None,
    };
    Some((verdict, name.trim_end_matches('.').to_owned()))
}

/// Without the escapes that colour a terminal.
fn without_colours(line: &str) -> String {
    let mut parts = line.split('\u{1b}');
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        plain.push_str(part.split_once('m').map_or("", |(_, text)| text));
    }
    plain
}

/// A name without addresses, durations and what was counted.
fn steady(name: &str) -> String {
    let end = COUNTED.iter().filter_map(|words| Some(name.find(words)? + words.len())).min();
    let words: Vec<&str> = name[..end.unwrap_or(name.len())].split_whitespace().collect();
    let mut steady: Vec<String> = Vec::new();
    for (index, word) in words.iter().enumerate() {
        let bare = word.trim_matches(|c: char| !c.is_ascii_alphanumeric());
        let next = words.get(index + 1).map(|next| next.trim_matches(|c: char| !c.is_ascii_alphanumeric()));
        let number = |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_digit() || c == '.');
        let timed = UNITS.iter().any(|unit| {
            bare.strip_suffix(unit).is_some_and(number) || (number(bare) && next.is_some_and(|next| next == *unit))
        });
        let address = bare.strip_prefix("0x").is_some_and(|digits| digits.len() > 4);
        steady.push(match (timed, address) {
            (true, _) => word.replace(bare, "TIME"),
            (_, true) => word.replace(bare, "ADDRESS"),
            _ => (*word).to_owned(),
        });
    }
    steady.join(" ")
}

/// What comes after these words was counted and is another number each time: compaction_test, pagemap_ioctl.
const COUNTED: &[&str] = &["pages allocated =", "Extra pages"];

const UNITS: &[&str] = &["ns", "us", "usec", "ms", "msec", "s", "sec", "secs", "seconds"];

#[cfg(test)]
mod tests {
    use super::results;

    #[test]
    fn tap_loses_its_numbers_and_keeps_its_verdicts() {
        let output = "TAP version 13\n1..4\n# a remark\nok 1 - first\nnot ok 2 second\nok 3 # SKIP third (no THP)\n\
             ok 4 fourth # SKIP why\nnot ok 5 # XFAIL fifth\n# Totals: pass:1 fail:1\n";
        assert_eq!(
            results(output),
            ["ok first", "not ok second", "skip third (no THP)", "skip fourth why", "xfail fifth"]
        );
    }

    #[test]
    fn what_varies_is_taken_out_and_sizes_stay() {
        let output = "ok 5 2MB mremap - Source PTE-aligned, mremap time: 153241ns\n\
             ok 6 mapped at 0x7f12345000, took 3 ms\nok 7 flags 0x1f\n\
             ok 8 pages allocated = 379";
        assert_eq!(
            results(output),
            [
                "ok 2MB mremap - Source PTE-aligned, mremap time: TIME",
                "ok mapped at ADDRESS, took TIME ms",
                "ok flags 0x1f",
                "ok pages allocated ="
            ]
        );
    }

    #[test]
    fn older_forms_are_results_too() {
        let output = "testing UFFDIO_ZEROPAGE: done.\ntesting events (fork): userfaults: 512 missing (512+)\n\
             Testing move on anon... skipped [reason: kernel]\n\
             Testing poison on shmem... failed [reason: x]\n[OK]\tTest passed\nmlock [FAIL]\n\
             test  0 PASSED (iteration 1)\n\
             nr_pages: 5120, nr_pages_per_cpu: 2560\nbounces: 15, mode: rnd racing ver poll, userfaults: 12 missing";
        assert_eq!(
            results(output),
            [
                "ok UFFDIO_ZEROPAGE",
                "ok events (fork)",
                "skip move on anon",
                "not ok poison on shmem",
                "ok Test passed",
                "not ok mlock",
                "ok test 0 (iteration 1)"
            ]
        );
    }

    #[test]
    fn dots_of_waiting_and_colours_are_taken_out() {
        let output = "Run test: collapse_full (khugepaged:anon)\n\
             Collapse fully populated PTE table........ \u{1b}[32mOK\u{1b}[0m\nSwapout one page... \u{1b}[31mFail\u{1b}[0m";
        assert_eq!(
            results(output),
            [
                "ok collapse_full (khugepaged:anon): Collapse fully populated PTE table",
                "not ok collapse_full (khugepaged:anon): Swapout one page"
            ]
        );
    }
}

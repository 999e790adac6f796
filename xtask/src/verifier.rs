//! How many instructions the verifier looks at for each program on each kernel: the table of docs/verifier.md, to which a
//! guests' test holds the programs. Knows how to collect and to write; what is within the budget is the test's.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Args;
use serde_json::Value;

use crate::kernels::{self, KERNELS};
use crate::live_test::{Binaries, build_live_test};
use crate::setup::{self, Wants};
use crate::{build, dist, paths};

/// How a line of the test's begins that carries a kernel's counts.
const LINE: &str = "verifier: ";
const TEST: &str = "programs_keep_to_their_verifier_budget";
const PAGE: &str = "docs/verifier.md";

/// `cargo xtask verifier`.
#[derive(Args)]
pub(crate) struct VerifierArgs {
    /// Write docs/verifier.md
    #[arg(long)]
    write: bool,
}

/// Boots each kernel, prints the table, and what of it differs from the committed one.
pub(crate) fn main(args: &VerifierArgs) -> Result<ExitCode> {
    let tools = setup::setup(Wants { guests: true })?;
    let guests = tools.guests.as_ref().context("set-up of the guest tools")?;
    let object = build::bpf(&tools, false)?;
    let [mmscope, mmload] = dist::dist(&tools, false)?;
    let program = build_live_test(&object, "guest")?;
    let binaries = Binaries { object: &object, mmscope: &mmscope, mmload: &mmload, program: &program };
    let mut columns = Vec::new();
    for kernel in KERNELS {
        let env = [("RUST_TEST_NOCAPTURE", "1".to_owned())];
        let filter = [TEST.to_owned()];
        let outcome = binaries.boot(guests, kernels::resolve(kernel)?, &filter, &env, Duration::from_secs(300))?;
        let line = outcome.output.lines().find_map(|line| line.split_once(LINE));
        let (_, json) = line.with_context(|| format!("kernel {kernel} told no counts"))?;
        let counts: Value = serde_json::from_str(json).with_context(|| format!("read {json}"))?;
        columns.push((*kernel, counts["programs"].clone()));
    }
    let page = page(&columns);
    print!("\n{page}");
    let path = paths::root().join(PAGE);
    let committed = fs::read_to_string(&path).unwrap_or_default();
    for (line, old) in page.lines().zip(committed.lines()).filter(|(line, old)| line != old) {
        println!("changed: {line}\n    was: {old}");
    }
    if args.write {
        fs::write(&path, page).with_context(|| format!("write {}", path.display()))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn page(columns: &[(&str, Value)]) -> String {
    let names: BTreeSet<&str> = columns
        .iter()
        .flat_map(|(_, programs)| programs.as_object().into_iter().flatten())
        .map(|(name, _)| name.as_str())
        .collect();
    let mut text = "# Verifier budget\n\nInstructions that the kernel's verifier looked at for each program when it was loaded \
        (verified_insns of bpf_prog_info, from 5.16 on; \"loads\" where the kernel does not tell). A dash: the kernel has no such \
        hook, or does not preempt its programs and needs no second (`_last`) or third one (`_again`). The guests' tests fail when a program grows by more \
        than a tenth.\n\nMade by `cargo xtask verifier --write`.\n\n".to_owned();
    let kernels: Vec<&str> = columns.iter().map(|(kernel, _)| *kernel).collect();
    let _ = writeln!(text, "| program | {} |\n|---|{}", kernels.join(" | "), "---|".repeat(columns.len()));
    for name in names {
        let cells = columns.iter().map(|(_, programs)| match programs.get(name) {
            None => "-".to_owned(),
            Some(Value::Null) => "loads".to_owned(),
            Some(count) => count.to_string(),
        });
        let _ = writeln!(text, "| {name} | {} |", cells.collect::<Vec<_>>().join(" | "));
    }
    text
}

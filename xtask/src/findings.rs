//! What mmscope tells of programs that people run: boots a kernel for each program, lets it work, and makes a table of what
//! two scrapes differ by. A table of contents: the programs, the guest, the arithmetic and the page have files of their own.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Args;

use self::answers::Row;
use self::programs::{PROGRAMS, Program};
use self::scrape::{Difference, Scrape};
use crate::catalogue::Catalogue;
use crate::setup::{self, Wants};
use crate::vm::{Guest, Outcome, in_bin};
use crate::{dist, kernels, root};

mod answers;
mod guest;
mod page;
mod programs;
mod scrape;

/// One that people run, and the newest.
const KERNELS: &[&str] = &["6.12", "7"];

/// What `--short` runs if nothing else is said.
const SHORT_PROGRAM: &str = "compiler";

const TIMEOUT: Duration = Duration::from_secs(1200);

/// `cargo xtask findings`.
///
/// Each program runs in a guest of its own, on an installation of Debian that is made on first use (see `vm --root`). The
/// exit code is 1 if a program failed, mmscope did, or a kernel complained.
#[derive(Args)]
pub(crate) struct FindingsArgs {
    /// Boot this kernel, as `vm` takes it (6.12 and the newest 7.x if none is given)
    #[arg(long)]
    kernel: Vec<String>,
    /// Run this program: snapshot, jvm, server, postgres, stress or compiler (all of them if none is given)
    #[arg(long)]
    program: Vec<String>,
    /// Write the tables of docs/findings.md
    #[arg(long)]
    write: bool,
    /// A tiny load: of the compiler on 6.12 if nothing else is said
    #[arg(long)]
    short: bool,
}

impl FindingsArgs {
    fn kernels(&self) -> Vec<&str> {
        match self.kernel.as_slice() {
            [] if self.short => KERNELS[..1].to_vec(),
            [] => KERNELS.to_vec(),
            given => given.iter().map(String::as_str).collect(),
        }
    }

    fn programs(&self) -> Result<Vec<&'static Program>> {
        let find = |name: &str| PROGRAMS.iter().find(|program| program.name == name);
        let names: Vec<&str> = match self.program.as_slice() {
            [] if self.short => vec![SHORT_PROGRAM],
            [] => return Ok(PROGRAMS.iter().collect()),
            given => given.iter().map(String::as_str).collect(),
        };
        let known: Vec<&str> = PROGRAMS.iter().map(|program| program.name).collect();
        let found = names.iter().map(|name| {
            find(name).with_context(|| format!("--program: there is no {name} (there are {})", known.join(", ")))
        });
        found.collect()
    }

    /// The command that does the same again.
    fn again(&self) -> String {
        let mut line = "cargo xtask findings --write".to_owned();
        self.kernel.iter().for_each(|kernel| line.push_str(&format!(" --kernel {kernel}")));
        self.program.iter().for_each(|program| line.push_str(&format!(" --program {program}")));
        if self.short {
            line.push_str(" --short");
        }
        line
    }
}

/// Every kernel with every program, one guest at a time: each of its processors is emulated in a thread of its own.
pub(crate) fn main(args: &FindingsArgs) -> Result<ExitCode> {
    let programs = args.programs()?;
    let tools = setup::setup(Wants { guests: true })?;
    let guests = tools.guests.as_ref().context("set-up of the guest tools")?;
    let [mmscope, _] = dist::dist(&tools, false)?;
    let catalogue = Catalogue::read()?;
    let mut tables = Vec::new();
    let mut failed = false;
    for kernel in args.kernels() {
        let kernel = kernels::resolve(kernel)?;
        let mut rows = Vec::new();
        for program in &programs {
            let packages: Vec<String> = program.packages.iter().map(|&name| name.to_owned()).collect();
            let guest = Guest {
                memory_mib: 3072,
                parallel: true,
                root: Some(root::image(&packages)?),
                files: vec![in_bin(mmscope.clone())],
                env: vec![("LOAD".to_owned(), program.load(args.short).to_string())],
                quiet: true,
                timeout: TIMEOUT,
                ..Guest::new(kernel.clone(), guest::script(program))
            };
            eprintln!("findings: {} on {}", program.name, kernel.release);
            let outcome = guest.run(guests)?;
            outcome.explain();
            let row = row(program, &outcome, &catalogue);
            failed |= row.is_err();
            if let Err(error) = &row {
                eprintln!("findings: {} on {}: {error:#}", program.name, kernel.release);
            }
            rows.push(row.unwrap_or_else(|error| Row::failed(program, &format!("{error:#}"))));
        }
        let table = page::table(&kernel.release, &rows);
        println!("\n{table}");
        tables.push(table);
    }
    if args.write {
        page::write(&tables.join("\n"), &args.again())?;
    }
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn row(program: &Program, outcome: &Outcome, catalogue: &Catalogue) -> Result<Row> {
    let told = guest::read(&outcome.output);
    told.notes.iter().for_each(|note| eprintln!("findings: | {note}"));
    if let Some(problem) = outcome.problem() {
        bail!(problem);
    }
    if !told.problems.is_empty() {
        bail!(told.problems.join("; "));
    }
    let (before, after) = (Scrape::parse(&told.before)?, Scrape::parse(&told.after)?);
    Ok(Row::new(program, told.seconds, &Difference::new(&before, &after, catalogue)))
}

#[cfg(test)]
mod tests {
    use super::FindingsArgs;

    fn args(program: &[&str], short: bool) -> FindingsArgs {
        let program = program.iter().map(|&name| name.to_owned()).collect();
        FindingsArgs { kernel: Vec::new(), program, write: true, short }
    }

    #[test]
    fn short_is_one_guest_and_an_unknown_program_is_told() {
        let short = args(&[], true);
        assert_eq!((short.kernels().len(), short.programs().map(|found| found.len()).ok()), (1, Some(1)));
        assert!(args(&["jvm", "vim"], false).programs().is_err_and(|error| error.to_string().contains("no vim")));
        assert_eq!(args(&["jvm"], true).again(), "cargo xtask findings --write --program jvm --short");
    }
}

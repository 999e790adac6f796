//! The command line as manual pages and as completions of shells: made when a package is, from what clap knows.

use std::{fs, io, path::Path};

use clap::CommandFactory as _;
use clap_complete::Shell;

use crate::{cli::Cli, failure::Failure};

/// Shells whose completions are written.
pub const SHELLS: [Shell; 3] = [Shell::Bash, Shell::Zsh, Shell::Fish];

/// Writes a page for mmscope and one for each subcommand, and a file for each shell.
///
/// # Errors
///
/// When the folder cannot be made or written.
pub fn write(folder: &Path) -> Result<(), Failure> {
    let written = || -> io::Result<()> {
        fs::create_dir_all(folder)?;
        let mut command = Cli::command();
        clap_mangen::generate_to(command.clone(), folder)?;
        for shell in SHELLS {
            clap_complete::generate_to(shell, &mut command, "mmscope", folder)?;
        }
        Ok(())
    };
    written().map_err(|error| Failure::Uncreatable { path: folder.to_owned(), error })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_subcommand_that_is_shown_has_a_page() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path()).unwrap();
        let mut names: Vec<String> = fs::read_dir(folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        let subcommands = Cli::command();
        let pages = subcommands.get_subcommands().filter(|command| !command.is_hide_set());
        let mut wanted: Vec<String> = pages.map(|command| format!("mmscope-{}.1", command.get_name())).collect();
        wanted.extend(["mmscope.1", "_mmscope", "mmscope.bash", "mmscope.fish"].map(str::to_owned));
        wanted.sort();
        assert_eq!(names, wanted);
        let page = fs::read_to_string(folder.path().join("mmscope-run.1")).unwrap();
        assert!(page.contains("web.listen") && page.contains("127.0.0.1:10942"), "{page}");
    }
}

//! A terminal of 80 x 24 in which a command runs: tmux, which draws what it is sent and types what it is told.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::client::await_some;

/// A terminal of its own, which ends with this.
pub(crate) struct Terminal {
    socket: String,
    folder: tempfile::TempDir,
}

impl Terminal {
    /// Runs `mmscope` with these arguments, and these variables set. What it leaves behind stays on the screen: its exit code, and
    /// whether the terminal is as it was.
    pub(crate) fn of(env: &[(&str, &str)], args: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let quoted = |text: &str| format!("'{text}'");
        let args: String = args.iter().map(|arg| format!(" {}", quoted(arg))).collect();
        let env: String = env.iter().map(|(name, value)| format!("export {name}={}\n", quoted(value))).collect();
        let (mmscope, pid) = (env!("CARGO_BIN_EXE_mmscope"), folder.path().join("pid"));
        // Its own shell is replaced by it, so that signals reach it and nobody else.
        let script = format!(
            "unset NO_COLOR\n{env}before=$(stty -g)\nsh -c 'echo $$ >\"$0\"; exec \"$@\"' '{}' '{mmscope}'{args}\n\
             echo \"left with $?\"\nif [ \"$(stty -g)\" = \"$before\" ]; then echo 'as it was'; fi\nexec cat\n",
            pid.display()
        );
        fs::write(folder.path().join("run.sh"), script).unwrap();
        let terminal = Self { socket: folder.path().join("tmux").to_string_lossy().into_owned(), folder };
        let run = format!("sh '{}'", terminal.path("run.sh").display());
        let size = ["-x", "80", "-y", "24"];
        let started = terminal.tmux(&[&["-u", "new-session", "-d"][..], &size, &[&run]].concat());
        assert!(started.is_some(), "a terminal starts");
        terminal
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// What tmux says; none if it fails.
    fn tmux(&self, args: &[&str]) -> Option<String> {
        let mut tmux = Command::new("tmux");
        tmux.args(["-f", "/dev/null", "-S", &self.socket]).args(args).env("LC_ALL", "C.UTF-8").env_remove("TMUX");
        let output = tmux.output().expect("tmux: cargo xtask test installs it");
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Presses keys, by tmux's names.
    pub(crate) fn press(&self, keys: &[&str]) {
        assert!(self.tmux(&[&["send-keys"], keys].concat()).is_some(), "press {keys:?}");
    }

    /// The screen, line by line.
    pub(crate) fn screen(&self) -> String {
        self.tmux(&["capture-pane", "-p"]).unwrap_or_default()
    }

    /// The screen with its colours as escape sequences.
    pub(crate) fn coloured(&self) -> String {
        self.tmux(&["capture-pane", "-p", "-e"]).unwrap_or_default()
    }

    /// Waits until the screen is as wanted; it is told when it never is.
    pub(crate) fn until<T>(&self, what: &str, is_wanted: impl Fn(&str) -> Option<T>) -> T {
        let look = || {
            await_some(what, || {
                let screen = self.screen();
                is_wanted(&screen)
            })
        };
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(look)).unwrap_or_else(|_| {
            panic!("never on the screen: {what}; last it was\n{}", self.screen());
        })
    }

    /// Waits until it has this text.
    pub(crate) fn shows(&self, text: &str) -> String {
        self.until(text, |screen| screen.contains(text).then(|| screen.to_owned()))
    }

    /// Sends a signal to mmscope.
    pub(crate) fn signal(&self, signal: Signal) {
        let pid = fs::read_to_string(self.path("pid")).unwrap();
        kill(Pid::from_raw(pid.trim().parse().unwrap()), signal).unwrap();
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.tmux(&["kill-server"]);
    }
}

/// A file with one line.
pub(crate) fn line(folder: &Path, name: &str, text: &str) -> String {
    let path = folder.join(name);
    fs::write(&path, text).unwrap();
    path.to_string_lossy().into_owned()
}

//! The terminal: taken whole, and given back on every way out.

use std::{
    env,
    io::{self, IsTerminal as _, Stdout},
    panic,
    sync::Once,
};

use ratatui::{
    Terminal,
    backend::CrosstermBackend,
    crossterm::{
        cursor, execute,
        terminal::{EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode},
    },
};

use super::{
    draw::{self, Look},
    state::State,
    words::Glyphs,
};
use crate::failure::Failure;

/// A terminal that is ours until this is dropped.
pub(super) struct Screen {
    terminal: Terminal<CrosstermBackend<Stdout>>,
    look: Look,
}

/// Says whether standard output can be drawn on.
///
/// # Errors
///
/// When it is no terminal, or one that cannot move its cursor.
pub(super) fn check() -> Result<(), Failure> {
    if !io::stdout().is_terminal() {
        let message = "top: standard output is no terminal; /api/v1/overview of a running mmscope has the same as JSON";
        return Err(Failure::Terminal(message.to_owned()));
    }
    match env::var("TERM").unwrap_or_default().as_str() {
        kind @ ("" | "dumb" | "unknown") => {
            let kind = if kind.is_empty() { "is not set".to_owned() } else { format!("is {kind:?}") };
            Err(Failure::Terminal(format!("top: TERM {kind}: such a terminal cannot be drawn on")))
        }
        _ => Ok(()),
    }
}

/// How things look, by the environment.
fn look(var: impl Fn(&str) -> Option<String>) -> Look {
    let set = |name: &str| var(name).filter(|value| !value.is_empty());
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(set).unwrap_or_default().to_lowercase();
    let is_utf8 = locale.contains("utf-8") || locale.contains("utf8");
    Look { has_colour: set("NO_COLOR").is_none(), glyphs: if is_utf8 { Glyphs::Blocks } else { Glyphs::Ascii } }
}

impl Screen {
    /// Takes it.
    ///
    /// # Errors
    ///
    /// When it does not let itself be set.
    pub(super) fn take() -> Result<Self, Failure> {
        static HOOK: Once = Once::new();
        HOOK.call_once(|| {
            let told = panic::take_hook();
            panic::set_hook(Box::new(move |info| {
                give_back();
                told(info);
            }));
        });
        let terminal = Self::begin().map_err(|error| {
            give_back();
            failed(&error)
        })?;
        Ok(Self { terminal, look: look(|name| env::var(name).ok()) })
    }

    fn begin() -> io::Result<Terminal<CrosstermBackend<Stdout>>> {
        enable_raw_mode()?;
        execute!(io::stdout(), EnterAlternateScreen, cursor::Hide)?;
        let mut terminal = Terminal::new(CrosstermBackend::new(io::stdout()))?;
        terminal.clear()?;
        Ok(terminal)
    }

    /// Draws a state, and tells it what there was room for.
    ///
    /// # Errors
    ///
    /// When the terminal is gone.
    pub(super) fn draw(&mut self, state: &mut State) -> Result<(), Failure> {
        let mut room = state.room;
        let look = self.look;
        self.terminal
            .draw(|frame| room = draw::draw(frame.buffer_mut(), state, look))
            .map_err(|error| failed(&error))?;
        state.drawn(room);
        Ok(())
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        give_back();
    }
}

/// As it was before. A terminal that is gone cannot be given back.
fn give_back() {
    let _ = execute!(io::stdout(), LeaveAlternateScreen, cursor::Show);
    let _ = disable_raw_mode();
}

fn failed(error: &io::Error) -> Failure {
    Failure::System(format!("top: draw on the terminal: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_and_signs_follow_the_environment() {
        let with = |vars: &'static [(&str, &str)]| {
            let look = look(|name| vars.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned()));
            (look.has_colour, look.glyphs)
        };
        assert_eq!(with(&[("LANG", "en_GB.UTF-8")]), (true, Glyphs::Blocks));
        assert_eq!(with(&[("LANG", "en_GB.UTF-8"), ("LC_ALL", "C")]), (true, Glyphs::Ascii));
        assert_eq!(with(&[("LC_ALL", ""), ("LC_CTYPE", "C.utf8"), ("NO_COLOR", "1")]), (false, Glyphs::Blocks));
        assert_eq!(with(&[("NO_COLOR", "")]), (true, Glyphs::Ascii));
    }
}

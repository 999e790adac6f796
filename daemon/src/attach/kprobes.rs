//! Kprobes that programs are attached to. By name, as events of tracefs: then it can be told how many calls of a function may be
//! under way at once before returns are missed, and the kernel tells what it missed. Where tracefs cannot be written (it is
//! root's), by perf's own kprobes, which know neither.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write as _},
    os::fd::{AsFd as _, AsRawFd as _},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
};

use aya::programs::{KProbe, ProbeKind, ProgramError, kprobe::KProbeLink};
use perf_event::{Builder, Counter, events::Tracepoint};

/// Calls of a function that may be under way at once, of all tasks, before the return of one more is missed. The kernel's own
/// number is ten, or twice the processors; but tasks sleep in some of these functions. Some hundred bytes each.
const UNDER_WAY: u32 = 1024;

/// The group of a process's events begins so; its id follows.
const GROUP: &str = "mmscope_";

/// A kprobe with its program. Dropping it takes both away.
pub(super) enum Kprobe {
    Named(Named),
    #[expect(dead_code, reason = "held for its drop")]
    Nameless(KProbeLink),
}

impl Kprobe {
    /// Attaches a loaded program to a function, at its entry or its return as the program says.
    pub(super) fn attach(program: &mut KProbe, function: &str) -> Result<Self, ProgramError> {
        let named = Event::new(program.kind(), function).and_then(|event| Named::attach(event, program));
        match named {
            Ok(named) => Ok(Self::Named(named)),
            Err(error) => {
                tracing::debug!(function, %error, "no named kprobe");
                let link = program.attach(function, 0)?;
                program.take_link(link).map(Self::Nameless)
            }
        }
    }

    /// The event's name in the kernel's profile of kprobes; none where it is not in there.
    pub(super) fn name(&self) -> Option<&str> {
        match self {
            Self::Named(named) => Some(&named.event.name),
            Self::Nameless(_) => None,
        }
    }
}

/// A program on an event. The program goes first: an event in use is not removed.
pub(super) struct Named {
    #[expect(dead_code, reason = "held for its drop")]
    counter: Counter,
    event: Event,
}

impl Named {
    fn attach(event: Event, program: &KProbe) -> io::Result<Self> {
        let id = fs::read_to_string(event.tracefs.join(format!("events/{}/{}/id", event.group, event.name)))?;
        let id = id.trim().parse().map_err(io::Error::other)?;
        let program = program.fd().map_err(io::Error::other)?;
        // One processor's counter is enough: the program runs before it is asked whose event this is.
        let mut counter = Builder::new(Tracepoint::with_id(id)).any_pid().one_cpu(0).include_kernel().build()?;
        counter.set_bpf(program.as_fd().as_raw_fd())?;
        counter.enable()?;
        Ok(Self { counter, event })
    }
}

/// A kprobe event of tracefs. Dropping it removes it.
struct Event {
    tracefs: PathBuf,
    group: String,
    name: String,
}

/// Makes names differ: a canary may be where a hook is.
static NUMBER: AtomicU32 = AtomicU32::new(0);

impl Event {
    fn new(kind: ProbeKind, function: &str) -> io::Result<Self> {
        let tracefs = tracefs().ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?;
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let group = format!("{GROUP}{}", std::process::id());
        let (form, word) = match kind {
            ProbeKind::Entry => ("p".to_owned(), "entry"),
            ProbeKind::Return => (format!("r{UNDER_WAY}"), "return"),
        };
        // A name has 63 characters at most.
        let name = format!("{word}_{number}_{function:.40}");
        tell(tracefs, &format!("{form}:{group}/{name} {function}"))?;
        Ok(Self { tracefs: tracefs.to_owned(), group, name })
    }
}

impl Drop for Event {
    fn drop(&mut self) {
        if let Err(error) = tell(&self.tracefs, &format!("-:{}/{}", self.group, self.name)) {
            tracing::warn!(%error, "{}/{} stays among the kernel's kprobe events", self.group, self.name);
        }
    }
}

/// Removes events of processes that ended without a goodbye. They cost nothing, but stay until somebody does.
pub(super) fn forget_leftovers() {
    let Some(tracefs) = tracefs() else { return };
    let Ok(events) = fs::read_to_string(tracefs.join(EVENTS)) else { return };
    for name in leftovers(&events, |process| Path::new("/proc").join(process).exists()) {
        if let Err(error) = tell(tracefs, &format!("-:{name}")) {
            tracing::debug!(%error, "{name} stays among the kernel's kprobe events");
        }
    }
}

/// Names of our events whose process is no more, in lines as `r1024:mmscope_17/return_3_do_wp_page do_wp_page`.
fn leftovers(events: &str, lives: impl Fn(&str) -> bool) -> Vec<&str> {
    let named = events.lines().filter_map(|line| line.split_whitespace().next()?.split_once(':'));
    let ours = named.map(|(_, name)| name).filter(|name| {
        let process = name.strip_prefix(GROUP).and_then(|rest| rest.split_once('/')).map(|(process, _)| process);
        process.is_some_and(|process| process.parse::<u32>().is_ok() && !lives(process))
    });
    ours.collect()
}

const EVENTS: &str = "kprobe_events";

fn tracefs() -> Option<&'static Path> {
    ["/sys/kernel/tracing", "/sys/kernel/debug/tracing"]
        .into_iter()
        .map(Path::new)
        .find(|path| path.join(EVENTS).exists())
}

fn tell(tracefs: &Path, command: &str) -> io::Result<()> {
    OpenOptions::new().append(true).open(tracefs.join(EVENTS))?.write_all(command.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::leftovers;

    #[test]
    fn events_of_the_dead_are_left_over() {
        let events = "p:mmscope_17/entry_0_up_read up_read\nr1024:mmscope_18/return_1_down_read down_read\n\
                      p:kprobes/mine do_wp_page\np:mmscope_x/other up_read\nr:mmscope_17/return_2_f f a=$retval\n";
        let dead = leftovers(events, |process| process == "18");
        assert_eq!(dead, ["mmscope_17/entry_0_up_read", "mmscope_17/return_2_f"]);
        assert!(leftovers("", |_| false).is_empty());
    }
}

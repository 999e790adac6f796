//! What holds for the configuration whatever its text: it is understood, or the message says where it is wrong.

use std::{sync::Arc, time::Duration};

use super::{Config, SUBJECTS, TICK, Url};
use crate::{
    export, recording,
    scope::{Scope, Sight},
};

/// Any bytes; what is no UTF-8 does not come this far.
pub(crate) fn text(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let read = Config::parse(text);
    assert_eq!(read, Config::parse(text), "the same each time");
    match read {
        Ok(config) => usable(&config),
        Err(message) => explained(text, &message),
    }
    address(text);
}

fn usable(config: &Config) {
    assert!(TICK.contains(&config.tick) && SUBJECTS.contains(&config.subjects));
    assert_eq!(config.check(), Ok(()));
    // It can be run with, for as long as it may say.
    let mut scope = Scope::new(config, recording::fuzzing::header().host);
    for uptime in [Duration::ZERO, config.tick, Duration::from_secs(u64::from(u32::MAX))] {
        let seen = scope.see(&Sight { uptime, ..Sight::default() });
        export::fuzzing::check(&Arc::new(seen.snapshot));
    }
    for sink in &config.notify.alertmanager {
        assert!(!sink.urls.is_empty() && sink.urls.iter().all(|url| url.join(super::ALERTS_PATH).is_ok()));
    }
}

fn explained(text: &str, message: &str) {
    assert!(!message.trim().is_empty(), "a mistake without a message");
    assert!(!message.contains('\n'), "one line: {message:?}");
    if let Some(line) = message.strip_prefix("line ").and_then(|rest| rest.split(':').next()) {
        let line: usize = line.parse().unwrap_or_else(|_| panic!("no number of a line: {message:?}"));
        assert!((1..=1 + text.matches('\n').count()).contains(&line), "a line that is not there: {message:?}");
    }
}

fn address(text: &str) {
    if let Ok(url) = Url::parse(text) {
        assert_eq!(Url::parse(&url.to_string()).as_ref(), Ok(&url), "an address is spelt as it is read");
        assert!(!url.uri().authority().is_none_or(|authority| authority.as_str().contains('@')), "it holds no secret");
    }
}

//! What is written to webhooks and Alertmanagers, word for word; docs/notify.md is held to it.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use super::{SECOND, cleared, raised, wall};
use crate::{
    anomaly::Class::{Blind, LockConvoy},
    config::{self, Notify},
    model::sinks::Reason,
    notify::{
        alertmanager::Form,
        notice::{Evidence, Key, Notice},
        origin::{Origin, rfc3339},
        outbox::{Message, Told},
        webhook,
    },
};

fn page() -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/notify.md")).unwrap()
}

fn origin() -> Origin {
    let config =
        Notify { runbook_url: Some("https://wiki.example/runbooks/{alert}.md".to_owned()), ..Notify::default() };
    Origin::new(&config, "db1", "0.0.0.0:10942")
}

/// An alert with all there can be.
fn full() -> Arc<Notice> {
    let evidence = Evidence {
        event: "hold of mmap_lock, write, of 212.0ms in 4711/4713 postgres (munmap)".to_owned(),
        comm: "postgres".to_owned(),
        tgid: 4711,
        tid: 4713,
        duration_ns: 212_000_000,
        stack: vec!["up_write+0x3e".to_owned(), "__x64_sys_munmap+0x1b".to_owned(), "do_syscall_64+0x5c".to_owned()],
    };
    let text = "postgres 4711/4713 held mmap_lock of postgres for write for 212ms (bound 100ms)".to_owned();
    Arc::new(Notice { text, evidence: vec![evidence], ..(*raised(17, LockConvoy, "postgres")).clone() })
}

fn over() -> Arc<Notice> {
    Arc::new(Notice { text: "not seen for 1m".to_owned(), ..(*cleared(18, LockConvoy, "java")).clone() })
}

/// The JSON blocks of the page.
fn examples() -> Vec<serde_json::Value> {
    let page = page();
    let blocks = page.split("```json\n").skip(1);
    blocks.map(|block| serde_json::from_str(block.split("```").next().unwrap()).unwrap()).collect()
}

#[test]
fn the_body_of_a_webhook_is_that_of_the_page() {
    let told = vec![Told { notice: full(), repeats: 2 }, Told { notice: over(), repeats: 0 }];
    let body = webhook::body(&origin(), &Message { class: LockConvoy, told }).unwrap();
    let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(body, examples()[0], "docs/notify.md shows another body than:\n{body:#}");
}

#[test]
fn one_alert_is_told_in_a_line() {
    let body = |notice| {
        let message = Message { class: LockConvoy, told: vec![Told { notice, repeats: 0 }] };
        serde_json::from_slice::<serde_json::Value>(&webhook::body(&origin(), &message).unwrap()).unwrap()
    };
    assert_eq!(body(raised(1, LockConvoy, "a"))["text"], "warning: lock_convoy of a in /a.slice on db1:10942: text 1");
    assert_eq!(body(cleared(2, LockConvoy, "a"))["text"], "cleared: lock_convoy of a in /a.slice on db1:10942: text 2");
    let host = Notice { key: Key { subject: None, ..raised(1, Blind, "").key.clone() }, ..(*full()).clone() };
    let body = body(Arc::new(host));
    assert!(body["alerts"][0].get("comm").is_none() && body["text"].as_str().unwrap().contains(" of db1:10942: "));
}

fn alerts(notices: &[Arc<Notice>]) -> serde_json::Value {
    let labels = BTreeMap::from([("cluster".to_owned(), "eu1".to_owned())]);
    let form = Form { origin: origin(), labels, resend: 60 * SECOND };
    serde_json::from_slice(&form.body(notices, wall(30)).unwrap()).unwrap()
}

#[test]
fn alerts_of_an_alertmanager_are_those_of_the_page() {
    let body = alerts(&[full(), over()]);
    assert_eq!(body, examples()[1], "docs/notify.md shows other alerts than:\n{body:#}");
}

#[test]
fn an_alert_ends_after_it_began_and_has_no_empty_label() {
    let at_once = Notice { ends: Some(wall(17)), ..(*full()).clone() };
    let host = Notice { key: Key { subject: None, about: "losses", ..full().key.clone() }, ..(*full()).clone() };
    let body = alerts(&[Arc::new(at_once), Arc::new(host)]);
    assert!(body[0]["endsAt"].as_str().unwrap() > body[0]["startsAt"].as_str().unwrap(), "{body}");
    let labels = body[1]["labels"].as_object().unwrap();
    assert!(!labels.contains_key("comm") && !labels.contains_key("cgroup") && labels["about"] == "losses");
}

#[test]
fn an_alert_that_was_raised_before_the_clock_was_set_back_begins_before_its_end() {
    let raised = Notice { starts: wall(86_400), ..(*full()).clone() };
    let body = alerts(&[Arc::new(raised)]);
    let (starts, ends) = (body[0]["startsAt"].as_str().unwrap(), body[0]["endsAt"].as_str().unwrap());
    assert!(starts < ends, "{body}");
    assert_eq!(ends, rfc3339(wall(30 + 4 * 60)));
}

/// Every key of the table with its default, and every reason of a failure.
#[test]
fn the_page_has_every_key_and_reason() {
    let page = page();
    let webhook = "[[notify.webhook]]\nname = \"w\"\nurl = \"http://h/\"\n";
    let am = "[[notify.alertmanager]]\nname = \"a\"\nurls = [\"http://h/\"]\n";
    let config = config::Config::parse(&format!("{webhook}{am}")).unwrap().notify;
    let (webhook, am) = (&config.webhook[0], &config.alertmanager[0]);
    let shown = |duration| humantime::format_duration(duration).to_string();
    for (key, default) in [
        ("group_wait", shown(webhook.group_wait)),
        ("cool_down", shown(webhook.cool_down)),
        ("resend", shown(am.resend)),
        ("queue", webhook.queue.to_string()),
        ("queue", am.queue.to_string()),
        ("queue", config.journal.queue.to_string()),
        ("severity", webhook.severity.name().to_owned()),
        ("severity", am.severity.name().to_owned()),
        ("timeout", shown(webhook.http.timeout)),
    ] {
        assert!(page.contains(&format!("| `{key}` | {default} |")), "{key} = {default} is missing");
    }
    for key in [
        "instance",
        "external_url",
        "runbook_url",
        "enabled",
        "name",
        "url",
        "url_file",
        "urls",
        "labels",
        "ca_file",
        "bearer_token_file",
        "username",
        "password_file",
        "headers_file",
    ] {
        assert!(page.contains(&format!("| `{key}` |")), "{key} is missing");
    }
    for reason in Reason::ALL {
        assert!(page.contains(&format!("| {} |", reason.name())), "{} is missing", reason.name());
    }
}

/// The file that packages bring changes nothing, and all that is commented out in it is taken.
#[test]
fn the_file_of_packages_is_valid() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/mmscope.toml");
    let text = std::fs::read_to_string(path).unwrap();
    assert_eq!(config::Config::parse(&text).unwrap(), config::Config::default());
    let is_setting = |line: &str| !line.starts_with("# ");
    let lines = text.lines().filter(|line| is_setting(line)).map(|line| line.trim_start_matches('#'));
    let config = config::Config::parse(&lines.collect::<Vec<_>>().join("\n")).unwrap();
    assert_eq!((config.notify.webhook.len(), config.notify.alertmanager.len()), (1, 1));
}

//! The live page: what the last snapshot and the last 15 minutes say, as HTML that is whole without JavaScript, and as JSON.
//! A script of daemon/web fetches the same HTML again and draws the heatmaps; nothing here changes anything.

mod assets;
mod blame;
mod durations;
mod itself;
mod layout;
mod origin;
mod subject;
mod subjects;
#[cfg(test)]
mod tests;
mod words;
mod wrong;

use std::time::Duration;

use axum::{
    Json, Router,
    extract::{Query, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use serde::{Deserialize, Serialize};

pub use origin::{Origin, Replay};
pub(crate) use subjects::href as address_of;
pub(crate) use words::{THIN, span};

use super::Site;
use crate::{
    export,
    history::{Heat, History, Measure},
    identity::Subject,
    model::Snapshot,
    plan::{self, HOOKS, HookState},
};
use blame::Blame;
use durations::{Columns, Durations};
use itself::{Cost, Hooks, Losses};
use origin::Head;
use subject::About;
use subjects::Subjects;
use wrong::Wrong;

/// What a browser may do with the pages: load what comes with them, and nothing else. No style and no script is inside of them.
pub(super) const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
    img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Paths of this room, and beginnings of paths.
pub(crate) const TAKEN: [&str; 4] = ["/", "/subject", "/api/", "/static/"];

/// What pages are made of.
struct Moment<'a> {
    snapshot: &'a Snapshot,
    history: &'a History,
    origin: &'a Origin,
}

/// Of which time the figures are told.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
enum Period {
    /// The last 15 minutes.
    #[default]
    #[serde(rename = "15m")]
    Recent,
    /// Since the start.
    #[serde(rename = "start")]
    Start,
}

impl Period {
    const ALL: [Self; 2] = [Self::Recent, Self::Start];

    fn name(self) -> &'static str {
        ["15m", "start"][self as usize]
    }

    fn title(self) -> &'static str {
        ["last 15 min", "since start"][self as usize]
    }
}

/// What the address of the front page asks for.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
struct Asked {
    period: Period,
    by: Measure,
}

impl Asked {
    fn href(self) -> String {
        format!("./?period={}&by={}", self.period.name(), self.by.name())
    }
}

/// What the address of the front page's data asks for.
#[derive(Deserialize)]
#[serde(default)]
struct Wanted {
    /// Subjects told by each measure and period.
    top: usize,
}

impl Default for Wanted {
    fn default() -> Self {
        Self { top: subjects::TOP }
    }
}

#[derive(Deserialize)]
struct Since {
    /// Uptime, milliseconds.
    #[serde(default)]
    since: u64,
}

#[derive(Deserialize)]
struct Whom {
    comm: String,
    #[serde(default)]
    cgroup: String,
}

impl From<Whom> for Subject {
    fn from(Whom { comm, cgroup }: Whom) -> Self {
        Self { comm, cgroup }
    }
}

/// All that the front page tells.
#[derive(Serialize)]
struct Overview {
    host: Head,
    wrong: Wrong,
    subjects: Subjects,
    durations: Vec<Durations>,
    blame: Blame,
    hooks: Hooks,
    cost: Cost,
    losses: Losses,
}

impl Overview {
    fn new(moment: &Moment<'_>, top: usize) -> Self {
        Self {
            host: Head::new(moment),
            wrong: Wrong::new(moment),
            subjects: Subjects::new(moment, top),
            durations: Heat::ALL.map(|heat| Durations::new(moment, heat)).into(),
            blame: Blame::new(moment),
            hooks: Hooks::new(moment),
            cost: Cost::new(moment),
            losses: Losses::new(moment),
        }
    }
}

/// Why a family cannot be measured with these hooks; none if it can.
fn missing(family: &str, hooks: &[HookState]) -> Option<String> {
    if export::is_measured(family, hooks) {
        return None;
    }
    let absent = |set: &&[&'static str]| set.iter().filter(|hook| !plan::has(hooks, hook)).count();
    // The nearest way to it.
    let set = export::needs(family).iter().copied().min_by_key(absent)?;
    let hook = set.iter().find(|hook| !plan::has(hooks, hook))?;
    let reason = HOOKS.iter().zip(hooks).find_map(|(known, state)| match state {
        HookState::Absent(reason) if known.name == *hook => Some(reason.as_str()),
        _ => None,
    });
    Some(format!("the hook {hook} is absent: {}", reason.unwrap_or("no look at the kernel yet")))
}

impl Site {
    fn with_moment<T>(&self, tell: impl FnOnce(&Moment<'_>) -> T) -> T {
        let history = self.history.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        tell(&Moment { snapshot: &self.snapshot.load(), history: &history, origin: &self.origin })
    }
}

/// The data of a moment for who shows them without a server: all of the front page, with so many subjects by each measure and period.
pub(crate) fn overview_of(snapshot: &Snapshot, history: &History, origin: &Origin, top: usize) -> serde_json::Value {
    json(&Overview::new(&Moment { snapshot, history, origin }, top))
}

/// The same of a subject's page; none as [`About::new`] has it.
pub(crate) fn subject_of(
    snapshot: &Snapshot,
    history: &History,
    origin: &Origin,
    subject: &Subject,
) -> Option<serde_json::Value> {
    About::new(&Moment { snapshot, history, origin }, subject).map(|about| json(&about))
}

/// Names and numbers alone, which make JSON.
fn json(told: &impl Serialize) -> serde_json::Value {
    serde_json::to_value(told).unwrap_or_default()
}

/// The pages and their data.
pub(super) fn routes() -> Router<Site> {
    Router::new()
        .route("/", get(front))
        .route("/subject", get(of_subject))
        .route("/api/v1/overview", get(overview))
        .route("/api/v1/subject", get(subject_data))
        .route("/api/v1/heat", get(heat))
        .merge(assets::routes())
}

async fn front(State(site): State<Site>, Query(asked): Query<Asked>) -> Response {
    let page =
        site.with_moment(|moment| layout::front(&Overview::new(moment, subjects::TOP), &asked, &site.telemetry_path));
    html(StatusCode::OK, page)
}

async fn of_subject(State(site): State<Site>, Query(whom): Query<Whom>) -> Response {
    let subject = Subject::from(whom);
    let (about, head) = site.with_moment(|moment| (About::new(moment, &subject), Head::new(moment)));
    match about {
        Some(about) => html(StatusCode::OK, layout::subject(&about, &head, &site.telemetry_path)),
        None => html(StatusCode::NOT_FOUND, layout::nobody(&subject, &head, &site.telemetry_path)),
    }
}

fn html(status: StatusCode, page: maud::Markup) -> Response {
    (status, [(header::CONTENT_TYPE, "text/html; charset=utf-8")], page.into_string()).into_response()
}

async fn overview(State(site): State<Site>, Query(Wanted { top }): Query<Wanted>) -> Json<Overview> {
    Json(site.with_moment(|moment| Overview::new(moment, top)))
}

async fn subject_data(State(site): State<Site>, Query(whom): Query<Whom>) -> Response {
    match site.with_moment(|moment| About::new(moment, &whom.into())) {
        Some(about) => Json(about).into_response(),
        None => (StatusCode::NOT_FOUND, "no subject of this name is told apart\n").into_response(),
    }
}

async fn heat(State(site): State<Site>, Query(Since { since }): Query<Since>) -> Json<Columns> {
    Json(site.with_moment(|moment| Columns::new(moment, Duration::from_millis(since))))
}

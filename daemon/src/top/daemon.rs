//! Figures of a daemon that runs, by the address of its page: no privileges, and nothing is changed there.

use std::time::Duration;

use hyper::StatusCode;
use serde::de::DeserializeOwned;
use tokio::sync::{mpsc, watch};

use super::{MOST_SUBJECTS, state::Update, told::Overview};
use crate::{
    cli::TopArgs,
    config::{Http, Url},
    identity::Subject,
    model::sinks::Reason,
    notify::{
        Failed,
        http::{Client, Target},
    },
    web::address_of,
};

/// Longest wait for one answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// A daemon, and how to speak to it.
pub(super) struct Daemon {
    client: Client,
}

impl Daemon {
    /// Reads the files that the command line names.
    ///
    /// # Errors
    ///
    /// When one cannot be used; the message names it.
    pub(super) fn new(url: &Url, args: &TopArgs) -> Result<Self, String> {
        let http = Http {
            timeout: PATIENCE,
            ca_file: args.ca_file.clone(),
            username: args.username.clone(),
            password_file: args.password_file.clone(),
            ..Http::default()
        };
        Ok(Self { client: Client::new(Target::Url(url.clone()), &http)? })
    }

    /// Asks once.
    ///
    /// # Errors
    ///
    /// When there is no answer, or it is none of mmscope.
    pub(super) async fn overview(&self) -> Result<Overview, Failed> {
        self.ask(&format!("api/v1/overview?top={MOST_SUBJECTS}")).await
    }

    async fn about(&self, subject: &Subject) -> Update {
        let told = self.ask(&format!("api/v1/{}", address_of(subject))).await;
        match told {
            Ok(about) => Update::About(Box::new(about)),
            Err(failed) if failed.status == Some(StatusCode::NOT_FOUND) => Update::Nobody(subject.clone()),
            Err(failed) => Update::Failed(failed.message),
        }
    }

    async fn ask<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failed> {
        let body = self.client.get(path).await?;
        let foreign = |error| Failed::new(Reason::Broken, format!("the answer is none of mmscope's page: {error}"));
        serde_json::from_slice(&body).map_err(foreign)
    }

    /// Asks again and again, until nobody listens. An answer that does not come is told, and asked for again.
    pub(super) async fn watch(
        self,
        interval: Duration,
        mut wanted: watch::Receiver<Option<Subject>>,
        told: mpsc::Sender<Update>,
    ) {
        let mut interval = tokio::time::interval(interval);
        interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let is_new = tokio::select! {
                _ = interval.tick() => false,
                changed = wanted.changed() => match changed {
                    Ok(()) => true,
                    Err(_) => return,
                },
            };
            let subject = wanted.borrow_and_update().clone();
            if !is_new {
                let update = match self.overview().await {
                    Ok(overview) => Update::Told(Box::new(overview)),
                    Err(failed) => Update::Failed(failed.message),
                };
                if told.send(update).await.is_err() {
                    return;
                }
            }
            if let Some(subject) = &subject
                && told.send(self.about(subject).await).await.is_err()
            {
                return;
            }
        }
    }
}

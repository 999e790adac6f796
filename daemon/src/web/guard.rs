//! What every request passes before a page answers it, and what every answer gets on its way out.

use std::{convert::Infallible, pin::Pin, sync::Arc};

use axum::{
    Router,
    body::Body,
    extract::Request,
    http::{HeaderName, HeaderValue, Method, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use hyper::body::Incoming;
use tower::ServiceExt as _;

use super::{
    access::Door,
    figures::Counters,
    pace::{Pace, Paced},
    page,
};
use crate::model::web::Refusal;

/// Stands before the pages.
#[derive(Clone)]
pub(super) struct Guard {
    pages: Router,
    door: Arc<Door>,
    counters: Arc<Counters>,
    target_bytes: usize,
    headers: Arc<[(HeaderName, HeaderValue)]>,
}

type Answering = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

impl Guard {
    pub(super) fn new(pages: Router, door: Arc<Door>, counters: Arc<Counters>, target_bytes: u64) -> Self {
        let target_bytes = target_bytes as usize;
        Self { pages, door, counters, target_bytes, headers: own_headers().into() }
    }

    /// Answers the requests of one connection.
    pub(super) fn service(
        &self,
        pace: Arc<Pace>,
    ) -> impl hyper::service::Service<Request<Incoming>, Response = Response, Error = Infallible, Future = Answering> + use<>
    {
        let guard = self.clone();
        hyper::service::service_fn(move |request: Request<Incoming>| -> Answering {
            let (guard, begun) = (guard.clone(), pace.request());
            Box::pin(async move {
                let answer = guard.answer(request.map(Body::new)).await;
                Ok(answer.map(|body| Body::new(Paced::new(body, begun))))
            })
        })
    }

    async fn answer(&self, request: Request) -> Response {
        let access = self.door.now();
        let refusal = if !access.has_room() {
            Some(Refusal::Rate)
        } else if request.method() != Method::GET && request.method() != Method::HEAD {
            Some(Refusal::Method)
        } else if request.uri().path_and_query().is_some_and(|target| target.as_str().len() > self.target_bytes) {
            Some(Refusal::TargetSize)
        } else if !access.allows(request.headers().get(header::AUTHORIZATION), self.door.checked()).await {
            Some(Refusal::Unauthorized)
        } else {
            None
        };
        let mut answer = match refusal {
            Some(refusal) => {
                self.counters.refused(refusal);
                refused(refusal)
            }
            None => self.pages.clone().oneshot(request).await.unwrap_or_else(|never| match never {}),
        };
        for (name, value) in self.headers.iter().chain(&access.headers) {
            answer.headers_mut().insert(name, value.clone());
        }
        self.counters.answered(answer.status().as_u16());
        answer
    }
}

fn refused(refusal: Refusal) -> Response {
    match refusal {
        Refusal::Rate => (StatusCode::TOO_MANY_REQUESTS, "too many requests\n").into_response(),
        Refusal::Method => {
            let allow = [(header::ALLOW, "GET, HEAD")];
            (StatusCode::METHOD_NOT_ALLOWED, allow, "GET and HEAD alone\n").into_response()
        }
        Refusal::TargetSize => (StatusCode::URI_TOO_LONG, "the path is too long\n").into_response(),
        _ => {
            let ask = [(header::WWW_AUTHENTICATE, "Basic realm=\"mmscope\"")];
            (StatusCode::UNAUTHORIZED, ask, "a name and a password are needed\n").into_response()
        }
    }
}

/// Nothing here runs scripts but its own, is framed, or is worth keeping.
fn own_headers() -> Vec<(HeaderName, HeaderValue)> {
    vec![
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (header::X_FRAME_OPTIONS, HeaderValue::from_static("deny")),
        (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(page::POLICY)),
    ]
}

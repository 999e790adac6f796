//! The files that come with the pages: built by daemon/web, kept in ../dist, `cargo xtask lint` holds them to their sources.

use axum::{Router, http::header, routing::get};

use super::super::Site;

const FILES: [(&str, &str, &str); 4] = [
    ("/static/page.js", "text/javascript; charset=utf-8", include_str!("../dist/page.js")),
    ("/static/theme.js", "text/javascript; charset=utf-8", include_str!("../dist/theme.js")),
    ("/static/page.css", "text/css; charset=utf-8", include_str!("../dist/page.css")),
    ("/static/icon.svg", "image/svg+xml", include_str!("../dist/icon.svg")),
];

pub(super) fn routes() -> Router<Site> {
    FILES.into_iter().fold(Router::new(), |router, (path, kind, text)| {
        router.route(path, get(move || std::future::ready(([(header::CONTENT_TYPE, kind)], text))))
    })
}

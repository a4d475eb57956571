//! `/`: the page.

use std::sync::Arc;

use axum::extract::State;
use axum::http::header;
use axum::response::{Html, IntoResponse, Response};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use sha2::{Digest, Sha256};

use super::Desk;

const PAGE: &str = include_str!("page.html");

/// What a browser is to do with the page.
#[derive(Debug)]
pub struct Page {
    policy: String,
}

impl Page {
    /// The page may run its own script and style, ask this server, and nothing else.
    #[must_use]
    pub fn new() -> Self {
        let hash = |tag| BASE64_STANDARD.encode(Sha256::digest(element(tag)));
        let (script, style) = (hash("script"), hash("style"));
        Self {
            policy: format!(
                "default-src 'none'; script-src 'sha256-{script}'; style-src 'sha256-{style}'; \
                 connect-src 'self'; img-src data: blob:; base-uri 'none'; form-action 'none'; \
                 frame-ancestors 'none'"
            ),
        }
    }
}

/// What is in the page's only element of that name.
fn element(tag: &str) -> &'static str {
    let (open, close) = (format!("<{tag}>"), format!("</{tag}>"));
    let inner = PAGE
        .split_once(&open)
        .and_then(|(_, rest)| rest.split_once(&close));
    inner.map_or("", |(inner, _)| inner)
}

/// Answers `/`.
pub async fn answer(State(desk): State<Arc<Desk>>) -> Response {
    let policy = [(header::CONTENT_SECURITY_POLICY, desk.page.policy.clone())];
    (policy, Html(PAGE)).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_keeps_to_its_own_policy() {
        for tag in ["script", "style"] {
            assert_eq!(PAGE.matches(&format!("<{tag}")).count(), 1, "{tag}");
            assert!(!element(tag).is_empty(), "{tag}");
        }
        for not_allowed in [
            " style=\"",
            " onclick=",
            "javascript:",
            "http://",
            "https://",
            "innerHTML",
        ] {
            assert!(!PAGE.contains(not_allowed), "{not_allowed}");
        }
    }
}

//! Who may ask.
//!
//! A browser on this machine, or on one that may reach it, runs pages from everywhere. They must
//! not learn what a visitor's hands do:
//!
//! - **Host.** A page whose name is made to point here (DNS rebinding) sends that name. Only
//!   addresses, `localhost` and configured names are answered.
//! - **Origin.** A page from elsewhere says where it is from, or that it is from elsewhere
//!   (`Sec-Fetch-Site`). Only palmd's own page and configured origins are answered.
//! - **Token.** Who doesn't ask from this machine needs it.
//! - **Rate.** This machine and all others have an allowance each, so that others can't use up
//!   that of the kiosk.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use axum::http::header::{self, HeaderName};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderValue, Method, Request, StatusCode};
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::HttpParams;
use crate::clock::{Clock, SystemClock};

/// Requests that may come at once.
const BURST: f64 = 60.0;

/// Requests a second in the long run.
const RATE: f64 = 30.0;

/// What anyone may ask for who is allowed to ask at all: there is nothing about a person in it.
const OPEN: [&str; 2] = ["/", "/healthz"];

/// Decides on requests.
#[derive(Debug)]
pub struct Guard {
    hosts: Vec<String>,
    origins: Vec<String>,
    /// Its SHA-256, so that a comparison tells nothing of its length.
    token: Option<[u8; 32]>,
    local: Allowance,
    others: Allowance,
}

/// Why a request is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// There must be one, and it must be a host.
    #[error("a request needs one Host header")]
    NoHost,
    /// It is none of ours.
    #[error("this name is not palmd's: ask by address, or add it to outputs.http.allowed-hosts")]
    Host,
    /// A page from elsewhere.
    #[error("pages from elsewhere may not ask: add their origin to outputs.http.allowed-origins")]
    Origin,
    /// No token, or a wrong one.
    #[error("the token is missing or wrong: send `Authorization: Bearer TOKEN`")]
    Token,
    /// Too many requests.
    #[error("too many requests")]
    Rate,
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let status = match self {
            Self::NoHost => StatusCode::BAD_REQUEST,
            Self::Host => StatusCode::MISDIRECTED_REQUEST,
            Self::Origin => StatusCode::FORBIDDEN,
            Self::Token => StatusCode::UNAUTHORIZED,
            Self::Rate => StatusCode::TOO_MANY_REQUESTS,
        };
        let mut response = (status, format!("{self}\n")).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        match self {
            Self::Token => {
                let bearer = HeaderValue::from_static("Bearer");
                headers.insert(header::WWW_AUTHENTICATE, bearer);
            }
            Self::Rate => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
            }
            _ => {}
        }
        response
    }
}

/// A request that may be answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admitted {
    /// The configured origin that it comes from, if any: its page may read the answer.
    pub origin: Option<HeaderValue>,
}

impl Guard {
    /// A guard as configured, with the `token` that the file holds.
    #[must_use]
    pub fn new(params: &HttpParams, token: Option<&str>) -> Self {
        let lower = |texts: &[String]| texts.iter().map(|t| t.to_ascii_lowercase()).collect();
        Self {
            hosts: lower(&params.allowed_hosts),
            origins: lower(&params.allowed_origins),
            token: token.map(|token| Sha256::digest(token).into()),
            local: Allowance::default(),
            others: Allowance::default(),
        }
    }

    /// Looks whether a request from `peer` may be answered.
    ///
    /// # Errors
    /// Why not.
    pub fn admit<B>(&self, request: &Request<B>, peer: SocketAddr) -> Result<Admitted, Refusal> {
        let local = peer.ip().to_canonical().is_loopback();
        let allowance = if local { &self.local } else { &self.others };
        if !allowance.take(SystemClock.now()) {
            return Err(Refusal::Rate);
        }
        let host = host(request)?;
        if !self.is_ours(host.host()) {
            return Err(Refusal::Host);
        }
        let origin = self.origin(request, &host)?;
        let forwarded = ["forwarded", "x-forwarded-for", "via"];
        let direct = !forwarded.iter().any(|h| request.headers().contains_key(*h));
        let here = local && direct && is_loopback(host.host());
        // A preflight carries no token; what it asks about will.
        let open = OPEN.contains(&request.uri().path()) || request.method() == Method::OPTIONS;
        match &self.token {
            Some(token) if !here && !open && !knows(request.headers(), token) => {
                Err(Refusal::Token)
            }
            _ => Ok(Admitted { origin }),
        }
    }

    fn is_ours(&self, host: &str) -> bool {
        address(host).is_some()
            || is_loopback(host)
            || self
                .hosts
                .iter()
                .any(|ours| ours.eq_ignore_ascii_case(host))
    }

    /// The configured origin of a request, if it has one; nothing if it is from our own page, or
    /// from no page at all.
    fn origin<B>(
        &self,
        request: &Request<B>,
        host: &Authority,
    ) -> Result<Option<HeaderValue>, Refusal> {
        let headers = request.headers();
        let Some(origin) = headers.get(header::ORIGIN) else {
            // Pictures, scripts and forms of other pages carry no origin, but browsers say so.
            let is = |name: &'static str, value: &str| {
                headers
                    .get(HeaderName::from_static(name))
                    .is_some_and(|v| v == value)
            };
            let elsewhere = is("sec-fetch-site", "cross-site") || is("sec-fetch-site", "same-site");
            let link = is("sec-fetch-mode", "navigate") && is("sec-fetch-dest", "document");
            let refused = elsewhere && !(link && request.method() == Method::GET);
            return if refused {
                Err(Refusal::Origin)
            } else {
                Ok(None)
            };
        };
        let text = origin
            .to_str()
            .map_err(|_| Refusal::Origin)?
            .to_ascii_lowercase();
        if self.origins.contains(&text) {
            return Ok(Some(origin.clone()));
        }
        let own = text
            .strip_prefix("http://")
            .or_else(|| text.strip_prefix("https://"));
        match own {
            Some(own) if own.eq_ignore_ascii_case(host.as_str()) => Ok(None),
            _ => Err(Refusal::Origin),
        }
    }
}

/// The one host that a request is for.
fn host<B>(request: &Request<B>) -> Result<Authority, Refusal> {
    let mut hosts = request.headers().get_all(header::HOST).iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else {
        return Err(Refusal::NoHost);
    };
    let host: Authority = host.as_bytes().try_into().map_err(|_| Refusal::NoHost)?;
    match request.uri().authority() {
        Some(other) if *other != host => Err(Refusal::NoHost),
        _ => Ok(host),
    }
}

fn address(host: &str) -> Option<IpAddr> {
    let inner = host.strip_prefix('[').and_then(|h| h.strip_suffix(']'));
    inner.unwrap_or(host).parse().ok()
}

fn is_loopback(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost") || address(host).is_some_and(|a| a.is_loopback())
}

fn knows(headers: &HeaderMap, token: &[u8; 32]) -> bool {
    let given = headers
        .get(header::AUTHORIZATION)
        .and_then(|v| v.to_str().ok());
    let given = given.and_then(|text| text.split_once(' '));
    given.is_some_and(|(scheme, given)| {
        let given: [u8; 32] = Sha256::digest(given.trim()).into();
        scheme.eq_ignore_ascii_case("bearer") && bool::from(given.ct_eq(token))
    })
}

/// So many requests are allowed, and so many more each second.
#[derive(Debug, Default)]
struct Allowance(Mutex<Used>);

/// Requests that count, and when they were counted.
#[derive(Debug, Default)]
struct Used {
    requests: f64,
    at: Duration,
}

impl Allowance {
    fn take(&self, now: Duration) -> bool {
        let mut used = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let passed = now.saturating_sub(used.at).as_secs_f64();
        used.requests = (used.requests - passed * RATE).max(0.0);
        used.at = now;
        let allowed = used.requests + 1.0 <= BURST;
        if allowed {
            used.requests += 1.0;
        }
        allowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "0123456789abcdef";
    const HERE: &str = "127.0.0.1:4000";
    const THERE: &str = "192.168.1.9:4000";

    fn guard(token: Option<&str>) -> Guard {
        let params = HttpParams {
            allowed_hosts: vec!["Kiosk.local".into()],
            allowed_origins: vec!["http://kiosk.local:8000".into()],
            ..HttpParams::default()
        };
        Guard::new(&params, token)
    }

    /// Asks for `path` with headers of the form `name: value`.
    fn ask(guard: &Guard, peer: &str, path: &str, headers: &[&str]) -> Result<Admitted, Refusal> {
        let mut request = Request::get(path);
        for line in headers {
            let (name, value) = line.split_once(": ").expect("a header");
            request = request.header(name, value);
        }
        guard.admit(
            &request.body(()).expect("a request"),
            peer.parse().expect("a peer"),
        )
    }

    #[test]
    fn only_addresses_and_configured_names_are_answered() {
        let guard = guard(None);
        for host in [
            "127.0.0.1:8095",
            "localhost:8095",
            "[::1]:8095",
            "192.168.1.2",
            "KIOSK.local",
        ] {
            let header = format!("Host: {host}");
            assert!(ask(&guard, HERE, "/status", &[&header]).is_ok(), "{host}");
        }
        for host in [
            "evil.example",
            "evil.example:8095",
            "127.0.0.1.evil.example",
            "localhost.evil",
        ] {
            let header = format!("Host: {host}");
            assert_eq!(
                ask(&guard, HERE, "/", &[&header]),
                Err(Refusal::Host),
                "{host}"
            );
        }
        for headers in [
            &[][..],
            &["Host: "],
            &["Host: a b"],
            &["Host: localhost", "Host: localhost"],
        ] {
            assert_eq!(
                ask(&guard, HERE, "/", headers),
                Err(Refusal::NoHost),
                "{headers:?}"
            );
        }
        let other = ask(
            &guard,
            HERE,
            "http://evil.example/status",
            &["Host: localhost"],
        );
        assert_eq!(other, Err(Refusal::NoHost));
    }

    #[test]
    fn pages_from_elsewhere_are_refused_however_they_ask() {
        let guard = guard(None);
        let ask = |headers: &[&str]| {
            let all = [&["Host: 127.0.0.1:8095"], headers].concat();
            ask(&guard, HERE, "/events", &all)
        };
        let none = Ok(Admitted { origin: None });
        assert_eq!(ask(&[]), none);
        assert_eq!(
            ask(&[
                "Origin: http://127.0.0.1:8095",
                "Sec-Fetch-Site: same-origin"
            ]),
            none
        );
        let origin = Some(HeaderValue::from_static("http://kiosk.local:8000"));
        assert_eq!(
            ask(&["Origin: http://kiosk.local:8000"]),
            Ok(Admitted { origin })
        );
        for origin in [
            "http://evil.example",
            "null",
            "http://127.0.0.1:8096",
            "http://localhost:8095",
            "https://kiosk.local:8000",
            "http://kiosk.local:8000.evil",
        ] {
            let header = format!("Origin: {origin}");
            assert_eq!(ask(&[&header]), Err(Refusal::Origin), "{origin}");
        }
        for mode in ["no-cors", "cors"] {
            let mode = format!("Sec-Fetch-Mode: {mode}");
            assert_eq!(
                ask(&["Sec-Fetch-Site: cross-site", &mode]),
                Err(Refusal::Origin)
            );
        }
        // A link to the page is no harm, but the page in a frame is.
        let link = ["Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate"];
        assert_eq!(
            ask(&[&link[..], &["Sec-Fetch-Dest: document"]].concat()),
            none
        );
        assert_eq!(
            ask(&[&link[..], &["Sec-Fetch-Dest: iframe"]].concat()),
            Err(Refusal::Origin)
        );
    }

    #[test]
    fn who_asks_from_elsewhere_needs_the_token() {
        let guard = guard(Some(TOKEN));
        let host = "Host: 192.168.1.2:8095";
        let bearer = |token: &str| format!("Authorization: Bearer {token}");
        assert_eq!(ask(&guard, THERE, "/events", &[host]), Err(Refusal::Token));
        assert!(ask(&guard, THERE, "/events", &[host, &bearer(TOKEN)]).is_ok());
        for wrong in [
            "",
            "0123456789abcde",
            "0123456789abcdeg",
            "0123456789abcdef0",
        ] {
            let asked = ask(&guard, THERE, "/events", &[host, &bearer(wrong)]);
            assert_eq!(asked, Err(Refusal::Token), "{wrong}");
        }
        let basic = format!("Authorization: Basic {TOKEN}");
        assert_eq!(
            ask(&guard, THERE, "/status", &[host, &basic]),
            Err(Refusal::Token)
        );
        for path in OPEN {
            assert!(ask(&guard, THERE, path, &[host]).is_ok(), "{path}");
        }
        // This machine needs none, but others don't become it by a proxy that runs on it.
        assert!(ask(&guard, HERE, "/events", &["Host: localhost:8095"]).is_ok());
        assert!(
            ask(
                &guard,
                "[::ffff:127.0.0.1]:4000",
                "/events",
                &["Host: localhost"]
            )
            .is_ok()
        );
        for headers in [
            &["Host: kiosk.local"][..],
            &["Host: localhost", "X-Forwarded-For: 192.168.1.9"],
        ] {
            assert_eq!(ask(&guard, HERE, "/events", headers), Err(Refusal::Token));
        }
    }

    #[test]
    fn others_cannot_use_up_what_this_machine_may_ask() {
        let allowance = Allowance::default();
        let at = |s| Duration::from_secs(100) + Duration::from_millis(s);
        let taken = (0..1000).filter(|_| allowance.take(at(0))).count();
        assert_eq!(taken, BURST as usize);
        let later = (0..1000).filter(|_| allowance.take(at(500))).count();
        assert_eq!(later, (RATE / 2.0) as usize);

        let guard = guard(None);
        let ask = |peer| ask(&guard, peer, "/", &["Host: localhost"]);
        assert!((0..100_000).any(|_| ask(THERE) == Err(Refusal::Rate)));
        assert!(ask(HERE).is_ok());
    }
}

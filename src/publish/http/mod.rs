//! Events, status and a page over HTTP.
//!
//! [`Http`] listens and gives each connection a task. Of each request the [`Guard`] decides
//! whether it is answered; then it goes to one of these:
//!
//! | path | what |
//! |---|---|
//! | `/` | the [`page`] |
//! | `/events` | server-sent [`events`] |
//! | `/live` | what the page shows, as a [`stream of events`](look) as well |
//! | `/status` | the [`Status`] as JSON |
//! | `/metrics` | the same as [`OpenMetrics`](metrics) |
//! | `/healthz` | whether it works |
//! | `/set-up` | the camera's [picture](set_up), for a limited time |
//!
//! A client can't make palmd grow. There is a limit to connections, to the size of a head and to
//! the time that it takes; a body is never read. What waits for a client is some 100 KiB at most:
//! a [`Brisk`] connection fails when its client stops taking, events that it is too far behind are lost
//! to it, and of the live picture it only ever gets the newest.

mod events;
mod guard;
mod look;
mod metrics;
mod page;
mod params;
mod set_up;
mod stream;

pub use params::HttpParams;

use std::io::{self, Write};
use std::net::{SocketAddr, TcpListener as StdListener};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Extension, Router};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use self::events::Readers;
use self::guard::Guard;
use self::look::Looks;
use self::page::Page;
use self::set_up::SetUp;
use self::stream::Brisk;
use super::{BackOff, Events, Feed, Live, Output, Received, Work};
use crate::health::{CameraState, Status};

/// A request's head must be there after so long, and so must the next one's.
const HEAD_TIME: Duration = Duration::from_secs(5);

/// Bytes of a request's head, and of an answer that hyper holds.
const BUFFER: usize = 16 << 10;

/// Lines of a request's head.
const MOST_HEADERS: usize = 64;

/// Bytes that the kernel holds for a client; it takes twice that.
const SEND_BUFFER: u32 = 32 << 10;

/// A pause after a client that could not be accepted, mostly for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// What who is one too many gets.
const BUSY: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nRetry-After: 5\r\n\
Content-Type: text/plain\r\nContent-Length: 21\r\n\r\ntoo many connections\n";

/// The HTTP server.
#[derive(Debug)]
pub struct Http {
    params: HttpParams,
}

/// Why nobody listens. The text says what to do.
#[derive(Debug, thiserror::Error)]
#[error("{address}: {error}{hint}")]
struct ListenError {
    address: SocketAddr,
    error: io::Error,
    hint: &'static str,
}

impl ListenError {
    fn new(address: SocketAddr, error: io::Error) -> Self {
        let hint = match error.raw_os_error() {
            Some(libc::EADDRINUSE) => {
                ": another program listens there, perhaps another palmd; stop it, or choose \
                 another port as outputs.http.listen"
            }
            Some(libc::EADDRNOTAVAIL) => {
                ": this machine has no such address; `ip address` lists those that it has"
            }
            Some(libc::EACCES) => ": choose a port from 1024 on as outputs.http.listen",
            Some(libc::EAFNOSUPPORT | libc::EPERM) => {
                ": palmd may not use the network here; under systemd install network.conf, \
                 see docs/guide/http.md"
            }
            _ => "",
        };
        Self {
            address,
            error,
            hint,
        }
    }
}

/// What a request is answered from.
struct Desk {
    guard: Guard,
    page: Page,
    status: watch::Receiver<Arc<Status>>,
    events: Events,
    readers: Readers,
    looks: Looks,
    set_up: SetUp,
    live: Arc<Live>,
}

/// Who asks.
#[derive(Debug, Clone, Copy)]
struct Peer(SocketAddr);

impl Http {
    /// The server that is configured, if it is on.
    #[must_use]
    pub fn new(params: &HttpParams) -> Option<Self> {
        let params = params.clone();
        params.enabled.then_some(Self { params })
    }

    fn listen(&self) -> Result<TcpListener, ListenError> {
        let address = self.params.listen;
        let listen = || {
            let socket = match address {
                SocketAddr::V4(_) => TcpSocket::new_v4(),
                SocketAddr::V6(_) => TcpSocket::new_v6(),
            }?;
            socket.set_reuseaddr(true)?;
            // Connections inherit it.
            socket.set_send_buffer_size(SEND_BUFFER)?;
            socket.bind(address)?;
            socket.listen(128)
        };
        listen().map_err(|error| ListenError::new(address, error))
    }

    /// Listens, and tries until that works; nothing at the end.
    async fn open(&self, feed: &mut Feed) -> Option<(TcpListener, Guard)> {
        let mut back_off = BackOff::default();
        loop {
            match (self.params.token(), self.listen()) {
                (Ok(token), Ok(listener)) => {
                    return Some((listener, Guard::new(&self.params, token.as_deref())));
                }
                (Err(error), _) => feed.state.fails(error),
                (_, Err(error)) => feed.state.fails(error),
            }
            let end = async {
                while feed.next().await.is_some() {
                    feed.state.dropped(1);
                }
            };
            if timeout(back_off.pause(), end).await.is_ok() {
                return None;
            }
            feed.state.reconnects();
        }
    }

    async fn work(&self, mut feed: Feed) {
        let Some((listener, guard)) = self.open(&mut feed).await else {
            return;
        };
        let desk = Arc::new(Desk {
            guard,
            page: Page::new(),
            status: feed.status.clone(),
            events: feed.events.again(),
            readers: Readers::new(&feed.state),
            looks: Looks::default(),
            set_up: SetUp::new(self.params.set_up_time),
            live: Arc::clone(&feed.live),
        });
        let mut beside = JoinSet::new();
        beside.spawn(look::draw(Arc::clone(&desk)));
        beside.spawn(set_up::end_in_time(Arc::clone(&desk)));
        let router = router(&desk);

        let address = listener.local_addr().unwrap_or(self.params.listen);
        let words = format!("listening on http://{address}/");
        feed.state.works(&words);
        let (closing, closed) = watch::channel(());
        let mut connections = JoinSet::new();
        // Counts those from elsewhere: each has one.
        let elsewhere = Arc::new(());
        loop {
            tokio::select! {
                client = listener.accept() => match client {
                    Ok((stream, peer)) => {
                        let local = peer.ip().to_canonical().is_loopback();
                        // A quarter of the places is kept for this machine.
                        let most = self.params.max_connections;
                        let others = Arc::strong_count(&elsewhere) - 1;
                        if connections.len() >= most || !local && others >= most - most / 4 {
                            // Tokio would first wait until it knows that there is room.
                            let _ = stream.into_std().and_then(|mut stream| stream.write(BUSY));
                            feed.state.cut();
                            continue;
                        }
                        let place = (!local).then(|| Arc::clone(&elsewhere));
                        let stream = Brisk::new(stream, Arc::clone(&feed.state));
                        let serve = serve(stream, Peer(peer), router.clone(), closed.clone());
                        connections.spawn(async move {
                            let _place = place;
                            serve.await;
                        });
                        feed.state.works(&words);
                    }
                    Err(error) => {
                        feed.state.fails(format_args!("{}: {error}", self.params.listen));
                        sleep(ACCEPT_PAUSE).await;
                    }
                },
                Some(_) = connections.join_next() => {}
                // Its own place on the way of the events is only for the end.
                received = feed.events.receive() => if matches!(received, Received::End) {
                    break;
                },
            }
        }
        drop(closing);
        while connections.join_next().await.is_some() {}
    }
}

impl Output for Http {
    fn name(&self) -> &'static str {
        "http"
    }

    fn check(&self) -> Result<String, String> {
        let token = self.params.token().map_err(|e| e.to_string())?;
        let address = self.params.listen;
        StdListener::bind(address).map_err(|e| ListenError::new(address, e).to_string())?;
        let token = match token {
            Some(_) => ", with a token for other machines",
            None => "",
        };
        Ok(format!("can listen on http://{address}/{token}"))
    }

    fn run(self: Box<Self>, feed: Feed) -> Work {
        Box::pin(async move { self.work(feed).await })
    }
}

/// Answers the requests of a connection, until it or the daemon ends.
async fn serve(stream: Brisk, peer: Peer, router: Router, mut closed: watch::Receiver<()>) {
    let router = TowerToHyperService::new(router);
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(peer);
        router.call(request)
    });
    let mut server = http1::Builder::new();
    server
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME)
        .max_buf_size(BUFFER)
        .max_headers(MOST_HEADERS);
    let mut connection = pin!(server.serve_connection(TokioIo::new(stream), service));
    tokio::select! {
        // How a client ends is its own affair.
        _ = connection.as_mut() => return,
        _ = closed.changed() => connection.as_mut().graceful_shutdown(),
    }
    let _ = connection.await;
}

fn router(desk: &Arc<Desk>) -> Router {
    Router::new()
        .route("/", get(page::answer))
        .route("/events", get(events::answer))
        .route("/live", get(look::answer))
        .route("/status", get(status))
        .route("/metrics", get(metrics::answer))
        .route("/healthz", get(health))
        .route(
            "/set-up",
            get(set_up::answer)
                .post(set_up::answer)
                .delete(set_up::answer),
        )
        .route("/set-up/picture", get(set_up::picture))
        .fallback(async || (StatusCode::NOT_FOUND, "there is nothing here\n"))
        .layer(middleware::from_fn_with_state(Arc::clone(desk), admit))
        .with_state(Arc::clone(desk))
}

/// Lets the guard decide, and says to browsers what may become of the answer.
async fn admit(
    State(desk): State<Arc<Desk>>,
    Extension(Peer(peer)): Extension<Peer>,
    mut request: Request,
    next: Next,
) -> Response {
    let (mut response, origin) = match desk.guard.admit(&request, peer) {
        Err(refusal) => {
            log::debug!(
                "http: {peer}: {} {}: {refusal}",
                request.method(),
                request.uri().path()
            );
            (refusal.into_response(), None)
        }
        Ok(admitted) if request.method() == Method::OPTIONS => (preflight(), admitted.origin),
        Ok(admitted) => {
            request.extensions_mut().insert(admitted.clone());
            (next.run(request).await, admitted.origin)
        }
    };
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::VARY, "Origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    let same_origin = HeaderValue::from_static("same-origin");
    headers.insert("cross-origin-resource-policy", same_origin);
    if let Some(origin) = origin {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    }
    response
}

/// What a page of a configured origin may ask. Browsers also want to be told that a page may ask
/// a server in a private network.
fn preflight() -> Response {
    let headers = [
        ("access-control-allow-methods", "GET"),
        (
            "access-control-allow-headers",
            "authorization, last-event-id, cache-control",
        ),
        ("access-control-allow-private-network", "true"),
        ("access-control-max-age", "600"),
    ];
    (StatusCode::NO_CONTENT, headers).into_response()
}

async fn status(State(desk): State<Arc<Desk>>) -> Response {
    let status = desk.status.borrow().clone();
    match serde_json::to_string(&*status) {
        Ok(text) => ([(header::CONTENT_TYPE, "application/json")], text + "\n").into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

async fn health(State(desk): State<Arc<Desk>>) -> (StatusCode, &'static str) {
    match desk.status.borrow().camera.state {
        CameraState::Lost => (StatusCode::SERVICE_UNAVAILABLE, "camera lost\n"),
        CameraState::Opening => (StatusCode::OK, "starting\n"),
        CameraState::Streaming => (StatusCode::OK, "ok\n"),
        CameraState::Closed => (StatusCode::OK, "paused\n"),
    }
}

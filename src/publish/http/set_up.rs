//! `/set-up`: the camera's picture for who aims the camera, for a limited time.
//!
//! `POST` begins, `DELETE` ends, `GET` says how it is, and `/set-up/picture` is the newest picture
//! as a JPEG. Only palmd's own page may ask, no configured origin.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Extension;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use jpeg_encoder::{ColorType, Encoder};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use super::Desk;
use super::guard::Admitted;
use crate::publish::{Looking, Picture};

/// Of the JPEG, 1 to 100.
const QUALITY: u8 = 75;

/// Whether the camera's picture is shown.
pub struct SetUp {
    time: Duration,
    view: Mutex<Option<View>>,
    begun: Notify,
}

struct View {
    looking: Looking,
    until: Instant,
    /// The newest picture's number, and the picture; it is encoded once for all who look.
    newest: (u64, Bytes),
}

impl SetUp {
    /// Off; it can be on for so long at a time.
    #[must_use]
    pub fn new(time: Duration) -> Self {
        Self {
            time,
            view: Mutex::default(),
            begun: Notify::new(),
        }
    }

    /// What is shown, if the time isn't over.
    fn view(&self) -> MutexGuard<'_, Option<View>> {
        let mut view = self.view.lock().unwrap_or_else(PoisonError::into_inner);
        if view.take_if(|view| Instant::now() >= view.until).is_some() {
            log::info!("http output: the camera's picture is not shown any more");
        }
        view
    }

    fn until(&self) -> Option<Instant> {
        self.view().as_ref().map(|view| view.until)
    }
}

/// Ends it in time, although nobody asks any more.
pub async fn end_in_time(desk: Arc<Desk>) {
    loop {
        desk.set_up.begun.notified().await;
        while let Some(until) = desk.set_up.until() {
            sleep_until(until).await;
        }
    }
}

/// Answers `/set-up`.
pub async fn answer(
    State(desk): State<Arc<Desk>>,
    Extension(admitted): Extension<Admitted>,
    method: Method,
) -> Response {
    let set_up = &desk.set_up;
    if admitted.origin.is_some() {
        return (StatusCode::FORBIDDEN, "only palmd's own page may do this\n").into_response();
    }
    if method == Method::POST {
        if set_up.time.is_zero() {
            let why = "outputs.http.set-up-time forbids it\n";
            return (StatusCode::FORBIDDEN, why).into_response();
        }
        log::info!(
            "http output: the camera's picture is shown for {:?}",
            set_up.time
        );
        *set_up.view() = Some(View {
            looking: desk.live.look(),
            until: Instant::now() + set_up.time,
            newest: Default::default(),
        });
        set_up.begun.notify_one();
    } else if method == Method::DELETE {
        // Its end is then looked for in vain, which is no harm.
        *set_up.view() = None;
    }
    let left = set_up
        .until()
        .map_or(Duration::ZERO, |until| until - Instant::now());
    let json = format!(
        "{{\"time-s\":{},\"left-s\":{}}}\n",
        set_up.time.as_secs(),
        left.as_secs_f64().ceil()
    );
    ([(header::CONTENT_TYPE, "application/json")], json).into_response()
}

/// Answers `/set-up/picture`.
pub async fn picture(
    State(desk): State<Arc<Desk>>,
    Extension(admitted): Extension<Admitted>,
) -> Response {
    let mut view = desk.set_up.view();
    let Some(View {
        looking, newest, ..
    }) = view.as_mut().filter(|_| admitted.origin.is_none())
    else {
        return (StatusCode::NOT_FOUND, "the picture is not shown\n").into_response();
    };
    let picture = looking.picture();
    if picture.seq != newest.0 {
        *newest = (picture.seq, encode(&picture));
    }
    if newest.1.is_empty() {
        return StatusCode::NO_CONTENT.into_response();
    }
    ([(header::CONTENT_TYPE, "image/jpeg")], newest.1.clone()).into_response()
}

/// A JPEG; empty if there is no picture.
fn encode(picture: &Picture) -> Bytes {
    let Some((width, height, pixels)) = picture.cut_out() else {
        return Bytes::new();
    };
    let mut jpeg = Vec::with_capacity(32 << 10);
    let encoder = Encoder::new(&mut jpeg, QUALITY);
    match encoder.encode(&pixels, width as u16, height as u16, ColorType::Rgb) {
        Ok(()) => jpeg.into(),
        Err(_) => Bytes::new(),
    }
}

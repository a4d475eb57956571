//! `/events`: server-sent events, one for each event of palmd's, with its JSON object as data.
//!
//! An id is `RUN-NUMBER`. Who comes back and names the last one that it has seen
//! (`Last-Event-ID`, as browsers do by themselves) first gets the last few events that it has
//! missed; after a restart of palmd all that the new run still knows.

use std::convert::Infallible;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use jiff::Timestamp;
use tokio::time::timeout;

use super::Desk;
use crate::publish::{Events, OutputState, Published, Received};

/// While there are no events, a comment is sent so often: it shows that the way is open.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// What a stream begins with: browsers then come back after two seconds.
const HELLO: &str = "retry: 2000\n\n";

/// The readers of event streams.
#[derive(Debug, Clone)]
pub struct Readers {
    state: Arc<OutputState>,
    count: Arc<AtomicUsize>,
    /// Names this run of palmd.
    run: Arc<str>,
}

/// A reader counts for as long as this exists.
#[derive(Debug)]
pub struct Reader(Readers);

impl Readers {
    /// Nobody yet; they are counted in `state`.
    #[must_use]
    pub fn new(state: &Arc<OutputState>) -> Self {
        Self {
            state: Arc::clone(state),
            count: Arc::default(),
            run: format!("{:x}", Timestamp::now().as_millisecond()).into(),
        }
    }

    /// One more.
    #[must_use]
    pub fn enter(&self) -> Reader {
        self.state.set_readers(self.count.fetch_add(1, SeqCst) + 1);
        Reader(self.clone())
    }

    /// The number of the event that a client has seen last, if it says so.
    fn last_seen(&self, headers: &HeaderMap) -> Option<u64> {
        let id = headers.get("last-event-id")?.to_str().ok()?;
        let (run, number) = id.split_once('-')?;
        let number = number.parse().ok()?;
        Some(if run == &*self.run { number } else { 0 })
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let Readers { state, count, .. } = &self.0;
        state.set_readers(count.fetch_sub(1, SeqCst) - 1);
    }
}

impl Reader {
    /// An event on its way to this reader.
    #[must_use]
    pub fn write(&self, kind: &str, event: &Published) -> Bytes {
        self.0.state.sent(event);
        let (run, id, json) = (&self.0.run, event.id, event.json());
        format!("{kind}id: {run}-{id}\ndata: {json}\n\n").into()
    }

    /// It was too far behind.
    pub fn cut(&self, missed: u64) {
        self.0.state.dropped(missed);
        self.0.state.cut();
    }
}

/// Answers with a stream that begins with `hello` and goes on with what `next` makes of `source`.
pub fn answer_with<S, F>(
    hello: impl Into<Bytes>,
    source: S,
    next: impl FnMut(S) -> F + Send + 'static,
) -> Response
where
    S: Send + 'static,
    F: Future<Output = Option<(Bytes, S)>> + Send + 'static,
{
    let hello = stream::iter([hello.into()]);
    let chunks = stream::StreamExt::chain(hello, stream::unfold(source, next));
    let chunks = stream::StreamExt::map(chunks, Ok::<_, Infallible>);
    let headers = [(header::CONTENT_TYPE, "text/event-stream")];
    (headers, Body::from_stream(chunks)).into_response()
}

/// Answers `/events`.
pub async fn answer(State(desk): State<Arc<Desk>>, headers: HeaderMap) -> Response {
    let (missed, events) = match desk.readers.last_seen(&headers) {
        Some(id) => desk.events.since(id),
        None => (Vec::new(), desk.events.again()),
    };
    let reader = desk.readers.enter();
    let hello = missed
        .iter()
        .fold(HELLO.as_bytes().to_vec(), |mut text, event| {
            text.extend(reader.write("", event));
            text
        });
    answer_with(hello, (reader, events), next)
}

async fn next((reader, mut events): (Reader, Events)) -> Option<(Bytes, (Reader, Events))> {
    let chunk = match timeout(HEARTBEAT, events.receive()).await {
        Err(_) => Bytes::from_static(b": still here\n\n"),
        Ok(Received::Event(event)) => reader.write("", &event),
        Ok(Received::Missed(missed)) => {
            reader.cut(missed);
            return None;
        }
        Ok(Received::End) => return None,
    };
    Some((chunk, (reader, events)))
}

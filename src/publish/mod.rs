//! Events leave palmd here.
//!
//! The vision thread (camera events) and the classifier thread (hand and gesture events) each put
//! their events into a bounded lock-free [`queue`] and ring a [`Bell`]; a full queue drops the
//! event and counts it: nobody waits for an output. The publishing thread, a tokio runtime,
//! answers the bell: the [`Publisher`] takes the events out, renders each once ([`Published`]) and
//! gives it to the [`Output`]s that the configuration names ([`OutputsParams`]).
//!
//! Each output has a place of its own on the way of the [`Events`]: one that is slow or broken
//! loses the oldest of them, counts them ([`OutputState`]), and disturbs nobody. An output also
//! gets how the daemon is doing ([`Status`](crate::health::Status)), its switches
//! ([`Control`](crate::control::Control)), and for a page that somebody looks at the newest poses
//! ([`Live`]), which cross from the hot threads only then; so does the camera's picture, for who
//! aims the camera ([`Viewfinder`]).

mod backoff;
mod bell;
mod bus;
mod commands;
mod http;
mod keys;
mod line;
mod live;
mod mqtt;
mod output;
mod params;
mod publisher;
mod queue;
mod socket;
mod status_socket;
mod stdout;
mod unix;
mod viewfinder;

pub use backoff::BackOff;
pub use bell::Bell;
pub use bus::{BACKLOG, Bus, Events, Published, Received};
pub use commands::{Commands, CommandsParams, GestureCommands};
pub use http::{Http, HttpParams};
pub use keys::{Keys, KeysParams};
pub use line::{Line, Style};
pub use live::{Live, LivePoses, LiveScores, MOST_SCORES, Show, Watching, live};
pub use mqtt::{Mqtt, MqttParams};
pub use output::{Condition, Feed, Output, OutputState, OutputStatus, Work};
pub use params::{BadValue, OutputsParams};
pub use publisher::Publisher;
pub use queue::{Decided, Inbox, Outbox, queue};
pub use socket::{Mode, Socket, SocketParams, socket_path};
pub use status_socket::{StatusSocket, StatusSocketParams};
pub use stdout::{Format, Stdout, StdoutParams};
pub use unix::{ListenError, Listener};
pub use viewfinder::{Looking, PICTURE_SIDE, Picture, Viewfinder};

//! Events leave palmd here.
//!
//! The vision thread (camera events) and the classifier thread (hand and gesture events) each put
//! their events into a bounded lock-free [`queue`]; the publishing thread takes them out and
//! writes them. A full queue drops the event and counts it: nobody waits for an output.

mod line;
mod queue;
mod stdout;

pub use line::{Line, Style};
pub use queue::{Inbox, Outbox, queue};
pub use stdout::Stdout;

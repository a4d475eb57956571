//! The publishing thread's part: from the inboxes to all outputs.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;

use super::bus::Bus;
use super::{Decided, Feed, Inbox, Live, Output, OutputState, OutputStatus, Published};
use crate::clock::{Clock, SystemClock};
use crate::control::Control;
use crate::gesture::Event;
use crate::health::{Metrics, Observer, Status};

/// How long outputs may take to end once the daemon is told to stop.
const CLOSING: Duration = Duration::from_millis(500);

/// Events that are published before the outputs get their turn.
const BATCH: usize = 64;

/// The status is made anew at most so often,
const STATUS_MIN: Duration = Duration::from_millis(100);

/// and at least so often.
const STATUS_MAX: Duration = Duration::from_secs(1);

/// The outputs and what they share. Lives on the publishing thread, in its runtime.
pub struct Publisher {
    bus: Bus,
    states: Vec<Arc<OutputState>>,
    tasks: JoinSet<()>,
    observer: Observer,
    status: watch::Sender<Arc<Status>>,
    told: Duration,
    /// Something has happened since.
    news: bool,
    metrics: Arc<Metrics>,
    control: Arc<Control>,
}

impl Publisher {
    /// Starts the outputs. Must be called in a runtime.
    #[must_use]
    pub fn start(
        outputs: Vec<Box<dyn Output>>,
        live: &Arc<Live>,
        metrics: &Arc<Metrics>,
        control: &Arc<Control>,
    ) -> Self {
        let now = SystemClock.now();
        let mut observer = Observer::new(now);
        let first = observer.status(now, metrics, control.is_paused(), Vec::new());
        let mut publisher = Self {
            bus: Bus::default(),
            states: Vec::new(),
            tasks: JoinSet::new(),
            observer,
            status: watch::Sender::new(Arc::new(first)),
            told: now,
            news: true,
            metrics: Arc::clone(metrics),
            control: Arc::clone(control),
        };
        for output in outputs {
            let state = Arc::new(OutputState::new(output.name()));
            let feed = Feed {
                events: publisher.bus.events(),
                status: publisher.status.subscribe(),
                live: Arc::clone(live),
                control: Arc::clone(control),
                state: Arc::clone(&state),
            };
            let fault = Fault(Arc::clone(&state));
            publisher.states.push(state);
            publisher.tasks.spawn(async move {
                let _fault = fault;
                output.run(feed).await;
            });
        }
        publisher
    }

    /// Publishes what comes into the inboxes, and calls `seen` with each event. Before each look
    /// `round` is called; it says whether nothing more will come. Returns how the outputs are when
    /// they have [ended](Self::close).
    pub async fn run(
        mut self,
        inboxes: &mut [Inbox],
        mut round: impl FnMut() -> bool,
        mut seen: impl FnMut(&Event),
    ) -> Vec<OutputStatus> {
        let control = Arc::clone(&self.control);
        loop {
            // Looked at before the inboxes, so that what was sent before the end is still taken.
            let ended = round();
            while self.take_batch(inboxes, &mut seen) {
                tokio::task::yield_now().await;
            }
            let wait = self.tell_status();
            if ended {
                return self.close().await;
            }
            tokio::select! {
                () = control.bell().rung() => self.news = true,
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    /// Publishes events that wait, but not too many at once; returns whether there may be more.
    fn take_batch(&mut self, inboxes: &mut [Inbox], mut seen: impl FnMut(&Event)) -> bool {
        for _ in 0..BATCH {
            let Some(decided) = inboxes.iter_mut().find_map(Inbox::take) else {
                return false;
            };
            seen(&decided.event);
            self.publish(decided);
        }
        true
    }

    /// Gives an event to all outputs.
    pub fn publish(&mut self, decided: Decided) -> Arc<Published> {
        let event = self.bus.publish(decided);
        self.metrics.events.add(1);
        self.observer
            .see(&event.event, event.time, SystemClock.now());
        event
    }

    /// Tells the outputs how the daemon is doing, if it is time, and returns how long until it will
    /// be the next time.
    fn tell_status(&mut self) -> Duration {
        let now = SystemClock.now();
        let interval = if self.news { STATUS_MIN } else { STATUS_MAX };
        let due = self.told + interval;
        if now >= due {
            (self.told, self.news) = (now, false);
            let outputs = self.outputs();
            let paused = self.control.is_paused();
            let status = self.observer.status(now, &self.metrics, paused, outputs);
            self.status.send_replace(Arc::new(status));
            return STATUS_MAX;
        }
        due - now
    }

    /// How the outputs are doing.
    #[must_use]
    pub fn outputs(&self) -> Vec<OutputStatus> {
        self.states.iter().map(|state| state.status()).collect()
    }

    /// Waits until all outputs have written what they have; once the daemon is told to stop, only
    /// for a moment. Returns how they are then.
    pub async fn close(self) -> Vec<OutputStatus> {
        let Self {
            mut tasks,
            bus,
            status,
            control,
            states,
            ..
        } = self;
        drop((bus, status));
        let limit = async {
            while !control.is_stopped() {
                control.bell().rung().await;
            }
            tokio::time::sleep(CLOSING).await;
        };
        let all = async { while tasks.join_next().await.is_some() {} };
        tokio::select! {
            () = limit => log::debug!("an output did not end in time"),
            () = all => {}
        }
        states.iter().map(|state| state.status()).collect()
    }
}

/// Dropped with an output's work; says so if that panicked.
struct Fault(Arc<OutputState>);

impl Drop for Fault {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0
                .fails("off after a fault of palmd's own; please report this with the log");
        }
    }
}

//! How palmd is doing: counters, stage times, memory and allocator calls.
//!
//! The hot loops write relaxed atomics ([`Metrics`]) and nothing else. Whoever wants to look takes
//! a [`Snapshot`]; the main thread does so at an interval, logs it, and lets [`Watch`] look for
//! leaks. The [`ServiceManager`] is told that palmd is up and alive.

mod allocator;
mod cpu;
mod histogram;
mod memory;
mod metrics;
mod service_manager;
mod status;
mod watch;

pub use allocator::{AllocatorCalls, CountingAllocator, thread_calls};
pub use cpu::process_cpu_time;
pub use histogram::{Histogram, Quantiles};
pub use memory::{Memory, PageFaults, process_page_faults, thread_page_faults};
pub use metrics::{Counter, Gauge, Metrics, Snapshot, Stage};
pub use service_manager::ServiceManager;
pub use status::{
    CameraBoard, CameraState, CameraStatus, LastGesture, Observer, Occupancy, Status,
};
pub use watch::{Warning, Watch, WatchParams};

//! A strict model of the kernel's side of video capture, on simulated time.
//!
//! Its driver fills the queued buffers at a steady rate, with the frame's number in every byte, and
//! overwrites a buffer when it is queued. What the real kernel would let pass or punish with
//! garbage, it writes down as a violation: a buffer queued twice, used while it is the driver's,
//! unmapped while streaming, left behind on close; two queues at a time. Faults are injected per
//! frame ([`Model::spoil`]), per call ([`Model::fail`]), by [`Model::unplug`] and by
//! [`Model::stall`].

use std::cell::UnsafeCell;
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use v4l::v4l_sys as c;

use super::kernel::{
    Capability, Capture, Filled, FormatDescription, FourCc, Interval, Intervals, Kernel, Mapping,
    Node, PixFormat, Readiness, Sizes,
};
use crate::camera::PixelFormat;
use crate::camera::v4l2::Encoding;
use crate::clock::{Clock, SimulatedClock};

/// `CLOCK_MONOTONIC` when the simulated clock is at zero.
pub const BOOT: Duration = Duration::from_secs(1000);

/// What a buffer is overwritten with when the driver gets it.
const POISON: u8 = 0xdd;

/// An index that doesn't exist.
const BAD_INDEX: u32 = 99;

/// Stands for the index of a buffer that isn't queued when the frame is dequeued.
const TAKEN_INDEX: u32 = u32::MAX;

/// The byte with which the driver fills the frame of this sequence number.
pub fn pattern(sequence: u64) -> u8 {
    (sequence % 200) as u8
}

/// A video node of the model.
#[derive(Debug, Clone)]
pub struct ModelNode {
    pub node: Node,
    pub capability: Capability,
    /// Format, size, rate.
    pub formats: Vec<(FourCc, (u32, u32), f32)>,
    /// How the driver lists its formats' sizes and rates.
    pub lists: Lists,
    /// Bytes added to each row.
    pub padding: u32,
    /// What it sets, whatever it is asked for.
    pub insists: Option<PixFormat>,
    /// The most buffers that it gives.
    pub most_buffers: u32,
    /// What opening it fails with.
    pub closed_by: Option<i32>,
    pub timestamps: bool,
}

impl ModelNode {
    pub fn camera(number: u32, formats: &[(&[u8; 4], (u32, u32), f32)]) -> Self {
        let formats = formats.iter();
        Self {
            node: Node {
                path: PathBuf::from(format!("/dev/video{number}")),
                by_id: None,
            },
            capability: Capability {
                driver: "model".into(),
                card: format!("Camera {number}"),
                bus: format!("platform:model-{number}"),
                flags: c::V4L2_CAP_VIDEO_CAPTURE | c::V4L2_CAP_STREAMING,
            },
            formats: formats
                .map(|&(fourcc, size, fps)| (FourCc(*fourcc), size, fps))
                .collect(),
            lists: Lists::Each,
            padding: 0,
            insists: None,
            most_buffers: 32,
            closed_by: None,
            timestamps: true,
        }
    }
}

/// How a driver lists sizes and rates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lists {
    Nothing,
    Each,
    /// As ranges that begin at 16x16 and at one frame a second.
    Ranges,
}

/// What is wrong with one frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spoilt {
    /// The driver drops it.
    Dropped,
    /// It has the error flag.
    Damaged,
    /// Its last row is missing.
    Short,
    /// It has no bytes.
    Empty,
    /// It claims more bytes than its buffer has.
    Oversized,
    /// It is handed out under an index that doesn't exist.
    BadIndex,
    /// It is handed out under the index of a buffer that isn't queued, if there is one.
    TakenIndex,
    /// Its JPEG has a hole.
    Torn,
}

/// A call that can be made to fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Call {
    SetFormat,
    SetInterval,
    RequestBuffers,
    Map,
    Queue,
    Dequeue,
    StreamOn,
    Poll,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Owner {
    User,
    Queued,
    Done,
    /// Handed out under a false index.
    Lost,
}

struct Slot {
    owner: Owner,
    mapped: bool,
    memory: Arc<Memory>,
}

struct Memory(UnsafeCell<Box<[u8]>>);

// SAFETY: the model writes under its lock and only while the buffer is the driver's; whoever reads
// at such a time is written down as a violation.
unsafe impl Sync for Memory {}
// SAFETY: as above.
unsafe impl Send for Memory {}

impl Memory {
    fn fill(&self, write: impl FnOnce(&mut [u8])) {
        // SAFETY: see `Sync` above.
        write(unsafe { &mut *self.0.get() });
    }
}

/// The queue of the one handle that has buffers.
struct Queue {
    handle: u64,
    slots: Vec<Slot>,
    queued: VecDeque<u32>,
    done: VecDeque<(u32, Filled)>,
    streaming: bool,
    next_frame_at: Duration,
    sequence: u32,
}

struct State {
    clock: Arc<SimulatedClock>,
    nodes: Vec<ModelNode>,
    handles: u64,
    open_handles: u32,
    /// Handles up to this one belong to devices that were unplugged.
    gone_up_to: u64,
    unplugged: Vec<PathBuf>,
    set: Option<PixFormat>,
    interval: Duration,
    jpeg: Vec<u8>,
    queue: Option<Queue>,
    stalled_until: Duration,
    made: u64,
    spoilt: BTreeMap<u64, Spoilt>,
    failing: Vec<(Call, i32)>,
    /// When somebody tried to open a node.
    attempts: Vec<Duration>,
    streams: u32,
    violations: Vec<String>,
}

/// A machine with video nodes. Clones are the same machine.
#[derive(Clone)]
pub struct Model(Arc<Mutex<State>>);

impl Model {
    pub fn new(clock: &Arc<SimulatedClock>, nodes: Vec<ModelNode>) -> Self {
        Self(Arc::new(Mutex::new(State {
            clock: Arc::clone(clock),
            nodes,
            handles: 0,
            open_handles: 0,
            gone_up_to: 0,
            unplugged: Vec::new(),
            set: None,
            interval: Duration::from_millis(33),
            jpeg: Vec::new(),
            queue: None,
            stalled_until: Duration::ZERO,
            made: 0,
            spoilt: BTreeMap::new(),
            failing: Vec::new(),
            attempts: Vec::new(),
            streams: 0,
            violations: Vec::new(),
        })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Spoils the frame that is made `ahead` frames after the next.
    pub fn spoil(&self, ahead: u64, how: Spoilt) {
        let mut state = self.state();
        let frame = state.made + ahead;
        state.spoilt.insert(frame, how);
    }

    /// Makes the next such call fail.
    pub fn fail(&self, call: Call, errno: i32) {
        self.state().failing.push((call, errno));
    }

    /// The sensor makes no frames for so long.
    pub fn stall(&self, time: Duration) {
        let mut state = self.state();
        state.stalled_until = state.clock.now() + time;
    }

    /// Takes the node away: what is open on it fails for ever.
    pub fn unplug(&self, path: &str) {
        let mut state = self.state();
        state.gone_up_to = state.handles;
        state.unplugged.push(path.into());
    }

    pub fn plug_in(&self) {
        self.state().unplugged.clear();
    }

    /// No more faults of any kind.
    pub fn heal(&self) {
        let mut state = self.state();
        state.unplugged.clear();
        state.spoilt.clear();
        state.failing.clear();
        state.stalled_until = Duration::ZERO;
    }

    /// What JPEG frames hold.
    pub fn show(&self, jpeg: Vec<u8>) {
        self.state().jpeg = jpeg;
    }

    /// How many buffers are neither with the driver nor lost by its fault.
    pub fn held(&self) -> usize {
        let state = self.state();
        let slots = state.queue.iter().flat_map(|queue| &queue.slots);
        slots.filter(|slot| slot.owner == Owner::User).count()
    }

    pub fn buffers(&self) -> usize {
        self.state()
            .queue
            .as_ref()
            .map_or(0, |queue| queue.slots.len())
    }

    /// When somebody tried to open a node, since this was asked last.
    pub fn attempts(&self) -> Vec<Duration> {
        std::mem::take(&mut self.state().attempts)
    }

    /// How often a stream was started.
    pub fn streams(&self) -> u32 {
        self.state().streams
    }

    pub fn violations(&self) -> Vec<String> {
        self.state().violations.clone()
    }

    /// Whether nothing is open, mapped or allocated.
    pub fn is_idle(&self) -> bool {
        let state = self.state();
        state.open_handles == 0 && state.queue.is_none()
    }
}

impl State {
    fn is_gone(&self, handle: u64) -> bool {
        handle <= self.gone_up_to
    }

    fn violation(&mut self, text: impl Into<String>) {
        self.violations.push(text.into());
    }

    /// Fails if the handle's device is gone or the call is to fail.
    fn enter(&mut self, handle: u64, call: Option<Call>) -> io::Result<()> {
        if self.is_gone(handle) {
            return Err(io::Error::from_raw_os_error(libc::ENODEV));
        }
        let failing = self
            .failing
            .iter()
            .position(|(failing, _)| Some(*failing) == call);
        match failing {
            Some(at) => Err(io::Error::from_raw_os_error(self.failing.remove(at).1)),
            None => Ok(()),
        }
    }

    fn queue(&mut self, handle: u64) -> io::Result<&mut Queue> {
        let queue = self.queue.as_mut().filter(|queue| queue.handle == handle);
        queue.ok_or(io::Error::from_raw_os_error(libc::EINVAL))
    }

    /// Does what the driver has done by now.
    fn run_driver(&mut self) {
        let now = self.clock.now();
        let Some(queue) = self.queue.as_mut().filter(|queue| queue.streaming) else {
            return;
        };
        while queue.next_frame_at <= now {
            let at = queue.next_frame_at;
            queue.next_frame_at += self.interval;
            if at < self.stalled_until || queue.handle <= self.gone_up_to {
                continue;
            }
            let sequence = queue.sequence;
            queue.sequence += 1;
            let spoilt = self.spoilt.remove(&self.made);
            self.made += 1;
            if spoilt == Some(Spoilt::Dropped) {
                continue;
            }
            let Some(index) = queue.queued.pop_front() else {
                continue;
            };
            let slot = &mut queue.slots[index as usize];
            slot.owner = Owner::Done;
            let mut bytes_used = 0;
            slot.memory.fill(|memory| {
                bytes_used = memory.len();
                memory.fill(pattern(u64::from(sequence)));
                if !self.jpeg.is_empty() {
                    let mut jpeg = self.jpeg.clone();
                    if spoilt == Some(Spoilt::Torn) {
                        let middle = jpeg.len() / 2;
                        jpeg.drain(middle..middle + 300);
                    }
                    bytes_used = jpeg.len();
                    memory[..bytes_used].copy_from_slice(&jpeg);
                }
            });
            let mut filled = Filled {
                index,
                bytes_used: bytes_used as u32,
                damaged: false,
                sequence,
                timestamp: Some(BOOT + at),
            };
            match spoilt {
                Some(Spoilt::Damaged) => filled.damaged = true,
                Some(Spoilt::Short) => filled.bytes_used -= self.set.map_or(1, |set| set.stride),
                Some(Spoilt::Empty) => filled.bytes_used = 0,
                Some(Spoilt::Oversized) => filled.bytes_used += 1,
                Some(Spoilt::BadIndex) => filled.index = BAD_INDEX,
                Some(Spoilt::TakenIndex) => filled.index = TAKEN_INDEX,
                Some(Spoilt::Torn | Spoilt::Dropped) | None => {}
            }
            queue.done.push_back((index, filled));
        }
    }
}

impl Kernel for Model {
    type Capture = ModelCapture;

    fn nodes(&self) -> Vec<Node> {
        let state = self.state();
        let nodes = state.nodes.iter().map(|node| node.node.clone());
        nodes
            .filter(|node| !state.unplugged.contains(&node.path))
            .collect()
    }

    fn open(&self, path: &Path) -> io::Result<ModelCapture> {
        let mut state = self.state();
        let now = state.clock.now();
        state.attempts.push(now);
        let is_here = !state.unplugged.iter().any(|unplugged| unplugged == path);
        let nodes = state.nodes.iter();
        let mut nodes = nodes.filter(|_| is_here);
        let node =
            nodes.find(|node| node.node.path == path || node.node.by_id.as_deref() == Some(path));
        let node = node
            .ok_or(io::Error::from_raw_os_error(libc::ENOENT))?
            .clone();
        if let Some(errno) = node.closed_by {
            return Err(io::Error::from_raw_os_error(errno));
        }
        state.handles += 1;
        state.open_handles += 1;
        Ok(ModelCapture {
            model: self.clone(),
            handle: state.handles,
            node,
        })
    }

    fn monotonic(&self) -> Duration {
        BOOT + self.state().clock.now()
    }
}

/// An opened node of the model.
pub struct ModelCapture {
    model: Model,
    handle: u64,
    node: ModelNode,
}

impl ModelCapture {
    fn entry<T>(&self, index: u32, entries: impl Iterator<Item = T>) -> io::Result<T> {
        self.model.state().enter(self.handle, None)?;
        let mut entries = entries.skip(index as usize);
        entries
            .next()
            .ok_or(io::Error::from_raw_os_error(libc::EINVAL))
    }
}

impl Capture for ModelCapture {
    type Mapping = ModelMapping;

    fn capability(&self) -> io::Result<Capability> {
        self.model.state().enter(self.handle, None)?;
        Ok(self.node.capability.clone())
    }

    fn format(&self, index: u32) -> io::Result<FormatDescription> {
        let formats = self
            .node
            .formats
            .iter()
            .map(|&(fourcc, _, _)| FormatDescription {
                fourcc,
                description: format!("format {fourcc}"),
            });
        self.entry(index, formats)
    }

    fn frame_size(&self, fourcc: FourCc, index: u32) -> io::Result<Sizes> {
        let formats = self.node.formats.iter();
        let formats = formats.filter(|format| format.0 == fourcc);
        let sizes = formats.filter_map(|&(_, max, _)| match self.node.lists {
            Lists::Nothing => None,
            Lists::Each => Some(Sizes::Discrete(max.0, max.1)),
            Lists::Ranges => Some(Sizes::Stepwise {
                min: (16, 16),
                max,
                step: (1, 1),
            }),
        });
        self.entry(index, sizes)
    }

    fn frame_interval(
        &self,
        fourcc: FourCc,
        size: (u32, u32),
        index: u32,
    ) -> io::Result<Intervals> {
        let formats = self.node.formats.iter();
        let formats = formats.filter(|format| format.0 == fourcc);
        let intervals = formats.filter_map(|&(_, max, fps)| match self.node.lists {
            Lists::Each if max == size => Some(Intervals::Discrete(Interval::from_hz(fps))),
            Lists::Ranges => Some(Intervals::Between {
                min: Interval::from_hz(fps),
                max: Interval::from_hz(1.0),
            }),
            _ => None,
        });
        self.entry(index, intervals)
    }

    fn set_format(&self, fourcc: FourCc, (width, height): (u32, u32)) -> io::Result<PixFormat> {
        let mut state = self.model.state();
        state.enter(self.handle, Some(Call::SetFormat))?;
        let row = pixels(fourcc).map_or(0, |format| {
            format.plane_layout(width as usize, height as usize)[0].0 as u32
        });
        let set = self.node.insists.unwrap_or(PixFormat {
            fourcc,
            width,
            height,
            stride: row + self.node.padding,
            colorspace: c::v4l2_colorspace_V4L2_COLORSPACE_SRGB,
            quantization: c::v4l2_quantization_V4L2_QUANTIZATION_DEFAULT,
        });
        state.set = Some(set);
        Ok(set)
    }

    fn set_interval(&self, interval: Interval) -> io::Result<Interval> {
        let mut state = self.model.state();
        state.enter(self.handle, Some(Call::SetInterval))?;
        state.interval = interval.duration().unwrap();
        Ok(interval)
    }

    fn request_buffers(&self, count: u32) -> io::Result<u32> {
        let mut state = self.model.state();
        state.enter(self.handle, (count > 0).then_some(Call::RequestBuffers))?;
        if state
            .queue
            .as_ref()
            .is_some_and(|queue| queue.handle != self.handle)
        {
            state.violation("two queues at a time");
            return Err(io::Error::from_raw_os_error(libc::EBUSY));
        }
        if let Some(queue) = &state.queue {
            if queue.slots.iter().any(|slot| slot.mapped) {
                state.violation("buffers freed while mapped");
                return Err(io::Error::from_raw_os_error(libc::EBUSY));
            }
            state.queue = None;
        }
        let count = count.min(self.node.most_buffers);
        if count > 0 {
            let set = state
                .set
                .ok_or(io::Error::from_raw_os_error(libc::EINVAL))?;
            let length = length(set);
            let slot = || Slot {
                owner: Owner::User,
                mapped: false,
                memory: Arc::new(Memory(UnsafeCell::new(vec![POISON; length].into()))),
            };
            state.queue = Some(Queue {
                handle: self.handle,
                slots: (0..count).map(|_| slot()).collect(),
                queued: VecDeque::new(),
                done: VecDeque::new(),
                streaming: false,
                next_frame_at: Duration::ZERO,
                sequence: 0,
            });
        }
        Ok(count)
    }

    fn map(&self, index: u32) -> io::Result<ModelMapping> {
        let mut state = self.model.state();
        state.enter(self.handle, Some(Call::Map))?;
        let slots = &mut state.queue(self.handle)?.slots;
        let slot = slots.get_mut(index as usize);
        let slot = slot.ok_or(io::Error::from_raw_os_error(libc::EINVAL))?;
        slot.mapped = true;
        Ok(ModelMapping {
            model: self.model.clone(),
            index,
            memory: Arc::clone(&slot.memory),
        })
    }

    fn queue(&self, index: u32) -> io::Result<()> {
        let mut state = self.model.state();
        state.enter(self.handle, Some(Call::Queue))?;
        state.run_driver();
        let queue = state.queue(self.handle)?;
        let Some(slot) = queue.slots.get_mut(index as usize) else {
            state.violation(format!("buffer {index} queued, which doesn't exist"));
            return Err(io::Error::from_raw_os_error(libc::EINVAL));
        };
        if slot.owner != Owner::User {
            let text = format!("buffer {index} queued twice: it is {:?}", slot.owner);
            state.violation(text);
            return Err(io::Error::from_raw_os_error(libc::EINVAL));
        }
        slot.owner = Owner::Queued;
        slot.memory.fill(|memory| memory.fill(POISON));
        queue.queued.push_back(index);
        Ok(())
    }

    fn dequeue(&self) -> io::Result<Option<Filled>> {
        let mut state = self.model.state();
        state.enter(self.handle, Some(Call::Dequeue))?;
        state.run_driver();
        let queue = state.queue(self.handle)?;
        if !queue.streaming {
            return Err(io::Error::from_raw_os_error(libc::EINVAL));
        }
        let Some((index, mut filled)) = queue.done.pop_front() else {
            return Ok(None);
        };
        if filled.index == TAKEN_INDEX {
            let mut taken = queue.slots.iter();
            let taken = taken.position(|slot| slot.owner == Owner::User);
            filled.index = taken.map_or(BAD_INDEX, |taken| taken as u32);
        }
        let honest = filled.index == index;
        queue.slots[index as usize].owner = if honest { Owner::User } else { Owner::Lost };
        filled.timestamp = filled.timestamp.filter(|_| self.node.timestamps);
        Ok(Some(filled))
    }

    fn stream_on(&self) -> io::Result<()> {
        let mut state = self.model.state();
        state.enter(self.handle, Some(Call::StreamOn))?;
        let next_frame_at = state.clock.now() + state.interval;
        let queue = state.queue(self.handle)?;
        queue.streaming = true;
        queue.next_frame_at = next_frame_at;
        state.streams += 1;
        Ok(())
    }

    fn stream_off(&self) -> io::Result<()> {
        let mut state = self.model.state();
        state.enter(self.handle, None)?;
        let queue = state.queue(self.handle)?;
        queue.streaming = false;
        queue.queued.clear();
        queue.done.clear();
        for slot in &mut queue.slots {
            slot.owner = Owner::User;
        }
        Ok(())
    }

    fn poll(&self, timeout: Duration) -> io::Result<Readiness> {
        let mut state = self.model.state();
        let deadline = state.clock.now() + timeout;
        if state.is_gone(self.handle) {
            return Ok(Readiness::Ready);
        }
        state.enter(self.handle, Some(Call::Poll))?;
        loop {
            state.run_driver();
            let now = state.clock.now();
            let queue = state.queue(self.handle)?;
            if !queue.streaming || !queue.done.is_empty() {
                return Ok(Readiness::Ready);
            }
            if now >= deadline {
                return Ok(Readiness::Timeout);
            }
            let wake = queue.next_frame_at.min(deadline);
            state.clock.advance(wake - now);
        }
    }
}

impl Drop for ModelCapture {
    fn drop(&mut self) {
        let mut state = self.model.state();
        state.open_handles -= 1;
        let Some(queue) = state.queue.take_if(|queue| queue.handle == self.handle) else {
            return;
        };
        if queue.slots.iter().any(|slot| slot.mapped) {
            state.violation("closed while buffers are mapped");
        }
        if !state.is_gone(self.handle) {
            state.violation("closed without freeing the buffers");
        }
    }
}

/// A mapped buffer of the model.
pub struct ModelMapping {
    model: Model,
    index: u32,
    memory: Arc<Memory>,
}

impl Mapping for ModelMapping {
    unsafe fn bytes(&self) -> &[u8] {
        let mut state = self.model.state();
        let slots = state.queue.as_ref().map(|queue| &queue.slots);
        let owner = slots.map(|slots| slots[self.index as usize].owner);
        if owner != Some(Owner::User) {
            let text = format!("buffer {} used while it is {owner:?}", self.index);
            state.violation(text);
        }
        // SAFETY: the caller sees to it that the buffer isn't queued while the slice is in use, and
        // the model writes only to queued ones.
        unsafe { &*self.memory.0.get() }
    }
}

impl Drop for ModelMapping {
    fn drop(&mut self) {
        let mut state = self.model.state();
        let Some(queue) = &mut state.queue else {
            state.violation("unmapped after the buffers were freed");
            return;
        };
        let (streaming, handle) = (queue.streaming, queue.handle);
        queue.slots[self.index as usize].mapped = false;
        if streaming && !state.is_gone(handle) {
            state.violation(format!("buffer {} unmapped while streaming", self.index));
        }
    }
}

fn pixels(fourcc: FourCc) -> Option<PixelFormat> {
    Encoding::from_fourcc(fourcc)?.pixels()
}

/// Bytes of a buffer: all planes, their strides in proportion to the first one's.
fn length(set: PixFormat) -> usize {
    let Some(format) = pixels(set.fourcc) else {
        return 1 << 16;
    };
    let planes = format.plane_layout(set.width as usize, set.height as usize);
    let (first_row, _) = planes[0];
    let bytes =
        |(row, rows): (usize, usize)| (row * set.stride as usize).div_ceil(first_row.max(1)) * rows;
    planes.map(bytes).iter().sum()
}

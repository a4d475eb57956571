//! The machine's video nodes: which of them are cameras, what they offer, and what palmd takes.

use std::io;
use std::path::{Path, PathBuf};

use serde::Serialize;
use v4l::v4l_sys as c;

use super::format::{Choice, Offer, choose, offers};
use super::kernel::{Capability, Capture, Kernel, Node};
use super::{CameraParams, open_error};
use crate::camera::SourceError;

/// Drivers whose capture nodes give back pictures that a program has fed into another node.
const IMAGE_PROCESSORS: [&str; 3] = ["bcm2835-isp", "bcm2835-codec", "pispbe"];

/// A video node, as `palmd devices` shows it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Device {
    /// `/dev/videoN`.
    pub path: PathBuf,
    /// The stable name under `/dev/v4l/by-id`, where there is one.
    pub by_id: Option<PathBuf>,
    /// The device's name for people.
    pub card: String,
    /// Kernel driver.
    pub driver: String,
    /// Where it is attached.
    pub bus: String,
    /// What it offers.
    pub formats: Vec<Offer>,
    /// What palmd would take, and why.
    pub chosen: Option<Choice>,
    /// Why palmd can't use it.
    pub unusable: Option<String>,
    /// Whether this is the one that `auto` takes: the first usable node by number.
    pub auto: bool,
}

impl Device {
    fn new(node: Node) -> Self {
        Self {
            path: node.path,
            by_id: node.by_id,
            card: String::new(),
            driver: String::new(),
            bus: String::new(),
            formats: Vec::new(),
            chosen: None,
            unusable: None,
            auto: false,
        }
    }

    /// Asks an opened node what it is and offers.
    pub(super) fn examine<C: Capture>(node: Node, capture: &C, params: &CameraParams) -> Self {
        let mut device = Self::new(node);
        let capability = match capture.capability() {
            Ok(capability) => capability,
            Err(error) if error.raw_os_error() == Some(libc::ENOTTY) => {
                device.unusable = Some("not a video device".into());
                return device;
            }
            Err(error) => {
                device.unusable = Some(format!("doesn't say what it is: {error}"));
                return device;
            }
        };
        let obstacle = obstacle(&capability);
        device.card = capability.card;
        device.driver = capability.driver;
        device.bus = capability.bus;
        if let Some(obstacle) = obstacle {
            device.unusable = Some(obstacle.into());
            return device;
        }
        device.formats = offers(capture, params.size);
        match choose(&device.formats, params) {
            Ok(choice) => device.chosen = Some(choice),
            Err(reason) => device.unusable = Some(reason),
        }
        device
    }
}

/// Why a node of such capabilities is no camera that palmd can read.
fn obstacle(capability: &Capability) -> Option<&'static str> {
    let has = |flags: u32| capability.flags & flags != 0;
    if has(c::V4L2_CAP_VIDEO_M2M | c::V4L2_CAP_VIDEO_M2M_MPLANE) {
        Some("a codec or converter, not a camera")
    } else if IMAGE_PROCESSORS.contains(&capability.driver.as_str()) {
        Some("an image processor that is fed by programs, not a camera")
    } else if has(c::V4L2_CAP_IO_MC) {
        Some("a bare sensor interface; run palmd under libcamera's `libcamerify`")
    } else if has(c::V4L2_CAP_VIDEO_CAPTURE) {
        (!has(c::V4L2_CAP_STREAMING)).then_some("can't stream into memory-mapped buffers")
    } else if has(c::V4L2_CAP_VIDEO_CAPTURE_MPLANE) {
        Some("speaks only the multi-planar API, which palmd doesn't read")
    } else if has(c::V4L2_CAP_VIDEO_OUTPUT | c::V4L2_CAP_VIDEO_OUTPUT_MPLANE) {
        Some("an output, not a camera")
    } else if has(c::V4L2_CAP_META_CAPTURE | c::V4L2_CAP_META_OUTPUT) {
        Some("carries a camera's metadata, not pictures")
    } else {
        Some("captures no video")
    }
}

/// All video nodes by number, with what palmd would take of each under `params`. One that can't be
/// opened is listed with the reason.
pub fn devices<K: Kernel>(kernel: &K, params: &CameraParams) -> Vec<Device> {
    let examine = |node: Node| match kernel.open(&node.path) {
        Ok(capture) => Device::examine(node, &capture, params),
        Err(error) => Device {
            unusable: Some(open_error(&node.path, error).to_string()),
            ..Device::new(node)
        },
    };
    let mut devices: Vec<Device> = kernel.nodes().into_iter().map(examine).collect();
    if let Some(first) = devices.iter_mut().find(|device| device.chosen.is_some()) {
        first.auto = true;
    }
    devices
}

/// Opens the device that `params` name and chooses its format.
///
/// # Errors
/// [`SourceError`] with what to do: the device isn't there, isn't permitted, isn't usable.
pub(super) fn open<K: Kernel>(
    kernel: &K,
    params: &CameraParams,
) -> Result<(K::Capture, Device, Choice), SourceError> {
    if params.device == "auto" {
        return open_first(kernel, params);
    }
    let path = path_of(&params.device);
    let capture = kernel
        .open(&path)
        .map_err(|error| open_error(&path, error))?;
    let by_id = path.starts_with("/dev/v4l/by-id").then(|| path.clone());
    let node = Node { path, by_id };
    let mut device = Device::examine(node, &capture, params);
    match (device.chosen.take(), device.unusable.take()) {
        (Some(choice), _) => Ok((capture, device, choice)),
        (None, reason) => Err(SourceError::Unavailable {
            name: device.path.display().to_string(),
            reason: format!(
                "{}; `palmd devices` lists the cameras",
                reason.unwrap_or_default()
            ),
        }),
    }
}

fn open_first<K: Kernel>(
    kernel: &K,
    params: &CameraParams,
) -> Result<(K::Capture, Device, Choice), SourceError> {
    let mut reasons = Vec::new();
    let mut forbidden = None;
    for node in kernel.nodes() {
        let path = node.path.clone();
        let capture = match kernel.open(&path) {
            Ok(capture) => capture,
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                forbidden.get_or_insert_with(|| open_error(&path, error));
                continue;
            }
            Err(error) => {
                reasons.push(open_error(&path, error).to_string());
                continue;
            }
        };
        let mut device = Device::examine(node, &capture, params);
        match (device.chosen.take(), device.unusable.take()) {
            (Some(choice), _) => return Ok((capture, device, choice)),
            (None, reason) => {
                let reason = reason.unwrap_or_default();
                reasons.push(format!("{}: {reason}", path.display()));
            }
        }
    }
    Err(forbidden.unwrap_or_else(|| SourceError::Unavailable {
        name: "auto".into(),
        reason: if reasons.is_empty() {
            "no camera: there is no /dev/video*; connect one".into()
        } else {
            format!("no camera among the video nodes ({})", reasons.join("; "))
        },
    }))
}

/// A path stays as it is; a bare name is one of `/dev` or of `/dev/v4l/by-id`.
fn path_of(device: &str) -> PathBuf {
    let number = device.strip_prefix("video").unwrap_or_default();
    if device.contains('/') {
        PathBuf::from(device)
    } else if !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()) {
        Path::new("/dev").join(device)
    } else {
        Path::new("/dev/v4l/by-id").join(device)
    }
}

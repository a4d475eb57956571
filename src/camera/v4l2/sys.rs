//! Linux itself: the system calls behind [`Kernel`].
//!
//! They go through libc's symbols, so that libcamera's `libcamerify`, which interposes them, can
//! offer a CSI camera as a V4L2 device.

use std::ffi::{CString, c_int, c_ulong, c_void};
use std::fs;
use std::io;
use std::marker::PhantomData;
use std::mem;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::ptr::{self, NonNull};
use std::slice;
use std::time::Duration;

use v4l::v4l_sys as c;
use v4l::v4l2::vidioc;

use super::kernel::{
    Capability, Capture, Filled, FormatDescription, FourCc, Interval, Intervals, Kernel, Mapping,
    Node, PixFormat, Readiness, Sizes,
};

const CAPTURE: u32 = c::v4l2_buf_type_V4L2_BUF_TYPE_VIDEO_CAPTURE;
const MMAP: u32 = c::v4l2_memory_V4L2_MEMORY_MMAP;

/// The running Linux kernel.
#[derive(Debug, Clone, Copy, Default)]
pub struct Linux;

impl Kernel for Linux {
    type Capture = LinuxCapture;

    fn nodes(&self) -> Vec<Node> {
        nodes_under(Path::new("/dev"))
    }

    fn open(&self, path: &Path) -> io::Result<LinuxCapture> {
        let path = CString::new(path.as_os_str().as_bytes())?;
        let flags = libc::O_RDWR | libc::O_NONBLOCK | libc::O_CLOEXEC;
        // SAFETY: `path` is a C string that lives through the call.
        let fd = unsafe { libc::open(path.as_ptr(), flags) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: `fd` was just opened and belongs to nobody else.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        Ok(LinuxCapture { fd })
    }

    fn monotonic(&self) -> Duration {
        let mut now = libc::timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        // SAFETY: `now` is a valid place for the result. The call can't fail for this clock.
        unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut now) };
        Duration::new(now.tv_sec as u64, now.tv_nsec as u32)
    }
}

fn nodes_under(dev: &Path) -> Vec<Node> {
    let entries = |folder: PathBuf| {
        let entries = fs::read_dir(folder).into_iter().flatten();
        entries.flatten().map(|entry| entry.path())
    };
    let mut stable: Vec<(PathBuf, PathBuf)> = entries(dev.join("v4l/by-id"))
        .filter_map(|name| Some((name.canonicalize().ok()?, name)))
        .collect();
    stable.sort();
    let mut nodes: Vec<(u32, Node)> = entries(dev.to_path_buf())
        .filter_map(|path| {
            let name = path.file_name()?.to_str()?;
            let number = name.strip_prefix("video")?.parse().ok()?;
            let target = path.canonicalize().ok()?;
            let by_id = stable.iter().find(|(node, _)| *node == target);
            let by_id = by_id.map(|(_, name)| name.clone());
            Some((number, Node { path, by_id }))
        })
        .collect();
    nodes.sort_by_key(|(number, _)| *number);
    nodes.into_iter().map(|(_, node)| node).collect()
}

/// A request code together with the type of its argument.
struct Request<T> {
    code: c_ulong,
    argument: PhantomData<T>,
}

impl<T> Request<T> {
    /// Doesn't compile unless the code was made for an argument of this size.
    const fn new(code: c_ulong) -> Self {
        assert!((code >> 16) & 0x3fff == size_of::<T>() as c_ulong);
        Self {
            code,
            argument: PhantomData,
        }
    }
}

const QUERYCAP: Request<c::v4l2_capability> = Request::new(vidioc::VIDIOC_QUERYCAP);
const ENUM_FMT: Request<c::v4l2_fmtdesc> = Request::new(vidioc::VIDIOC_ENUM_FMT);
const ENUM_FRAMESIZES: Request<c::v4l2_frmsizeenum> = Request::new(vidioc::VIDIOC_ENUM_FRAMESIZES);
const ENUM_FRAMEINTERVALS: Request<c::v4l2_frmivalenum> =
    Request::new(vidioc::VIDIOC_ENUM_FRAMEINTERVALS);
const S_FMT: Request<c::v4l2_format> = Request::new(vidioc::VIDIOC_S_FMT);
const S_PARM: Request<c::v4l2_streamparm> = Request::new(vidioc::VIDIOC_S_PARM);
const REQBUFS: Request<c::v4l2_requestbuffers> = Request::new(vidioc::VIDIOC_REQBUFS);
const QUERYBUF: Request<c::v4l2_buffer> = Request::new(vidioc::VIDIOC_QUERYBUF);
const QBUF: Request<c::v4l2_buffer> = Request::new(vidioc::VIDIOC_QBUF);
const DQBUF: Request<c::v4l2_buffer> = Request::new(vidioc::VIDIOC_DQBUF);
const STREAMON: Request<c_int> = Request::new(vidioc::VIDIOC_STREAMON);
const STREAMOFF: Request<c_int> = Request::new(vidioc::VIDIOC_STREAMOFF);

/// A V4L2 argument with every byte zero, which is also what its reserved fields must be.
macro_rules! zeroed {
    ($type:ty) => {{
        // SAFETY: V4L2's structs are plain C data, for which zero bytes are a valid value.
        unsafe { mem::zeroed::<$type>() }
    }};
}

/// An opened `/dev/videoN`.
#[derive(Debug)]
pub struct LinuxCapture {
    fd: OwnedFd,
}

impl LinuxCapture {
    fn ioctl<T>(&self, request: Request<T>, argument: &mut T) -> io::Result<()> {
        loop {
            // SAFETY: the request reads and writes one `T`, as `Request` sees to, and none of the
            // requests above follows a pointer in it (buffers are of the mmap kind only).
            let result =
                unsafe { libc::ioctl(self.fd.as_raw_fd(), request.code as _, &raw mut *argument) };
            if result >= 0 {
                return Ok(());
            }
            let error = io::Error::last_os_error();
            if error.kind() != io::ErrorKind::Interrupted {
                return Err(error);
            }
        }
    }

    fn buffer(index: u32) -> c::v4l2_buffer {
        let mut buffer = zeroed!(c::v4l2_buffer);
        buffer.index = index;
        buffer.type_ = CAPTURE;
        buffer.memory = MMAP;
        buffer
    }
}

impl Capture for LinuxCapture {
    type Mapping = LinuxMapping;

    fn capability(&self) -> io::Result<Capability> {
        let mut capability = zeroed!(c::v4l2_capability);
        self.ioctl(QUERYCAP, &mut capability)?;
        let flags = if capability.capabilities & c::V4L2_CAP_DEVICE_CAPS == 0 {
            capability.capabilities
        } else {
            capability.device_caps
        };
        Ok(Capability {
            driver: text(&capability.driver),
            card: text(&capability.card),
            bus: text(&capability.bus_info),
            flags,
        })
    }

    fn format(&self, index: u32) -> io::Result<FormatDescription> {
        let mut format = zeroed!(c::v4l2_fmtdesc);
        format.index = index;
        format.type_ = CAPTURE;
        self.ioctl(ENUM_FMT, &mut format)?;
        Ok(FormatDescription {
            fourcc: FourCc(format.pixelformat.to_le_bytes()),
            description: text(&format.description),
        })
    }

    fn frame_size(&self, fourcc: FourCc, index: u32) -> io::Result<Sizes> {
        let mut size = zeroed!(c::v4l2_frmsizeenum);
        size.index = index;
        size.pixel_format = u32::from_le_bytes(fourcc.0);
        self.ioctl(ENUM_FRAMESIZES, &mut size)?;
        Ok(
            if size.type_ == c::v4l2_frmsizetypes_V4L2_FRMSIZE_TYPE_DISCRETE {
                // SAFETY: both variants are plain integers; this one is named by `type_`.
                let size = unsafe { size.__bindgen_anon_1.discrete };
                Sizes::Discrete(size.width, size.height)
            } else {
                // SAFETY: as above.
                let size = unsafe { size.__bindgen_anon_1.stepwise };
                Sizes::Stepwise {
                    min: (size.min_width, size.min_height),
                    max: (size.max_width, size.max_height),
                    step: (size.step_width, size.step_height),
                }
            },
        )
    }

    fn frame_interval(
        &self,
        fourcc: FourCc,
        (width, height): (u32, u32),
        index: u32,
    ) -> io::Result<Intervals> {
        let mut interval = zeroed!(c::v4l2_frmivalenum);
        interval.index = index;
        interval.pixel_format = u32::from_le_bytes(fourcc.0);
        interval.width = width;
        interval.height = height;
        self.ioctl(ENUM_FRAMEINTERVALS, &mut interval)?;
        Ok(
            if interval.type_ == c::v4l2_frmivaltypes_V4L2_FRMIVAL_TYPE_DISCRETE {
                // SAFETY: both variants are plain integers; this one is named by `type_`.
                Intervals::Discrete(unsafe { interval.__bindgen_anon_1.discrete }.into())
            } else {
                // SAFETY: as above.
                let steps = unsafe { interval.__bindgen_anon_1.stepwise };
                Intervals::Between {
                    min: steps.min.into(),
                    max: steps.max.into(),
                }
            },
        )
    }

    fn set_format(&self, fourcc: FourCc, (width, height): (u32, u32)) -> io::Result<PixFormat> {
        let mut format = zeroed!(c::v4l2_format);
        format.type_ = CAPTURE;
        let mut wanted = zeroed!(c::v4l2_pix_format);
        wanted.width = width;
        wanted.height = height;
        wanted.pixelformat = u32::from_le_bytes(fourcc.0);
        wanted.field = c::v4l2_field_V4L2_FIELD_NONE;
        format.fmt.pix = wanted;
        self.ioctl(S_FMT, &mut format)?;
        // SAFETY: `pix` is plain integers and the variant that a capture format holds.
        let set = unsafe { format.fmt.pix };
        Ok(PixFormat {
            fourcc: FourCc(set.pixelformat.to_le_bytes()),
            width: set.width,
            height: set.height,
            stride: set.bytesperline,
            colorspace: set.colorspace,
            quantization: set.quantization,
        })
    }

    fn set_interval(&self, interval: Interval) -> io::Result<Interval> {
        let mut parameters = zeroed!(c::v4l2_streamparm);
        parameters.type_ = CAPTURE;
        let mut wanted = zeroed!(c::v4l2_captureparm);
        wanted.timeperframe = c::v4l2_fract {
            numerator: interval.numerator,
            denominator: interval.denominator,
        };
        parameters.parm.capture = wanted;
        self.ioctl(S_PARM, &mut parameters)?;
        // SAFETY: `capture` is plain integers and the variant that a capture device holds.
        Ok(unsafe { parameters.parm.capture }.timeperframe.into())
    }

    fn request_buffers(&self, count: u32) -> io::Result<u32> {
        let mut request = zeroed!(c::v4l2_requestbuffers);
        request.count = count;
        request.type_ = CAPTURE;
        request.memory = MMAP;
        self.ioctl(REQBUFS, &mut request)?;
        Ok(request.count)
    }

    fn map(&self, index: u32) -> io::Result<LinuxMapping> {
        let mut buffer = Self::buffer(index);
        self.ioctl(QUERYBUF, &mut buffer)?;
        let length = buffer.length as usize;
        // SAFETY: `offset` is plain and the variant that an mmap buffer holds.
        let offset = unsafe { buffer.m.offset };
        // SAFETY: a new shared mapping of the driver's memory, at an address of the kernel's choice.
        let start = unsafe {
            libc::mmap(
                ptr::null_mut(),
                length,
                libc::PROT_READ,
                libc::MAP_SHARED,
                self.fd.as_raw_fd(),
                offset as libc::off_t,
            )
        };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let start = NonNull::new(start).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(LinuxMapping { start, length })
    }

    fn queue(&self, index: u32) -> io::Result<()> {
        self.ioctl(QBUF, &mut Self::buffer(index))
    }

    fn dequeue(&self) -> io::Result<Option<Filled>> {
        let mut buffer = Self::buffer(0);
        match self.ioctl(DQBUF, &mut buffer) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
            result => result?,
        }
        let time = buffer.timestamp;
        let monotonic =
            buffer.flags & c::V4L2_BUF_FLAG_TIMESTAMP_MASK == c::V4L2_BUF_FLAG_TIMESTAMP_MONOTONIC;
        Ok(Some(Filled {
            index: buffer.index,
            bytes_used: buffer.bytesused,
            damaged: buffer.flags & c::V4L2_BUF_FLAG_ERROR != 0,
            sequence: buffer.sequence,
            timestamp: timestamp(time.tv_sec, time.tv_usec).filter(|_| monotonic),
        }))
    }

    fn stream_on(&self) -> io::Result<()> {
        self.ioctl(STREAMON, &mut (CAPTURE as c_int))
    }

    fn stream_off(&self) -> io::Result<()> {
        self.ioctl(STREAMOFF, &mut (CAPTURE as c_int))
    }

    fn poll(&self, timeout: Duration) -> io::Result<Readiness> {
        let mut fd = libc::pollfd {
            fd: self.fd.as_raw_fd(),
            events: libc::POLLIN,
            revents: 0,
        };
        // Rounded up, so that the last millisecond isn't spent spinning.
        let timeout_ms = timeout.as_micros().div_ceil(1000).min(i32::MAX as u128) as c_int;
        // SAFETY: `fd` is one valid `pollfd`.
        match unsafe { libc::poll(&raw mut fd, 1, timeout_ms) } {
            0 => Ok(Readiness::Timeout),
            1.. => Ok(Readiness::Ready),
            _ => match io::Error::last_os_error() {
                error if error.kind() == io::ErrorKind::Interrupted => Ok(Readiness::Timeout),
                error => Err(error),
            },
        }
    }
}

/// A mapped buffer of a [`LinuxCapture`].
#[derive(Debug)]
pub struct LinuxMapping {
    start: NonNull<c_void>,
    length: usize,
}

// SAFETY: the mapping belongs to this value alone and to no thread.
unsafe impl Send for LinuxMapping {}

impl Mapping for LinuxMapping {
    unsafe fn bytes(&self) -> &[u8] {
        // SAFETY: `start..start + length` stays mapped as long as `self`; the caller sees to it
        // that the driver doesn't write.
        unsafe { slice::from_raw_parts(self.start.as_ptr().cast(), self.length) }
    }
}

impl Drop for LinuxMapping {
    fn drop(&mut self) {
        // SAFETY: the range is ours, and slices of it can't outlive `self`.
        unsafe { libc::munmap(self.start.as_ptr(), self.length) };
    }
}

impl From<c::v4l2_fract> for Interval {
    fn from(fraction: c::v4l2_fract) -> Self {
        Self {
            numerator: fraction.numerator,
            denominator: fraction.denominator,
        }
    }
}

/// A driver's time stamp, if it is one: some leave it at zero, and some just pass on what a program
/// has written.
fn timestamp(seconds: impl TryInto<u32>, microseconds: impl TryInto<u32>) -> Option<Duration> {
    let (seconds, microseconds) = (seconds.try_into().ok()?, microseconds.try_into().ok()?);
    let timestamp =
        (microseconds < 1_000_000).then(|| Duration::new(seconds.into(), microseconds * 1000));
    timestamp.filter(|timestamp| !timestamp.is_zero())
}

/// The text in a fixed field of C characters. A camera names itself: control characters, which
/// would be orders to a terminal or further lines of a log, become `?`.
fn text(field: &[u8]) -> String {
    let end = field.iter().position(|&byte| byte == 0);
    let text = String::from_utf8_lossy(&field[..end.unwrap_or(field.len())]);
    text.replace(char::is_control, "?")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn impossible_time_stamps_are_none() {
        assert_eq!(
            timestamp(7_i64, 500_000_i64),
            Some(Duration::from_millis(7500))
        );
        for (seconds, microseconds) in [
            (0, 0),
            (-1, 0),
            (1, -1),
            (1, 1_000_000),
            (-1, 2_000_000),
            (1, 5_000_000_000),
            (i64::MAX, 0),
            (i64::MIN, i64::MIN),
        ] {
            assert_eq!(
                timestamp(seconds, microseconds),
                None,
                "{seconds} {microseconds}"
            );
        }
    }

    #[test]
    fn a_camera_s_name_is_one_line_and_no_order_to_a_terminal() {
        assert_eq!(
            text(b"Webcam\x1b[2J\n<3>all is lost\0rest"),
            "Webcam?[2J?<3>all is lost"
        );
        assert_eq!(text(b"C\xc3\xa1mara \xff"), "Cámara \u{fffd}");
        assert_eq!(text(&[b'x'; 32]), "x".repeat(32));
    }

    #[test]
    fn nodes_come_by_number_with_their_stable_names() {
        let dev = tempfile::tempdir().unwrap();
        for name in ["video10", "video2", "videox", "media0"] {
            fs::write(dev.path().join(name), "").unwrap();
        }
        fs::create_dir_all(dev.path().join("v4l/by-id")).unwrap();
        let stable = dev.path().join("v4l/by-id/usb-Maker_Cam_1234-video-index0");
        symlink("../../video10", &stable).unwrap();
        let nodes = nodes_under(dev.path());
        assert_eq!(
            nodes,
            [
                Node {
                    path: dev.path().join("video2"),
                    by_id: None
                },
                Node {
                    path: dev.path().join("video10"),
                    by_id: Some(stable)
                },
            ]
        );
    }

    #[test]
    fn a_file_that_is_no_video_node_says_so() {
        let capture = Linux.open(Path::new("/dev/null")).unwrap();
        let error = capture.capability().unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::ENOTTY));
    }
}

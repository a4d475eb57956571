//! `palmd status`

use std::fmt::{self, Display};
use std::io::{self, Read};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use clap::Args;
use palmd::health::{CameraState, Quantiles, Status};
use palmd::pose::Handedness;
use palmd::publish::{Condition, socket_path};

use super::ConfigArgs;
use super::failure::{DATA, Failure, IO, PERMISSION, UNAVAILABLE};
use super::output::Output;

/// Where a daemon that systemd started answers.
const DEFAULT_SOCKET: &str = "/run/palmd/status.sock";

/// The daemon answers at once; if it doesn't, it hangs.
const PATIENCE: Duration = Duration::from_secs(3);

/// Time between two looks.
const INTERVAL: Duration = Duration::from_secs(1);

/// What the running daemon is doing
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  palmd status
  palmd status --watch                         look again every second
  palmd status --json | jq .camera.fps")]
pub struct StatusCommand {
    #[command(flatten)]
    config: ConfigArgs,
    /// The daemon's socket [default: outputs.status.path, or /run/palmd/status.sock]
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
    /// Look again every second until interrupted
    #[arg(long)]
    watch: bool,
    /// Write JSON, one line for each look
    #[arg(long)]
    json: bool,
}

impl StatusCommand {
    pub fn execute(&self) -> Result<(), Failure> {
        let socket = match &self.socket {
            Some(path) => path.clone(),
            None => socket_path(&self.config.load()?.outputs.status.path, "status.sock")
                .unwrap_or_else(|| DEFAULT_SOCKET.into()),
        };
        let mut out = Output::create(None)?;
        loop {
            let answer = ask(&socket)?;
            if self.json {
                out.bytes(answer.as_bytes())?;
            } else {
                let status: Status = serde_json::from_str(&answer).map_err(|e| {
                    let text = format!(
                        "{}: that is no palmd of this version: {e}",
                        socket.display()
                    );
                    Failure::new(DATA, text)
                })?;
                if self.watch {
                    // To the top left, and everything below cleared.
                    out.bytes(b"\x1b[H\x1b[J")?;
                }
                out.bytes(Report(&status).to_string().as_bytes())?;
            }
            out.flush()?;
            if !self.watch {
                return Ok(());
            }
            thread::sleep(INTERVAL);
        }
    }
}

/// One line from the daemon.
fn ask(socket: &Path) -> Result<String, Failure> {
    let failed = |error: io::Error| {
        let name = socket.display();
        match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => Failure::new(
                UNAVAILABLE,
                format_args!(
                    "{name}: no palmd answers there; is it running (systemctl status palmd)? \
                     Started by hand it needs outputs.status.path in its configuration"
                ),
            ),
            io::ErrorKind::PermissionDenied => Failure::new(
                PERMISSION,
                format_args!("{name}: permission denied; outputs.status.mode says who may ask"),
            ),
            _ => Failure::new(IO, format_args!("{name}: {error}")),
        }
    };
    let mut stream = UnixStream::connect(socket).map_err(failed)?;
    stream.set_read_timeout(Some(PATIENCE)).map_err(failed)?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).map_err(failed)?;
    if answer.is_empty() {
        let text = format_args!("{}: too many ask at once", socket.display());
        return Err(Failure::new(UNAVAILABLE, text));
    }
    Ok(answer)
}

/// A status for people.
struct Report<'a>(&'a Status);

impl Display for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let s = self.0;
        let c = &s.camera;
        let up = Duration::from_secs(s.uptime_s as u64);
        let paused = if s.paused { ", paused" } else { "" };
        writeln!(f, "palmd {}, up {}{paused}", s.version, Span(up))?;
        let (width, height) = c.size;
        write!(f, "camera    {}: ", c.name)?;
        match c.state {
            CameraState::Opening => writeln!(f, "waiting for the first frame")?,
            CameraState::Lost => writeln!(f, "lost: {}", c.says)?,
            CameraState::Closed => writeln!(f, "closed while palmd is paused")?,
            CameraState::Streaming => writeln!(
                f,
                "{} {width}x{height}, {:.1} of {:.0} frames a second",
                c.format, c.fps, c.nominal_fps
            )?,
        }
        writeln!(
            f,
            "frames    {}, skipped {}, bad {}, camera opened again {} times",
            c.frames, c.skipped, c.bad, c.reopened
        )?;
        writeln!(f, "frame     {}", Times(&s.frame_time))?;
        writeln!(f, "window    {}", Times(&s.window_time))?;
        writeln!(f, "latency   {}", Times(&s.latency))?;
        writeln!(f, "hands     {} in view", s.hands)?;
        if let Some(last) = &s.last_gesture {
            let hand = match last.hand {
                Handedness::Left => "left",
                Handedness::Right => "right",
            };
            writeln!(
                f,
                "gesture   {} ({hand} hand, {:.0} %) at {:.0}",
                last.gesture,
                last.score * 100.0,
                last.time
            )?;
        }
        writeln!(
            f,
            "buffers   {} of {} poses wait, {} of {} camera buffers held",
            s.ring.used, s.ring.of, s.pool.used, s.pool.of
        )?;
        writeln!(
            f,
            "memory    {:.1} MB, at most {:.1} MB",
            s.memory.resident_bytes as f64 / 1e6,
            s.memory.peak_bytes as f64 / 1e6
        )?;
        writeln!(
            f,
            "windows   {}, passed over {}\nevents    {}, lost {}",
            s.windows, s.windows_skipped, s.events, s.events_lost
        )?;
        for o in &s.outputs {
            let mark = match o.condition {
                Condition::Works => "ok",
                Condition::Starting => "..",
                Condition::Fails => "FAILS",
            };
            write!(f, "{:<9} {mark}: {}; sent {}", o.name, o.says, o.sent)?;
            for (count, what) in [
                (o.dropped, "lost"),
                (o.reconnects, "attempts"),
                (o.readers, "readers"),
                (o.cut, "cut"),
            ] {
                if count > 0 {
                    write!(f, ", {what} {count}")?;
                }
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

/// Times of a stage in a line.
struct Times<'a>(&'a Quantiles);

impl Display for Times<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let q = self.0;
        if q.count == 0 {
            return write!(f, "none yet");
        }
        write!(
            f,
            "median {:.1} ms, 95 % below {:.1} ms, 99 % below {:.1} ms, at most {:.1} ms",
            q.median_ms, q.p95_ms, q.p99_ms, q.max_ms
        )
    }
}

/// A time that may be long, in its two largest units.
struct Span(Duration);

impl Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let s = self.0.as_secs();
        match s {
            0..60 => write!(f, "{s} s"),
            60..3600 => write!(f, "{} min {} s", s / 60, s % 60),
            3600..86_400 => write!(f, "{} h {} min", s / 3600, s / 60 % 60),
            _ => write!(f, "{} d {} h", s / 86_400, s / 3600 % 24),
        }
    }
}

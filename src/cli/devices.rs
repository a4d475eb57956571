//! `palmd devices`

use std::fmt::Write;

use clap::Args;
use palmd::camera::v4l2::{self, Device};

use super::ConfigArgs;
use super::failure::Failure;
use super::input::camera_params;
use super::output::Output;

/// List cameras, their formats, and what palmd would choose and why.
#[derive(Debug, Args)]
pub struct Devices {
    #[command(flatten)]
    config: ConfigArgs,
    /// Write JSON
    #[arg(long)]
    json: bool,
}

impl Devices {
    pub fn execute(&self) -> Result<(), Failure> {
        let config = self.config.load()?;
        let devices = v4l2::devices(&camera_params("auto".into(), &config.camera, None));
        let mut out = Output::create(None)?;
        if self.json {
            out.json_line(&devices)?;
        } else if devices.is_empty() {
            out.bytes(
                b"no video devices: plug in a camera, or load its driver; \
                  `palmd demo` shows palmd at work without one\n",
            )?;
        }
        if !self.json {
            for device in &devices {
                out.bytes(describe(device).as_bytes())?;
            }
        }
        out.flush()
    }
}

/// A device in words.
fn describe(device: &Device) -> String {
    let mut text = device.path.display().to_string();
    if !device.card.is_empty() {
        let _ = write!(
            text,
            "  {} ({}, {})",
            device.card, device.driver, device.bus
        );
    }
    text.push('\n');
    if let Some(by_id) = &device.by_id {
        let _ = writeln!(text, "    stable name  {}", by_id.display());
    }
    match (&device.chosen, &device.unusable) {
        (Some(choice), _) => {
            let auto = if device.auto {
                "; `auto` takes this camera"
            } else {
                ""
            };
            let _ = writeln!(text, "    would take   {choice}: {}{auto}", choice.reason);
        }
        (None, reason) => {
            let reason = reason.as_deref().unwrap_or("no reason given");
            let _ = writeln!(text, "    not used     {reason}");
        }
    }
    for offer in &device.formats {
        let unread = if offer.usable {
            ""
        } else {
            " (palmd doesn't read it)"
        };
        let _ = writeln!(text, "    {}  {}{unread}", offer.fourcc, offer.description);
        for size in &offer.sizes {
            let (width, height) = size.min;
            let _ = write!(text, "          {width}x{height}");
            if size.max != size.min {
                let _ = write!(text, " to {}x{}", size.max.0, size.max.1);
            }
            let rates: Vec<_> = size.fps.iter().map(|fps| format!("{fps:.4}")).collect();
            let rates: Vec<_> = rates
                .iter()
                .map(|rate| rate.trim_end_matches('0').trim_end_matches('.'))
                .collect();
            if !rates.is_empty() {
                let _ = write!(text, "  {} fps", rates.join(", "));
            }
            text.push('\n');
        }
    }
    text
}

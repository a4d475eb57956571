//! The configuration file: every key, its default, and errors that name the key.
//!
//! The file is TOML with kebab-case keys; all of them are optional. An unknown key is refused by
//! name, with the nearest known one. Durations are texts such as `"300ms"` or `"2s"`.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::fmt::serde::unsigned_duration::friendly::compact::required as duration;
use serde::{Deserialize, Serialize};
use toml::{Table, Value};

use crate::camera::v4l2::Encoding;
use crate::gesture::{RecognizerParams, RuleKeys, RulesParams};
use crate::inference::MOST_THREADS;
use crate::pose::{ModelSize, PoseParams, SearchParams};
use crate::publish::{GestureCommands, OutputsParams};
use crate::window::{self, GridParams};

/// Where the daemon looks for its configuration.
pub const DEFAULT_PATH: &str = "/etc/palmd/palmd.toml";

/// Where the gestures are that the machine has learned, unless configured otherwise.
pub const LEARNED_PATH: &str = "/var/lib/palmd/gestures";

/// No configuration is longer.
const MAX_BYTES: u64 = 1 << 20;

/// The whole configuration.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct Config {
    /// Where frames come from.
    pub camera: Camera,
    /// How hands are found and followed.
    pub pose: Pose,
    /// Which poses are looked at together.
    pub window: Window,
    /// Which gestures are known.
    pub gesture: Gesture,
    /// When a gesture starts, goes on and ends.
    pub rules: RulesParams,
    /// Where events go.
    pub outputs: OutputsParams,
    /// What is logged and watched.
    pub health: Health,
    /// Where the process's memory is.
    pub memory: Memory,
}

/// `[camera]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct Camera {
    /// `auto`, a device, a recording, `-` or `synthetic:SCRIPT`.
    pub source: String,
    /// Wanted width in pixels; the nearest that the camera offers is taken.
    pub width: u32,
    /// Wanted height in pixels.
    pub height: u32,
    /// Wanted frames a second; also the rate of recordings that have none of their own.
    pub fps: f32,
    /// Pixel format as a FourCC (`YUYV`, `NV12`, `MJPG`, ...), or `auto`.
    pub format: String,
    /// Code range of YUV formats: `auto` (as the driver says), `limited` or `full`.
    pub range: Range,
    /// Buffers in the pool; 0 takes what the processing time needs.
    pub buffers: u32,
    /// The picture is already a mirror image of the user (some cameras and virtual devices do
    /// so by themselves).
    pub mirrored: bool,
    /// The camera looks at the user, so that left and right are the user's own.
    pub facing_user: bool,
    /// No frame for so long means that the camera is lost.
    #[serde(with = "duration")]
    pub timeout: Duration,
    /// First pause before a lost camera is opened again; it grows up to 30 s.
    #[serde(with = "duration")]
    pub back_off: Duration,
}

impl Default for Camera {
    fn default() -> Self {
        Self {
            source: "auto".into(),
            width: 640,
            height: 480,
            fps: 30.0,
            format: "auto".into(),
            range: Range::Auto,
            buffers: 0,
            mirrored: false,
            facing_user: true,
            timeout: Duration::from_secs(2),
            back_off: Duration::from_secs(1),
        }
    }
}

/// Code range of YUV formats.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Range {
    /// As the driver says.
    Auto,
    /// 16..235.
    Limited,
    /// 0..255.
    Full,
}

/// `[pose]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct Pose {
    /// Size of the networks.
    pub model: ModelSize,
    /// Threads that compute the networks, 1 to 4: more than one makes a frame quicker where cores
    /// are idle.
    pub threads: usize,
    /// Hands that are followed at once: 1 or 2.
    pub hands: usize,
    /// A palm is taken for one from this score on, 0..1.
    pub detection_threshold: f32,
    /// A hand is lost below this presence, 0..1.
    pub presence_threshold: f32,
    /// Smooth the landmarks (One-Euro filter).
    pub smoothing: bool,
    /// With no hand in view, one is looked for so often while something moves; zero is every
    /// frame.
    #[serde(with = "duration")]
    pub search_interval: Duration,
    /// With no hand in view, one is looked for so often while nothing moves; zero switches the
    /// motion gate off.
    #[serde(with = "duration")]
    pub idle_interval: Duration,
    /// With one hand in view of two allowed, the second is looked for so often on average.
    #[serde(with = "duration")]
    pub second_hand_interval: Duration,
    /// Folder of the hand models; empty looks in the usual places.
    pub models: PathBuf,
}

impl Default for Pose {
    fn default() -> Self {
        let params = PoseParams::default();
        Self {
            model: params.model,
            threads: params.threads,
            hands: params.hands,
            detection_threshold: params.detection_threshold,
            presence_threshold: params.presence_threshold,
            smoothing: params.smoothing.is_some(),
            search_interval: Duration::from_millis(60),
            idle_interval: Duration::from_secs(1),
            second_hand_interval: params.search.second_hand_interval,
            models: PathBuf::new(),
        }
    }
}

impl Pose {
    /// How often palms are looked for in a live picture.
    #[must_use]
    pub fn search(&self) -> SearchParams {
        SearchParams {
            interval: self.search_interval,
            idle_interval: (!self.idle_interval.is_zero()).then_some(self.idle_interval),
            second_hand_interval: self.second_hand_interval,
        }
    }
}

/// `[window]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct Window {
    /// A hand that is out of sight for longer has left.
    #[serde(with = "duration")]
    pub max_gap: Duration,
    /// Poses (at 15 a second) that a hand must have shown before it is looked at, 1 to 30.
    pub min_poses: usize,
    /// Poses older than this are not classified.
    #[serde(with = "duration")]
    pub stall_limit: Duration,
}

impl Default for Window {
    fn default() -> Self {
        Self {
            max_gap: GridParams::default().max_gap,
            min_poses: window::Window::MIN_POSES,
            stall_limit: RecognizerParams::default().stall_limit,
        }
    }
}

/// `[gesture]`
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct Gesture {
    /// Classifier (ONNX, 1x30x21x3 -> 1xN probabilities); empty takes the one that ships.
    pub model: PathBuf,
    /// Labels of a classifier that carries none in its metadata.
    pub labels: Vec<String>,
    /// Folder of the gestures that were recorded and learned; empty is [`LEARNED_PATH`] for root
    /// and where it exists, and `~/.local/share/palmd/gestures` for other users.
    pub learned: PathBuf,
}

/// `[health]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct Health {
    /// A summary goes to the log so often (at level `debug`).
    #[serde(with = "duration")]
    pub summary_interval: Duration,
}

impl Default for Health {
    fn default() -> Self {
        Self {
            summary_interval: Duration::from_secs(60),
        }
    }
}

/// `[memory]`
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct Memory {
    /// Keep all memory from being swapped out or dropped, see [`lock`](crate::memory::lock).
    pub lock: bool,
}

/// Why a configuration can't be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file can't be read.
    #[error("{path}: {error}")]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        error: std::io::Error,
    },
    /// It isn't TOML, or a value has the wrong type.
    #[error("{path}: {reason}")]
    Parse {
        /// The file.
        path: PathBuf,
        /// The parser's message on one line, with the place.
        reason: String,
    },
    /// A key that doesn't exist.
    #[error("{path}: unknown key `{key}`{}", hint.as_ref().map(|h| format!("; did you mean `{h}`?")).unwrap_or_default())]
    UnknownKey {
        /// The file.
        path: PathBuf,
        /// The key with its sections.
        key: String,
        /// The nearest key that exists, or what there is.
        hint: Option<String>,
    },
    /// A value that can't work.
    #[error("{path}: `{key}` is {value}, but {rule}")]
    Value {
        /// The file.
        path: PathBuf,
        /// The key with its sections.
        key: &'static str,
        /// What it is.
        value: String,
        /// What it must be.
        rule: &'static str,
    },
}

impl Config {
    /// Reads and checks a configuration file.
    ///
    /// # Errors
    /// [`ConfigError`], which names the file and the key.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let mut text = String::new();
        let read = File::open(path)
            .and_then(|file| file.take(MAX_BYTES + 1).read_to_string(&mut text))
            .and_then(|bytes| match bytes as u64 {
                0..=MAX_BYTES => Ok(()),
                _ => Err(io::Error::other(
                    "longer than 1 MB; it can't be a configuration",
                )),
            });
        read.map_err(|error| ConfigError::Read {
            path: path.into(),
            error,
        })?;
        Self::parse(&text, path)
    }

    /// Reads and checks a configuration; `path` is only named in errors.
    ///
    /// # Errors
    /// [`ConfigError`], which names the file and the key.
    pub fn parse(text: &str, path: &Path) -> Result<Self, ConfigError> {
        let parse_error = |e: toml::de::Error| ConfigError::Parse {
            path: path.into(),
            reason: one_line(text, &e),
        };
        let given: Table = toml::from_str(text).map_err(parse_error)?;
        if let Some((key, hint)) = unknown_key(&given, &known_keys(&given), "") {
            return Err(ConfigError::UnknownKey {
                path: path.into(),
                key,
                hint,
            });
        }
        let config: Self = toml::from_str(text).map_err(parse_error)?;
        config.check(path)?;
        Ok(config)
    }

    /// Checks what types alone can't: sizes, shares, times. `path` is only named in errors.
    ///
    /// # Errors
    /// [`ConfigError::Value`] for the first value that can't work.
    pub fn check(&self, path: &Path) -> Result<(), ConfigError> {
        let check = |ok: bool, key, value: String, rule| {
            if ok {
                return Ok(());
            }
            Err(ConfigError::Value {
                path: path.into(),
                key,
                value,
                rule,
            })
        };
        let share = |x: f32| (0.0..=1.0).contains(&x);
        let side = |x: u32| (16..=8192).contains(&x);
        let (c, p, h) = (&self.camera, &self.pose, &self.health);
        let sides = "it must be from 16 to 8192 pixels";
        check(side(c.width), "camera.width", c.width.to_string(), sides)?;
        check(side(c.height), "camera.height", c.height.to_string(), sides)?;
        check(
            (1.0..=1000.0).contains(&c.fps),
            "camera.fps",
            c.fps.to_string(),
            "it must be from 1 to 1000 frames a second",
        )?;
        check(
            c.format == "auto" || c.format.parse::<Encoding>().is_ok(),
            "camera.format",
            format!("{:?}", c.format),
            "it must be auto, YUYV, UYVY, NV12, NV21, YU12, GREY, RGB3, BGR3 or MJPG",
        )?;
        check(
            c.buffers == 0 || (2..=32).contains(&c.buffers),
            "camera.buffers",
            c.buffers.to_string(),
            "it must be 0 (automatic) or from 2 to 32",
        )?;
        check(
            (Duration::from_millis(100)..=Duration::from_secs(3600)).contains(&c.timeout),
            "camera.timeout",
            format!("{:?}", c.timeout),
            "it must be from 100ms to 1h",
        )?;
        check(
            (Duration::from_secs(1)..=Duration::from_secs(30)).contains(&c.back_off),
            "camera.back-off",
            format!("{:?}", c.back_off),
            "it must be from 1s to 30s (opening again faster can reset a USB bus)",
        )?;
        check(
            (1..=crate::pose::MAX_HANDS).contains(&p.hands),
            "pose.hands",
            p.hands.to_string(),
            "it must be 1 or 2",
        )?;
        check(
            (1..=MOST_THREADS).contains(&p.threads),
            "pose.threads",
            p.threads.to_string(),
            "it must be from 1 to 4",
        )?;
        for (key, interval) in [
            ("pose.search-interval", p.search_interval),
            ("pose.idle-interval", p.idle_interval),
            ("pose.second-hand-interval", p.second_hand_interval),
        ] {
            check(
                interval <= Duration::from_secs(60),
                key,
                format!("{interval:?}"),
                "it must be at most 1m",
            )?;
        }
        let w = &self.window;
        check(
            (Duration::from_millis(67)..=Duration::from_secs(2)).contains(&w.max_gap),
            "window.max-gap",
            format!("{:?}", w.max_gap),
            "it must be from 67ms to 2s",
        )?;
        check(
            (1..=window::WINDOW).contains(&w.min_poses),
            "window.min-poses",
            w.min_poses.to_string(),
            "it must be from 1 to 30",
        )?;
        check(
            (Duration::from_millis(100)..=Duration::from_secs(60)).contains(&w.stall_limit),
            "window.stall-limit",
            format!("{:?}", w.stall_limit),
            "it must be from 100ms to 1m",
        )?;
        let shares = "it must be from 0 to 1";
        check(
            share(p.detection_threshold),
            "pose.detection-threshold",
            p.detection_threshold.to_string(),
            shares,
        )?;
        check(
            share(p.presence_threshold),
            "pose.presence-threshold",
            p.presence_threshold.to_string(),
            shares,
        )?;
        check(
            (Duration::from_secs(1)..=Duration::from_secs(86_400)).contains(&h.summary_interval),
            "health.summary-interval",
            format!("{:?}", h.summary_interval),
            "it must be from 1s to 24h",
        )?;
        let outputs = self.outputs.check();
        outputs.or_else(|(key, value, rule)| check(false, key, value, rule))
    }
}

/// Characters of a line that a message shows.
const MOST_SHOWN: usize = 100;

/// The message of a TOML error with its line, on one line.
fn one_line(text: &str, error: &toml::de::Error) -> String {
    let message = error.message().replace('\n', ", ");
    match error.span() {
        Some(span) => {
            let line = text[..span.start.min(text.len())].matches('\n').count() + 1;
            let content = text.lines().nth(line - 1).unwrap_or("").trim();
            let content: String = content.chars().take(MOST_SHOWN).collect();
            format!("line {line}: {message} (`{content}`)")
        }
        None => message,
    }
}

/// All keys that there are, as a table of tables: those of the defaults and of the rules, which
/// have none. The names of gestures are the model's business, so all that are `given` count.
fn known_keys(given: &Table) -> Table {
    let mut known = Table::try_from(Config::default()).expect("defaults are plain TOML");
    let rule = || {
        Value::Table(
            RuleKeys::NAMES
                .map(|name| (name.into(), true.into()))
                .into_iter()
                .collect(),
        )
    };
    let gestures = |sections: &[&str]| -> Vec<String> {
        let table = sections.iter().try_fold(given, |table, section| {
            table.get(*section).and_then(Value::as_table)
        });
        table.into_iter().flat_map(Table::keys).cloned().collect()
    };
    let rules = [
        ("shapes", rule()),
        ("movements", rule()),
        (
            "gesture",
            Value::Table(
                gestures(&["rules", "gesture"])
                    .into_iter()
                    .map(|name| (name, rule()))
                    .collect(),
            ),
        ),
    ];
    known.insert(
        "rules".into(),
        Value::Table(rules.map(|(k, v)| (k.into(), v)).into_iter().collect()),
    );
    let keys = gestures(&["outputs", "keys", "gesture"]).into_iter();
    known["outputs"]["keys"]["gesture"] =
        Value::Table(keys.map(|name| (name, true.into())).collect());
    let commands = gestures(&["outputs", "commands", "gesture"]).into_iter();
    let command = Table::from_iter(GestureCommands::KEYS.map(|key| (key.into(), true.into())));
    known["outputs"]["commands"]["gesture"] = Value::Table(
        commands
            .map(|name| (name, command.clone().into()))
            .collect(),
    );
    known
}

/// The first key of `given` that `known` doesn't have, and the nearest one that it has.
fn unknown_key(given: &Table, known: &Table, section: &str) -> Option<(String, Option<String>)> {
    let full = |key: &str| match section {
        "" => key.to_owned(),
        section => format!("{section}.{key}"),
    };
    given
        .iter()
        .find_map(|(key, value)| match (known.get(key), value) {
            (None, _) => Some((full(key), nearest(key, known.keys()).map(|k| full(&k)))),
            (Some(Value::Table(known)), Value::Table(given)) => {
                unknown_key(given, known, &full(key))
            }
            _ => None,
        })
}

/// The word among `known` that was probably meant by `word`.
pub fn nearest<S: AsRef<str>>(word: &str, known: impl IntoIterator<Item = S>) -> Option<String> {
    known
        .into_iter()
        .map(|k| (strsim::jaro_winkler(word, k.as_ref()), k))
        .filter(|(likeness, _)| *likeness > 0.7)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, k)| k.as_ref().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        Config::parse(text, Path::new("palmd.toml"))
            .unwrap_err()
            .to_string()
    }

    #[test]
    fn an_empty_file_is_the_default() {
        assert_eq!(
            Config::parse("", Path::new("x")).unwrap(),
            Config::default()
        );
    }

    #[test]
    fn defaults_survive_a_round_trip() {
        let text = toml::to_string(&Config::default()).unwrap();
        assert_eq!(
            Config::parse(&text, Path::new("x")).unwrap(),
            Config::default()
        );
    }

    #[test]
    fn the_shipped_file_lists_every_key_with_its_default() {
        let text = include_str!("../systemd/palmd.toml");
        let shipped = Config::parse(text, Path::new("palmd.toml")).unwrap();
        let labels = crate::gesture::LABELS.map(Into::into);
        assert_eq!(
            shipped.rules.resolve(&labels).unwrap(),
            Config::default().rules.resolve(&labels).unwrap()
        );
        let rules = Config::default().rules;
        assert_eq!(Config { rules, ..shipped }, Config::default());
        let given: Table = toml::from_str(text).unwrap();
        for (section, known) in known_keys(&given) {
            let known = known.as_table().unwrap();
            let given = given[&section].as_table().unwrap();
            let missing: Vec<_> = known.keys().filter(|k| !given.contains_key(*k)).collect();
            assert!(
                missing.is_empty() || missing == ["gesture"],
                "[{section}] {missing:?}"
            );
        }
        for (output, known) in known_keys(&given)["outputs"].as_table().unwrap() {
            let given = given["outputs"][output].as_table().unwrap();
            for key in known.as_table().unwrap().keys() {
                assert!(given.contains_key(key), "[outputs.{output}] {key}");
            }
        }
        let rules = given["rules"].as_table().unwrap();
        for key in RuleKeys::NAMES {
            // These two can't be said of all.
            let single = ["kind", "opposite"].contains(&key);
            let in_any = rules.values().any(|of_kind| of_kind.get(key).is_some());
            assert!(single || in_any, "[rules] {key}");
        }
    }

    #[test]
    fn unknown_keys_are_named_with_the_nearest() {
        assert_eq!(
            error("[camera]\nwidht = 640"),
            "palmd.toml: unknown key `camera.widht`; did you mean `camera.width`?"
        );
        assert_eq!(
            error("[camra]\nwidth = 640"),
            "palmd.toml: unknown key `camra`; did you mean `camera`?"
        );
        assert_eq!(error("xyzzy = 1"), "palmd.toml: unknown key `xyzzy`");
        assert_eq!(
            error("[rules.gesture.wave]\ncooldown = '1s'"),
            "palmd.toml: unknown key `rules.gesture.wave.cooldown`; \
             did you mean `rules.gesture.wave.cool-down`?"
        );
        assert_eq!(
            error("[outputs.commands.gesture.fist]\nstrat = ['lamp']"),
            "palmd.toml: unknown key `outputs.commands.gesture.fist.strat`; \
             did you mean `outputs.commands.gesture.fist.start`?"
        );
        assert_eq!(
            error("[outputs.keys.gesture]\nfist = 'ctrl+rigth'"),
            "palmd.toml: line 2: there is no key `rigth`; did you mean `right`? \
             (`fist = 'ctrl+rigth'`)"
        );
    }

    #[test]
    fn wrong_types_and_torn_files_are_one_line_with_the_place() {
        let wrong = error("[camera]\nwidth = \"wide\"");
        assert!(
            wrong.contains("line 2") && wrong.contains("width"),
            "{wrong}"
        );
        let torn = error("[camera\n");
        assert!(torn.contains("line 1") && !torn.contains('\n'), "{torn}");
        let unit = error("[camera]\ntimeout = \"5 parsecs\"");
        assert!(unit.contains("timeout"), "{unit}");
    }

    #[test]
    fn absurd_values_are_refused_by_key_and_rule() {
        for (text, key) in [
            ("camera.width = 0", "camera.width"),
            ("camera.height = 100000", "camera.height"),
            ("camera.fps = nan", "camera.fps"),
            ("camera.buffers = 1", "camera.buffers"),
            ("camera.back-off = \"10ms\"", "camera.back-off"),
            (
                "health.summary-interval = \"100000h\"",
                "health.summary-interval",
            ),
            ("pose.hands = 3", "pose.hands"),
            ("pose.threads = 0", "pose.threads"),
            (
                "outputs.socket.max-readers = 0",
                "outputs.socket.max-readers",
            ),
            ("outputs.keys.max-hold = '0s'", "outputs.keys.max-hold"),
            (
                "outputs.commands.time-limit = '0s'",
                "outputs.commands.time-limit",
            ),
            (
                "outputs.commands.gesture.ok = {}",
                "outputs.commands.gesture",
            ),
            ("pose.presence-threshold = -0.1", "pose.presence-threshold"),
        ] {
            let error = error(text);
            assert!(error.contains(&format!("`{key}` is ")), "{error}");
        }
    }
}

//! The little language in which a person tells the synthetic hand what to do.

use std::fs;
use std::path::Path;
use std::time::Duration;

use super::movement::{MOVEMENTS, usual_seconds};
use super::scene::{Look, View};
use super::shapes::SHAPES;
use super::timeline::{Action, Builder, Timeline};
use super::truth::Truth;
use crate::camera::SourceError;
use crate::gesture::LABELS;
use crate::pose::Handedness;

/// A longer script is refused.
const LONGEST_SECONDS: f64 = 24.0 * 3600.0;
/// More statements, with repeats written out, are refused.
const MOST_STATEMENTS: u32 = 20_000;
/// A larger file is refused.
const LARGEST_BYTES: u64 = 1 << 20;
const DEEPEST_REPEAT: usize = 8;

/// What the synthetic hand does, and how it is seen. See the [module](super) for the language.
#[derive(Debug, Clone)]
pub struct Script {
    pub(super) view: View,
    pub(super) seed: u32,
    pub(super) timeline: Timeline,
}

/// What is wrong in a script, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {reason}")]
pub struct ScriptError {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// What is wrong, and what would be right.
    pub reason: String,
}

impl Script {
    /// Reads a script.
    ///
    /// # Errors
    /// [`ScriptError`] with the place of the first thing that can't be understood or is beyond
    /// the limits.
    pub fn parse(text: &str) -> Result<Self, ScriptError> {
        let words = words(text);
        let mut parser = Parser::new(&words);
        let end = parser.statements(0, 0)?;
        debug_assert_eq!(end, words.len());
        match parser.builder {
            Some(builder) => Ok(Self {
                view: parser.view,
                seed: parser.seed,
                timeline: builder.finish(),
            }),
            None => Err(ScriptError {
                line: 1,
                column: 1,
                reason: "the script has no gesture; write for example: open-palm 1s; swipe-left"
                    .into(),
            }),
        }
    }

    /// Reads a script from a file, or takes `spec` as the script itself.
    ///
    /// # Errors
    /// [`SourceError`] when the file can't be read or the script is wrong.
    pub fn load(spec: &str) -> Result<Self, SourceError> {
        let path = Path::new(spec);
        let looks_like_path = spec.contains('/') || path.extension().is_some_and(|e| e == "txt");
        let one_word = !spec.contains([' ', ';', '\n']);
        if !(looks_like_path && one_word || path.is_file()) {
            return Self::parse(spec).map_err(|e| SourceError::Data {
                name: "synthetic script".into(),
                reason: e.to_string(),
            });
        }
        let io = |error| match error {
            e if std::io::Error::kind(&e) == std::io::ErrorKind::PermissionDenied => {
                SourceError::Permission {
                    name: spec.into(),
                    hint: "make the script readable".into(),
                }
            }
            e if e.kind() == std::io::ErrorKind::NotFound => SourceError::Unavailable {
                name: spec.into(),
                reason: "there is no such script; write synthetic:FILE or the script itself, \
                         such as synthetic:\"open-palm 1s; swipe-left\""
                    .into(),
            },
            error => SourceError::Io {
                name: spec.into(),
                doing: "read the script",
                error,
            },
        };
        let data = |reason: String| SourceError::Data {
            name: spec.into(),
            reason,
        };
        let size = fs::metadata(path).map_err(io)?.len();
        if size > LARGEST_BYTES {
            return Err(data(format!(
                "the script has {size} bytes; the limit is {LARGEST_BYTES}"
            )));
        }
        let bytes = fs::read(path).map_err(io)?;
        let text = String::from_utf8(bytes).map_err(|_| data("the script is not text".into()))?;
        Self::parse(&text).map_err(|e| data(e.to_string()))
    }

    /// The built-in demonstration: every shape and every movement, in about a minute.
    #[must_use]
    pub fn demo() -> Self {
        Self::parse(include_str!("demo.txt")).expect("the built-in script is valid")
    }

    /// The script's length, ways between the gestures included.
    #[must_use]
    pub fn duration(&self) -> Duration {
        Duration::from_secs_f64(self.timeline.seconds())
    }

    /// When the script makes which gesture.
    #[must_use]
    pub fn truth(&self) -> Truth {
        Truth {
            duration: self.timeline.seconds(),
            intervals: self.timeline.intervals.clone(),
        }
    }
}

/// A word of a script and its place.
#[derive(Debug, Clone, Copy)]
struct Word<'a> {
    text: &'a str,
    line: usize,
    column: usize,
}

impl Word<'_> {
    fn error(&self, reason: impl Into<String>) -> ScriptError {
        ScriptError {
            line: self.line,
            column: self.column,
            reason: reason.into(),
        }
    }
}

/// Splits a script into words; `;`, `{`, `}` and the ends of lines are words of their own.
fn words(text: &str) -> Vec<Word<'_>> {
    let mut words = Vec::new();
    for (line, full) in (1..).zip(text.lines()) {
        let code = full.split('#').next().unwrap_or_default();
        let mut start = None;
        let mut column = 0;
        for (at, c) in code.char_indices() {
            column += 1;
            let stop = matches!(c, ';' | '{' | '}');
            if (stop || c.is_whitespace())
                && let Some((from, column)) = start.take()
            {
                words.push(Word {
                    text: &code[from..at],
                    line,
                    column,
                });
            }
            if stop {
                words.push(Word {
                    text: &code[at..=at],
                    line,
                    column,
                });
            } else if !c.is_whitespace() && start.is_none() {
                start = Some((at, column));
            }
        }
        if let Some((from, column)) = start {
            words.push(Word {
                text: &code[from..],
                line,
                column,
            });
        }
        words.push(Word {
            text: ";",
            line,
            column: column + 1,
        });
    }
    words
}

/// Words that set something instead of moving the hand.
const SETTINGS: [&str; 16] = [
    "hand",
    "hand-size",
    "skin",
    "distance",
    "at",
    "light",
    "lamp",
    "background",
    "noise",
    "size",
    "fps",
    "fov",
    "pitch",
    "roll",
    "seed",
    "repeat",
];

struct Parser<'a> {
    words: &'a [Word<'a>],
    view: View,
    seed: u32,
    /// Settings before the first gesture, and then the time line.
    look: Look,
    home: Option<(f32, f32)>,
    distance: Option<f32>,
    builder: Option<Builder>,
    statements: u32,
}

impl<'a> Parser<'a> {
    fn new(words: &'a [Word<'a>]) -> Self {
        Self {
            words,
            view: View::default(),
            seed: 1,
            look: Look::default(),
            home: None,
            distance: None,
            builder: None,
            statements: 0,
        }
    }

    /// Reads statements from word `at` to the end, or to the brace that closes a repeat. Returns
    /// the place behind them.
    fn statements(&mut self, mut at: usize, depth: usize) -> Result<usize, ScriptError> {
        while let Some(&word) = self.words.get(at) {
            match word.text {
                ";" => at += 1,
                "}" if depth > 0 => return Ok(at + 1),
                "}" => return Err(word.error("there is no { before this }")),
                "{" => return Err(word.error("{ stands only after repeat and a number")),
                "repeat" => at = self.repeat(at, depth)?,
                _ => at = self.statement(at)?,
            }
        }
        Ok(at)
    }

    fn repeat(&mut self, at: usize, depth: usize) -> Result<usize, ScriptError> {
        let word = self.words[at];
        if depth >= DEEPEST_REPEAT {
            return Err(word.error(format!("repeats deeper than {DEEPEST_REPEAT}")));
        }
        let args = self.arguments(at);
        let [times] = args else {
            return Err(word.error("repeat needs a number and braces: repeat 3 { wave }"));
        };
        let times: u32 = whole(times, 1, 10_000)?;
        let open = at + 1 + args.len();
        let brace = self.words.get(open).filter(|w| w.text == "{");
        let Some(brace) = brace else {
            return Err(word.error("repeat needs a number and braces: repeat 3 { wave }"));
        };
        let mut end = open;
        for _ in 0..times {
            end = self.statements(open + 1, depth + 1)?;
            if self.words[end - 1].text != "}" {
                return Err(brace.error("this { is never closed"));
            }
            self.count(&word)?;
        }
        Ok(end)
    }

    /// The words behind the one at `at` that belong to its statement.
    fn arguments(&self, at: usize) -> &'a [Word<'a>] {
        let rest = &self.words[at + 1..];
        let end = rest
            .iter()
            .position(|w| matches!(w.text, ";" | "{" | "}"))
            .unwrap_or(rest.len());
        &rest[..end]
    }

    fn count(&mut self, word: &Word) -> Result<(), ScriptError> {
        self.statements += 1;
        if self.statements > MOST_STATEMENTS {
            return Err(word.error(format!(
                "more than {MOST_STATEMENTS} statements (repeats count each time)"
            )));
        }
        Ok(())
    }

    fn statement(&mut self, at: usize) -> Result<usize, ScriptError> {
        let word = self.words[at];
        let args = self.arguments(at);
        self.count(&word)?;
        match action(word.text) {
            Some((action, usual)) => self.act(&word, args, action, usual)?,
            None => self.set(&word, args)?,
        }
        Ok(at + 1 + args.len())
    }

    fn act(
        &mut self,
        word: &Word,
        args: &[Word],
        action: Action,
        usual: f64,
    ) -> Result<(), ScriptError> {
        let seconds = match args {
            [] => usual,
            [time] => duration(time)?,
            [_, more, ..] => return Err(unexpected(more, word)),
        };
        let builder = self
            .builder
            .get_or_insert_with(|| Builder::new(self.view, self.seed));
        builder.next_look = self.look;
        builder.home = self.home.unwrap_or(builder.home);
        builder.distance = self.distance.unwrap_or(builder.distance);
        builder.act(action, seconds);
        if builder.seconds() > LONGEST_SECONDS {
            return Err(word.error("the script is longer than 24 hours here"));
        }
        Ok(())
    }

    fn set(&mut self, word: &Word, args: &[Word]) -> Result<(), ScriptError> {
        let name = word.text;
        if !SETTINGS.contains(&name) {
            return Err(word.error(unknown(name)));
        }
        let of_camera = ["size", "fps", "fov", "pitch", "roll", "seed"];
        if of_camera.contains(&name) && self.builder.is_some() {
            return Err(word.error(format!("{name} must come before the first gesture")));
        }
        let wanted = if name == "at" { 2 } else { 1 };
        if args.len() > wanted {
            return Err(unexpected(&args[wanted], word));
        }
        let (Some(first), Some(last)) = (args.get(wanted - 1).and(args.first()), args.last())
        else {
            return Err(word.error(format!("{name} needs {}", example(name))));
        };
        match name {
            "hand" => {
                self.look.hand = match first.text {
                    "left" => Handedness::Left,
                    "right" => Handedness::Right,
                    other => {
                        return Err(first.error(format!("{other:?} is neither left nor right")));
                    }
                }
            }
            "hand-size" => self.look.hand_size = number(first, "", 0.5, 1.5)?,
            "skin" => self.look.skin = whole(first, 1, 6)? as u8,
            "distance" => self.distance = Some(metres(first, 0.25, 3.0)?),
            "at" => self.home = Some((number(first, "", 0.0, 1.0)?, number(last, "", 0.0, 1.0)?)),
            "light" => self.look.light = number(first, "", 0.05, 2.0)?,
            "lamp" => self.look = self.look.with_lamp(number(first, "deg", -180.0, 180.0)?),
            "background" => self.look.background = whole(first, 0, 5)? as u8,
            "noise" => self.look.noise = number(first, "", 0.0, 0.3)?,
            "fps" => self.view.fps = number(first, "", 0.01, 240.0)?,
            "fov" => self.view.fov_degrees = number(first, "deg", 20.0, 120.0)?,
            "pitch" => self.view.pitch_degrees = number(first, "deg", -60.0, 60.0)?,
            "roll" => self.view.roll_degrees = number(first, "deg", -180.0, 180.0)?,
            "seed" => self.seed = whole(first, 0, u32::MAX)?,
            _ => self.view.size = size(first)?,
        }
        Ok(())
    }
}

/// What a word makes the hand do, and for how many seconds unless the script says it.
fn action(word: &str) -> Option<(Action, f64)> {
    match word {
        "wait" | "none" => return Some((Action::Wait, 1.0)),
        "hide" => return Some((Action::Hide, 1.0)),
        _ => {}
    }
    if let Some(shape) = SHAPES.iter().find(|s| s.name == word) {
        return Some((Action::Hold(shape.name, LABELS.contains(&shape.name)), 1.2));
    }
    let movement = MOVEMENTS.into_iter().find(|&m| m == word)?;
    Some((Action::Move(movement), usual_seconds(movement)))
}

fn unknown(word: &str) -> String {
    let known = SHAPES.iter().map(|s| s.name);
    let known = known.chain(MOVEMENTS).chain(SETTINGS);
    let nearest = known
        .chain(["wait", "hide"])
        .map(|k| (strsim::normalized_damerau_levenshtein(word, k), k))
        .max_by(|a, b| a.0.total_cmp(&b.0));
    match nearest {
        Some((similarity, known)) if similarity > 0.5 => {
            format!("unknown word {word:?}; did you mean {known:?}?")
        }
        _ => format!(
            "unknown word {word:?}; write a gesture ({}), wait, hide or a setting ({})",
            LABELS[..18].join(", "),
            SETTINGS.join(", ")
        ),
    }
}

fn unexpected(word: &Word, statement: &Word) -> ScriptError {
    word.error(format!(
        "unexpected {:?} after {:?}; statements end with ; or the line",
        word.text, statement.text
    ))
}

fn example(setting: &str) -> &'static str {
    match setting {
        "hand" => "a side: hand left",
        "hand-size" => "a number: hand-size 0.9",
        "skin" => "a tone from 1 to 6: skin 3",
        "distance" => "a length: distance 0.6m",
        "at" => "two numbers from 0 to 1: at 0.4 0.5",
        "light" => "a number: light 0.8",
        "lamp" => "an angle: lamp -40deg",
        "background" => "a number from 0 to 5: background 2",
        "noise" => "a number: noise 0.02",
        "size" => "width and height: size 640x480",
        "fps" => "a rate: fps 30",
        "fov" => "an angle: fov 60deg",
        "pitch" => "an angle: pitch 10deg",
        "roll" => "an angle: roll 5deg",
        _ => "a number: seed 7",
    }
}

/// A number with one of `units`, times the unit's factor. The first unit has the factor 1.
fn measure(
    word: &Word,
    what: &str,
    units: &[(&str, f64)],
    least: f64,
    most: f64,
) -> Result<f64, ScriptError> {
    let digits = word.text.trim_end_matches(|c: char| c.is_alphabetic());
    let unit = &word.text[digits.len()..];
    let Ok(value) = digits.parse::<f64>() else {
        return Err(word.error(format!("{:?} is not {what}", word.text)));
    };
    let Some((_, factor)) = units.iter().find(|(u, _)| *u == unit) else {
        let wanted: Vec<_> = units.iter().map(|(u, _)| format!("{digits}{u}")).collect();
        let wanted = wanted.join(" or ");
        return Err(word.error(if unit.is_empty() {
            format!("{:?} has no unit; write {wanted}", word.text)
        } else {
            format!("{:?} is not {what}; write {wanted}", word.text)
        }));
    };
    let base = units[0].0;
    let value = value * factor;
    if !(least..=most).contains(&value) {
        return Err(word.error(format!(
            "{:?} is out of range; {what} lies between {least}{base} and {most}{base}",
            word.text
        )));
    }
    Ok(value)
}

fn duration(word: &Word) -> Result<f64, ScriptError> {
    let units = [("s", 1.0), ("ms", 1e-3), ("min", 60.0), ("h", 3600.0)];
    measure(word, "a duration", &units, 0.01, LONGEST_SECONDS)
}

fn metres(word: &Word, least: f64, most: f64) -> Result<f32, ScriptError> {
    let units = [("m", 1.0), ("cm", 0.01)];
    measure(word, "a distance", &units, least, most).map(|m| m as f32)
}

/// A number that may carry `unit`.
fn number(word: &Word, unit: &str, least: f64, most: f64) -> Result<f32, ScriptError> {
    let units = [("", 1.0), (unit, 1.0)];
    measure(word, "a number", &units, least, most).map(|n| n as f32)
}

fn whole(word: &Word, least: u32, most: u32) -> Result<u32, ScriptError> {
    match word.text.parse() {
        Ok(n) if (least..=most).contains(&n) => Ok(n),
        _ => Err(word.error(format!(
            "{:?} is not a whole number from {least} to {most}",
            word.text
        ))),
    }
}

fn size(word: &Word) -> Result<(u32, u32), ScriptError> {
    let parsed = word
        .text
        .split_once('x')
        .and_then(|(w, h)| Some((w.parse().ok()?, h.parse().ok()?)));
    match parsed {
        Some((w, h)) if (16..=4096).contains(&w) && (16..=4096).contains(&h) => Ok((w, h)),
        _ => Err(word.error(format!(
            "{:?} is not a size; write WIDTHxHEIGHT from 16x16 to 4096x4096",
            word.text
        ))),
    }
}

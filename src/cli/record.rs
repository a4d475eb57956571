//! `palmd record`

use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use clap::Args;
use palmd::camera::{Next, Source};
use palmd::config::Config;
use palmd::gesture::Score;
use palmd::gesture::learned::{
    Cue, Recorder, TAKE_POSES, Take, TakesWriter, Verdict, Verdicts, check_name,
};
use palmd::pose::lines::PoseLines;
use palmd::pose::{FramePoses, PoseTracker};

use super::ConfigArgs;
use super::failure::{DATA, Failure, USAGE};
use super::input::{Pace, SourceArgs};
use super::signals::stop_on_signals;
use super::{models, stations};

/// Record examples of a gesture: poses, no pictures.
///
/// Show a hand, wait for 3 - 2 - 1, make the gesture within two seconds, and again until there are
/// enough good takes. They are added to those that are there, in LABEL.takes.ndjson, each as soon as it is
/// made. Of a recording or a script each stretch with a hand is a take.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  palmd record --label star                      five takes with the camera
  palmd record --label star --count 3            three more
  palmd record --label star --source clip.mjpeg  all that a recording has
  palmd record --label star --poses poses.ndjson all that `palmd pose` has written
  palmd learn star                               then let palmd learn it")]
pub struct Record {
    /// The gesture's name: letters, digits, - and _
    #[arg(long, value_name = "LABEL")]
    label: String,
    /// Good takes to make [default: 5, or all that a recording has]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100))]
    count: Option<u32>,
    /// Keep takes that are unlike the others as well
    #[arg(long)]
    keep: bool,
    /// Folder of the takes [default: that of gesture.learned in the configuration]
    #[arg(short, long, value_name = "DIR")]
    output: Option<PathBuf>,
    /// Take poses from a file that `palmd pose` wrote (- for standard input), instead of a source
    #[arg(long, value_name = "FILE", conflicts_with_all = ["source", "fps"])]
    poses: Option<PathBuf>,
    #[command(flatten)]
    source: SourceArgs,
    #[command(flatten)]
    config: ConfigArgs,
}

/// The longest wait for a frame before the stop flag is looked at.
const FRAME_WAIT: Duration = Duration::from_millis(100);

/// Takes that a person makes if nothing else is said.
const COUNT: u32 = 5;

impl Record {
    pub fn execute(&self) -> Result<(), Failure> {
        check_name(&self.label)?;
        let mut config = self.config.load()?;
        config.pose.hands = 1;
        let folder = match &self.output {
            Some(folder) => folder.clone(),
            None => models::learned(&config),
        };
        let models = models::folder(&config.pose)?;
        let (mut classifier, _) = stations::classifier_that_learns(&config, &models)?;
        if classifier
            .labels()
            .iter()
            .any(|known| **known == *self.label)
        {
            log::warn!(
                "the model knows {:?} already: these takes are for training, `palmd learn` won't use them",
                self.label
            );
        }
        let mut feed = match &self.poses {
            Some(path) => Feed::Lines(PoseLines::open(path)?),
            None => Feed::open(&self.source, &config, &models)?,
        };
        let live = feed.is_live();
        let mut grid = stations::grid(&config);
        let (writer, there) = TakesWriter::open(&folder, &self.label)?;
        let mut verdicts = Verdicts::default();
        for take in &there {
            verdicts.judge(take, &mut classifier, true)?;
        }
        let count = self.count.or(live.then_some(COUNT));
        let mut session = Session {
            screen: Screen::new(),
            writer,
            label: self.label.clone(),
            live,
            note: String::new(),
            count,
            made: 0,
        };
        let mut recorder = match live {
            true => Recorder::for_person(),
            false => Recorder::for_recording(),
        };
        let stop = stop_on_signals()?;
        session.begin(there.len())?;
        let mut cues = Vec::new();
        let mut ended = false;
        while !ended && !session.is_done() && !stop.load(SeqCst) {
            let mut push = |item: &_| recorder.push(item, |cue| cues.push(cue));
            if !feed.next(|poses| grid.push(poses, None, |item| push(&item)))? {
                grid.finish(|item| push(&item));
                ended = true;
            }
            for cue in cues.drain(..) {
                if session.is_done() {
                    break;
                }
                match cue {
                    Cue::Take(take) => {
                        let verdict = verdicts.judge(&take, &mut classifier, self.keep)?;
                        session.take(&take, verdict, self.keep)?;
                    }
                    cue => session.tell(&cue)?,
                }
            }
        }
        session.end(there.len())
    }
}

/// Where poses come from.
enum Feed {
    Source(Box<dyn Source>, Box<PoseTracker>),
    Lines(PoseLines),
}

impl Feed {
    fn open(args: &SourceArgs, config: &Config, models: &Path) -> Result<Self, Failure> {
        let source = args.open(&config.camera, Pace::Fast)?.source;
        let info = source.info();
        if info.stills {
            let message = format_args!(
                "{}: pictures have no time; give them a rate with --fps",
                info.name
            );
            return Err(Failure::new(USAGE, message));
        }
        let mut params = models::pose_params(config);
        if info.live {
            params.search = config.pose.search();
        }
        let tracker = PoseTracker::load(models, params)?;
        Ok(Self::Source(source, Box::new(tracker)))
    }

    /// Whether a person stands before it.
    fn is_live(&self) -> bool {
        matches!(self, Self::Source(source, _) if source.info().live)
    }

    /// Hands `poses` those of the next frame, if one comes soon; false at the end.
    fn next(&mut self, poses: impl FnOnce(&FramePoses)) -> Result<bool, Failure> {
        match self {
            Self::Source(source, tracker) => match source.next_frame(FRAME_WAIT)? {
                Next::Frame(frame) => poses(tracker.process(&frame)?),
                Next::Timeout => {}
                Next::End => return Ok(false),
            },
            Self::Lines(lines) => match lines.next() {
                Some(frame) => poses(&frame?),
                None => return Ok(false),
            },
        }
        Ok(true)
    }
}

/// What becomes of the takes.
struct Session {
    screen: Screen,
    writer: TakesWriter,
    label: String,
    /// Whether a person makes the takes.
    live: bool,
    /// How the last take was.
    note: String,
    /// Takes that are wanted; `None` for all that there are.
    count: Option<u32>,
    made: u32,
}

impl Session {
    fn is_done(&self) -> bool {
        self.count.is_some_and(|count| self.made >= count)
    }

    fn begin(&mut self, there: usize) -> Result<(), Failure> {
        let path = self.writer.path().display();
        self.screen.line(&match there {
            0 => format!("{}: takes go to {path}", self.label),
            there => format!("{}: {there} takes are in {path}, and stay", self.label),
        })?;
        match self.live {
            true => self.tell(&Cue::ShowHand),
            false => Ok(()),
        }
    }

    /// Shows a cue, below it how the last take was.
    fn tell(&mut self, cue: &Cue) -> Result<(), Failure> {
        let show = self.says(cue);
        match cue {
            Cue::Lost(_) => self.note.clone_from(&show.text),
            Cue::Recording(_) => self.note.clear(),
            _ => {}
        }
        self.screen.show(&show, &self.note)
    }

    fn tell_verdict(&mut self, tone: Tone, text: String) -> Result<(), Failure> {
        self.note = text;
        self.screen.show(&Show::line(tone, &self.note), "")
    }

    fn progress(&self) -> String {
        match self.count {
            Some(count) => format!("take {} of {count}", self.made.min(count)),
            None => format!("take {}", self.made),
        }
    }

    fn says(&self, cue: &Cue) -> Show {
        match cue {
            Cue::ShowHand => Show::line(Tone::Calm, "Show your hand to the camera"),
            Cue::CountDown(left) => Show {
                large: Some(*left),
                ..Show::line(Tone::Calm, &format!("{left} ..."))
            },
            Cue::Recording(poses) => Show {
                share: Some(*poses as f32 / TAKE_POSES as f32),
                ..Show::line(Tone::Now, &format!("NOW: make {}", self.label))
            },
            Cue::Lost(_) => Show::line(
                Tone::Bad,
                "not usable: the hand was lost; keep it in the picture",
            ),
            Cue::Take(_) => Show::line(Tone::Calm, ""),
        }
    }

    fn take(&mut self, take: &Take, verdict: Verdict, keep: bool) -> Result<(), Failure> {
        let wrong = match verdict {
            Verdict::Good => None,
            Verdict::TooStill => Some("the hand hardly moved, and in the other takes it does"),
            Verdict::Moved => Some("the hand moved, and in the other takes it is held"),
            Verdict::Unlike => Some("it is quite different from the other takes"),
        };
        if let Some(wrong) = wrong.filter(|_| !keep) {
            let again = if self.live { "; once more" } else { "" };
            return self.tell_verdict(Tone::Bad, format!("not usable: {wrong}{again}"));
        }
        self.writer.append(take)?;
        self.made += 1;
        let poses = take.poses.len();
        let note = wrong
            .map(|wrong| format!(" (although {wrong})"))
            .unwrap_or_default();
        let text = format!("{}: good, {poses} poses{note}", self.progress());
        self.tell_verdict(Tone::Good, text)
    }

    fn end(&self, there: usize) -> Result<(), Failure> {
        let path = self.writer.path().display();
        let total = there + self.made as usize;
        let enough = self.count.map_or(self.made > 0, |_| self.is_done());
        if !enough {
            let wanted = self
                .count
                .map_or(String::new(), |count| format!(" of {count}"));
            let message = format_args!(
                "{} usable takes{wanted} were made; {total} are in {path}; record more with \
                 `palmd record --label {}`, with a hand in the picture for a second or more",
                self.made, self.label
            );
            return Err(Failure::new(DATA, message));
        }
        self.screen.line(&format!(
            "{total} takes of {label} are in {path}; next: palmd learn {label}",
            label = self.label
        ))
    }
}

/// How something is meant.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Tone {
    Calm,
    Now,
    Good,
    Bad,
}

/// What is shown.
struct Show {
    tone: Tone,
    text: String,
    /// A digit in large letters.
    large: Option<u64>,
    /// How much is done, 0..1.
    share: Option<f32>,
}

impl Show {
    fn line(tone: Tone, text: &str) -> Self {
        Self {
            tone,
            text: text.into(),
            large: None,
            share: None,
        }
    }
}

/// A terminal that can be read from two metres away, or plain lines elsewhere.
struct Screen {
    terminal: bool,
}

/// 3, 2 and 1, as lines of seven cells.
const DIGITS: [[&str; 5]; 3] = [
    ["   ##  ", " ####  ", "   ##  ", "   ##  ", " ######"],
    [" ##### ", "     ##", " ##### ", "##     ", "#######"],
    [" ##### ", "     ##", "  #### ", "     ##", " ##### "],
];

const BAR: usize = 40;

impl Screen {
    fn new() -> Self {
        Self {
            terminal: io::stdout().is_terminal(),
        }
    }

    fn line(&self, text: &str) -> Result<(), Failure> {
        write(format!("{text}\n"))
    }

    fn show(&self, show: &Show, note: &str) -> Result<(), Failure> {
        if self.terminal {
            return write(large(show, note));
        }
        // Of a take's progress a pipe is told the beginning.
        match show.share {
            Some(share) if share * TAKE_POSES as f32 > 1.5 => Ok(()),
            _ => self.line(&show.text),
        }
    }
}

/// Everything on a cleared screen, with a colour for its tone and the note below.
fn large(show: &Show, note: &str) -> String {
    let colour = match show.tone {
        Tone::Calm => "1",
        Tone::Now => "1;37;41",
        Tone::Good => "1;32",
        Tone::Bad => "1;33",
    };
    let mut text = format!(
        "\x1b[2J\x1b[H\n\n   \x1b[{colour}m  {}  \x1b[0m\n\n",
        show.text
    );
    let digit = show.large.and_then(|digit| DIGITS.get(digit as usize - 1));
    for line in digit.into_iter().flatten() {
        // Cells are about twice as high as wide.
        let cells: String = line
            .chars()
            .map(|c| if c == '#' { "████" } else { "    " })
            .collect();
        text += &format!("      {cells}\n      {cells}\n");
    }
    if let Some(share) = show.share {
        let done = ((share * BAR as f32) as usize).min(BAR);
        text += &format!("     {}{}\n", "█".repeat(done), "░".repeat(BAR - done));
    }
    if !note.is_empty() && note != show.text {
        text += &format!("\n     {note}\n");
    }
    text
}

fn write(text: String) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .map_err(|e| Failure::write("standard output", &e))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_shows_digits_and_progress_in_large() {
        let show = Show {
            large: Some(3),
            ..Show::line(Tone::Calm, "3 ...")
        };
        assert_eq!(large(&show, "").lines().count(), 14);
        assert!(large(&show, "take 2 of 5: good").ends_with("take 2 of 5: good\n"));
        let show = Show {
            share: Some(0.5),
            ..Show::line(Tone::Now, "NOW")
        };
        assert!(large(&show, "").contains(&format!("{}░", "█".repeat(BAR / 2))));
    }
}

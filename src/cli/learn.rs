//! `palmd learn`

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use palmd::gesture::learned::{
    Background, Fingerprint, Gesture, Lesson, Objection, Takes, check_name, gesture_path,
    learned_labels, recorded_labels, takes_path,
};
use palmd::gesture::{Classifier, Kind, Score};

use super::ConfigArgs;
use super::failure::{DATA, Failure, NO_INPUT, USAGE};
use super::logging::last_words;
use super::output::Output;
use super::{models, stations};

/// Learn gestures from recorded examples, so that `run` knows them.
///
/// Says how well the takes agree, and how far they are from other learned gestures and from what the model
/// knows. A gesture that lies next to another is refused. A running daemon takes it up when it is
/// started again.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  palmd record --label star    first: five examples
  palmd learn --check star     how good are they?
  palmd learn star             use them
  palmd learn                  everything that was recorded, after a change of the model
  palmd learn --list
  palmd learn --remove star    forget it; the takes are kept")]
pub struct Learn {
    /// Gestures to learn [default: all that were recorded]
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// Only say how good the takes are
    #[arg(long)]
    check: bool,
    /// Learn it whatever speaks against it
    #[arg(long, conflicts_with = "check")]
    force: bool,
    /// Held or moved [default: what the hand does in most takes]
    #[arg(long, value_enum)]
    kind: Option<LearnedKind>,
    /// List what was recorded and learned
    #[arg(long, conflicts_with_all = ["names", "check", "force", "kind"])]
    list: bool,
    /// Forget a gesture; its takes are kept
    #[arg(long, value_name = "NAME", conflicts_with_all = ["names", "check", "force", "kind", "list"])]
    remove: Option<String>,
    /// Folder of takes and gestures [default: that of gesture.learned in the configuration]
    #[arg(long, value_name = "DIR")]
    folder: Option<PathBuf>,
    #[command(flatten)]
    config: ConfigArgs,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum LearnedKind {
    Shape,
    Movement,
}

impl From<LearnedKind> for Kind {
    fn from(kind: LearnedKind) -> Self {
        match kind {
            LearnedKind::Shape => Self::Shape,
            LearnedKind::Movement => Self::Movement,
        }
    }
}

/// The classifier, and what it must be told apart from.
struct School {
    folder: PathBuf,
    classifier: Classifier,
    fingerprint: Fingerprint,
    /// Made for the first gesture that has takes.
    background: Option<Background>,
}

impl Learn {
    pub fn execute(&self) -> Result<(), Failure> {
        let config = self.config.load()?;
        let folder = match &self.folder {
            Some(folder) => folder.clone(),
            None => models::learned(&config),
        };
        if let Some(name) = &self.remove {
            return remove(&folder, name);
        }
        let models = models::folder(&config.pose)?;
        let (classifier, fingerprint) = stations::classifier_that_learns(&config, &models)?;
        let mut school = School {
            folder,
            classifier,
            fingerprint,
            background: None,
        };
        if self.list {
            return school.list();
        }
        let names = match &self.names[..] {
            [] => school.unlearned_names()?,
            names => names.to_vec(),
        };
        if let Some(twice) = (1..names.len()).find(|&i| names[..i].contains(&names[i])) {
            let message = format_args!("{:?} is named twice", names[twice]);
            return Err(Failure::new(USAGE, message));
        }
        let mut refused = None;
        for name in &names {
            // Others are learned all the same.
            if let Err(failure) = self.learn(&mut school, name)
                && let Some(earlier) = refused.replace(failure)
            {
                last_words(&earlier.message.unwrap_or_default());
            }
        }
        refused.map_or(Ok(()), Err)
    }

    fn learn(&self, school: &mut School, name: &str) -> Result<(), Failure> {
        check_name(name)?;
        let read = Takes::read(&school.folder, name)?;
        if read.torn {
            log::warn!(
                "{}: the last line is cut off, because recording was; it is passed over",
                takes_path(&school.folder, name).display()
            );
        }
        let others = school.others(name)?;
        let kind = self.kind.map(Kind::from);
        let classifier = &mut school.classifier;
        let background = match &mut school.background {
            Some(background) => background,
            none => none.insert(Background::of(classifier)?),
        };
        let lesson = Lesson::learn(name, kind, &read.takes, classifier, &others, background)?;
        let mut out = Output::create(None)?;
        out.bytes(lesson.to_string().as_bytes())?;
        for objection in &lesson.objections {
            out.bytes(format!("  against it         {objection}\n").as_bytes())?;
        }
        out.flush()?;
        if !lesson.objections.is_empty() && !self.force {
            return Err(refusal(name, &lesson.objections, self.check));
        }
        if !self.check {
            let path = lesson.gesture.write(&school.folder, school.fingerprint)?;
            let done = format!(
                "learned: {}; palmd run knows it from its next start\n",
                path.display()
            );
            out.bytes(done.as_bytes())?;
        }
        out.flush()
    }
}

fn refusal(name: &str, objections: &[Objection], check: bool) -> Failure {
    let why: Vec<_> = objections.iter().map(ToString::to_string).collect();
    let (done, remedy) = match check {
        true => ("can't be recommended", ""),
        false => ("was not learned", " (--force learns it all the same)"),
    };
    let message = format_args!("{name} {done}: {}{remedy}", why.join("; "));
    Failure::new(DATA, message)
}

impl School {
    /// Gestures that were learned before, without `name`. What can't be used is said and passed over:
    /// it has to be learned again itself.
    fn others(&self, name: &str) -> Result<Vec<Gesture>, Failure> {
        let mut others = Vec::new();
        for label in learned_labels(&self.folder)? {
            if label == name {
                continue;
            }
            match self.gesture(&label) {
                Ok(gesture) => others.push(gesture),
                Err(error) => log::warn!("{error}"),
            }
        }
        Ok(others)
    }

    fn gesture(&self, label: &str) -> Result<Gesture, palmd::gesture::learned::GestureFileError> {
        let features = self.classifier.features().len();
        Gesture::read(&self.folder, label, self.fingerprint, features)
    }

    fn is_known(&self, label: &str) -> bool {
        self.classifier
            .labels()
            .iter()
            .any(|known| **known == *label)
    }

    /// All that was recorded under labels that the model doesn't have.
    fn unlearned_names(&self) -> Result<Vec<String>, Failure> {
        let mut names = recorded_labels(&self.folder)?;
        names.retain(|name| !self.is_known(name));
        if names.is_empty() {
            let message = format_args!(
                "{}: nothing was recorded that could be learned; `palmd record --label NAME` does",
                self.folder.display()
            );
            return Err(Failure::new(NO_INPUT, message));
        }
        Ok(names)
    }

    fn list(&self) -> Result<(), Failure> {
        let mut labels = recorded_labels(&self.folder)?;
        labels.extend(learned_labels(&self.folder)?);
        labels.sort();
        labels.dedup();
        let mut out = Output::create(None)?;
        out.bytes(format!("in {}:\n", self.folder.display()).as_bytes())?;
        for label in &labels {
            let takes = match Takes::read(&self.folder, label) {
                Ok(read) => format!("{} takes", read.takes.len()),
                Err(error) => error.to_string(),
            };
            let learned = match self.gesture(label) {
                Ok(gesture) => match gesture.kind {
                    Kind::Movement => format!("learned from {}, a movement", gesture.takes),
                    _ => format!("learned from {}, a held shape", gesture.takes),
                },
                Err(_) if self.is_known(label) => "for training: the model has it itself".into(),
                Err(_) if !gesture_path(&self.folder, label).exists() => "not learned yet".into(),
                Err(error) => error.to_string(),
            };
            out.bytes(format!("  {label:<20} {takes}; {learned}\n").as_bytes())?;
        }
        if labels.is_empty() {
            out.bytes(b"  nothing yet; `palmd record --label NAME` begins\n")?;
        }
        out.flush()
    }
}

fn remove(folder: &Path, name: &str) -> Result<(), Failure> {
    check_name(name)?;
    let path = gesture_path(folder, name);
    fs::remove_file(&path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => {
            let message = format_args!(
                "{}: {name:?} was never learned; palmd learn --list",
                path.display()
            );
            Failure::new(NO_INPUT, message)
        }
        _ => Failure::write(&path.display().to_string(), &error),
    })?;
    let mut out = Output::create(None)?;
    let takes = takes_path(folder, name);
    let text = format!(
        "{name} is forgotten; its takes are kept in {}\n",
        takes.display()
    );
    out.bytes(text.as_bytes())?;
    out.flush()
}

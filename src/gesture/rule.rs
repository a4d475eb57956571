//! A rule: when a gesture counts as made.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::fmt::serde::unsigned_duration::friendly::compact::optional as duration;
use serde::{Deserialize, Serialize};

use super::{LABELS, MOVEMENTS};

/// What kind of gesture a label stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Held for a while: starts, goes on and ends.
    Shape,
    /// Over when it is recognised: starts only.
    Movement,
    /// No gesture; never an event.
    None,
}

impl Kind {
    /// The kind of a label by default: that of palmd's own labels, and a shape for any other.
    #[must_use]
    pub fn of(label: &str) -> Self {
        if label == "none" {
            Self::None
        } else if LABELS[MOVEMENTS].contains(&label) {
            Self::Movement
        } else {
            Self::Shape
        }
    }
}

/// When one gesture starts, goes on and ends.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rule {
    /// What happens once it has started.
    pub kind: Kind,
    /// Probability from which on it may start, 0..1.
    pub enter: f32,
    /// Probability below which it is over, 0..1, not above `enter`.
    pub exit: f32,
    /// Consecutive windows that must reach `enter` before it starts.
    pub windows: u32,
    /// How long the windows must have reached `enter` before it starts.
    pub hold_time: Duration,
    /// Time from one [`Hold`](super::Phase::Hold) event of a shape to the next; zero for none.
    pub hold_period: Duration,
    /// How long a shape must have been below `exit` before it ends.
    pub release_time: Duration,
    /// Time after a hand has appeared in which this gesture can't start. Half of all false
    /// movements were seen in the second after a hand was found or found again.
    pub arming_delay: Duration,
    /// Time after the start of this gesture in which no movement can start.
    pub cool_down: Duration,
}

impl Rule {
    /// The rule for gestures of this kind, where nothing else is said.
    #[must_use]
    pub const fn of(kind: Kind) -> Self {
        let rule = Self {
            kind,
            enter: 0.7,
            exit: 0.5,
            windows: 1,
            hold_time: Duration::from_millis(300),
            hold_period: Duration::from_millis(500),
            release_time: Duration::from_millis(200),
            arming_delay: Duration::ZERO,
            cool_down: Duration::ZERO,
        };
        match kind {
            Kind::Shape | Kind::None => rule,
            Kind::Movement => Self {
                windows: 3,
                hold_time: Duration::ZERO,
                arming_delay: Duration::from_secs(1),
                cool_down: Duration::from_millis(800),
                ..rule
            },
        }
    }
}

/// The rules as a person configures them: for all shapes, for all movements, and for single
/// gestures, which win. Keys are kebab-case, times are texts with a unit:
///
/// ```
/// let params: palmd::gesture::RulesParams = toml::from_str("
///     shapes.hold-time = '400ms'
///     movements.enter = 0.8
///     gesture.wave = { windows = 5, cool-down = '2s' }
/// ")?;
/// # Ok::<(), toml::de::Error>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct RulesParams {
    /// For every shape.
    pub shapes: RuleKeys,
    /// For every movement.
    pub movements: RuleKeys,
    /// By label.
    pub gesture: BTreeMap<String, RuleKeys>,
}

/// The keys of a [`Rule`], each of which may be left out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
#[allow(missing_docs, reason = "they are those of a rule")]
pub struct RuleKeys {
    pub kind: Option<Kind>,
    pub enter: Option<f32>,
    pub exit: Option<f32>,
    pub windows: Option<u32>,
    #[serde(with = "duration")]
    pub hold_time: Option<Duration>,
    #[serde(with = "duration")]
    pub hold_period: Option<Duration>,
    #[serde(with = "duration")]
    pub release_time: Option<Duration>,
    #[serde(with = "duration")]
    pub arming_delay: Option<Duration>,
    #[serde(with = "duration")]
    pub cool_down: Option<Duration>,
}

/// A rule that can't work.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum RulesError {
    /// There is a rule for a gesture that the model doesn't know.
    #[error("gesture {gesture:?} is not in the model; the nearest that is there is {nearest:?}")]
    UnknownGesture {
        /// The name in the configuration.
        gesture: String,
        /// A label of the model.
        nearest: Arc<str>,
    },
    /// All shapes, or all movements, are to be of another kind.
    #[error("kind = ... can be said of a single gesture, not of all {of_all}")]
    KindOfAll {
        /// "shapes" or "movements".
        of_all: &'static str,
    },
    /// A threshold is not a probability, or `exit` is above `enter`.
    #[error(
        "gesture {gesture:?}: enter = {enter} and exit = {exit} can't work; \
         they must be 0 < exit <= enter <= 1"
    )]
    Thresholds {
        /// The label.
        gesture: Arc<str>,
        /// Its `enter`.
        enter: f32,
        /// Its `exit`.
        exit: f32,
    },
}

impl RulesParams {
    /// The rule of each label.
    ///
    /// # Errors
    /// [`RulesError`] for a gesture that isn't among the labels, for thresholds that can't work,
    /// and for a kind of all shapes or movements.
    pub fn resolve(&self, labels: &[Arc<str>]) -> Result<Vec<Rule>, RulesError> {
        for (of_all, keys) in [("shapes", self.shapes), ("movements", self.movements)] {
            if keys.kind.is_some() {
                return Err(RulesError::KindOfAll { of_all });
            }
        }
        for gesture in self.gesture.keys() {
            if labels.iter().any(|label| **label == **gesture) {
                continue;
            }
            let nearest = labels
                .iter()
                .min_by_key(|label| strsim::damerau_levenshtein(label, gesture));
            return Err(RulesError::UnknownGesture {
                gesture: gesture.clone(),
                nearest: nearest.cloned().unwrap_or_default(),
            });
        }
        labels.iter().map(|label| self.rule_of(label)).collect()
    }

    fn rule_of(&self, label: &Arc<str>) -> Result<Rule, RulesError> {
        let own = self.gesture.get(&**label).copied().unwrap_or_default();
        let kind = own.kind.unwrap_or_else(|| Kind::of(label));
        let of_kind = match kind {
            Kind::Shape => self.shapes,
            Kind::Movement => self.movements,
            Kind::None => RuleKeys::default(),
        };
        let rule = own.over(of_kind.over(Rule::of(kind)));
        let (enter, exit) = (rule.enter, rule.exit);
        if 0.0 < exit && exit <= enter && enter <= 1.0 {
            Ok(rule)
        } else {
            Err(RulesError::Thresholds {
                gesture: Arc::clone(label),
                enter,
                exit,
            })
        }
    }
}

impl RuleKeys {
    /// The keys' names.
    pub const NAMES: [&str; 9] = [
        "kind",
        "enter",
        "exit",
        "windows",
        "hold-time",
        "hold-period",
        "release-time",
        "arming-delay",
        "cool-down",
    ];

    /// These keys, and where one is left out, that of `rule`.
    fn over(self, rule: Rule) -> Rule {
        Rule {
            kind: self.kind.unwrap_or(rule.kind),
            enter: self.enter.unwrap_or(rule.enter),
            exit: self.exit.unwrap_or(rule.exit),
            windows: self.windows.unwrap_or(rule.windows),
            hold_time: self.hold_time.unwrap_or(rule.hold_time),
            hold_period: self.hold_period.unwrap_or(rule.hold_period),
            release_time: self.release_time.unwrap_or(rule.release_time),
            arming_delay: self.arming_delay.unwrap_or(rule.arming_delay),
            cool_down: self.cool_down.unwrap_or(rule.cool_down),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(params: &str) -> Result<Vec<Rule>, String> {
        let params: RulesParams = toml::from_str(params).map_err(|e| e.to_string())?;
        let labels = ["fist", "wave", "my-own", "none"].map(Arc::from);
        params.resolve(&labels).map_err(|e| e.to_string())
    }

    #[test]
    fn a_gestures_own_keys_win_over_those_of_its_kind() {
        let rules = resolve(
            "movements = { enter = 0.8, windows = 4 }
             gesture.wave.windows = 2
             gesture.my-own = { kind = 'movement', cool-down = '1500ms' }",
        )
        .expect("rules");
        assert_eq!(rules[0], Rule::of(Kind::Shape));
        assert_eq!((rules[1].enter, rules[1].windows), (0.8, 2));
        assert_eq!((rules[2].enter, rules[2].windows), (0.8, 4));
        assert_eq!(rules[2].kind, Kind::Movement);
        assert_eq!(rules[2].cool_down, Duration::from_millis(1500));
        assert_eq!(rules[3].kind, Kind::None);
    }

    #[test]
    fn what_cannot_work_is_refused_by_name() {
        for (params, told) in [
            (
                "gesture.wavee.enter = 0.8",
                "nearest that is there is \"wave\"",
            ),
            ("shapes.enter = 0.4", "\"fist\": enter = 0.4 and exit = 0.5"),
            ("gesture.wave.enter = 70", "\"wave\": enter = 70"),
            (
                "gesture.wave.exit = nan",
                "\"wave\": enter = 0.7 and exit = NaN",
            ),
            ("movements.cool-down = '-1s'", "negative"),
            ("movements.cooldown = 1", "unknown field `cooldown`"),
            ("gesture.wave.kind = 'dance'", "unknown variant `dance`"),
            ("shapes.kind = 'movement'", "not of all shapes"),
        ] {
            let error = resolve(params).expect_err(params);
            assert!(error.contains(told), "{params}: {error}");
        }
    }
}

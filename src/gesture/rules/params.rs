//! The rules as a person configures them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::fmt::serde::unsigned_duration::friendly::compact::optional as duration;
use serde::{Deserialize, Serialize};

use super::rule::{Kind, OnMovement, Rule, WhichHand, Zone, opposite};

/// Longer times are slips of the unit.
const LONGEST: Duration = Duration::from_secs(3600);

/// The rules as a person configures them: for all shapes, for all movements, and for single
/// gestures, which win. Keys are kebab-case, times are texts with a unit:
///
/// ```
/// let params: palmd::gesture::RulesParams = toml::from_str("
///     shapes.hold-time = '400ms'
///     movements.zone = [0.0, 0.2, 1.0, 1.0]
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
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
#[allow(missing_docs, reason = "they are those of a rule")]
pub struct RuleKeys {
    pub kind: Option<Kind>,
    pub enter: Option<f32>,
    pub exit: Option<f32>,
    pub windows: Option<u32>,
    #[serde(with = "duration")]
    pub hold_time: Option<Duration>,
    pub max_drift: Option<f32>,
    #[serde(with = "duration")]
    pub hold_period: Option<Duration>,
    #[serde(with = "duration")]
    pub release_time: Option<Duration>,
    #[serde(with = "duration")]
    pub arming_delay: Option<Duration>,
    #[serde(with = "duration")]
    pub max_missing: Option<Duration>,
    #[serde(with = "duration")]
    pub cool_down: Option<Duration>,
    #[serde(with = "duration")]
    pub return_time: Option<Duration>,
    /// A label, or empty for none.
    pub opposite: Option<String>,
    pub on_movement: Option<OnMovement>,
    pub min_hand_size: Option<f32>,
    pub zone: Option<Zone>,
    pub hand: Option<WhichHand>,
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
    /// A value that can't work.
    #[error("`{key}` is {value}, but {must}")]
    Value {
        /// The key with its sections.
        key: String,
        /// What it is.
        value: String,
        /// What it must be, or what to do.
        must: String,
    },
    /// `exit` is above `enter`, where they come from different places.
    #[error(
        "gesture {gesture:?}: exit = {exit} is above enter = {enter}; lower exit or raise enter"
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
    /// [`RulesError`] for a gesture that isn't among the labels, and for values that can't work.
    pub fn resolve(&self, labels: &[Arc<str>]) -> Result<Vec<Rule>, RulesError> {
        self.shapes.check("rules.shapes", Kind::Shape)?;
        self.movements.check("rules.movements", Kind::Movement)?;
        for (section, keys) in [("shapes", &self.shapes), ("movements", &self.movements)] {
            for key in ["kind", "opposite"] {
                if let Some(value) = keys.text(key) {
                    return Err(RulesError::Value {
                        key: format!("rules.{section}.{key}"),
                        value,
                        must: "it can only be said of a single gesture: \
                               put it under [rules.gesture.LABEL]"
                            .into(),
                    });
                }
            }
        }
        for (gesture, keys) in &self.gesture {
            if index(labels, gesture).is_none() {
                return Err(RulesError::UnknownGesture {
                    gesture: gesture.clone(),
                    nearest: nearest(labels, gesture),
                });
            }
            keys.check(&format!("rules.gesture.{gesture}"), self.kind(gesture))?;
        }
        let rules: Result<Vec<_>, _> = labels.iter().map(|l| self.rule_of(l)).collect();
        let mut rules = rules?;
        self.set_opposites(labels, &mut rules)?;
        Ok(rules)
    }

    /// What of this differs from the defaults, as `movements.enter = 0.8`.
    #[must_use]
    pub fn differences(&self) -> Vec<String> {
        let of_kinds = [
            ("shapes".into(), &self.shapes, Kind::Shape),
            ("movements".into(), &self.movements, Kind::Movement),
        ];
        let of_gestures = self.gesture.iter().map(|(gesture, keys)| {
            let section = format!("gesture.{gesture}");
            (section, keys, self.kind(gesture))
        });
        let all = of_kinds.into_iter().chain(of_gestures);
        all.flat_map(|(section, keys, kind)| {
            let defaults = RuleKeys::from(Rule::of(kind)).lines();
            let own = keys.lines();
            let differing = own.into_iter().filter(move |line| !defaults.contains(line));
            differing.map(move |line| format!("{section}.{line}"))
        })
        .collect()
    }

    /// The kind of a label by these rules.
    #[must_use]
    pub fn kind(&self, label: &str) -> Kind {
        let own = self.gesture.get(label).and_then(|keys| keys.kind);
        own.unwrap_or_else(|| Kind::of(label))
    }

    fn rule_of(&self, label: &Arc<str>) -> Result<Rule, RulesError> {
        let kind = self.kind(label);
        let rule = match kind {
            Kind::Shape => self.shapes.over(Rule::of(kind)),
            Kind::Movement => self.movements.over(Rule::of(kind)),
            Kind::None => Rule::of(kind),
        };
        let rule = match self.gesture.get(&**label) {
            Some(own) => own.over(rule),
            None => rule,
        };
        let (enter, exit) = (rule.enter, rule.exit);
        if exit > enter {
            return Err(RulesError::Thresholds {
                gesture: Arc::clone(label),
                enter,
                exit,
            });
        }
        Ok(rule)
    }

    /// Gives each movement its opposite. What is said of one goes for the other, too, unless
    /// something else is said of that one.
    fn set_opposites(&self, labels: &[Arc<str>], rules: &mut [Rule]) -> Result<(), RulesError> {
        let named: Vec<Option<&str>> = labels
            .iter()
            .map(|label| self.gesture.get(&**label)?.opposite.as_deref())
            .collect();
        let is_movement = |rules: &[Rule], i: usize| rules[i].kind == Kind::Movement;
        for (i, label) in labels.iter().enumerate() {
            if !is_movement(rules, i) {
                continue;
            }
            let Some(other) = named[i].or_else(|| opposite(label)) else {
                continue;
            };
            let found = index(labels, other);
            rules[i].opposite = found.filter(|&k| k != i && is_movement(rules, k));
            if named[i].is_none_or(str::is_empty) || rules[i].opposite.is_some() {
                continue;
            }
            let must = match found {
                Some(k) if k == i => "a movement can't be its own opposite; name another".into(),
                Some(_) => "that is no movement; name one, or leave it empty for none".into(),
                None => format!(
                    "that is not in the model; the nearest that is there is {:?}",
                    nearest(labels, other)
                ),
            };
            return Err(RulesError::Value {
                key: format!("rules.gesture.{label}.opposite"),
                value: format!("{other:?}"),
                must,
            });
        }
        for i in 0..rules.len() {
            let silent = |&k: &usize| rules[k].opposite.is_none() && named[k].is_none();
            if let Some(other) = rules[i].opposite.filter(silent) {
                rules[other].opposite = Some(i);
            }
        }
        Ok(())
    }
}

impl RuleKeys {
    /// The keys' names.
    pub const NAMES: [&str; 17] = [
        "kind",
        "enter",
        "exit",
        "windows",
        "hold-time",
        "max-drift",
        "hold-period",
        "release-time",
        "arming-delay",
        "max-missing",
        "cool-down",
        "return-time",
        "opposite",
        "on-movement",
        "min-hand-size",
        "zone",
        "hand",
    ];

    /// These keys, and where one is left out, that of `rule`.
    fn over(&self, rule: Rule) -> Rule {
        Rule {
            kind: self.kind.unwrap_or(rule.kind),
            enter: self.enter.unwrap_or(rule.enter),
            exit: self.exit.unwrap_or(rule.exit),
            windows: self.windows.unwrap_or(rule.windows),
            hold_time: self.hold_time.unwrap_or(rule.hold_time),
            max_drift: self.max_drift.unwrap_or(rule.max_drift),
            hold_period: self.hold_period.unwrap_or(rule.hold_period),
            release_time: self.release_time.unwrap_or(rule.release_time),
            arming_delay: self.arming_delay.unwrap_or(rule.arming_delay),
            max_missing: self.max_missing.unwrap_or(rule.max_missing),
            cool_down: self.cool_down.unwrap_or(rule.cool_down),
            return_time: self.return_time.unwrap_or(rule.return_time),
            opposite: rule.opposite,
            on_movement: self.on_movement.unwrap_or(rule.on_movement),
            min_hand_size: self.min_hand_size.unwrap_or(rule.min_hand_size),
            zone: self.zone.unwrap_or(rule.zone),
            hand: self.hand.unwrap_or(rule.hand),
        }
    }

    /// Checks each value by itself, and that it means something for gestures of this kind.
    fn check(&self, section: &str, kind: Kind) -> Result<(), RulesError> {
        let refuse = |key: &str, must: &str| {
            Err(RulesError::Value {
                key: format!("{section}.{key}"),
                value: self.text(key).unwrap_or_default(),
                must: must.into(),
            })
        };
        for (key, threshold) in [("enter", self.enter), ("exit", self.exit)] {
            if threshold.is_some_and(|p| !(p > 0.0 && p <= 1.0)) {
                return refuse(key, "a threshold must be above 0 and at most 1");
            }
        }
        if self.windows.is_some_and(|n| !(1..=150).contains(&n)) {
            return refuse("windows", "it must be from 1 to 150 (15 a second)");
        }
        for (key, time) in [
            ("hold-time", self.hold_time),
            ("hold-period", self.hold_period),
            ("release-time", self.release_time),
            ("arming-delay", self.arming_delay),
            ("max-missing", self.max_missing),
            ("cool-down", self.cool_down),
            ("return-time", self.return_time),
        ] {
            if time.is_some_and(|time| time > LONGEST) {
                return refuse(key, "it must be at most 1h");
            }
        }
        if self.max_drift.is_some_and(|way| way.is_nan() || way <= 0.0) {
            return refuse(
                "max-drift",
                "it must be above 0, in lengths of the palm; inf for any way",
            );
        }
        if self
            .min_hand_size
            .is_some_and(|size| !(0.0..=1.0).contains(&size))
        {
            return refuse(
                "min-hand-size",
                "it must be from 0 to 1, the palm's length in the picture's shorter side",
            );
        }
        let is_zone = |z: Zone| {
            0.0 <= z.left
                && z.left < z.right
                && z.right <= 1.0
                && 0.0 <= z.top
                && z.top < z.bottom
                && z.bottom <= 1.0
        };
        if self.zone.is_some_and(|zone| !is_zone(zone)) {
            return refuse(
                "zone",
                "it must be [left, top, right, bottom] with 0 <= left < right <= 1 \
                 and 0 <= top < bottom <= 1",
            );
        }
        let meaningless: &[&str] = match kind {
            Kind::Shape => &["return-time", "opposite"],
            Kind::Movement => &["max-drift", "hold-period", "on-movement"],
            Kind::None => &[],
        };
        match meaningless.iter().find(|key| self.text(key).is_some()) {
            Some(key) if kind == Kind::Shape => refuse(
                key,
                "only movements have that: remove it, or set kind = \"movement\"",
            ),
            Some(key) => refuse(
                key,
                "only shapes have that: remove it, or set kind = \"shape\"",
            ),
            None => Ok(()),
        }
    }

    /// The keys that are given, as lines of TOML.
    fn lines(&self) -> Vec<String> {
        let text = toml::to_string(self).unwrap_or_default();
        text.lines().map(ToOwned::to_owned).collect()
    }

    /// The value of a key in TOML, if it is given.
    fn text(&self, key: &str) -> Option<String> {
        self.lines().iter().find_map(|line| {
            let (name, value) = line.split_once(" = ")?;
            (name == key).then(|| value.to_owned())
        })
    }
}

impl From<Rule> for RuleKeys {
    /// All keys but the opposite, which a rule has as a number.
    fn from(rule: Rule) -> Self {
        Self {
            kind: Some(rule.kind),
            enter: Some(rule.enter),
            exit: Some(rule.exit),
            windows: Some(rule.windows),
            hold_time: Some(rule.hold_time),
            max_drift: Some(rule.max_drift),
            hold_period: Some(rule.hold_period),
            release_time: Some(rule.release_time),
            arming_delay: Some(rule.arming_delay),
            max_missing: Some(rule.max_missing),
            cool_down: Some(rule.cool_down),
            return_time: Some(rule.return_time),
            opposite: None,
            on_movement: Some(rule.on_movement),
            min_hand_size: Some(rule.min_hand_size),
            zone: Some(rule.zone),
            hand: Some(rule.hand),
        }
    }
}

fn index(labels: &[Arc<str>], label: &str) -> Option<usize> {
    labels.iter().position(|known| **known == *label)
}

fn nearest(labels: &[Arc<str>], label: &str) -> Arc<str> {
    let likeness = |known: &&Arc<str>| strsim::damerau_levenshtein(known, label);
    labels
        .iter()
        .min_by_key(likeness)
        .cloned()
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LABELS: [&str; 7] = [
        "fist",
        "wave",
        "pull",
        "push",
        "swipe-left",
        "swipe-right",
        "none",
    ];

    fn resolve(params: &str) -> Result<BTreeMap<&'static str, Rule>, String> {
        let params: RulesParams = toml::from_str(params).map_err(|e| e.to_string())?;
        let rules = params.resolve(&LABELS.map(Arc::from));
        let rules = rules.map_err(|e| e.to_string())?;
        Ok(LABELS.into_iter().zip(rules).collect())
    }

    #[test]
    fn a_gestures_own_keys_win_over_those_of_its_kind() {
        let rules = resolve(
            "movements = { enter = 0.8, windows = 4 }
             gesture.wave.windows = 2
             gesture.pull = { kind = 'movement', cool-down = '1500ms', hand = 'left' }",
        )
        .expect("rules");
        assert_eq!(rules["fist"], Rule::of(Kind::Shape));
        assert_eq!((rules["wave"].enter, rules["wave"].windows), (0.8, 2));
        let pull = rules["pull"];
        assert_eq!(
            (pull.kind, pull.enter, pull.windows),
            (Kind::Movement, 0.8, 4)
        );
        assert_eq!(
            (pull.cool_down, pull.hand),
            (Duration::from_millis(1500), WhichHand::Left)
        );
        assert_eq!(rules["none"].kind, Kind::None);
    }

    /// The opposites, as `pull>push`.
    fn opposites(params: &str) -> String {
        let rules = resolve(params).expect(params);
        let pairs = LABELS.map(|label| {
            let opposite = rules[label].opposite.map(|i| LABELS[i]);
            opposite.map(|opposite| format!("{label}>{opposite}"))
        });
        pairs.into_iter().flatten().collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn opposites_go_both_ways_unless_something_else_is_said() {
        let own = "swipe-left>swipe-right swipe-right>swipe-left";
        assert_eq!(opposites(""), own);
        let pull = "gesture.pull = { kind = 'movement', opposite = 'push' }";
        assert_eq!(opposites(pull), format!("pull>push push>pull {own}"));
        assert_eq!(
            opposites(&format!("{pull}\ngesture.push.opposite = ''")),
            format!("pull>push {own}")
        );
        assert_eq!(opposites("gesture.swipe-left.kind = 'none'"), "");
    }

    #[test]
    fn what_cannot_work_is_refused_by_key_and_value() {
        for (params, told) in [
            (
                "gesture.wavee.enter = 0.8",
                "nearest that is there is \"wave\"",
            ),
            (
                "shapes.enter = 0.4",
                "\"fist\": exit = 0.5 is above enter = 0.4",
            ),
            (
                "gesture.wave.enter = 70",
                "`rules.gesture.wave.enter` is 70.0, but",
            ),
            (
                "gesture.wave.exit = nan",
                "`rules.gesture.wave.exit` is nan, but",
            ),
            ("movements.exit = 0.0", "`rules.movements.exit` is 0.0, but"),
            (
                "movements.windows = 0",
                "`rules.movements.windows` is 0, but",
            ),
            ("movements.cool-down = '-1s'", "negative"),
            (
                "movements.cool-down = '5h'",
                "`rules.movements.cool-down` is \"5h\", but",
            ),
            ("movements.cooldown = 1", "unknown field `cooldown`"),
            (
                "shapes.min-hand-size = 50",
                "`rules.shapes.min-hand-size` is 50.0, but",
            ),
            (
                "shapes.zone = [0.5, 0, 0.5, 1]",
                "`rules.shapes.zone` is [0.5, 0.0, 0.5, 1.0], but",
            ),
            ("shapes.zone = [0, 0, 640, 480]", "0 <= left < right <= 1"),
            ("shapes.zone = [0, 0, 1]", "4"),
            (
                "shapes.hand = 'both'",
                "unknown variant `both`, expected one of `any`, `left`",
            ),
            ("gesture.wave.kind = 'dance'", "unknown variant `dance`"),
            (
                "shapes.kind = 'movement'",
                "`rules.shapes.kind` is \"movement\", but",
            ),
            ("movements.opposite = 'push'", "under [rules.gesture.LABEL]"),
            ("shapes.return-time = '1s'", "only movements have that"),
            ("gesture.push.hold-period = '1s'", "only shapes have that"),
            (
                "gesture.push.opposite = 'pul'",
                "nearest that is there is \"pull\"",
            ),
            ("gesture.push.opposite = 'push'", "its own opposite"),
            (
                "gesture.push.opposite = 'fist'",
                "is \"fist\", but that is no movement",
            ),
        ] {
            let error = resolve(params).expect_err(params);
            assert!(error.contains(told), "{params}: {error}");
        }
    }

    #[test]
    fn what_differs_from_the_defaults_is_told() {
        let params = "shapes = { enter = 0.7, hold-time = '400ms', zone = [0, 0, 1, 0.5] }
                      movements.cool-down = '2s'
                      gesture.wave = { windows = 5, enter = 0.8 }";
        let params: RulesParams = toml::from_str(params).expect("params");
        assert_eq!(
            params.differences(),
            [
                "shapes.zone = [0.0, 0.0, 1.0, 0.5]",
                "movements.cool-down = \"2s\"",
                "gesture.wave.enter = 0.8",
            ]
        );
    }

    #[test]
    fn all_keys_have_their_name() {
        let mut keys = RuleKeys::from(Rule::of(Kind::Movement));
        keys.opposite = Some("fist".into());
        let lines = keys.lines();
        let names: Vec<_> = lines.iter().map(|line| line.split(' ').next()).collect();
        assert_eq!(names, RuleKeys::NAMES.map(Some));
    }
}

//! Keys by their names, and chords of them.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::config::nearest;

/// Names and codes, a key a line: those that `linux/input-event-codes.h` calls `KEY_...`, in lower
/// case and with hyphens.
const CODES: &str = include_str!("key-codes.txt");

/// Shorter names for the keys that chords are made with.
const SHORT: [(&str, &str); 5] = [
    ("ctrl", "leftctrl"),
    ("shift", "leftshift"),
    ("alt", "leftalt"),
    ("altgr", "rightalt"),
    ("super", "leftmeta"),
];

/// More are no chord that a program would wait for.
const MOST_KEYS: usize = 6;

/// A key of a keyboard, by the kernel's code: a place on it, not what is printed there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key(pub u16);

fn names() -> impl Iterator<Item = (&'static str, Key)> {
    let key = |line: &'static str| {
        let (name, code) = line.split_once(' ')?;
        Some((name, Key(code.parse().ok()?)))
    };
    CODES.lines().filter_map(key)
}

impl Key {
    /// The key of that name.
    ///
    /// # Errors
    /// That there is none, with the name that was probably meant.
    fn named(name: &str) -> Result<Self, String> {
        let short = SHORT.iter().find(|(short, _)| *short == name);
        let full = short.map_or(name, |(_, full)| full);
        if let Some((_, key)) = names().find(|(known, _)| *known == full) {
            return Ok(key);
        }
        let known = SHORT.iter().map(|(short, _)| *short);
        let known = known.chain(names().map(|(name, _)| name));
        let hint = match nearest(&name.to_lowercase(), known) {
            Some(near) => format!("did you mean `{near}`?"),
            None => "names are those of linux/input-event-codes.h, such as `pagedown`".into(),
        };
        Err(format!("there is no key `{name}`; {hint}"))
    }
}

/// Keys that are pressed together, in their order: `ctrl+w`, or `right` alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Chord {
    keys: Vec<Key>,
    text: String,
}

impl Chord {
    /// Its keys in the order in which they are pressed; one at least, none twice.
    #[must_use]
    pub fn keys(&self) -> &[Key] {
        &self.keys
    }
}

impl TryFrom<String> for Chord {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let mut keys = Vec::new();
        for name in text.split('+') {
            let key = Key::named(name.trim())?;
            if keys.contains(&key) {
                return Err(format!("`{text}` has `{}` twice", name.trim()));
            }
            keys.push(key);
        }
        if keys.len() > MOST_KEYS {
            return Err(format!("`{text}` has more than {MOST_KEYS} keys"));
        }
        Ok(Self { keys, text })
    }
}

impl From<Chord> for String {
    fn from(chord: Chord) -> Self {
        chord.text
    }
}

impl fmt::Display for Chord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chord(text: &str) -> Result<Vec<u16>, String> {
        let chord = Chord::try_from(text.to_owned())?;
        Ok(chord.keys().iter().map(|key| key.0).collect())
    }

    #[test]
    fn chords_are_keys_in_their_order() {
        assert_eq!(chord("right"), Ok(vec![106]));
        assert_eq!(chord("ctrl+w"), Ok(vec![29, 17]));
        assert_eq!(chord("ctrl + alt + f1"), Ok(vec![29, 56, 59]));
        assert_eq!(chord("brightness-cycle"), Ok(vec![243]));
    }

    #[test]
    fn what_is_no_key_is_refused_with_the_nearest() {
        let refused = |text| chord(text).expect_err("no such key");
        let near = "there is no key `rigth`; did you mean `right`?";
        assert_eq!(refused("rigth"), near);
        assert!(refused("ctrl+page-down").contains("did you mean `pagedown`?"));
        assert!(refused("KEY_LEFT").contains("there is no key `KEY_LEFT`"));
        assert!(refused("~!").contains("input-event-codes.h"));
        assert!(refused("").contains("there is no key ``"));
        assert!(refused("ctrl+leftctrl").contains("twice"));
        assert!(refused("1+2+3+4+5+6+7").contains("more than 6"));
    }

    #[test]
    fn names_and_codes_are_the_kernels() {
        let all: Vec<_> = names().collect();
        assert_eq!(all.len(), CODES.lines().count());
        let header = "/usr/include/linux/input-event-codes.h";
        let Ok(header) = std::fs::read_to_string(header) else {
            eprintln!("skipped: no {header} (linux-libc-dev)");
            return;
        };
        let mut compared = 0;
        for line in header.lines() {
            let words: Vec<_> = line.split_whitespace().collect();
            let ["#define", name, code, ..] = words[..] else {
                continue;
            };
            let code = match code.strip_prefix("0x") {
                Some(digits) => u16::from_str_radix(digits, 16),
                None => code.parse(),
            };
            let (Some(name), Ok(code)) = (name.strip_prefix("KEY_"), code) else {
                continue;
            };
            let name = name.to_lowercase().replace('_', "-");
            // Codes stay what they are; a header may know more or fewer.
            if let Some((_, key)) = all.iter().find(|(known, _)| *known == name) {
                assert_eq!(key.0, code, "{name}");
                compared += 1;
            }
        }
        assert!(compared > 400, "{compared}");
    }
}

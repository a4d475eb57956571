//! Names of topics.

use super::MqttParams;

/// The topics of one palmd.
#[derive(Debug, Clone)]
pub struct Topics {
    /// What those below begin with: `palmd/ID`.
    pub root: String,
    pub event: String,
    pub status: String,
    pub pause_set: String,
    pub pause_state: String,
    /// Of Home Assistant's discovery, if that is on.
    pub discovery: Option<String>,
    /// One name for the whole device there.
    pub device: String,
}

impl Topics {
    pub fn new(params: &MqttParams, id: &str) -> Self {
        let root = format!("{}/{id}", params.prefix);
        let device = format!("palmd_{id}");
        let discovery = (!params.discovery_prefix.is_empty())
            .then(|| format!("{}/device/{device}/config", params.discovery_prefix));
        Self {
            event: format!("{root}/event"),
            status: format!("{root}/status"),
            pause_set: format!("{root}/pause/set"),
            pause_state: format!("{root}/pause/state"),
            root,
            discovery,
            device,
        }
    }
}

/// Whether a topic may begin so: no wildcards, nothing that brokers keep for themselves.
pub fn is_prefix(text: &str) -> bool {
    let letter = |c: char| !c.is_control() && !c.is_whitespace() && !"+#$".contains(c);
    (1..=128).contains(&text.len())
        && text.chars().all(letter)
        && text.split('/').all(|level| !level.is_empty())
}

/// Whether it can be one level of a topic, a client's name, and a part of Home Assistant's names.
pub fn is_id(text: &str) -> bool {
    let letter = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
    (1..=64).contains(&text.len()) && text.chars().all(letter)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_and_ids_are_plain() {
        assert!(is_prefix("palmd") && is_prefix("site/floor-1"));
        for wrong in ["", "a/", "/a", "a//b", "a/#", "+", "$SYS", "a b"] {
            assert!(!is_prefix(wrong), "{wrong:?}");
        }
        assert!(is_id("kiosk-7_b"));
        assert!(!is_id("") && !is_id("a/b") && !is_id("a.b") && !is_id(&"x".repeat(65)));
    }
}

//! What Home Assistant is told, so that it shows palmd as a device without any configuration.
//!
//! One retained message describes the device and all of its entities ("device discovery", since
//! Home Assistant 2024.11; <https://www.home-assistant.io/integrations/mqtt/#device-discovery-payload>).

use serde_json::{Value, json};

use super::topics::Topics;

/// Of all events the beginnings of gestures become the entity's events; an empty text is none.
const GESTURE: &str = "{% if value_json.type == 'gesture' and value_json.phase == 'start' %}\
    {{ {'event_type': value_json.gesture, 'hand': value_json.hand, 'score': value_json.score} \
    | to_json }}{% endif %}";

/// The message, for gestures with these labels.
pub fn payload<'a>(
    topics: &Topics,
    id: &str,
    version: &str,
    labels: impl Iterator<Item = &'a str>,
) -> String {
    let gestures: Vec<_> = labels.filter(|label| *label != "none").collect();
    let sensor = |key: &str, name: &str, more: Value| {
        let mut sensor = json!({
            "platform": "sensor",
            "name": name,
            "state_topic": topics.status,
            // The last will has no such key.
            "value_template": format!("{{{{ value_json.{key} | default(none) }}}}"),
            "entity_category": "diagnostic",
        });
        merge(&mut sensor, more);
        sensor
    };
    let mut components = json!({
        "gesture": {
            "platform": "event",
            "name": "Gesture",
            "icon": "mdi:hand-wave",
            "state_topic": topics.event,
            "event_types": gestures,
            "value_template": GESTURE,
        },
        "pause": {
            "platform": "switch",
            "name": "Pause",
            "icon": "mdi:camera-off",
            "command_topic": topics.pause_set,
            "state_topic": topics.pause_state,
        },
        "camera": sensor("camera", "Camera", json!({
            "device_class": "enum",
            "options": ["opening", "streaming", "lost", "closed"],
        })),
        "fps": sensor("fps", "Frame rate", json!({
            "unit_of_measurement": "fps",
            "state_class": "measurement",
        })),
        "latency": sensor("latency_ms", "Latency", json!({
            "device_class": "duration",
            "unit_of_measurement": "ms",
            "state_class": "measurement",
        })),
    });
    for (key, component) in components.as_object_mut().into_iter().flatten() {
        let unique_id = format!("{}_{key}", topics.device);
        merge(component, json!({ "unique_id": unique_id }));
    }
    json!({
        "device": {
            "identifiers": [topics.device],
            "name": format!("palmd {id}"),
            "model": "palmd",
            "sw_version": version,
        },
        "origin": { "name": "palmd", "sw_version": version },
        "availability_topic": topics.status,
        "availability_template": "{{ value_json.state }}",
        "qos": 1,
        "components": components,
    })
    .to_string()
}

fn merge(object: &mut Value, more: Value) {
    if let (Value::Object(object), Value::Object(more)) = (object, more) {
        object.extend(more);
    }
}

#[cfg(test)]
mod tests {
    use super::super::MqttParams;
    use super::*;

    /// The keys that Home Assistant's schemas know, of those that palmd could use: for the whole
    /// device, and for each platform; first those that must be there. It refuses the whole message
    /// for a key of the device that it doesn't know.
    const DEVICE: Keys = (
        &["device", "origin", "components"],
        &[
            "availability",
            "availability_mode",
            "availability_topic",
            "availability_template",
            "payload_available",
            "payload_not_available",
            "state_topic",
            "command_topic",
            "qos",
            "encoding",
        ],
    );
    const ENTITY: &[&str] = &[
        "name",
        "icon",
        "entity_category",
        "enabled_by_default",
        "qos",
    ];
    const PLATFORMS: [(&str, Keys); 3] = [
        (
            "event",
            (
                &["platform", "unique_id", "state_topic", "event_types"],
                &["value_template", "device_class"],
            ),
        ),
        (
            "sensor",
            (
                &["platform", "unique_id", "state_topic"],
                &[
                    "value_template",
                    "device_class",
                    "options",
                    "state_class",
                    "unit_of_measurement",
                    "expire_after",
                ],
            ),
        ),
        (
            "switch",
            (
                &["platform", "unique_id", "command_topic"],
                &["state_topic", "payload_on", "payload_off", "retain"],
            ),
        ),
    ];
    type Keys = (&'static [&'static str], &'static [&'static str]);

    fn assert_keys(object: &Value, keys: Keys, more: &[&str]) {
        let object = object.as_object().expect("an object");
        for must in keys.0 {
            assert!(object.contains_key(*must), "{must} is missing: {object:?}");
        }
        for key in object.keys().map(String::as_str) {
            let known = keys.0.contains(&key) || keys.1.contains(&key) || more.contains(&key);
            assert!(known, "{key} is unknown");
        }
    }

    #[test]
    fn discovery_follows_the_schema() {
        let topics = Topics::new(&MqttParams::default(), "kiosk-7");
        let labels = ["fist", "swipe-left", "none"];
        let text = payload(&topics, "kiosk-7", "1.2.3", labels.into_iter());
        let message: Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(
            topics.discovery.as_deref(),
            Some("homeassistant/device/palmd_kiosk-7/config")
        );
        assert_keys(&message, DEVICE, &[]);
        assert_keys(
            &message["device"],
            (&["identifiers"], &["name", "model", "sw_version"]),
            &[],
        );
        assert_keys(&message["origin"], (&["name"], &["sw_version"]), &[]);
        let mut unique = std::collections::HashSet::new();
        for component in message["components"].as_object().expect("a map").values() {
            let platform = component["platform"].as_str().expect("a name");
            let keys = PLATFORMS.iter().find(|(name, _)| *name == platform);
            assert_keys(component, keys.expect("a platform").1, ENTITY);
            assert!(unique.insert(component["unique_id"].as_str()));
            // An enumeration has options, and neither unit nor statistics.
            let enumeration = component["device_class"] == "enum";
            assert_eq!(enumeration, component["options"].is_array());
            assert!(!(enumeration && component.get("state_class").is_some()));
        }
        let gesture = &message["components"]["gesture"];
        assert_eq!(gesture["event_types"], json!(["fist", "swipe-left"]));
        assert_eq!(gesture["state_topic"], "palmd/kiosk-7/event");
    }
}

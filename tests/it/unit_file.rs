//! What `systemd/palmd.service` allows, alone and with the examples that open it. That systemd knows
//! every directive is checked by `systemd/verify.sh`.

use std::collections::BTreeMap;
use std::fs;

/// The values of each directive of a section, as systemd collects them: a later line adds one, an
/// empty one forgets those before.
type Section = BTreeMap<String, Vec<String>>;

fn read(name: &str) -> String {
    let path = format!("{}/systemd/{name}", env!("CARGO_MANIFEST_DIR"));
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// `[Service]` of the unit with the examples of these names.
fn service(examples: &[&str]) -> Section {
    let mut service = Section::new();
    let examples = examples.iter().map(|name| format!("examples/{name}.conf"));
    for name in std::iter::once("palmd.service".to_owned()).chain(examples) {
        let text = read(&name);
        let mut section = "";
        for line in text.lines().map(str::trim_end) {
            if line.is_empty() || line.starts_with('#') {
            } else if line.starts_with('[') {
                section = line;
            } else if section == "[Service]" {
                let (key, value) = line.split_once('=').unwrap_or_else(|| panic!("{line}"));
                let values = service.entry(key.to_owned()).or_default();
                if value.is_empty() {
                    values.clear();
                } else {
                    values.push(value.to_owned());
                }
            }
        }
    }
    service
}

/// A directive of which the last value counts.
fn last<'a>(service: &'a Section, key: &str) -> &'a str {
    let values = service
        .get(key)
        .unwrap_or_else(|| panic!("{key} is missing"));
    values.last().map_or("", String::as_str)
}

fn all<'a>(service: &'a Section, key: &str) -> Vec<&'a str> {
    let values = service
        .get(key)
        .unwrap_or_else(|| panic!("{key} is missing"));
    values.iter().map(String::as_str).collect()
}

/// What differs when an example is added: the directive, before and after.
fn opened_by(example: &str) -> BTreeMap<String, (Vec<String>, Vec<String>)> {
    let closed = service(&[]);
    service(&[example])
        .into_iter()
        .filter_map(|(key, now)| {
            let before = closed.get(&key).cloned().unwrap_or_default();
            (before != now).then_some((key, (before, now)))
        })
        .collect()
}

fn added(example: &str, key: &str) -> Vec<String> {
    let (before, now) = opened_by(example).remove(key).unwrap_or_default();
    now.strip_prefix(before.as_slice())
        .unwrap_or_else(|| panic!("{example} takes something away from {key}"))
        .to_vec()
}

#[test]
fn the_service_is_a_nobody_who_sees_cameras() {
    let service = service(&[]);
    assert_eq!(last(&service, "ExecStart"), "/usr/bin/palmd run");
    assert_eq!(last(&service, "DynamicUser"), "yes");
    assert_eq!(all(&service, "SupplementaryGroups"), ["video"]);
    assert_eq!(last(&service, "DevicePolicy"), "closed");
    assert_eq!(all(&service, "DeviceAllow"), ["char-video4linux rw"]);
    assert_eq!(all(&service, "CapabilityBoundingSet"), [""; 0]);
    assert!(!service.contains_key("AmbientCapabilities"));
}

#[test]
fn the_service_can_neither_write_nor_speak_to_the_world() {
    let service = service(&[]);
    assert_eq!(last(&service, "ProtectSystem"), "strict");
    assert!(!service.contains_key("ReadWritePaths"));
    assert_eq!(last(&service, "PrivateNetwork"), "yes");
    assert_eq!(all(&service, "RestrictAddressFamilies"), ["AF_UNIX"]);
    assert_eq!(all(&service, "IPAddressDeny"), ["any"]);
    assert!(!service.contains_key("IPAddressAllow"));
}

#[test]
fn every_switch_of_the_sandbox_is_on() {
    let service = service(&[]);
    for key in [
        "LockPersonality",
        "MemoryDenyWriteExecute",
        "NoNewPrivileges",
        "PrivateIPC",
        "PrivateMounts",
        "PrivateTmp",
        "PrivateUsers",
        "ProtectClock",
        "ProtectControlGroups",
        "ProtectHome",
        "ProtectHostname",
        "ProtectKernelLogs",
        "ProtectKernelModules",
        "ProtectKernelTunables",
        "RestrictNamespaces",
        "RestrictRealtime",
        "RestrictSUIDSGID",
    ] {
        assert_eq!(last(&service, key), "yes", "{key}");
    }
    assert_eq!(last(&service, "ProtectProc"), "invisible");
    assert_eq!(last(&service, "SystemCallArchitectures"), "native");
    assert_eq!(
        all(&service, "SystemCallFilter"),
        ["@system-service", "~@privileged @resources"]
    );
}

/// systemd looks `char-video4linux` up when the service starts, and videodev is what registers it.
#[test]
fn a_camera_may_come_after_the_service() {
    let unit = read("palmd.service");
    for line in [
        "Wants=modprobe@videodev.service",
        "After=modprobe@videodev.service",
    ] {
        assert!(unit.lines().any(|there| there == line), "{line} is missing");
    }
}

/// By /proc/cpuinfo tract tells ARM cores apart.
#[test]
fn the_processor_is_not_hidden() {
    assert!(!service(&[]).contains_key("ProcSubset"));
}

#[test]
fn every_directive_has_its_reason_above() {
    for paragraph in read("palmd.service").split("\n\n") {
        let mut lines = paragraph.lines().filter(|line| !line.starts_with('['));
        let first = lines.next().unwrap_or("#");
        let plain = ["Description", "Documentation", "After", "Type", "WantedBy"];
        assert!(
            first.starts_with('#') || plain.iter().any(|key| first.starts_with(key)),
            "{first}"
        );
    }
}

#[test]
fn options_that_are_commented_out_are_directives() {
    let unit = read("palmd.service");
    let option = |line: &str| {
        let (key, value) = line.strip_prefix('#')?.split_once('=')?;
        (!key.contains(' ')).then(|| (key.to_owned(), value.to_owned()))
    };
    let options: BTreeMap<_, _> = unit.lines().filter_map(option).collect();
    let keys: Vec<_> = options.keys().map(String::as_str).collect();
    assert_eq!(
        keys,
        [
            "CPUAffinity",
            "CPUSchedulingPolicy",
            "CPUSchedulingPriority"
        ]
    );
}

#[test]
fn the_example_for_uinput_opens_one_device_and_nothing_else() {
    assert_eq!(opened_by("uinput").len(), 2);
    assert_eq!(added("uinput", "SupplementaryGroups"), ["input"]);
    assert_eq!(added("uinput", "DeviceAllow"), ["/dev/uinput rw"]);
}

#[test]
fn the_example_for_the_network_opens_this_machine_and_nothing_else() {
    let opened = opened_by("network");
    assert_eq!(opened.len(), 3);
    assert_eq!(last(&service(&["network"]), "PrivateNetwork"), "no");
    let families = added("network", "RestrictAddressFamilies");
    assert_eq!(families, ["AF_INET AF_INET6"]);
    assert_eq!(added("network", "IPAddressAllow"), ["localhost"]);
}

#[test]
fn the_example_for_ribbon_cameras_opens_their_parts_and_nothing_else() {
    assert_eq!(opened_by("csi-camera").len(), 3);
    let commands = all(&service(&["csi-camera"]), "ExecStart").join("; ");
    assert_eq!(commands, "/usr/bin/libcamerify /usr/bin/palmd run");
    let devices = added("csi-camera", "DeviceAllow");
    assert_eq!(devices, ["char-media rw", "char-dma_heap rw"]);
    let families = added("csi-camera", "RestrictAddressFamilies");
    assert_eq!(families, ["AF_NETLINK"]);
}

#[test]
fn the_example_for_two_cameras_changes_the_command_and_the_folder_and_nothing_else() {
    assert_eq!(opened_by("two-cameras").len(), 2);
    let service = service(&["two-cameras"]);
    let commands = all(&service, "ExecStart");
    assert_eq!(commands, ["/usr/bin/palmd run --config /etc/palmd/%i.toml"]);
    assert_eq!(all(&service, "RuntimeDirectory"), ["palmd-%i"]);
}

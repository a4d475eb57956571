//! palmd under a service manager, of which these tests play the part.

use std::io::{BufRead, BufReader};
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use palmd::clock::{Clock, SystemClock};
use tempfile::TempDir;

use super::interposed;

/// palmd with a configuration of its own, and what it tells its service manager.
struct Service {
    folder: TempDir,
    socket: UnixDatagram,
    palmd: Child,
}

impl Service {
    fn start(config: &str) -> Self {
        Self::start_on(&super::watched("wait 300s"), config, |_| {})
    }

    fn start_on(source: &str, config: &str, changed: impl FnOnce(&mut Command)) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let address = folder.path().join("notify");
        let socket = UnixDatagram::bind(&address).expect("a socket");
        let patience = Some(Duration::from_secs(120));
        socket.set_read_timeout(patience).expect("a time-out");
        std::fs::write(config_path(folder.path()), config).expect("a configuration");
        let mut palmd = super::palmd();
        changed(&mut palmd);
        let palmd = palmd
            .args(["run", "--source", source, "--config"])
            .arg(config_path(folder.path()))
            .env("NOTIFY_SOCKET", &address)
            .env("WATCHDOG_USEC", "100000")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("palmd runs");
        Self {
            folder,
            socket,
            palmd,
        }
    }

    /// Waits until `words` have been told, and returns the whole message.
    fn told(&self, words: &str) -> String {
        let mut message = [0; 512];
        loop {
            let length = self.socket.recv(&mut message).expect("a message");
            let message = String::from_utf8_lossy(&message[..length]);
            if message.lines().any(|line| line.starts_with(words)) {
                return message.into_owned();
            }
        }
    }

    fn signal(&self, signal: &str) {
        let id = self.palmd.id().to_string();
        let sent = Command::new("kill").args([signal, &id]).status();
        assert!(sent.expect("kill runs").success());
    }

    /// Ends it and returns its log.
    fn stop(mut self) -> Vec<String> {
        self.signal("-TERM");
        let log = BufReader::new(self.palmd.stderr.take().expect("its log"));
        let log = log.lines().map(|line| line.expect("a line")).collect();
        let status = self.palmd.wait().expect("it ends");
        assert!(status.success(), "{status}");
        log
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.palmd.kill();
    }
}

fn config_path(folder: &Path) -> std::path::PathBuf {
    folder.join("palmd.toml")
}

#[test]
fn readiness_status_and_signs_of_life_are_told() {
    if super::hand_models_folder().is_none() {
        return;
    }
    let service = Service::start("");
    service.told("READY=1");
    service.told("STATUS=Watching");
    service.told("WATCHDOG=1");
    service.told("WATCHDOG=1");
    service.stop();
}

#[test]
fn at_a_hangup_a_configuration_that_can_work_is_taken_over() {
    if super::hand_models_folder().is_none() {
        return;
    }
    let service = Service::start("");
    service.told("READY=1");
    let config = config_path(service.folder.path());
    std::fs::write(&config, "[pose]\nhands = 2\n").expect("a configuration");
    let before = SystemClock.now().as_micros();
    service.signal("-HUP");
    let reloading = service.told("RELOADING=1");
    // A service manager takes this for an answer only if it is newer than its order.
    let at = reloading
        .lines()
        .find_map(|l| l.strip_prefix("MONOTONIC_USEC="));
    let at: u128 = at.expect("a time").parse().expect("microseconds");
    assert!(
        (before..=SystemClock.now().as_micros()).contains(&at),
        "{reloading}"
    );
    service.told("READY=1");
    service.told("WATCHDOG=1");
    let log = service.stop();
    assert!(
        log.iter().any(|line| line.contains("read again")),
        "{log:?}"
    );
}

#[test]
fn at_a_hangup_a_camera_stays_open_unless_it_is_to_be_another() {
    if super::hand_models_folder().is_none() {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let library = interposed::library(folder.path());
    // The picture stands still. A search takes an emulator too long to be under way at the end.
    const SELDOM: &str = "pose.idle-interval = '60s'\n";
    let service = Service::start_on(interposed::NODE, SELDOM, |palmd| {
        palmd.env("LD_PRELOAD", library);
    });
    service.told("STATUS=Watching");
    for change in ["pose.hands = 2\n", "camera.mirrored = true\n"] {
        let config = format!("{SELDOM}{change}");
        std::fs::write(config_path(service.folder.path()), config).expect("a configuration");
        service.signal("-HUP");
        service.told("RELOADING=1");
        service.told("STATUS=Watching");
    }
    service.told("WATCHDOG=1");
    service.told("WATCHDOG=1");
    let log = service.stop();
    let said = |words: &str| log.iter().filter(|line| line.contains(words)).count();
    assert_eq!(said("read again"), 2, "{log:?}");
    assert_eq!(said("(Interposed camera): YUYV"), 2, "{log:?}");
}

#[test]
fn a_hangup_with_a_broken_configuration_changes_nothing() {
    if super::hand_models_folder().is_none() {
        return;
    }
    let mut service = Service::start("");
    service.told("READY=1");
    std::fs::write(config_path(service.folder.path()), "[pose]\nhands = 3\n").expect("a file");
    service.signal("-HUP");
    let mut log = BufReader::new(service.palmd.stderr.take().expect("its log"));
    let mut line = String::new();
    while !line.contains("pose.hands") {
        line.clear();
        assert!(
            log.read_line(&mut line).expect("a line") > 0,
            "no complaint"
        );
    }
    assert!(line.contains("as it was"), "{line}");
    service.told("WATCHDOG=1");
    service.palmd.stderr = Some(log.into_inner());
    service.stop();
}

//! `[memory] lock` where the system doesn't allow it.

use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Output;

/// Runs palmd with the memory lock configured, and without leave to lock more than a page.
fn palmd(args: &[&str]) -> Output {
    let folder = tempfile::tempdir().expect("a folder");
    let config: PathBuf = folder.path().join("palmd.toml");
    std::fs::write(&config, "[memory]\nlock = true\n").expect("a configuration");
    let mut palmd = super::palmd();
    palmd.args(args).arg("--config").arg(config);
    let forbid = || {
        let page = libc::rlimit {
            rlim_cur: 4096,
            rlim_max: 4096,
        };
        let cap_ipc_lock: libc::c_ulong = 14;
        // SAFETY: two system calls, whose only pointer is to `page`. The second one is refused to
        // those who have no such right anyway.
        unsafe {
            libc::setrlimit(libc::RLIMIT_MEMLOCK, &raw const page);
            libc::prctl(libc::PR_CAPBSET_DROP, cap_ipc_lock, 0, 0, 0);
        }
        Ok(())
    };
    // SAFETY: between fork and exec there are only these two system calls.
    unsafe { palmd.pre_exec(forbid) };
    palmd.output().expect("palmd runs")
}

const TELLS: &str = "the limit is 4 kB; allow it with LimitMEMLOCK=infinity in palmd.service, \
                     or in a shell with `ulimit -l unlimited`";

#[test]
fn a_refused_lock_is_told_by_check() {
    let done = palmd(&["check", "--source", "synthetic:wait 1s"]);
    let said = String::from_utf8_lossy(&done.stdout);
    let line = said.lines().find(|line| line.starts_with("FAIL  memory"));
    assert!(line.is_some_and(|line| line.ends_with(TELLS)), "{said}");
}

#[test]
fn a_refused_lock_is_said_once_and_the_daemon_goes_on() {
    if super::hand_models_folder().is_none() {
        return;
    }
    let done = palmd(&["run", "--source", "synthetic:size 160x120; fps 10; wait 1s"]);
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{said}");
    assert_eq!(said.matches("memory can't be locked").count(), 1, "{said}");
    assert!(
        said.contains(TELLS) && said.contains("going on without"),
        "{said}"
    );
    assert!(String::from_utf8_lossy(&done.stdout).contains("appear"));
}

//! One run of a program, from its start to its end.

use std::future::Future;
use std::pin::pin;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::process::{Child, Command};
use tokio::time::timeout;

use super::Program;
use super::lines::pass_on;
use crate::gesture::{GestureEvent, Phase};
use crate::pose::Handedness;
use crate::publish::Published;

/// So long after a program's end is read what it has said. Who is still there and could say more
/// was left in the background by it.
const LAST_WORDS: Duration = Duration::from_millis(100);

/// What systemd tells palmd alone.
const PRIVATE: [&str; 8] = [
    "CREDENTIALS_DIRECTORY",
    "JOURNAL_STREAM",
    "LISTEN_FDNAMES",
    "LISTEN_FDS",
    "LISTEN_PID",
    "NOTIFY_SOCKET",
    "WATCHDOG_PID",
    "WATCHDOG_USEC",
];

/// Starts a program. The future that comes back ends when the program has ended, and says in the
/// log how, if not well; the program is killed after `limit`, and when the future is dropped. Must
/// be called in a runtime.
///
/// # Errors
/// Why it can't be started, in a line.
pub fn start(
    program: &Program,
    published: &Published,
    event: &GestureEvent,
    limit: Duration,
) -> Result<impl Future<Output = ()> + Send + use<>, String> {
    let path = program.find()?;
    close_on_exec();
    let mut command = Command::new(&path);
    command
        .args(program.arguments())
        .envs(environment(published, event))
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    for variable in PRIVATE {
        command.env_remove(variable);
    }
    let child = command
        .spawn()
        .map_err(|error| format!("starting {}: {error}", path.display()))?;
    let name = path.file_name().unwrap_or_default().display().to_string();
    let group = Group(child.id().and_then(|id| id.try_into().ok()));
    let line = Arc::clone(published.line());
    Ok(watch(name, child, group, line, limit))
}

/// Keeps every file that palmd has opened from the programs that it starts: V4L2 devices are opened
/// without `O_CLOEXEC`.
fn close_on_exec() {
    // SAFETY: this only sets a flag of open files; palmd itself never becomes another program.
    unsafe {
        libc::syscall(
            libc::SYS_close_range,
            3,
            libc::c_uint::MAX,
            libc::CLOSE_RANGE_CLOEXEC,
        );
    }
}

fn environment(published: &Published, event: &GestureEvent) -> [(&'static str, String); 9] {
    let phase = match event.phase {
        Phase::Start => "start",
        Phase::Hold => "hold",
        Phase::End => "end",
    };
    let hand = match event.hand {
        Handedness::Left => "left",
        Handedness::Right => "right",
    };
    [
        ("PALMD_ID", published.id.to_string()),
        ("PALMD_GESTURE", event.gesture.to_string()),
        ("PALMD_PHASE", phase.into()),
        ("PALMD_HAND", hand.into()),
        ("PALMD_SCORE", event.score.to_string()),
        ("PALMD_TRACK", event.track.to_string()),
        ("PALMD_SEQ", event.seq.to_string()),
        ("PALMD_T", format!("{:.3}", event.t.as_secs_f64())),
        ("PALMD_TIME", format!("{:.3}", published.time)),
    ]
}

/// The processes of a program that hasn't been waited for yet, so that their number is theirs.
/// Dropped, it kills them.
struct Group(Option<libc::pid_t>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(id) = self.0 {
            // SAFETY: a signal touches no memory of ours. The group is the program's own.
            unsafe { libc::kill(-id, libc::SIGKILL) };
        }
    }
}

async fn watch(name: String, mut child: Child, group: Group, line: Arc<str>, limit: Duration) {
    let streams = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let (Some(mut stdin), Some(stdout), Some(stderr)) = streams else {
        return;
    };
    let mut group = Some(group);
    let too_many = AtomicU32::new(0);
    {
        let say = |text: &str| log::info!("{name}: {text}");
        let passed_over = |lines| {
            too_many.fetch_add(lines, Relaxed);
        };
        let give = async {
            // It fits into the pipe; a program need not read it.
            let _ = stdin.write_all(line.as_bytes()).await;
            drop(stdin);
        };
        let talk = async {
            tokio::join!(
                give,
                pass_on(stdout, say, passed_over),
                pass_on(stderr, say, passed_over)
            );
        };
        let mut talk = pin!(talk);
        let mut talking = true;
        let end = async {
            loop {
                tokio::select! {
                    status = child.wait() => break status,
                    () = &mut talk, if talking => talking = false,
                }
            }
        };
        match timeout(limit, end).await {
            Ok(ended) => {
                group.take().map(|mut group| group.0.take());
                match ended {
                    Ok(status) if status.success() => {}
                    Ok(status) => log::warn!("{name} ended with {status}"),
                    Err(error) => log::warn!("{name}: waiting for it: {error}"),
                }
            }
            Err(_) => {
                log::warn!("{name}: killed, because it ran for longer than {limit:?}");
                drop(group.take());
                if let Err(error) = child.wait().await {
                    log::warn!("{name}: waiting for it: {error}");
                }
            }
        }
        if talking {
            let _ = timeout(LAST_WORDS, talk).await;
        }
    }
    let too_many = too_many.into_inner();
    if too_many > 0 {
        log::info!("{name}: {too_many} lines more");
    }
}

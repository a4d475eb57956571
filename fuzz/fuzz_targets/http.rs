//! What a client sends to the HTTP output, over a real connection.
#![no_main]

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, LazyLock};
use std::thread;
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use palmd::control::Control;
use palmd::health::Metrics;
use palmd::publish::{Http, HttpParams, Output, Publisher, live};

static SERVER: LazyLock<SocketAddr> = LazyLock::new(|| {
    let free = TcpListener::bind("127.0.0.1:0").expect("a port");
    let listen = free.local_addr().expect("its number");
    drop(free);
    let params = HttpParams {
        enabled: true,
        listen,
        ..HttpParams::default()
    };
    let http = Http::new(&params).expect("it is on");
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        runtime.expect("a runtime").block_on(async {
            let (_poses, _scores, live) = live(&["fist".into(), "none".into()]);
            let (metrics, control) = (Arc::<Metrics>::default(), Arc::<Control>::default());
            let outputs: Vec<Box<dyn Output>> = vec![Box::new(http)];
            let _publisher = Publisher::start(outputs, &live, &metrics, &control);
            std::future::pending::<()>().await;
        });
    });
    while TcpStream::connect(listen).is_err() {
        thread::sleep(Duration::from_millis(1));
    }
    listen
});

/// As Rust's own `main` does, which is not the fuzzer's.
fn ignore_broken_pipes() {
    // SAFETY: it is no handler that could be interrupted in something.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_IGN) };
}

fuzz_target!(init: ignore_broken_pipes(), |request: &[u8]| {
    let mut stream = TcpStream::connect(*SERVER).expect("it still listens");
    let limit = Some(Duration::from_secs(10));
    stream.set_read_timeout(limit).expect("a socket");
    // It may be refused before its end.
    if stream.write_all(request).and_then(|()| stream.shutdown(Shutdown::Write)).is_err() {
        return;
    }
    let mut answer = [0; 12];
    let mut read = 0;
    while read < answer.len() {
        match stream.read(&mut answer[read..]) {
            Ok(0) => break,
            Ok(more) => read += more,
            Err(error) => {
                assert!(error.kind() == std::io::ErrorKind::ConnectionReset, "{error}");
                break;
            }
        }
    }
    assert!(b"HTTP/1.1 HTTP/1.0 ".windows(9).step_by(9).any(|v| v.starts_with(&answer[..read.min(9)])));
});

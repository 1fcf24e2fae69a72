//! A long body up and down through one handler at once: memory and speed.
//!
//! The handler echoes chunk by chunk; the client is this process, with two threads of one small buffer each. What
//! memory grows by is what the server holds of a gibibyte that is on its way. Run with `cargo bench -p eproxy-core
//! --bench streaming`; as a test the body is small.

#![expect(clippy::print_stdout, reason = "a bench prints its figures")]
#![expect(clippy::disallowed_methods, reason = "a bench reads the clock")]

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use async_std::task;
use eproxy_core::{Request, Response, Route, Server};
use futures_lite::AsyncReadExt as _;

/// Bytes that the client reads or writes at a time.
const BLOCK: usize = 64 * 1024;

fn main() {
    // `cargo bench` says so; `cargo test --benches` says nothing.
    let is_test = !std::env::args().any(|argument| argument == "--bench");
    let total: u64 = if is_test { 8 << 20 } else { 1 << 30 };
    let server = Server::builder()
        .workers(1)
        .route(Route::new("/echo").body_limit(u64::MAX).post(echo))
        .bind("127.0.0.1:0")
        .start()
        .expect("the server starts");
    let address = server.addresses()[0];

    // Once small, so that what is allocated for good is there.
    round_trip(TcpStream::connect(address).expect("the server takes connections"), 4 << 20);
    let before = resident_kib();
    let watch = Watch::start();
    let began = Instant::now();
    round_trip(TcpStream::connect(address).expect("the server takes connections"), total);
    let seconds = began.elapsed().as_secs_f64();
    let peak = watch.stop();
    let mib = total as f64 / f64::from(1 << 20);
    println!("{mib} MiB up and down in {seconds:.2} s: {:.0} MiB/s each way", mib / seconds);
    match (before, peak) {
        (Some(before), Some(peak)) => {
            println!(
                "resident memory: {before} KiB before, at the most {} KiB more during",
                peak.saturating_sub(before)
            );
        }
        _ => println!("resident memory: this system does not tell"),
    }
    task::block_on(server.shutdown(Duration::from_secs(5)));
}

fn echo(mut req: Request, res: Response) {
    let mut body = req.take_body();
    let mut writer = res.stream();
    task::spawn(async move {
        let mut chunk = vec![0; BLOCK];
        loop {
            match body.read(&mut chunk).await {
                Ok(0) => break writer.finish(),
                Ok(n) if writer.send(&chunk[..n]).await.is_ok() => {}
                _ => break,
            }
        }
    });
}

/// Sends `total` bytes and reads them back, checking the sum of all that comes.
fn round_trip(mut stream: TcpStream, total: u64) {
    let mut reader = stream.try_clone().expect("a socket can be shared");
    reader.set_read_timeout(Some(Duration::from_secs(30))).expect("a timeout can be set");
    let writing = thread::spawn(move || {
        let head = format!(
            "POST /echo HTTP/1.1\r\nHost: test\r\nConnection: close\r\nContent-Length: {total}\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).expect("the server reads");
        let block = [b'x'; BLOCK];
        let mut left = total;
        while left > 0 {
            let n = left.min(BLOCK as u64) as usize;
            stream.write_all(&block[..n]).expect("the server reads");
            left -= n as u64;
        }
        stream.shutdown(Shutdown::Write).expect("the connection is there");
    });
    let mut block = [0; BLOCK];
    let (mut data, mut end) = (0_u64, [0; 5]);
    loop {
        let n = reader.read(&mut block).expect("the server answers");
        if n == 0 {
            break;
        }
        // Chunk sizes, headers and line ends hold no `x`; the head of the answer has none either.
        data += block[..n].iter().filter(|byte| **byte == b'x').count() as u64;
        let tail = &block[n.saturating_sub(end.len())..n];
        end.rotate_left(tail.len());
        let at = end.len() - tail.len();
        end[at..].copy_from_slice(tail);
    }
    writing.join().expect("the writer ends well");
    assert_eq!((data, &end), (total, b"0\r\n\r\n"), "what was sent comes back");
}

/// Looks at the resident memory now and then.
struct Watch {
    stop: std::sync::mpsc::Sender<()>,
    thread: thread::JoinHandle<Option<u64>>,
}

impl Watch {
    fn start() -> Self {
        let (stop, stopped) = std::sync::mpsc::channel();
        let thread = thread::spawn(move || {
            let mut peak = resident_kib();
            while stopped.recv_timeout(Duration::from_millis(5)).is_err() {
                peak = peak.max(resident_kib());
            }
            peak
        });
        Self { stop, thread }
    }

    fn stop(self) -> Option<u64> {
        let _listening = self.stop.send(());
        self.thread.join().expect("the watch ends well")
    }
}

/// KiB of this process in memory, where the system tells (`proc(5)`).
fn resident_kib() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

//! Where lines of the access log go, and what happens when they can't.

use std::fs;
use std::io::Read as _;
use std::os::fd::AsRawFd as _;
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

use async_std::task::block_on;
use eproxy_core::{AccessLog, Builder, Request, Response, Server};

use crate::support::logged::{Logged, lines};
use crate::support::{Connection, eventually, get, start};

fn saying(log: AccessLog) -> Builder {
    Server::builder().workers(2).access_log(log).get("/*path", |_: Request, res: Response| res.send("hello"))
}

#[test]
fn what_was_told_is_written_when_a_shutdown_is_over() {
    let logged = Logged::new();
    let server = saying(logged.log()).bind("127.0.0.1:0").start().unwrap();
    let mut clients: Vec<_> = (0..4).map(|_| Connection::to(server.addresses()[0])).collect();
    for number in 0..500 {
        assert_eq!(clients[number % 4].ask(get(&format!("/{number}"))).status, 200);
    }
    drop(clients);
    block_on(server.shutdown(Duration::from_secs(5)));
    let text = fs::read_to_string(logged.path()).unwrap();
    assert_eq!(text.lines().count(), 500);
    assert!((0..500).all(|number| text.contains(&format!("\"target\":\"/{number}\""))));
    assert_eq!(server.metrics().snapshot().access_log_dropped, 0);
}

#[test]
fn lines_leave_by_themselves_and_a_file_that_is_there_is_added_to() {
    let logged = Logged::new();
    fs::write(logged.path(), "{\"before\":true}\n").unwrap();
    let server = start(saying(logged.log()));
    server.ask(get("/a"));
    let lines = logged.lines(2);
    assert_eq!((&lines[0]["before"], &lines[1]["target"]), (&true.into(), &"/a".into()));
}

#[test]
fn a_file_that_was_renamed_is_opened_again_under_its_name() {
    let logged = Logged::new();
    let server = start(saying(logged.log()));
    server.ask(get("/old"));
    assert_eq!(logged.line()["target"], "/old");
    let renamed = logged.path().with_extension("1");
    fs::rename(logged.path(), &renamed).unwrap();
    server.ask(get("/between"));
    assert_eq!(lines(&renamed, 2)[1]["target"], "/between");
    server.handle().reopen_logs();
    eventually("there is a file again", || logged.path().exists());
    server.ask(get("/new"));
    assert_eq!(logged.line()["target"], "/new");
    assert_eq!(lines(&renamed, 2).len(), 2);
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_costs_lines_and_nothing_else() {
    let server = start(saying(AccessLog::to_file("/dev/full")));
    for _ in 0..10 {
        assert_eq!(server.ask(get("/")).text(), "hello");
    }
    let dropped = || server.handle().metrics().snapshot().access_log_dropped;
    eventually("all lines are counted", || dropped() == 10);
    assert_eq!(server.ask(get("/")).text(), "hello");
}

#[cfg(target_os = "linux")]
#[test]
fn a_pipe_that_nobody_reads_any_more_costs_lines_and_nothing_else() {
    let (mut reader, writer) = std::io::pipe().unwrap();
    let path = format!("/proc/self/fd/{}", writer.as_raw_fd());
    let server = start(saying(AccessLog::to_file(path)));
    drop(writer);
    server.ask(get("/heard"));
    let mut heard = [0; 4096];
    let n = reader.read(&mut heard).unwrap();
    assert!(String::from_utf8_lossy(&heard[..n]).contains("/heard"));
    drop(reader);
    for _ in 0..10 {
        assert_eq!(server.ask(get("/")).text(), "hello");
    }
    let dropped = || server.handle().metrics().snapshot().access_log_dropped;
    eventually("all lines are counted", || dropped() == 10);
}

#[cfg(target_os = "linux")]
#[test]
fn a_pipe_that_is_full_keeps_nobody_waiting() {
    let (reader, writer) = std::io::pipe().unwrap();
    let path = format!("/proc/self/fd/{}", writer.as_raw_fd());
    let server = start(saying(AccessLog::to_file(path).header("x-long")));
    let long = "x".repeat(7000);
    let request = format!("GET / HTTP/1.1\r\nHost: test\r\nX-Long: {long}\r\n\r\n");
    let mut client = server.connect();
    let dropped = || server.handle().metrics().snapshot().access_log_dropped;
    // 64 KiB are in the pipe, and 4 MiB may wait.
    for _ in 0..3000 {
        assert_eq!(client.ask(&request).text(), "hello");
        if dropped() > 0 {
            break;
        }
    }
    assert!(dropped() > 0, "what nobody reads is dropped");
    drop((reader, writer));
}

#[cfg(target_os = "linux")]
#[test]
fn a_fifo_that_nobody_reads_is_refused_at_once() {
    let logged = Logged::new();
    let made = std::process::Command::new("mkfifo").arg(logged.path()).status();
    if !made.is_ok_and(|status| status.success()) {
        return eprintln!("skipped: there is no mkfifo");
    }
    let start = || saying(logged.log()).bind("127.0.0.1:0").start();
    let error = start().expect_err("nobody reads").to_string();
    assert!(error.contains("it is a FIFO that nobody reads"), "{error}");
    // Whoever opens it for both is a reader as well, and waits for nobody.
    let mut reader = fs::OpenOptions::new().read(true).write(true).open(logged.path()).unwrap();
    let server = start().unwrap();
    Connection::to(server.addresses()[0]).ask(get("/heard"));
    let mut heard = [0; 4096];
    let n = reader.read(&mut heard).unwrap();
    assert!(String::from_utf8_lossy(&heard[..n]).contains("/heard"));
    block_on(server.shutdown(Duration::from_secs(5)));
}

#[test]
fn another_description_takes_its_log_with_it() {
    let (first, second) = (Logged::new(), Logged::new());
    let server = start(saying(first.log()));
    let listener = server.handle().listeners().next().unwrap();
    server.ask(get("/1"));
    assert_eq!(first.line()["target"], "/1");
    // The same file, otherwise written.
    block_on(server.handle().replace(saying(first.log().header("host")).bind(&listener))).unwrap();
    server.ask(get("/2"));
    assert_eq!(first.lines(2)[1]["headers"]["host"], "test");
    block_on(server.handle().replace(saying(second.log()).bind(&listener))).unwrap();
    server.ask(get("/3"));
    assert_eq!(second.line()["target"], "/3");
    let wrong = AccessLog::to_file("/nowhere/at/all");
    block_on(server.handle().replace(saying(wrong).bind(&listener))).unwrap_err();
    server.ask(get("/4"));
    assert_eq!(second.lines(2)[1]["target"], "/4");
    assert_eq!(first.lines(2).len(), 2);
}

/// The records that the program's log was given.
fn records() -> &'static Mutex<Vec<(String, String)>> {
    static RECORDS: OnceLock<Mutex<Vec<(String, String)>>> = OnceLock::new();
    RECORDS.get_or_init(Mutex::default)
}

struct Records;

impl log::Log for Records {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        let record = (record.target().to_owned(), record.args().to_string());
        assert!(!record.1.contains("/panics"), "a logger that panics");
        records().lock().expect("nobody panics while holding this").push(record);
    }

    fn flush(&self) {}
}

#[test]
fn lines_for_people_go_to_the_log_of_the_program() {
    if log::set_logger(&Records).is_err() {
        return eprintln!("skipped: another test has set a logger");
    }
    log::set_max_level(log::LevelFilter::Info);
    let server = start(saying(AccessLog::to_log()));
    server.ask(get("/panics"));
    server.ask(get("/unlike-any-other"));
    let heard = || {
        let records = records().lock().unwrap();
        records.iter().find(|(_, line)| line.contains("/unlike-any-other")).cloned()
    };
    eventually("the line is there", || heard().is_some());
    let (target, line) = heard().unwrap();
    assert_eq!(target, "eproxy::access");
    assert!(line.contains(" 200 GET test/unlike-any-other ") && !line.contains('\n'), "{line}");
    log::set_max_level(log::LevelFilter::Off);
}

//! RFC 9113 §10.5, Denial-of-Service Considerations: floods, bombs, and clients that take nothing. Such a connection ends,
//! or costs a bounded amount for as long as it lasts; and whatever is done on one, others are served.
//!
//! What the process needed for it is printed and not judged: other tests run beside these.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use eproxy_core::{Server, Timeouts};

use crate::h2::check::{get, post};
use crate::h2::client::{Client, head};
use crate::h2::frame::*;
use crate::h2::hpack::{block, indexed, literal_indexed};
use crate::h2::site::{SHORT, Site};
use crate::support::eventually;

/// How often a frame is sent in a flood.
const MANY: usize = 100_000;

/// Memory that a connection may take from the process, with all that other tests take meanwhile.
const BOUND: usize = 256 << 20;

/// Does something on a connection while another is asked on and on; says what it cost.
fn beside_another(site: &Site, name: &str, attack: impl FnOnce(&mut Client)) -> Client {
    let mut attacker = Client::to(site.address());
    attack_beside_another(site, name, &mut attacker, attack);
    attacker
}

fn attack_beside_another(site: &Site, name: &str, client: &mut Client, attack: impl FnOnce(&mut Client)) {
    let (before, memory) = (cpu_milliseconds(), resident_bytes());
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let other = scope.spawn(|| {
            let mut other = Client::to(site.address());
            let mut answers = 0;
            loop {
                let was_over = is_over.load(Ordering::SeqCst);
                assert_eq!(other.ask("/facts").status, 200);
                answers += 1;
                if was_over {
                    return answers;
                }
            }
        });
        attack(client);
        is_over.store(true, Ordering::SeqCst);
        let answers = other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        let (cpu, memory) = (cpu_milliseconds() - before, resident_bytes().saturating_sub(memory));
        eprintln!(
            "{name}: {cpu} ms of CPU and {} KiB more in the process, {answers} answers to another; closed: {}, {:?}",
            memory >> 10,
            client.heard.is_closed,
            client.heard.goaways
        );
        assert!(memory < BOUND, "{name}: {memory} bytes");
    });
}

/// Sends the same bytes on and on, as long as they are taken, and then listens.
fn flood(client: &mut Client, bytes: &[u8], times: usize) {
    client.set_write_patience(Duration::from_secs(2));
    let at_once = bytes.repeat(100);
    for _ in 0..times / 100 {
        if !client.try_send(&at_once) {
            break;
        }
    }
    client.is_alive();
}

/// The connection was ended for being a burden, if it was ended.
fn calm_if_closed(client: &Client) {
    let codes: Vec<_> = client.heard.goaways.iter().map(|(_, code)| *code).collect();
    let is_right = codes.iter().all(|code| [NO_ERROR, ENHANCE_YOUR_CALM].contains(code));
    assert!(is_right, "RFC 9113 §10.5: {codes:?}");
}

/// The connection was ended for being a burden, and that was counted.
fn calm(site: &Site, client: &Client) {
    assert!(client.heard.is_closed, "it goes on: {:?}", client.heard.goaways);
    calm_if_closed(client);
    eventually("it is counted", || site.server.failures("http2_flood") == 1);
}

#[test]
fn streams_that_are_reset_at_once_end_the_connection() {
    // The attack of CVE-2023-44487: each stream is over before it counts for the limit.
    let site = Site::start();
    let mut stream = 1;
    let client = beside_another(&site, "rapid reset", |client| {
        client.set_write_patience(Duration::from_secs(5));
        for _ in 0..MANY / 100 {
            let mut bytes = Vec::new();
            for _ in 0..100 {
                bytes.extend(get(stream, "/"));
                bytes.extend(rst_stream(stream, CANCEL));
                stream += 2;
            }
            if !client.try_send(&bytes) {
                break;
            }
        }
        client.read_to_end();
    });
    calm(&site, &client);
    eprintln!("rapid reset: {} of {} requests were seen", site.calls(), stream / 2);
    assert!(site.calls() < 10_000, "{}", site.calls());
}

#[test]
fn streams_that_are_reset_a_little_later_are_bounded() {
    // These were begun, so that each may have cost something; what it has may not stay.
    let site = Site::start();
    let client = beside_another(&site, "resets of streams that were begun", |client| {
        client.refills = false;
        for _ in 0..200 {
            let streams: Vec<_> = (0..50).map(|_| client.get("/endless")).collect();
            if !client.is_alive() {
                return;
            }
            for stream in streams {
                client.send(rst_stream(stream, CANCEL));
            }
            // What came of them is given back to the connection.
            client.reopen();
        }
    });
    calm_if_closed(&client);
}

#[test]
fn answers_to_pings_that_nobody_reads_end_the_connection() {
    // CVE-2019-9512: they may not pile up.
    let timeouts = Timeouts { write_idle: SHORT, ..Timeouts::default() };
    let site = Site::with(Server::builder().timeouts(timeouts));
    let mut client = Client::silent(site.address());
    client.narrow();
    client.send(PREFACE);
    client.set(&[]);
    attack_beside_another(&site, "PING, and nothing read", &mut client, |client| {
        client.set_write_patience(Duration::from_secs(10));
        let pings = ping([0x55; 8]).repeat(1000);
        let sent = (0..3000).take_while(|_| client.try_send(&pings)).count();
        eprintln!("{sent},000 of 3,000,000 pings were taken");
        eventually("it is let go", || site.server.stats().open <= 1);
    });
}

/// A name, and the frames that a stream is begun with.
type Way = (&'static str, fn(u32) -> Vec<u8>);

#[test]
fn streams_that_make_the_server_reset_them_end_the_connection() {
    // The attack of CVE-2025-8671: the server resets, and goes on working for a stream that does not count any more.
    let ways: [Way; 3] = [
        ("made to reset by an empty WINDOW_UPDATE", |stream| {
            [post(stream, "/held", &[]), window_update(stream, 0)].concat()
        }),
        ("made to reset by a window too large", |stream| {
            [post(stream, "/held", &[]), window_update(stream, (1 << 31) - 1)].concat()
        }),
        ("made to reset by a malformed request", |stream| {
            headers(stream, END, &block(&[&head("GET", "/")[..], &[("X", "upper case")]].concat()))
        }),
    ];
    for (name, bytes) in ways {
        let site = Site::start();
        let mut stream = 1;
        let client = beside_another(&site, name, |client| {
            client.set_write_patience(Duration::from_secs(5));
            for _ in 0..MANY / 1000 {
                let mut at_once = Vec::new();
                for _ in 0..100 {
                    at_once.extend(bytes(stream));
                    stream += 2;
                }
                if !client.try_send(&at_once) {
                    break;
                }
            }
            if client.is_alive() {
                client.listen(50);
            }
        });
        assert!(client.heard.is_closed, "{name}: 10,000 streams were reset one by one");
        assert!(site.calls() < 2_000, "{name}: {}", site.calls());
        site.release();
    }
}

#[test]
fn a_header_block_without_end_ends_the_connection() {
    // The attack of CVE-2024-27316 and its kin.
    let cases = [
        ("CONTINUATION, large", continuation(1, 0, &block(&[("x", &"v".repeat(16_000))])), 20_000),
        ("CONTINUATION, small", continuation(1, 0, &block(&[("x", "v")])), MANY),
        ("CONTINUATION, empty", continuation(1, 0, b""), MANY),
    ];
    for (name, bytes, times) in cases {
        let site = Site::start();
        let client = beside_another(&site, name, |client| {
            client.send(headers(1, END_STREAM, &block(&head("GET", "/"))));
            client.set_write_patience(Duration::from_secs(2));
            for _ in 0..times / 100 {
                if !client.try_send(bytes.repeat(100)) {
                    break;
                }
            }
            client.read_to_end();
        });
        calm(&site, &client);
        assert_eq!(site.calls(), 0, "{name}");
    }
}

#[test]
fn frames_that_cost_more_than_they_say_end_the_connection_or_are_bounded() {
    // The attacks of CVE-2019-9512, -9515, -9518 and their kin; answers are not read while the flood lasts.
    let cases: [(&str, Vec<u8>, Vec<u8>); 8] = [
        ("PING", Vec::new(), ping([0x55; 8])),
        ("SETTINGS", Vec::new(), settings(&[(HEADER_TABLE_SIZE, 4096)])),
        ("SETTINGS, empty", Vec::new(), settings(&[])),
        ("PRIORITY", Vec::new(), priority(1, 3)),
        ("WINDOW_UPDATE of 1 for the connection", Vec::new(), window_update(0, 1)),
        ("WINDOW_UPDATE of 1 for a stream", get(1, "/held"), window_update(1, 1)),
        ("DATA, empty", post(1, "/held", &[]), data(1, 0, "")),
        ("unknown frames", Vec::new(), frame(0x77, 0, 0, b"")),
    ];
    for (name, first, bytes) in cases {
        let site = Site::start();
        let client = beside_another(&site, name, |client| {
            // Their acknowledgements are counted by hand.
            (0..MANY).filter(|_| name.starts_with("SETTINGS")).for_each(|_| client.expect_ack(&[]));
            client.send(&first);
            flood(client, &bytes, MANY);
        });
        calm_if_closed(&client);
        site.release();
    }
}

#[test]
fn a_window_that_is_opened_byte_by_byte_ends_the_connection_or_is_bounded() {
    let site = Site::start();
    let mut client = Client::with(site.address(), &[(INITIAL_WINDOW_SIZE, 0)]);
    client.refills = false;
    attack_beside_another(&site, "WINDOW_UPDATE of 1, with an answer that waits", &mut client, |client| {
        let stream = client.get("/endless");
        client.set_write_patience(Duration::from_secs(2));
        for _ in 0..MANY / 1000 {
            for _ in 0..100 {
                client.open_window(stream, 1);
            }
            client.listen(1);
            if client.heard.is_closed {
                return;
            }
        }
        client.send(rst_stream(stream, CANCEL));
        client.is_alive();
    });
    calm_if_closed(&client);
}

#[test]
fn a_block_that_grows_when_it_is_read_is_refused() {
    // An entry of 4,000 bytes, named 16,000 times in one frame.
    let site = Site::start();
    let client = beside_another(&site, "HPACK bomb", |client| {
        let entry = literal_indexed("x-bomb", &"v".repeat(3_900));
        let bomb = [block(&head("GET", "/")), entry, indexed(62).repeat(12_000)].concat();
        for number in 0..20 {
            client.send(headers(1 + 2 * number, END, &bomb));
        }
        if client.is_alive() {
            for number in 0..20 {
                let answer = client.answer(1 + 2 * number);
                assert!(answer.reset.is_some() || answer.status == 431, "{answer:?}");
            }
        }
    });
    assert_eq!(site.calls(), 0, "{:?}", client.heard.goaways);
}

#[test]
fn clients_that_take_nothing_are_let_go() {
    // Three ways of it: no window of the connection's, none of the streams', and nothing read from the network.
    let large = (1 << 31) - 1;
    for (name, settings, reads) in [
        ("a connection without a window", vec![], true),
        ("streams without a window", vec![(INITIAL_WINDOW_SIZE, 0)], true),
        ("a client that does not read", vec![(INITIAL_WINDOW_SIZE, large)], false),
    ] {
        let timeouts = Timeouts { write_idle: SHORT, ..Timeouts::default() };
        let site = Site::with(Server::builder().timeouts(timeouts));
        let mut client = Client::silent(site.address());
        client.narrow();
        client.send(PREFACE);
        client.set(&settings);
        client.refills = false;
        attack_beside_another(&site, name, &mut client, |client| {
            if !reads {
                client.open_window(0, large - 65_535);
            }
            let streams: Vec<_> = (0..100).map(|_| client.get("/endless")).collect();
            if !reads {
                // What is not read can't be answered; the server has to find out by itself.
                eventually("it is let go", || site.server.stats().open == 1);
                return;
            }
            let is_over = |client: &Client| {
                let is_over =
                    |stream| client.heard.answers.get(stream).is_some_and(|answer| answer.is_over());
                client.heard.is_closed || streams.iter().all(is_over)
            };
            while !is_over(client) && client.step() {}
            assert!(client.heard.answers.values().all(|answer| !answer.is_whole));
        });
    }
}

#[test]
fn clients_that_say_nothing_are_let_go() {
    let timeouts = Timeouts { head: SHORT, keep_alive: SHORT, body_idle: SHORT, ..Timeouts::default() };
    let site = Site::with(Server::builder().timeouts(timeouts));
    // Half a preface.
    let mut half = Client::silent(site.address());
    half.send(&PREFACE[..20]);
    // A preface, and nothing behind it.
    let mut silent = Client::silent(site.address());
    silent.send(PREFACE);
    // Connections that did nothing, or nothing more.
    let mut fresh = Client::to(site.address());
    let mut used = Client::to(site.address());
    assert_eq!(used.ask("/").status, 200);
    // Half a header block.
    let mut block_begun = Client::to(site.address());
    block_begun.send(headers(1, END_STREAM, &block(&head("GET", "/"))));
    // Half a frame.
    let mut frame_begun = Client::to(site.address());
    frame_begun.send(&get(1, "/")[..20]);
    // Half a body.
    let mut body_begun = Client::to(site.address());
    let stream = body_begun.request(&head("POST", "/"), false);
    body_begun.send(data(stream, 0, "half"));
    half.raw_rest();
    for client in [&mut silent, &mut fresh, &mut used, &mut block_begun, &mut frame_begun] {
        client.read_to_end();
    }
    // §6.8: those with nothing under way are told that it is nobody's fault.
    for client in [&fresh, &used] {
        assert!(client.heard.goaways.iter().all(|(_, code)| *code == NO_ERROR), "{:?}", client.heard.goaways);
    }
    let answer = body_begun.answer(stream);
    assert!(answer.status == 408 || answer.reset.is_some() || body_begun.heard.is_closed, "{answer:?}");
    assert_eq!(site.calls(), 2);
}

#[test]
fn a_stream_that_is_waited_on_is_no_idle_connection() {
    let timeouts = Timeouts { head: SHORT, keep_alive: SHORT, ..Timeouts::default() };
    let site = Site::with(Server::builder().timeouts(timeouts));
    let mut client = Client::to(site.address());
    let stream = client.get("/held");
    client.listen(1200);
    site.release();
    assert_eq!(client.answer(stream).text(), "released");
}

/// CPU time of this process so far.
fn cpu_milliseconds() -> u64 {
    // proc(5): utime and stime are the 14th and 15th field, in ticks of 10 ms; the name before may hold spaces.
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit(") ").next().unwrap_or_default();
    fields.split(' ').skip(11).take(2).filter_map(|ticks| ticks.parse::<u64>().ok()).sum::<u64>() * 10
}

/// Memory of this process now; 0 where the system does not tell.
fn resident_bytes() -> usize {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    pages.split(' ').nth(1).and_then(|pages| pages.parse::<usize>().ok()).unwrap_or_default() * 4096
}

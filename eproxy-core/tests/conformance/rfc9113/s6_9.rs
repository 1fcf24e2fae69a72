//! RFC 9113 §5.2 and §6.9, Flow Control. That the server keeps to the windows is asserted of every frame that comes; here
//! that it uses them, and follows what becomes of them.

use crate::h2::answer::Answer;
use crate::h2::check::{Want, check, get};
use crate::h2::client::{Client, head};
use crate::h2::frame::*;
use crate::h2::site::{Site, pattern};

const LARGE: u32 = (1 << 31) - 1;

#[test]
fn window_updates_are_in_their_bounds() {
    let flow = |stream| Want::Stream(stream, &[FLOW_CONTROL_ERROR]);
    check(&[
        (
            "§6.9: an increment of 0 for the connection",
            window_update(0, 0),
            Want::Connection(&[PROTOCOL_ERROR]),
        ),
        (
            "§6.9: an increment of 0 for a stream",
            [get(1, "/held"), window_update(1, 0)].concat(),
            Want::Stream(1, &[PROTOCOL_ERROR]),
        ),
        (
            "§6.9.1: more than 2^31-1 for the connection",
            [window_update(0, LARGE), window_update(0, LARGE)].concat(),
            Want::Connection(&[FLOW_CONTROL_ERROR]),
        ),
        (
            "§6.9.1: more than 2^31-1 for the connection, in one",
            window_update(0, LARGE - 65_535 + 1),
            Want::Connection(&[FLOW_CONTROL_ERROR]),
        ),
        ("§6.9.1: 2^31-1 for the connection", window_update(0, LARGE - 65_535), Want::Ignored),
        (
            "§6.9.1: more than 2^31-1 for a stream",
            [get(1, "/held"), window_update(1, LARGE), window_update(1, LARGE)].concat(),
            flow(1),
        ),
        (
            "§6.9.1: 2^31-1 for a stream",
            [get(1, "/held"), window_update(1, LARGE - 65_535)].concat(),
            Want::Ignored,
        ),
        (
            "§6.9: the reserved bit",
            [get(1, "/held"), frame(WINDOW_UPDATE, 0, 1, &[0x80, 0, 0, 1])].concat(),
            Want::Ignored,
        ),
    ]);
}

#[test]
fn a_change_of_the_initial_size_that_makes_a_window_too_large_is_an_error() {
    let site = Site::start();
    let mut client = Client::to(site.address());
    client.get("/held");
    // §6.9.2: 65,535 + (2^31-1 - 65,535) is the most; the settings add to that.
    client.open_window(1, LARGE - 65_535);
    client.set(&[(INITIAL_WINDOW_SIZE, 65_536)]);
    client.read_to_end();
    let codes: Vec<_> = client.heard.goaways.iter().map(|(_, code)| *code).collect();
    assert!(codes.iter().all(|code| *code == FLOW_CONTROL_ERROR), "{codes:?}");
}

#[test]
fn a_body_over_the_window_of_its_stream_is_an_error() {
    let site = Site::start();
    let mut client = Client::to(site.address());
    // Nobody reads it, so that the window is not opened any more at some point. Until then a byte that was too much when it
    // was sent may have room when it comes.
    let stream = client.request(&head("POST", "/held"), false);
    for _ in 0..40 {
        let room = usize::try_from(client.room(stream)).unwrap_or(0);
        if !client.body(stream, &vec![b'x'; room], false) {
            break;
        }
        client.overrun(stream);
        let is_over = |client: &Client| client.heard.answers.get(&stream).is_some_and(Answer::is_over);
        if !client.is_alive() || is_over(&client) {
            break;
        }
    }
    let answer = client.answer(stream);
    assert!(answer.reset == Some(FLOW_CONTROL_ERROR) || client.heard.is_closed, "{answer:?}");
    let codes: Vec<_> = client.heard.goaways.iter().map(|(_, code)| *code).collect();
    assert!(codes.iter().all(|code| *code == FLOW_CONTROL_ERROR), "{codes:?}");
}

#[test]
fn bodies_over_the_window_of_the_connection_are_an_error() {
    let site = Site::start();
    let mut client = Client::to(site.address());
    // Of each body something is taken, once and some time, which opens the window again: a byte that was too much when it was
    // sent may have room when it comes. Ten bodies are more than enough to use up the window for good.
    let streams: Vec<_> = (0..10).map(|_| client.request(&head("POST", "/held"), false)).collect();
    let other = client.request(&head("POST", "/held"), false);
    for _ in 0..40 {
        for &stream in &streams {
            let room = usize::try_from(client.room(stream)).unwrap_or(0);
            if !client.body(stream, &vec![b'x'; room], false) {
                break;
            }
        }
        client.overrun(other);
        if !client.is_alive() {
            break;
        }
    }
    client.read_to_end();
    let codes: Vec<_> = client.heard.goaways.iter().map(|(_, code)| *code).collect();
    assert!(codes.iter().all(|code| *code == FLOW_CONTROL_ERROR), "{codes:?}");
}

#[test]
fn an_answer_stops_where_the_window_ends_and_goes_on_byte_by_byte() {
    let site = Site::start();
    for (path, length) in [("/bytes/100", 100), ("/stream/100", 100)] {
        let mut client = Client::with(site.address(), &[(INITIAL_WINDOW_SIZE, 1)]);
        client.refills = false;
        let stream = client.get(path);
        for byte in 1..=length {
            client.until("one more byte", |heard| {
                heard.answers.get(&stream).is_some_and(|answer| answer.body.len() == byte)
            });
            assert!(client.is_alive());
            assert_eq!(client.heard.answers[&stream].body.len(), byte, "and no other");
            if byte < length {
                client.open_window(stream, 1);
            }
        }
        // The end needs no window.
        let answer = client.answer(stream);
        assert!(answer.is_whole && answer.body == pattern(length), "{answer:?}");
    }
}

#[test]
fn a_window_of_nothing_lets_heads_and_empty_answers_through() {
    let site = Site::start();
    let mut client = Client::with(site.address(), &[(INITIAL_WINDOW_SIZE, 0)]);
    client.refills = false;
    assert_eq!(client.ask("/status/204").status, 204);
    let stream = client.get("/bytes/5");
    client.until("the head", |heard| heard.answers.get(&stream).is_some_and(|answer| answer.status == 200));
    assert!(client.is_alive());
    assert!(client.heard.answers[&stream].body.is_empty());
    client.set(&[(INITIAL_WINDOW_SIZE, 5)]);
    assert_eq!(client.answer(stream).body, pattern(5), "§6.9.2: the window of a stream that is open grows");
}

#[test]
fn a_window_may_be_less_than_nothing() {
    // §6.9.2, the example: 65,535 are sent, the size becomes 16,384: the window is -49,151.
    let site = Site::start();
    let mut client = Client::to(site.address());
    client.refills = false;
    client.open_window(0, 1 << 20);
    let stream = client.get("/bytes/200000");
    client.until("all that the window allows", |heard| {
        heard.answers.get(&stream).is_some_and(|answer| answer.body.len() == 65_535)
    });
    client.set(&[(INITIAL_WINDOW_SIZE, 16_384)]);
    client.open_window(stream, 49_151);
    client.until("the settings are acknowledged", |heard| heard.settings_acks == 2);
    assert!(client.is_alive());
    client.listen(50);
    assert_eq!(client.heard.answers[&stream].body.len(), 65_535, "a window of 0");
    client.open_window(stream, 1);
    client.until("a byte", |heard| heard.answers[&stream].body.len() == 65_536);
    // Another stream has the new size.
    let other = client.get("/bytes/20000");
    client.until("as much", |heard| {
        heard.answers.get(&other).is_some_and(|answer| answer.body.len() == 16_384)
    });
    client.refills = true;
    client.open_window(stream, 1 << 20);
    client.open_window(other, 1 << 20);
    assert_eq!(client.answer(stream).body, pattern(200_000));
    assert_eq!(client.answer(other).body, pattern(20_000));
}

#[test]
fn streams_share_the_window_of_the_connection() {
    let site = Site::start();
    let mut client = Client::with(site.address(), &[(INITIAL_WINDOW_SIZE, 1 << 20)]);
    client.refills = false;
    let streams: Vec<_> = (0..4).map(|_| client.get("/bytes/60000")).collect();
    let total =
        |client: &Client| -> usize { client.heard.answers.values().map(|answer| answer.body.len()).sum() };
    client.until("the window is used up", |heard| {
        heard.answers.values().map(|answer| answer.body.len()).sum::<usize>() == 65_535
    });
    assert!(client.is_alive());
    assert_eq!(total(&client), 65_535);
    client.open_window(0, 1000);
    client.until("so much more", |heard| {
        heard.answers.values().map(|answer| answer.body.len()).sum::<usize>() == 66_535
    });
    client.open_window(0, 1 << 20);
    for stream in streams {
        assert_eq!(client.answer(stream).body, pattern(60_000));
    }
}

#[test]
fn padding_counts_for_the_window() {
    // §6.1: all of the payload does. Were it not given back, the window would be used up after 256 of these.
    let site = Site::start();
    let mut client = Client::to(site.address());
    let stream = client.request(&head("POST", "/padded"), false);
    for _ in 0..1000 {
        client.padded(stream, b'b', 255);
    }
    client.send(data(stream, END_STREAM, ""));
    assert_eq!(client.answer(stream).text(), format!("POST /padded [] {}", "b".repeat(1000)));
}

#[test]
fn windows_are_opened_for_bodies_that_are_read() {
    let site = Site::start();
    let mut client = Client::to(site.address());
    let body = pattern(3_000_000);
    for round in 0..3 {
        let stream = client.request(&head("POST", "/"), false);
        assert!(client.body(stream, &body, true), "round {round}");
        let answer = client.answer(stream);
        assert_eq!(answer.text(), format!("POST / [] {}", String::from_utf8_lossy(&body)), "round {round}");
    }
}

#[test]
fn what_nobody_reads_is_given_back_to_the_connection() {
    // §6.9.1: were it not, the connection would be stuck after a few.
    let site = Site::start();
    let mut client = Client::to(site.address());
    let body = pattern(50_000);
    for round in 0..100 {
        let stream = client.request(&head("POST", if round % 2 == 0 { "/early" } else { "/held" }), false);
        let _refused = client.body(stream, &body, false);
        client.send(rst_stream(stream, CANCEL));
        site.release();
    }
    assert_eq!(client.ask("/next").text(), "GET /next [] ");
}

#[test]
fn nothing_is_given_back_for_what_the_handler_has_not_read() {
    // §5.2: that is what flow control is for: the server holds no more than it has announced.
    let site = Site::start();
    let mut client = Client::to(site.address());
    let stream = client.request(&head("POST", "/held"), false);
    let most = client.room(stream);
    let mut sent = 0;
    while client.room(stream) > 0 && sent < 64 << 20 {
        let now = usize::try_from(client.room(stream)).expect("room").min(16_384);
        assert!(client.body(stream, &vec![b'x'; now], false));
        sent += now;
        assert!(client.is_alive());
    }
    assert!(sent < 2 << 20, "{sent} bytes were taken that nobody reads; the window was {most}");
    site.release();
    assert_eq!(client.answer(stream).status, 200);
}

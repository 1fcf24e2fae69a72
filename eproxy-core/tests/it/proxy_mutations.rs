//! Requests that were damaged at random, on their way through a proxy: whatever of them is passed on has one reading only.

use eproxy_core::Proxy;
use fastrand::Rng;

use crate::mutations::message;
use crate::support::{Connection, Helper, eventually, get};
use crate::upstream::{echoing, serve};

/// Messages of each lane, and lanes.
const MESSAGES: usize = 600;
const LANES: u64 = 4;

#[test]
fn damaged_requests_are_refused_or_passed_on_in_a_form_that_has_one_reading() {
    // The reader of the upstream takes no other: it would fail the test.
    let upstream = echoing();
    let server = serve(Proxy::to(upstream.url()));
    let address = server.address();
    let lanes: Vec<_> = (0..LANES)
        .map(|lane| {
            Helper::run(move || {
                let mut rng = Rng::with_seed(100 + lane);
                for _ in 0..MESSAGES {
                    let mut client = Connection::to(address);
                    // The proxy may refuse before it has read everything.
                    let _cut = client.try_send(message(&mut rng));
                    client.finish();
                    let answers = client.rest();
                    let shown = || answers[..answers.len().min(100)].escape_ascii().to_string();
                    // Some begin as HTTP/2 does, and are answered with its settings.
                    let is_answer = answers.starts_with(b"HTTP/1.1 ") || answers.get(3) == Some(&4);
                    assert!(answers.is_empty() || is_answer, "{:?}", shown());
                }
            })
        })
        .collect();
    lanes.into_iter().for_each(Helper::join);
    assert_eq!(server.ask(get("/next")).text(), "/next");
    eventually("no connection is left", || server.stats().open == 0);
    let failures: Vec<_> = server.stats().failures().filter(|(_, count)| *count > 0).collect();
    assert!(
        failures.len() > 10 && upstream.count() > 200,
        "{} were passed on; {failures:?}",
        upstream.count()
    );
}

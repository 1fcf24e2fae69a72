//! Requests that are with an upstream, and nothing but a slot here.
//!
//! Nearly every request can be sent at once and whole, over a connection that is there, and nearly every answer comes at
//! once and whole. Such an exchange needs no task while it waits: [`depart`] sends it, [`arrive`] passes its answer back,
//! and neither waits for anything. What turns out to be more than that is [`resume`]d as a task.

use crate::driver::{Direction, Stream};
use crate::http1::{self, Finder};
use crate::message::SMALL;

use super::attempt::{self, Reply};
use super::relay::{Outcome, Relay};
use super::reverse::{self, First, Reverse};
use super::upload::Upload;

/// A request that was sent.
pub(crate) struct Departure {
    pub(crate) stream: Stream,
    endpoint: usize,
}

/// Whether a request could be sent at once.
pub(crate) enum Departing {
    Sent(Departure),
    /// It takes a task; with the endpoint that was chosen, if one was.
    Stays(Option<usize>),
}

/// Whether an answer could be passed back at once.
pub(crate) enum Arriving {
    Answered(Outcome),
    /// It takes a task.
    Later(Departure),
}

/// Sends a request if nothing has to be waited for.
pub(crate) fn depart(relay: &mut Relay<'_>, reverse: &Reverse) -> Departing {
    let facts = &relay.head.facts;
    let behind = (relay.input.len() - relay.head.length) as u64;
    let is_in_hand = facts.framing.length().is_some_and(|length| length <= behind);
    if !is_in_hand || facts.wants_upgrade || reverse::check(relay, reverse).is_err() {
        return Departing::Stays(None);
    }
    let upload = Upload::new(relay, reverse);
    let Some(number) = relay.site.upstreams.choose(reverse.group, Default::default()) else {
        return Departing::Stays(None);
    };
    let endpoint = &reverse.endpoints[number];
    let Some(stream) = attempt::reuse(relay, reverse, endpoint, &upload) else {
        return Departing::Stays(Some(number));
    };
    attempt::encode(relay, reverse, endpoint, &upload);
    match stream.try_write(&relay.desk.out) {
        Some(Ok(written)) if written == relay.desk.out.len() => {
            stream.set_deadline(Direction::Read, Some(reverse.options.head));
            Departing::Sent(Departure { stream, endpoint: number })
        }
        // An upstream that was sent a part has no request: the connection is closed, and another one is used.
        _ => Departing::Stays(Some(number)),
    }
}

/// Passes the answer to a request back if all of it is there.
pub(crate) fn arrive(relay: &mut Relay<'_>, reverse: &Reverse, departure: Departure) -> Arriving {
    relay.desk.input.reset();
    match departure.stream.try_read(relay.desk.input.space(SMALL)) {
        Some(Ok(n)) => relay.desk.input.filled(n),
        _ => return Arriving::Later(departure),
    }
    let desk = &mut *relay.desk;
    let method = relay.head.method.for_answers();
    let found = http1::find_answer(&mut Finder::new(), &mut desk.input, &mut desk.fields, method);
    let Ok(Some((line, facts, length))) = found else { return Arriving::Later(departure) };
    let reply = Reply { line, facts, length };
    if line.status < 200 || !reverse::is_there(relay, &reply) || !reverse.answer.redirects.is_empty() {
        return Arriving::Later(departure);
    }
    let Departure { stream, endpoint } = departure;
    let endpoint = &reverse.endpoints[endpoint];
    Arriving::Answered(reverse::respond_at_once(relay, reverse, endpoint, stream, &reply))
}

/// Passes a request on for which nothing was sent; with `chosen`, to that endpoint first.
pub(crate) async fn pass(relay: &mut Relay<'_>, reverse: &Reverse, chosen: Option<usize>) -> Outcome {
    reverse::run(relay, reverse, chosen.map_or(First::Any, First::Chosen)).await
}

/// Goes on with a request that was sent.
pub(crate) async fn resume(relay: &mut Relay<'_>, reverse: &Reverse, departure: Departure) -> Outcome {
    // The head was parsed before, and its fields have been forgotten.
    relay.fields.clear();
    let _parsed = http1::parse_request(relay.input.data(), relay.fields, usize::MAX, usize::MAX);
    reverse::run(relay, reverse, First::Sent(departure.endpoint, departure.stream)).await
}

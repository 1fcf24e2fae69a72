//! Requests that are with an upstream, and nothing but a slot here.
//!
//! Nearly every request can be sent at once and whole, over a connection that is there, and nearly every answer comes at
//! once and whole. Such an exchange needs no task while it waits: [`depart`] sends it, [`arrive`] passes its answer back,
//! and neither waits for anything. What turns out to be more than that is [`resume`]d as a task.

use crate::driver::{Direction, Stream};
use crate::http1::{self, Finder};
use crate::message::{Buffer, SMALL};
use crate::telemetry::{Attempt, AttemptEnd, Phase};
use crate::upstream::{Choice, Pick, Tried};

use super::ask::ask;
use super::attempt::{self, Failure, Reply};
use super::grpc_web;
use super::hooked::{self, at_once};
use super::mirror;
use super::relay::{Method, Outcome, Relay, Rest};
use super::respond::Answered;
use super::reverse::{self, Reverse};
use super::tries::{Chosen, First};
use super::upload::Upload;

/// A request that was sent.
pub(crate) struct Departure {
    pub(crate) stream: Stream,
    pick: Pick,
    /// Bytes of it, its head among them.
    sent: u32,
}

/// Whether a request could be sent at once.
pub(crate) enum Departing {
    Sent(Departure),
    /// It is not sent at all.
    Ended(Outcome),
    /// It takes a task; with the endpoint that was chosen, if one was.
    Stays(Option<Pick>),
}

/// Whether an answer could be passed back at once.
pub(crate) enum Arriving {
    Ended(Outcome),
    /// It takes a task.
    Later(Departure),
}

/// Sends a request if nothing has to be waited for.
pub(crate) fn depart(relay: &mut Relay<'_>, reverse: &Reverse) -> Departing {
    let facts = &relay.head.facts;
    let behind = (relay.input.len() - relay.head.length) as u64;
    let is_in_hand = facts.framing.length().is_some_and(|length| length <= behind);
    let is_plain = !matches!(relay.head.method, Method::Connect | Method::Options | Method::Trace);
    let takes_time = facts.wants_upgrade || !is_plain || reverse.takes_time();
    if !is_in_hand || takes_time || reverse::check(relay, reverse).is_err() {
        return Departing::Stays(None);
    }
    if relay.hooked.is_some()
        && let Err(outcome) = at_once(hooked::on_request(relay, reverse))
    {
        return Departing::Ended(ended(relay, reverse, outcome));
    }
    if grpc_web::is_filtered(relay, &reverse.request) {
        return Departing::Stays(None);
    }
    let upload = Upload::new(relay, reverse);
    relay.desk.ask = ask(relay, reverse);
    let Choice::One(pick) = reverse.choose(relay, &Tried::default()) else {
        return Departing::Stays(None);
    };
    let Some(stream) = attempt::reuse(relay, reverse, pick.destination(), &upload) else {
        return Departing::Stays(Some(pick));
    };
    attempt::encode(relay, reverse, pick.destination(), &upload);
    if relay.hooked.is_some()
        && let Err(failure) = at_once(hooked::on_upstream_request(relay, reverse))
    {
        end_attempt(relay, &pick, failure.end());
        let outcome = match failure {
            Failure::Answered(answer) => Outcome::Answer(answer, Rest::Untouched),
            Failure::Failed { error, .. } => reverse::refuse(relay, &error, Rest::Untouched),
        };
        return Departing::Ended(ended(relay, reverse, outcome));
    }
    attempt::encode_end(relay, reverse, &upload);
    let message = &relay.desk.out;
    // That a posted request did not leave is found out as late as that nobody answers it.
    let is_sent = reverse.may_repeat(relay, &upload) && stream.post(message)
        || matches!(stream.try_write(message), Some(Ok(written)) if written == message.len());
    if !is_sent {
        // An upstream that was sent a part has no request: the connection is closed, and another one is used.
        return Departing::Stays(Some(pick));
    }
    stream.set_deadline(Direction::Read, Some(reverse.first_deadline()));
    mirror::start(relay, reverse, &upload);
    let sent = relay.desk.out.len() as u32;
    Departing::Sent(Departure { stream, pick, sent })
}

/// Passes the answer to a request back if all of it is there.
pub(crate) fn arrive(relay: &mut Relay<'_>, reverse: &Reverse, departure: Departure) -> Arriving {
    relay.desk.input.reset();
    if !read(&mut relay.desk.input, &departure.stream, attempt::first_space) {
        return Arriving::Later(departure);
    }
    let desk = &mut *relay.desk;
    let method = relay.head.method.for_answers();
    let found = http1::find_answer(&mut Finder::new(), desk.input.data(), &mut desk.fields, method);
    let Ok(Some((line, facts, length))) = found else { return Arriving::Later(departure) };
    let reply = Reply { line, facts, length };
    if !reply.is_there(relay) && reply.is_short() {
        // The rest has come, too, or comes later.
        read(&mut relay.desk.input, &departure.stream, |input| input.space(SMALL));
    }
    let is_final = line.status >= 200 && !reverse.retry.statuses.contains(&line.status);
    if !is_final || !reply.is_there(relay) || !reverse.answer.redirects.is_empty() {
        return Arriving::Later(departure);
    }
    let Departure { stream, pick, sent } = departure;
    if let Some(hooked) = relay.hooked.as_mut() {
        hooked.record.tries.push(Attempt {
            upstream: pick.destination().name.clone(),
            phase: Phase::Answer,
            bytes_sent: u64::from(sent),
            end: Ok(line.status),
            is_retryable: false,
            duration: pick.age(relay.site.core.now()),
        });
    }
    end_attempt(relay, &pick, AttemptEnd::Answered(line.status));
    if pick.answered(relay.site.core.now(), line.status) {
        relay.site.counters.ejections.add();
    }
    if reverse.wishes.is_some() {
        parse_again(relay);
    }
    let answered = Answered { reverse, to: Chosen::One(pick), stream, reply };
    if relay.hooked.is_none() {
        return Arriving::Ended(answered.respond_at_once(relay, Rest::Untouched));
    }
    let outcome = match at_once(hooked::on_response(relay, reverse, &reply)) {
        Ok(None) => answered.respond_at_once(relay, Rest::Untouched),
        Ok(Some(answer)) => answered.replace(relay, answer, Rest::Untouched),
        Err(error) => reverse::refuse(relay, &error, Rest::Untouched),
    };
    Arriving::Ended(ended(relay, reverse, outcome))
}

fn end_attempt(relay: &mut Relay<'_>, pick: &Pick, end: AttemptEnd) {
    if let Some(story) = &mut relay.account.story {
        story.end_attempt(&pick.destination().name, relay.site.core.nanoseconds(), end);
    }
}

/// Reads what is there; says no where that is nothing.
fn read(input: &mut Buffer, stream: &Stream, space: impl FnOnce(&mut Buffer) -> &mut [u8]) -> bool {
    match stream.try_read(space(input)) {
        Some(Ok(n)) => {
            input.filled(n);
            n > 0
        }
        _ => false,
    }
}

/// Tells the hooks what became of the exchange.
fn ended(relay: &mut Relay<'_>, reverse: &Reverse, outcome: Outcome) -> Outcome {
    if let (Some(hooked), Some(length)) = (relay.hooked.as_mut(), relay.head.facts.framing.length()) {
        hooked.record.bytes_up = length;
        relay.account.bytes_in = length;
    }
    at_once(hooked::on_done(relay, reverse, &outcome));
    outcome
}

/// Passes a request on for which nothing was sent; with `chosen`, to that endpoint first.
pub(crate) async fn pass(relay: &mut Relay<'_>, reverse: &Reverse, chosen: Option<Pick>) -> Outcome {
    reverse::run(relay, reverse, chosen.map_or(First::Any, First::Chosen)).await
}

/// Goes on with a request that was sent.
pub(crate) async fn resume(relay: &mut Relay<'_>, reverse: &Reverse, departure: Departure) -> Outcome {
    parse_again(relay);
    let Departure { stream, pick, sent } = departure;
    reverse::run(relay, reverse, First::Sent { pick, stream, sent }).await
}

/// Parses the head of a request that was sent: it was parsed before, and its fields have been forgotten.
fn parse_again(relay: &mut Relay<'_>) {
    relay.fields.clear();
    let _parsed = http1::parse_request(relay.input.data(), relay.fields, usize::MAX, usize::MAX);
}

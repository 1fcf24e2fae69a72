//! Requests that are answered, or sent to an upstream, without anything being waited for: nearly all of them.
//!
//! It is done with the worker's own desk, which is warm, from the event that brought the request. A connection on which
//! something has to be waited for is given a seat, together with what was read of it.

use std::rc::Rc;

use crate::error::Kind;
use crate::http1::{HeadReader, Next, Outbound};

use super::connection::COLLECT;
use super::desk::Desk;
use super::downstream::Connection;
use super::exchange::{self, After};
use super::flight;
use super::multiplex::{self, is_preface};
use super::open::{Opened, Opening, open};
use super::refuse;
use super::seat::Job;
use super::worker::Worker;

/// Requests of one connection that are served before others get their turn.
const BATCH: usize = 32;

/// What comes after a request.
pub(super) enum Step {
    Again,
    Park,
    Close,
    Seat(Job),
    /// It is with an upstream.
    Flight(flight::Departed),
    /// The connection speaks HTTP/2.
    Multiplex,
}

/// Serves what has come on a connection; `desk` holds what was read of it.
pub(super) fn serve(worker: &Rc<Worker>, mut connection: Connection, desk: &mut Box<Desk>) {
    for _ in 0..BATCH {
        let step = step(worker, &connection, desk);
        match take(worker, connection, desk, step) {
            Some(goes_on) => connection = goes_on,
            None => return,
        }
    }
    worker.give_seat(connection, Job::Serve, desk);
}

/// Takes a step; gives the connection back if it goes on at once.
pub(super) fn take(
    worker: &Rc<Worker>,
    mut connection: Connection,
    desk: &mut Box<Desk>,
    step: Step,
) -> Option<Connection> {
    let step = match step {
        Step::Again if connection.who.is_stream => end(worker, &connection, desk, After::Close),
        step => step,
    };
    match step {
        Step::Again => {
            connection.served = true;
            return Some(connection);
        }
        Step::Park => {
            desk.input.reset();
            worker.park(connection);
        }
        Step::Close if connection.stream.is_sending() => {
            worker.give_seat(connection, Job::End(After::Close), desk);
        }
        Step::Close => desk.clear(),
        Step::Seat(job) => worker.give_seat(connection, job, desk),
        Step::Flight(departed) => flight::begin(worker, connection, desk, departed),
        Step::Multiplex => multiplex::start(worker, connection, desk.take_input()),
    }
    None
}

fn step(worker: &Worker, connection: &Connection, desk: &mut Desk) -> Step {
    let peer = connection.who.peer;
    let (line, length) = match next(worker, connection, desk) {
        Some(Next::Head(line, length)) => (line, length),
        Some(Next::Idle) => return Step::Park,
        Some(Next::Closed) => return Step::Close,
        Some(Next::Refused(kind)) if is_preface(connection, kind, &desk.input) => return Step::Multiplex,
        Some(Next::Refused(kind)) => return Step::Seat(Job::End(refuse::refuse(worker, peer, desk, kind))),
        None => return Step::Seat(Job::Serve),
    };
    match open(worker, &connection.who, desk, line, length) {
        Ok(opening) => go_on(worker, connection, desk, opening),
        Err(kind) => Step::Seat(Job::End(refuse::refuse(worker, peer, desk, kind))),
    }
}

/// Goes on with an exchange that was opened.
fn go_on(worker: &Worker, connection: &Connection, desk: &mut Desk, opening: Opening) -> Step {
    match opening {
        Opening::Asked(opened) => answer(worker, connection, desk, opened),
        Opening::Passing(passing) => flight::depart(worker, connection, desk, passing),
    }
}

/// Goes on with the only exchange of a connection, which was opened.
pub(super) fn proceed(worker: &Rc<Worker>, connection: Connection, desk: &mut Box<Desk>, opening: Opening) {
    let step = go_on(worker, &connection, desk, opening);
    // It is given back where another request may follow.
    drop(take(worker, connection, desk, step));
}

/// Answers if nothing has to be waited for.
pub(super) fn answer(worker: &Worker, connection: &Connection, desk: &mut Desk, mut opened: Opened) -> Step {
    match exchange::answer_at_once(worker, desk, &mut opened) {
        Some(After::Keep) => Step::Again,
        Some(after) => end(worker, connection, desk, after),
        None => Step::Seat(Job::Answer(opened)),
    }
}

/// Ends a connection whose last answer is on the desk.
pub(super) fn end(worker: &Worker, connection: &Connection, desk: &mut Desk, after: After) -> Step {
    let is_sent = flush(worker, connection, desk).unwrap_or(true);
    match after {
        After::Close if is_sent => Step::Close,
        after => Step::Seat(Job::End(after)),
    }
}

/// The next thing on the connection; none where something has to be waited for to know. Answers to pipelined requests are
/// collected as long as whole requests are there, and written before more is read.
fn next(worker: &Worker, connection: &Connection, desk: &mut Desk) -> Option<Next> {
    let edition = worker.edition();
    let timeouts = edition.timeouts();
    let Desk { input, out, fields, .. } = desk;
    let stream = &connection.stream;
    let mut outbound = Outbound { stream, out, patience: timeouts.write_idle };
    if outbound.out.len() > COLLECT && !matches!(outbound.post(), Ok(true)) {
        return None;
    }
    let mut reader = HeadReader::new(stream, input, fields, &edition.limits, timeouts.head);
    if let Some(next) = reader.look() {
        return Some(next);
    }
    if !outbound.out.is_empty() {
        match outbound.post() {
            Ok(true) => {}
            Ok(false) => return None,
            Err(_) => return Some(Next::Closed),
        }
    }
    reader.try_next()
}

/// Has what is on the desk written, as far as that can be done at once; says whether that may be all of it.
pub(super) fn flush(worker: &Worker, connection: &Connection, desk: &mut Desk) -> Result<bool, Kind> {
    let patience = worker.edition().timeouts().write_idle;
    Outbound { stream: &connection.stream, out: &mut desk.out, patience }.post()
}

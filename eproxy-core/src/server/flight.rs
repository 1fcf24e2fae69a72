//! Requests that are with an upstream: the connections of both sides, parked until one of them has something to say.

use std::rc::Rc;

use crate::message::Buffer;
use crate::proxy::{self, Arriving, Client, Departing, Departure, Outcome, Relay};

use super::at_once::{self, Step};
use super::desk::Desk;
use super::downstream::Connection;
use super::exchange::After;
use super::open::Passing;
use super::owner::Owner;
use super::pass;
use super::seat::Job;
use super::worker::Worker;

/// A request that is with an upstream.
pub(super) struct Flight {
    pub(super) passing: Passing,
    pub(super) departure: Departure,
    /// What was read of the client's connection, with the request's head at its front.
    pub(super) input: Buffer,
}

impl Flight {
    /// Takes what was read of the client's connection from the desk.
    fn new(passing: Passing, departure: Departure, desk: &mut Desk) -> Self {
        Self { passing, departure, input: std::mem::replace(&mut desk.input, Buffer::new()) }
    }
}

/// A request that was sent.
pub(super) struct Departed {
    passing: Passing,
    departure: Departure,
}

/// Sends a request if that can be done at once.
pub(super) fn depart(
    worker: &Worker,
    connection: &Connection,
    desk: &mut Desk,
    mut passing: Passing,
) -> Step {
    let edition = passing.kept.edition.clone();
    let reverse = edition.table.reverse(passing.reverse);
    match proxy::depart(&mut relay(connection, desk, &mut passing), reverse) {
        // Answers to earlier requests must not wait for this one.
        Departing::Sent(departure) => match at_once::flush(worker, connection, desk) {
            // A client that has ended its side may be gone: that is to be found out. Hooks are told of one that is.
            Ok(true) if !connection.stream.is_half_closed() => Step::Flight(Departed { passing, departure }),
            _ => Step::Seat(Job::Resume(Flight::new(passing, departure, desk))),
        },
        Departing::Ended(outcome) => ended(worker, connection, desk, passing, outcome, false),
        Departing::Stays(chosen) => Step::Seat(Job::Pass(Passing { chosen, ..passing })),
    }
}

/// What comes after an exchange that is over, or has only to be answered.
fn ended(
    worker: &Worker,
    connection: &Connection,
    desk: &mut Desk,
    passing: Passing,
    outcome: Outcome,
    is_taken: bool,
) -> Step {
    match outcome {
        Outcome::Keep => Step::Again,
        Outcome::Answer(answer, rest) => {
            let opened = pass::open_answer(
                desk,
                (passing.kept, passing.head, passing.route),
                *answer,
                (rest, is_taken),
            );
            at_once::answer(worker, connection, desk, opened)
        }
        _ => at_once::end(worker, connection, desk, After::Close),
    }
}

/// Parks the connections of a request that was sent.
pub(super) fn begin(worker: &Rc<Worker>, connection: Connection, desk: &mut Desk, departed: Departed) {
    let Departed { passing, departure } = departed;
    let input = Buffer::copy_of(desk.input.data());
    desk.input.reset();
    let mut flights = worker.flights.borrow_mut();
    let entry = flights.vacant_entry();
    let index = entry.key() as u32;
    departure.stream.watch(Owner::FlightUpstream(index).number());
    connection.stream.watch(Owner::FlightClient(index).number());
    entry.insert((connection, Flight { passing, departure, input }));
}

/// Takes what the client's connection has to say while its request is with an upstream.
pub(super) fn on_client(worker: &Rc<Worker>, index: u32, desk: &mut Box<Desk>) {
    if let Some((connection, _)) = worker.flights.borrow().get(index as usize)
        && !connection.stream.is_half_closed()
    {
        // It sends its next request already.
        return connection.stream.watch(Owner::FlightClient(index).number());
    }
    if let Some((connection, flight)) = end(worker, index) {
        worker.give_seat(connection, Job::Resume(flight), desk);
    }
}

/// Takes what the upstream has to say, or that it has said nothing for too long.
pub(super) fn on_upstream(worker: &Rc<Worker>, index: u32, is_late: bool, desk: &mut Box<Desk>) {
    match end(worker, index) {
        Some((connection, flight)) if is_late => worker.give_seat(connection, Job::Resume(flight), desk),
        Some((connection, flight)) => arrive(worker, connection, flight, desk),
        None => {}
    }
}

fn end(worker: &Worker, index: u32) -> Option<(Connection, Flight)> {
    let (connection, flight) = worker.flights.borrow_mut().try_remove(index as usize)?;
    connection.stream.unwatch();
    flight.departure.stream.unwatch();
    Some((connection, flight))
}

/// Passes the answer back, at once if that can be done.
fn arrive(worker: &Rc<Worker>, connection: Connection, flight: Flight, desk: &mut Box<Desk>) {
    let Flight { mut passing, departure, input } = flight;
    desk.input = input;
    let edition = passing.kept.edition.clone();
    let reverse = edition.table.reverse(passing.reverse);
    let (arriving, is_taken) = {
        let mut relay = relay(&connection, desk, &mut passing);
        (proxy::arrive(&mut relay, reverse, departure), relay.is_taken)
    };
    let step = match arriving {
        Arriving::Ended(outcome) => ended(worker, &connection, desk, passing, outcome, is_taken),
        Arriving::Later(departure) => Step::Seat(Job::Resume(Flight::new(passing, departure, desk))),
    };
    if let Some(connection) = at_once::take(worker, connection, desk, step) {
        at_once::serve(worker, connection, desk);
    }
}

/// What a proxy is lent.
pub(super) fn relay<'a>(
    connection: &'a Connection,
    desk: &'a mut Desk,
    passing: &'a mut Passing,
) -> Relay<'a> {
    let client = Client {
        stream: &connection.stream,
        peer: connection.who.peer,
        local: connection.who.local.as_deref().copied(),
        is_trusted: connection.who.is_trusted,
        session: connection.who.session.as_deref(),
    };
    Relay {
        site: &passing.kept.edition.site,
        pattern: passing.kept.edition.label(passing.route),
        client,
        head: passing.head,
        input: &mut desk.input,
        out: &mut desk.out,
        fields: &mut desk.fields,
        is_taken: false,
        desk: &mut desk.relay,
        hooked: &mut passing.hooked,
        account: &mut passing.kept.account,
    }
}

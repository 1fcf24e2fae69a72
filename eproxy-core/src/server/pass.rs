//! An exchange that is passed on and has to be waited for.

use crate::proxy::{self, Outcome};

use super::desk::Desk;
use super::exchange::{After, send_and_settle};
use super::flight::{Flight, relay};
use super::open::{Opened, Passing, unread};
use super::worker::{Connection, Worker};

/// Passes a request on and its answer back.
pub(super) async fn pass(worker: &Worker, connection: &Connection, desk: &mut Desk, passing: &Passing) -> After {
    let reverse = worker.table.reverse(passing.reverse);
    let (outcome, is_taken) = {
        let mut relay = relay(worker, connection, desk, passing);
        (proxy::pass(&mut relay, reverse, passing.chosen).await, relay.is_taken)
    };
    conclude(worker, connection, desk, passing, outcome, is_taken).await
}

/// Goes on with a request that was sent.
pub(super) async fn resume(worker: &Worker, connection: &Connection, desk: &mut Desk, flight: Flight) -> After {
    let Flight { passing, departure, input } = flight;
    desk.input = input;
    let reverse = worker.table.reverse(passing.reverse);
    let (outcome, is_taken) = {
        let mut relay = relay(worker, connection, desk, &passing);
        (proxy::resume(&mut relay, reverse, departure).await, relay.is_taken)
    };
    conclude(worker, connection, desk, &passing, outcome, is_taken).await
}

async fn conclude(
    worker: &Worker,
    connection: &Connection,
    desk: &mut Desk,
    passing: &Passing,
    outcome: Outcome,
    is_taken: bool,
) -> After {
    let head = &passing.head;
    if !is_taken {
        desk.input.consume(head.length);
    }
    let (answer, is_last) = match outcome {
        Outcome::Keep => return After::Keep,
        Outcome::Close => return After::Close,
        Outcome::Linger => return After::Linger,
        Outcome::Tunnel(upstream) => return After::Tunnel(upstream),
        Outcome::Answer(answer) => (*answer, false),
        Outcome::LastAnswer(answer) => (*answer, true),
    };
    let upload = if is_last { None } else { unread(worker, &head.facts) };
    let is_head = head.method == proxy::Method::Head;
    let mut opened = Opened::new(&head.line, &head.facts, is_head, passing.route, upload);
    opened.keep_alive &= !is_last;
    match send_and_settle(worker, connection, desk, &mut opened, answer).await {
        After::Close if is_last => After::Linger,
        after => after,
    }
}

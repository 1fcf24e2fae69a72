//! An exchange that is passed on and has to be waited for.

use crate::handler::Word;
use crate::message::Answer;
use crate::proxy::{self, Head, Outcome, Rest};
use crate::router::RouteNumber;

use super::account::Kept;
use super::desk::Desk;
use super::downstream::Connection;
use super::exchange::{After, answer_later, outbound};
use super::flight::{Flight, relay};
use super::open::{Opened, Passing, unread};
use super::tunnels::{self, Beginning, Told};
use super::worker::Worker;

/// Passes a request on and its answer back.
pub(super) async fn pass(
    worker: &Worker,
    connection: &Connection,
    desk: &mut Desk,
    mut passing: Passing,
) -> After {
    let edition = passing.kept.edition.clone();
    let reverse = edition.table.reverse(passing.reverse);
    let chosen = passing.chosen.take();
    let (outcome, is_taken) = {
        let mut relay = relay(connection, desk, &mut passing);
        (proxy::pass(&mut relay, reverse, chosen).await, relay.is_taken)
    };
    conclude(worker, connection, desk, passing, outcome, is_taken).await
}

/// Goes on with a request that was sent.
pub(super) async fn resume(
    worker: &Worker,
    connection: &Connection,
    desk: &mut Desk,
    flight: Flight,
) -> After {
    let Flight { mut passing, departure, input } = flight;
    desk.input = input;
    let edition = passing.kept.edition.clone();
    let reverse = edition.table.reverse(passing.reverse);
    let (outcome, is_taken) = {
        let mut relay = relay(connection, desk, &mut passing);
        (proxy::resume(&mut relay, reverse, departure).await, relay.is_taken)
    };
    conclude(worker, connection, desk, passing, outcome, is_taken).await
}

async fn conclude(
    worker: &Worker,
    connection: &Connection,
    desk: &mut Desk,
    passing: Passing,
    outcome: Outcome,
    is_taken: bool,
) -> After {
    match outcome {
        Outcome::Keep => After::Keep,
        Outcome::Close => After::Close,
        Outcome::Linger => After::Linger,
        Outcome::Reset => After::Reset,
        Outcome::Tunnel(upstream, pick) => {
            let Passing { kept, reverse, hooked, .. } = passing;
            let told = hooked.map(|hooked| Told { edition: kept.edition.clone(), reverse, hooked });
            After::Tunnel(Box::new(Beginning { upstream, pick, told, kept }))
        }
        Outcome::Answer(answer, rest) => {
            let Passing { kept, reverse, head, route, hooked, .. } = passing;
            let edition = kept.edition.clone();
            let mut opened = open_answer(desk, (kept, head, route), *answer, (rest, is_taken));
            let after = answer_later(worker, connection, desk, &mut opened).await;
            drop(opened);
            if let Some(hooked) = hooked {
                tell(worker, connection, desk, Told { edition, reverse, hooked }).await;
            }
            match after {
                After::Close if rest == Rest::Begun => After::Linger,
                after => after,
            }
        }
    }
}

/// Tells hooks, which may take their time, of an exchange whose answer is the last thing on the desk.
async fn tell(worker: &Worker, connection: &Connection, desk: &mut Desk, told: Told) {
    // That the client is gone will be noticed.
    let _gone = outbound(worker, &connection.stream, &mut desk.out).flush().await;
    tunnels::tell(worker, told).await;
}

/// Leaves an answer on the desk as a handler would have left it.
pub(super) fn open_answer(
    desk: &mut Desk,
    (kept, head, route): (Kept, Head, RouteNumber),
    answer: Answer,
    (rest, is_taken): (Rest, bool),
) -> Opened {
    if !is_taken {
        desk.input.consume(head.length);
    }
    let upload = if rest == Rest::Untouched { unread(&kept.edition, &head.facts) } else { None };
    let mut opened = Opened::new(kept, &head, route, upload);
    opened.keep_alive &= rest != Rest::Begun;
    desk.word = Some(Word::Answer(answer));
    opened
}

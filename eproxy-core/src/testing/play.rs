//! A script on a connection.

use std::rc::Rc;

use futures_lite::future;
use http_types::StatusCode;

use super::line::Line;
use super::script::{Script, Step};
use super::seen::{Found, Seen, Wanted};
use super::upstream::State;

/// What becomes of a connection behind a script.
#[derive(Clone, Copy, PartialEq, Eq)]
enum After {
    Listen,
    End,
}

/// Serves a connection of an upstream until it ends.
pub(super) async fn serve(upstream: Rc<State>, line: Rc<Line>) {
    let mut after = match upstream.greeting() {
        Some(greeting) => play(&upstream, &line, greeting, None).await,
        None => After::Listen,
    };
    while after == After::Listen {
        let is_early = upstream.runs_at_head();
        let wanted = if is_early { Wanted::Head } else { Wanted::WholeOrWait };
        let Some(seen) = request(&line, wanted).await else { break };
        let number = upstream.note(seen.clone());
        let (script, run) = upstream.next_script();
        after = play(&upstream, &line, script, Some((&seen, run))).await;
        if is_early && after == After::Listen {
            let Some(seen) = request(&line, Wanted::Whole).await else { break };
            upstream.complete(number, seen);
        }
    }
    line.close();
}

/// The next request; none where the connection ends before that. Who waits for 100 (Continue) gets it.
async fn request(line: &Line, mut wanted: Wanted) -> Option<Seen> {
    loop {
        match line.next(|heard| Seen::find(heard, wanted)).await? {
            Found::Seen(seen) => return Some(*seen),
            Found::Expects => line.say(b"HTTP/1.1 100 Continue\r\n\r\n"),
        }
        wanted = Wanted::Whole;
    }
}

/// Does what a script says; for a request, with its number since the script was set.
async fn play(state: &State, line: &Line, script: Script, request: Option<(&Seen, usize)>) -> After {
    let mut steps = script.into_steps();
    steps.reverse();
    while let Some(step) = steps.pop() {
        match step {
            Step::Send(bytes) => line.say(&bytes),
            Step::Split(bytes, piece) => {
                for piece in bytes.chunks(piece) {
                    line.say(piece);
                    line.said().await;
                    next_turn().await;
                }
            }
            Step::Answer(status, body) => line.say(&answer(request, status, &body)),
            Step::Statuses(statuses) => {
                let number = request.map_or(0, |(_, number)| number);
                line.say(&answer(request, statuses[number % statuses.len()], b""));
            }
            Step::Pause(pause) => {
                let is_over = async {
                    line.over().await;
                    true
                };
                let pause = async {
                    state.core().sleep(pause).await;
                    false
                };
                if future::or(is_over, pause).await {
                    return After::End;
                }
            }
            Step::Stall => {
                line.over().await;
                return After::End;
            }
            Step::Close => {
                line.said().await;
                return After::End;
            }
            Step::Reset => {
                line.said().await;
                line.reset();
                return After::End;
            }
            Step::Echo => {
                echo(line).await;
                return After::End;
            }
            Step::Ask(ask) => {
                let Some((seen, _)) = request else { panic!("a greeting can't be made from a request") };
                steps.extend(ask(seen).into_steps().into_iter().rev());
            }
        }
        line.said().await;
        if line.is_closed() {
            return After::End;
        }
    }
    After::Listen
}

/// The bytes of an answer.
fn answer(request: Option<(&Seen, usize)>, status: u16, body: &[u8]) -> Vec<u8> {
    let reason = StatusCode::try_from(status).map_or("", |status| status.canonical_reason());
    let mut bytes = format!("HTTP/1.1 {status} {reason}\r\n").into_bytes();
    if !matches!(status, 100..200 | 204 | 304) {
        bytes.extend_from_slice(format!("Content-Length: {}\r\n", body.len()).as_bytes());
    }
    bytes.extend_from_slice(b"\r\n");
    let is_head = request.is_some_and(|(seen, _)| seen.method() == "HEAD");
    if !is_head && !matches!(status, 100..200 | 204 | 304) {
        bytes.extend_from_slice(body);
    }
    bytes
}

/// Sends back what comes, until there is no more.
async fn echo(line: &Line) {
    while let Some(heard) =
        line.next(|heard| (!heard.is_empty()).then(|| (heard.to_vec(), heard.len()))).await
    {
        line.say(&heard);
        line.said().await;
    }
    line.finish();
    line.said().await;
}

/// Gives everybody else a turn: sockets are asked at least once before this is over.
async fn next_turn() {
    /// More rounds of tasks than there are in two turns.
    const ROUNDS: usize = 9;
    for _ in 0..ROUNDS {
        future::yield_now().await;
    }
}

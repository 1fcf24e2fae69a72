//! What a client that speaks HTTP/2 sends: the codec, the carriers and the engine behind them are the real ones.

use std::cell::RefCell;
use std::io::IoSlice;
use std::rc::Rc;
use std::task::Poll;

use futures_lite::future::{self, poll_fn};

use crate::driver::Stream;
use crate::server::fuzzing::{Door, Ending, Rehearsal};
use crate::{Limits, Request, Response, Server};

use super::Choices;

/// What a client begins with; its settings are the defaults.
const BEGINNING: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

/// Bytes of a frame's head, and of what follows it at the most.
const HEAD: usize = 9;
const PAYLOAD: usize = 16 * 1024;

/// Serves a connection on which a client sends the preface, its settings and then `input`, in two pieces, and no more.
///
/// # Panics
///
/// The connection does not end; a task of the engine panics; what comes back is not a sequence of frames that begins with
/// SETTINGS, with the exception that the last one may be cut off.
pub fn frames(input: &[u8]) {
    thread_local! {
        static REHEARSAL: Rehearsal = rehearsal();
    }
    let heard: Rc<RefCell<Vec<u8>>> = Rc::default();
    let ending = REHEARSAL.with(|rehearsal| {
        let (input, heard) = (input.to_vec(), heard.clone());
        rehearsal.run(async move |door: Door| {
            let stream = door.connect().expect("the system has what a connection needs");
            let (first, second) = input.split_at(Choices::of(&input).up_to(input.len() + 1) - 1);
            for piece in [BEGINNING, first, second] {
                say(&stream, piece, &heard).await;
                future::yield_now().await;
            }
            // A connection that is gone has said all it will.
            let _gone = stream.finish();
            poll_fn(|cx| hear(&stream, cx, &heard)).await;
        })
    });
    assert_eq!(ending.expect("the system has what a connection needs"), Ending::Clean);
    check(&heard.borrow());
}

fn rehearsal() -> Rehearsal {
    let limits = Limits { head: 1024, target: 128, headers: 12, body: 1024, drain: 64, ..Limits::default() };
    let server = Server::builder()
        .limits(limits)
        .at("/*path", |mut req: Request, res: Response| res.send(req.take_body()))
        .at("/long", |_: Request, res: Response| res.send(vec![b'x'; 100_000]))
        .at("/drop", |_: Request, res: Response| drop(res));
    Rehearsal::new(server).expect("a thread can be started")
}

/// Sends a piece, and listens meanwhile.
async fn say(stream: &Stream, mut piece: &[u8], heard: &RefCell<Vec<u8>>) {
    poll_fn(|cx| {
        if hear(stream, cx, heard).is_ready() {
            return Poll::Ready(());
        }
        while !piece.is_empty() {
            match stream.poll_write(cx, &[IoSlice::new(piece)]) {
                Poll::Ready(Ok(n)) => piece = &piece[n..],
                Poll::Ready(Err(_)) => return Poll::Ready(()),
                Poll::Pending => return Poll::Pending,
            }
        }
        Poll::Ready(())
    })
    .await;
}

/// Ready when the server will say no more.
fn hear(stream: &Stream, cx: &mut std::task::Context<'_>, heard: &RefCell<Vec<u8>>) -> Poll<()> {
    let mut chunk = [0; 4096];
    loop {
        match stream.poll_read(cx, &mut chunk) {
            Poll::Ready(Ok(n)) if n > 0 => heard.borrow_mut().extend_from_slice(&chunk[..n]),
            Poll::Ready(_) => return Poll::Ready(()),
            Poll::Pending => return Poll::Pending,
        }
    }
}

fn check(heard: &[u8]) {
    const SETTINGS: u8 = 4;
    assert!(heard.len() < HEAD || heard[3] == SETTINGS, "the first frame is {:?}", &heard[..HEAD]);
    let mut rest = heard;
    while rest.len() >= HEAD {
        let length = u32::from_be_bytes([0, rest[0], rest[1], rest[2]]) as usize;
        assert!(length <= PAYLOAD, "a frame of {length} bytes");
        rest = rest.get(HEAD + length..).unwrap_or_default();
    }
}

//! Whole connections: the real worker, driver and sockets, and a client that sends what the fuzzer made up.

use std::cell::RefCell;
use std::io::IoSlice;
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};

use futures_lite::future::{self, poll_fn};

use crate::driver::Stream;
use crate::server::fuzzing::{Door, Ending, Rehearsal};
use crate::{Limits, Request, Response, Route, Server, Upgraded};

use super::Choices;
use super::chunked::{Chunks, split_chunks};
use super::sent::{End, Sent};

/// Serves two connections, one behind the other, on which a client sends `input` and then no more: in pieces on the
/// first, at once on the second.
///
/// # Panics
///
/// A connection does not end; a task of the engine panics; what comes back is not a sequence of HTTP/1.1 answers;
/// handlers see other requests or other bodies than httparse; the first answer depends on the pieces.
pub fn connection(input: &[u8]) {
    if speaks_http2(input) {
        return;
    }
    thread_local! {
        static REHEARSAL: Rehearsal = rehearsal();
    }
    let talks: Rc<RefCell<Vec<Talk>>> = Rc::default();
    let ending = REHEARSAL.with(|rehearsal| {
        let (input, talks) = (input.to_vec(), talks.clone());
        rehearsal.run(async move |door: Door| {
            let mut choices = Choices::of(&input);
            let most = choices.up_to(input.len()).max(input.len() / MOST_PIECES + 1);
            for most in [most, input.len()] {
                let talk = Client::new(&door).talk(&input, || choices.up_to(most)).await;
                talks.borrow_mut().push(talk);
            }
        })
    });
    // What is left was for a client that is gone.
    drop(BACKSTAGE.take());
    assert_eq!(ending.expect("the system has what a connection needs"), Ending::Clean);

    let mut sent = Sent::read(input);
    // `OPTIONS *` is answered by the server itself.
    sent.requests.retain(|request| !request.line.ends_with(" *"));
    let statuses: Vec<_> = talks.borrow().iter().map(|talk| talk.check(&sent)).collect();
    // A head may be too long in two ways and malformed besides; which is seen first does depend on the pieces.
    let refused =
        |status: Option<u16>| status.map(|status| if matches!(status, 414 | 431) { 400 } else { status });
    assert_eq!(refused(statuses[0]), refused(statuses[1]), "pieces matter");
    // Empty lines before a request are ignored (RFC 9112 §2.2); everything else is answered.
    if input.iter().any(|byte| !matches!(byte, b'\r' | b'\n')) {
        assert!(statuses[0].is_some(), "no answer");
    }
}

/// Whether a client begins as one of HTTP/2 does: that is another target's.
fn speaks_http2(input: &[u8]) -> bool {
    let start = input.iter().position(|byte| !matches!(byte, b'\r' | b'\n')).unwrap_or(input.len());
    input[start..].starts_with(b"PRI * HTTP/2.0\r\n")
}

/// Pieces that are sent at the most, more or less: each costs a turn.
const MOST_PIECES: usize = 16;

/// Limits are so low that short inputs reach them.
fn rehearsal() -> Rehearsal {
    let limits = Limits { head: 512, target: 128, headers: 12, body: 1024, drain: 64, ..Limits::default() };
    // CONNECT is not any method: without a handler of its own, handlers would not see it.
    let everything = Route::new("/*path").any(answer).method("CONNECT", answer);
    Rehearsal::new(Server::builder().limits(limits).route(everything)).expect("a thread can be started")
}

/// What the handlers and the client of this thread share behind the server's back.
#[derive(Default)]
struct Backstage {
    /// The requests that handlers were given on this connection: method and target.
    seen: Vec<String>,
    /// To be answered when the client sees to it.
    answers: Vec<(Request, Response)>,
    /// To be dropped likewise.
    upgraded: Vec<Upgraded>,
    client: Option<Waker>,
}

thread_local! {
    static BACKSTAGE: RefCell<Backstage> = RefCell::default();
}

/// Answers in one of the ways there are. The answer tells the number of its request, and whether it has its body.
fn answer(mut req: Request, res: Response) {
    let seen = format!("{} {}", req.method(), req.target());
    let number = BACKSTAGE.with_borrow_mut(|backstage| {
        backstage.seen.push(seen);
        backstage.seen.len() - 1
    });
    let res = res.header("X-Number", number.to_string());
    match req.path() {
        "/later" => put_off(|backstage| backstage.answers.push((req, res.header("X-Echo", "later")))),
        "/ignore" => res.status(299).send("ignored"),
        "/none" => res.status(204).send(()),
        "/drop" if req.method() != "HEAD" => drop(res),
        "/upgrade" if req.method() != "HEAD" => {
            let upgraded = res.upgrade("some/1");
            put_off(|backstage| backstage.upgraded.push(upgraded));
        }
        "/stream" => {
            let mut writer = res.stream();
            // There is room for it.
            let _gone = future::block_on(writer.send("streamed"));
            match req.query() {
                Some("break") => drop(writer),
                _ => writer.finish(),
            }
        }
        _ => res.header("X-Echo", "now").send(req.take_body()),
    }
}

/// Puts something off, and wakes the client for it.
fn put_off(put: impl FnOnce(&mut Backstage)) {
    let client = BACKSTAGE.with_borrow_mut(|backstage| {
        put(backstage);
        backstage.client.take()
    });
    client.into_iter().for_each(Waker::wake);
}

/// Does what was put off so far.
fn catch_up() {
    let (answers, upgraded) = BACKSTAGE.with_borrow_mut(|backstage| {
        (std::mem::take(&mut backstage.answers), std::mem::take(&mut backstage.upgraded))
    });
    answers.into_iter().for_each(|(mut req, res)| res.send(req.take_body()));
    drop(upgraded);
}

/// The client's end of a connection.
struct Client {
    stream: Stream,
    heard: Vec<u8>,
    /// The server has closed its side, or reset the connection.
    ended: bool,
}

/// What came of a connection.
struct Talk {
    heard: Vec<u8>,
    /// As handlers have seen it.
    seen: Vec<String>,
}

impl Client {
    fn new(door: &Door) -> Self {
        let stream = door.connect().expect("the system has what a connection needs");
        Self { stream, heard: Vec::new(), ended: false }
    }

    /// Sends `input`, as much in a turn as `piece` says, and then no more; listens until the end.
    async fn talk(mut self, input: &[u8], mut piece: impl FnMut() -> usize) -> Talk {
        /// Rounds of the executor in which the server gets a turn for certain.
        const PAUSE: usize = 9;
        let mut rest = input;
        while !rest.is_empty() && !self.ended {
            let (next, after) = rest.split_at(piece().min(rest.len()));
            self.say(next).await;
            rest = after;
            for _ in 0..PAUSE {
                future::yield_now().await;
            }
            // Now and then, so that some answers come while their request still does.
            if rest.len().is_multiple_of(2) {
                catch_up();
            }
        }
        // A connection that is gone has said all it will.
        let _gone = self.stream.finish();
        poll_fn(|cx| {
            catch_up();
            BACKSTAGE.with_borrow_mut(|backstage| backstage.client = Some(cx.waker().clone()));
            self.poll_hear(cx)
        })
        .await;
        Talk { heard: self.heard, seen: BACKSTAGE.take().seen }
    }

    /// Sends `words` and listens meanwhile.
    async fn say(&mut self, words: &[u8]) {
        let mut said = 0;
        poll_fn(|cx| {
            let _more = self.poll_hear(cx);
            while said < words.len() && !self.ended {
                match ready!(self.stream.poll_write(cx, &[IoSlice::new(&words[said..])])) {
                    Ok(n) => said += n,
                    Err(_) => break,
                }
            }
            Poll::Ready(())
        })
        .await;
    }

    /// Ready when the server will say no more.
    fn poll_hear(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut chunk = [0; 4096];
        while !self.ended {
            match ready!(self.stream.poll_read(cx, &mut chunk)) {
                Ok(n) if n > 0 => self.heard.extend_from_slice(&chunk[..n]),
                Ok(_) | Err(_) => self.ended = true,
            }
        }
        Poll::Ready(())
    }
}

impl Talk {
    /// Takes the connection's output apart; returns the first status that is not an interim one.
    fn check(&self, sent: &Sent) -> Option<u16> {
        let (seen, known) = (&self.seen, sent.requests.len().min(self.seen.len()));
        assert!(sent.is_cut_short || seen.len() == known, "more requests than there are: {seen:?}");
        for (seen, sent) in seen.iter().zip(&sent.requests) {
            assert_eq!(*seen, sent.line, "another request than was sent");
        }
        let (mut output, mut first, mut is_over) = (&self.heard[..], None, false);
        while !output.is_empty() {
            assert!(!is_over, "something follows the last answer: {}", output.escape_ascii());
            let heard = Heard::parse(&mut output, seen);
            is_over = heard.is_last;
            if heard.status != 100 {
                first = first.or(Some(heard.status));
            }
            if let Some(request) = heard.echo_of.and_then(|number| sent.requests.get(number)) {
                let (whole, body) = (&request.body, &heard.body);
                assert!(whole.starts_with(body), "another body than was sent");
                if heard.is_whole && request.end != End::Unknown {
                    assert!(whole == body && request.end == End::Whole, "half a body for a whole one");
                }
            }
        }
        first
    }
}

/// An answer as the client hears it.
struct Heard {
    status: u16,
    body: Vec<u8>,
    /// The body came to its end.
    is_whole: bool,
    /// Nothing may follow it.
    is_last: bool,
    /// The number of the request whose body it has.
    echo_of: Option<usize>,
}

impl Heard {
    /// Takes an answer off the front of `output`.
    fn parse(output: &mut &[u8], seen: &[String]) -> Self {
        let text = output.escape_ascii();
        let mut headers = [httparse::EMPTY_HEADER; 16];
        let mut answer = httparse::Response::new(&mut headers);
        let parsed = answer.parse(output);
        let Ok(httparse::Status::Complete(head)) = parsed else { panic!("{parsed:?} of {text}") };
        assert_eq!(answer.version, Some(1), "{text}");
        let status = answer.code.unwrap_or_default();
        let field = |name: &str| {
            let mut fields = answer.headers.iter().filter(|field| field.name.eq_ignore_ascii_case(name));
            let value = fields.next().map(|field| std::str::from_utf8(field.value).unwrap_or_default());
            assert!(fields.next().is_none(), "{name} comes twice: {text}");
            value
        };
        assert!(status == 100 || field("date").is_some(), "{text}");
        let number = field("x-number").and_then(|number| number.parse().ok());
        let is_head = number.is_some_and(|number: usize| seen[number].starts_with("HEAD "));
        let length = field("content-length").and_then(|length| length.parse().ok());
        let coding = field("transfer-encoding");
        let is_last = status == 101 || field("connection") == Some("close");
        let echo_of = number.filter(|_| field("x-echo").is_some() && !is_head);

        let rest = &output[head..];
        let (body, is_whole, rest) = match (coding, length) {
            (None, None) if matches!(status, 100 | 204) => (Vec::new(), true, rest),
            _ if is_head => (Vec::new(), true, rest),
            (None, Some(length)) => match rest.split_at_checked(length) {
                Some((body, rest)) => (body.to_vec(), true, rest),
                None => (rest.to_vec(), false, &[][..]),
            },
            (Some("chunked"), None) => match split_chunks(rest) {
                Chunks::Whole { body, rest, .. } => (body, true, rest),
                Chunks::Partial(body) => (body, false, &[][..]),
                Chunks::Malformed(_) => panic!("malformed chunks: {text}"),
            },
            // Up to the end of the connection: a tunnel, or an answer to an old client.
            (None, None) if is_last => (rest.to_vec(), true, &[][..]),
            _ => panic!("where does it end? {text}"),
        };
        *output = rest;
        Self { status, body, is_whole, is_last, echo_of }
    }
}

//! Bodies and trailers, from the words of HTTP/1.1 to frames and back.

use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::rc::Rc;
use std::task::{Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use futures_lite::future;
use h2::{Reason, RecvStream, SendStream};

use crate::driver::{Core, Stream};
use crate::http1::{Decoder, Step, encode_chunk_start, encode_field};
use crate::message::{Buffer, SMALL};

use super::answer::trailers;

/// Why a body did not arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Broken {
    /// The engine's side ended in the middle of it, or wants no more.
    Engine,
    /// The peer has reset the stream, with this reason.
    Peer(Reason),
    /// The peer has not looked at the request, and says so (RFC 9113 §8.7).
    Refused,
    /// The peer took nothing for too long.
    Stalled,
}

impl Broken {
    pub(super) fn of(error: &h2::Error) -> Self {
        match error.reason() {
            Some(Reason::REFUSED_STREAM) if error.is_remote() => Self::Refused,
            // Of the streams of a connection, only those fail with it that were begun too late.
            Some(Reason::NO_ERROR) if error.is_remote() && error.is_go_away() => Self::Refused,
            reason => Self::Peer(reason.unwrap_or(Reason::INTERNAL_ERROR)),
        }
    }
}

/// Data that may be waiting in the codec for the peer's window, of one stream.
const AHEAD: usize = 32 * 1024;

/// Sends what comes of `from` as frames: a body, up to its end.
pub(crate) async fn send(
    core: &Rc<Core>,
    from: &Stream,
    input: &mut Buffer,
    mut decoder: Decoder,
    to: &mut SendStream<Bytes>,
    patience: Duration,
) -> Result<(), Broken> {
    loop {
        let mut data = Vec::new();
        while !decoder.is_done() && !input.is_empty() && data.len() < AHEAD {
            match decoder.decode(input.data(), AHEAD).map_err(|_| Broken::Engine)? {
                Step::Data { skip, data: run } => {
                    data.extend_from_slice(&input.data()[skip..skip + run]);
                    input.consume(skip + run);
                }
                Step::Done { skip } => input.consume(skip),
            }
        }
        let is_done = decoder.is_done();
        let ends = if is_done { decoder.take_trailers() } else { None };
        if !data.is_empty() {
            push(core, to, data, is_done && ends.is_none(), patience).await?;
        } else if is_done && ends.is_none() {
            to.send_data(Bytes::new(), true).map_err(|error| Broken::of(&error))?;
        }
        if is_done {
            if let Some(headers) = ends {
                to.send_trailers(trailers(&headers)).map_err(|error| Broken::of(&error))?;
            }
            return Ok(());
        }
        if input.is_empty() && !fill(from, input, to).await? && !decoder.ends_with_connection() {
            return Err(Broken::Engine);
        }
    }
}

/// Sends what comes of `from` as frames, whatever it is, up to its end.
pub(crate) async fn send_raw(
    core: &Rc<Core>,
    from: &Stream,
    input: &mut Buffer,
    to: &mut SendStream<Bytes>,
    patience: Duration,
) -> Result<(), Broken> {
    loop {
        if !input.is_empty() {
            let data = input.data().to_vec();
            input.clear();
            push(core, to, data, false, patience).await?;
        }
        if !fill(from, input, to).await? {
            return to.send_data(Bytes::new(), true).map_err(|error| Broken::of(&error));
        }
    }
}

/// Reads more; says no at the end.
async fn fill(from: &Stream, input: &mut Buffer, to: &mut SendStream<Bytes>) -> Result<bool, Broken> {
    poll_fn(|cx| {
        if let Poll::Ready(read) = from.poll_read(cx, input.space(SMALL)) {
            return Poll::Ready(match read {
                Ok(n) => {
                    input.filled(n);
                    Ok(n > 0)
                }
                Err(_) => Err(Broken::Engine),
            });
        }
        input.release();
        to.poll_reset(cx).map(|reset| Err(reset.map_or_else(|error| Broken::of(&error), Broken::Peer)))
    })
    .await
}

/// Gives data to the codec as the peer's windows have room for it.
async fn push(
    core: &Rc<Core>,
    to: &mut SendStream<Bytes>,
    data: Vec<u8>,
    ends: bool,
    patience: Duration,
) -> Result<(), Broken> {
    let mut data = Bytes::from(data);
    while !data.is_empty() {
        to.reserve_capacity(data.len());
        let room = match to.capacity() {
            0 => wait_for_room(core, to, patience).await?,
            room => room,
        };
        let piece = data.split_to(room.min(data.len()));
        to.send_data(piece, ends && data.is_empty()).map_err(|error| Broken::of(&error))?;
    }
    Ok(())
}

async fn wait_for_room(
    core: &Rc<Core>,
    to: &mut SendStream<Bytes>,
    patience: Duration,
) -> Result<usize, Broken> {
    let room = poll_fn(|cx| {
        loop {
            return Poll::Ready(match ready!(to.poll_capacity(cx)) {
                Some(Ok(0)) => continue,
                Some(Ok(room)) => Ok(room),
                Some(Err(error)) => Err(Broken::of(&error)),
                None => Err(Broken::Peer(Reason::CANCEL)),
            });
        }
    });
    let too_late = async {
        core.sleep(patience).await;
        Err(Broken::Stalled)
    };
    future::or(room, too_late).await
}

/// How what comes in frames is put into the words of HTTP/1.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Words {
    /// As it is.
    Plain,
    /// In chunks, with trailers behind them.
    Chunks,
}

/// Gives what comes in frames to `to`, up to the end of the stream. What was taken there gives the peer room for more.
pub(crate) async fn receive(from: &mut RecvStream, to: &Stream, words: Words) -> Result<(), Broken> {
    receive_until(from, to, words, |_| false).await
}

/// The same for an answer. A server that has given one without having heard all of the request may reset the stream behind
/// it, with NO_ERROR (RFC 9113 §8.1); if that comes together with the end, the codec tells of the reset only.
pub(super) async fn receive_answer(from: &mut RecvStream, to: &Stream, words: Words) -> Result<(), Broken> {
    receive_until(from, to, words, |error| error.is_reset() && error.reason() == Some(Reason::NO_ERROR)).await
}

async fn receive_until(
    from: &mut RecvStream,
    to: &Stream,
    words: Words,
    is_end: impl Fn(&h2::Error) -> bool,
) -> Result<(), Broken> {
    let mut head = Vec::new();
    while let Some(data) = poll_fn(|cx| from.poll_data(cx)).await {
        let data = match data {
            Ok(data) => data,
            Err(error) if is_end(&error) => break,
            Err(error) => return Err(Broken::of(&error)),
        };
        if data.is_empty() {
            continue;
        }
        match words {
            Words::Plain => write(to, [&data, b"", b""]).await?,
            Words::Chunks => {
                head.clear();
                encode_chunk_start(&mut head, data.len());
                write(to, [&head, &data, b"\r\n"]).await?;
            }
        }
        // Of a stream that is gone there is none to be given back.
        let _gone = from.flow_control().release_capacity(data.len());
    }
    let trailers = match poll_fn(|cx| from.poll_trailers(cx)).await {
        Ok(trailers) => trailers,
        Err(error) if is_end(&error) => None,
        Err(error) => return Err(Broken::of(&error)),
    };
    if words == Words::Chunks {
        head.clear();
        head.extend_from_slice(b"0\r\n");
        for (name, value) in trailers.iter().flatten() {
            encode_field(&mut head, name.as_str().as_bytes(), value.as_bytes());
        }
        head.extend_from_slice(b"\r\n");
        write(to, [&head, b"", b""]).await?;
    }
    Ok(())
}

/// Writes all of it.
pub(crate) async fn write(to: &Stream, pieces: [&[u8]; 3]) -> Result<(), Broken> {
    let mut slices = pieces.map(IoSlice::new);
    let mut left = &mut slices[..];
    IoSlice::advance_slices(&mut left, 0);
    while !left.is_empty() {
        let written: io::Result<usize> = poll_fn(|cx| to.poll_write(cx, left)).await;
        match written {
            Ok(n) => IoSlice::advance_slices(&mut left, n),
            Err(_) => return Err(Broken::Engine),
        }
    }
    Ok(())
}

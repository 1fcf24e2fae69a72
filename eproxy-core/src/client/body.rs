//! The body of an answer, on its connection.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures_io::AsyncRead;

use crate::error::{Error, Kind};
use crate::http1::{Decoder, Step};
use crate::message::{BodySource, Headers};

use super::clock::Deadline;
use super::options::ClientOptions;
use super::pool::{Connection, Origin, Pool};

/// The input buffer's size while a body is read.
const INPUT: usize = 32 * 1024;

/// Reads the body of an answer; at its end the connection goes back to the pool. Dropped before that, the connection is
/// closed.
#[derive(Debug)]
pub(super) struct AnswerBody {
    pub(super) decoder: Decoder,
    pub(super) deadline: Deadline,
    /// The upstream is being waited for, and the deadline is about that.
    pub(super) waiting: bool,
    pub(super) options: ClientOptions,
    pub(super) home: Home,
    /// What came behind the end of a chunked body.
    pub(super) trailers: Option<Headers>,
}

/// The connection of an answer, and where it goes afterwards.
#[derive(Debug)]
pub(super) struct Home {
    pub(super) pool: Arc<Pool>,
    pub(super) origin: Origin,
    /// None once it has gone back, or can't.
    pub(super) connection: Option<Connection>,
    pub(super) keep_alive: bool,
}

impl Home {
    /// The body has ended: puts the connection back, unless it must end or has more on it than was asked for.
    pub(super) fn give_back(&mut self) {
        if let Some(mut connection) = self.connection.take()
            && self.keep_alive
            && connection.input.is_empty()
        {
            connection.input.release();
            self.pool.put(self.origin.clone(), connection);
        }
    }
}

impl AnswerBody {
    fn poll_body(&mut self, cx: &mut Context<'_>, into: &mut [u8]) -> Poll<Result<usize, Error>> {
        loop {
            let Some(connection) = &mut self.home.connection else { return Poll::Ready(Ok(0)) };
            if !connection.input.is_empty() || self.decoder.is_done() {
                let input = connection.input.data();
                match self.decoder.decode(input, into.len()).map_err(|_| Error::from(Kind::BadAnswer))? {
                    Step::Done { skip } => {
                        connection.input.consume(skip);
                        self.trailers = self.decoder.take_trailers();
                        self.home.give_back();
                        return Poll::Ready(Ok(0));
                    }
                    Step::Data { skip, data } => {
                        into[..data].copy_from_slice(&input[skip..skip + data]);
                        connection.input.consume(skip + data);
                        if self.decoder.is_done() {
                            // A reader that knows the length may not ask for more.
                            self.home.give_back();
                        }
                        if data > 0 {
                            return Poll::Ready(Ok(data));
                        }
                        continue;
                    }
                }
            }
            ready!(self.poll_input(cx))?;
        }
    }

    /// Reads more; the end of the connection may be that of the body.
    fn poll_input(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let Some(connection) = &mut self.home.connection else { return Poll::Ready(Ok(())) };
        let read = Pin::new(&mut connection.stream).poll_read(cx, connection.input.space(INPUT));
        let Poll::Ready(read) = read else {
            // Only time in which the body is wanted counts: a reader may be slow.
            if !std::mem::replace(&mut self.waiting, true) {
                self.deadline.reset(self.options.body_idle);
            }
            return self.deadline.poll(cx).map(|_| Err(Kind::UpstreamBodyTimeout.into()));
        };
        self.waiting = false;
        Poll::Ready(match read {
            Ok(0) if self.decoder.ends_with_connection() => Ok(()),
            Ok(0) => Err(Kind::UpstreamTruncated.into()),
            Ok(n) => {
                connection.input.filled(n);
                Ok(())
            }
            // Whoever can end a connection of TCP can't say that this was all of it (RFC 9112 §9.8).
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Err(Kind::UpstreamTruncated.into()),
            Err(error) => Err(Error::new(Kind::UpstreamIo).because(error)),
        })
    }
}

impl BodySource for AnswerBody {
    fn trailers(&self) -> Option<Headers> {
        self.trailers.clone()
    }
}

impl AsyncRead for AnswerBody {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut [u8]) -> Poll<io::Result<usize>> {
        if into.is_empty() {
            return Poll::Ready(Ok(0));
        }
        let read = ready!(self.poll_body(cx, into));
        if read.is_err() {
            self.home.connection = None;
        }
        Poll::Ready(read.map_err(Into::into))
    }
}

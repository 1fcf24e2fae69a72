//! A body of any framing, decoded from slices of any size.

use crate::error::Kind;
use crate::message::Headers;

use super::chunked::Chunked;
use super::framing::{End, Framing};

/// What is left of a body.
#[derive(Debug)]
pub(crate) struct Decoder(State);

#[derive(Debug)]
enum State {
    Done(Option<Headers>),
    Length(u64),
    Chunked(Chunked),
    UntilClose,
}

/// What [`Decoder::decode`] found at the front of its input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// `skip` bytes of framing, then `data` bytes of the body; both may be 0 when more input is needed.
    Data { skip: usize, data: usize },
    /// `skip` bytes of framing, then the end of the body.
    Done { skip: usize },
}

impl Decoder {
    pub(crate) fn new(framing: Framing) -> Self {
        Self(match framing.end() {
            End::None => State::Done(None),
            End::Length(length) => State::Length(length),
            End::Chunked => State::Chunked(Chunked::new()),
            End::UntilClose => State::UntilClose,
        })
    }

    /// Decodes from the front of `input` up to the end of the next run of data, of `max` bytes at most.
    ///
    /// # Errors
    ///
    /// The body is malformed; the decoder is of no use then.
    pub(crate) fn decode(&mut self, input: &[u8], max: usize) -> Result<Step, Kind> {
        let there = input.len().min(max);
        match &mut self.0 {
            State::Done(_) => Ok(Step::Done { skip: 0 }),
            State::UntilClose => Ok(Step::Data { skip: 0, data: there }),
            State::Length(left) => {
                let data = usize::try_from(*left).map_or(there, |left| left.min(there));
                *left -= data as u64;
                if *left == 0 {
                    self.0 = State::Done(None);
                }
                Ok(Step::Data { skip: 0, data })
            }
            State::Chunked(chunked) => {
                let progress = chunked.decode(input, max)?;
                if !progress.done {
                    return Ok(Step::Data { skip: progress.skip, data: progress.data });
                }
                self.0 = State::Done(chunked.take_trailer_fields());
                Ok(Step::Done { skip: progress.skip })
            }
        }
    }

    /// Bytes that the body still has, none of them framing; `u64::MAX` up to the end of the connection. None where there
    /// is framing among them.
    pub(crate) fn raw_left(&self) -> Option<u64> {
        match self.0 {
            State::Length(left) => Some(left),
            State::UntilClose => Some(u64::MAX),
            State::Done(_) | State::Chunked(_) => None,
        }
    }

    /// Says that so many bytes of a body without framing were moved by others.
    pub(crate) fn skip(&mut self, n: u64) {
        if let State::Length(left) = &mut self.0 {
            *left -= n;
            if *left == 0 {
                self.0 = State::Done(None);
            }
        }
    }

    /// Whether the body has ended.
    pub(crate) fn is_done(&self) -> bool {
        matches!(self.0, State::Done(_))
    }

    /// Says that the connection ended: is that the end of the body?
    pub(crate) fn ends_with_connection(&mut self) -> bool {
        if matches!(self.0, State::UntilClose) {
            self.0 = State::Done(None);
        }
        self.is_done()
    }

    /// The trailer fields that came behind the end.
    pub(crate) fn take_trailers(&mut self) -> Option<Headers> {
        match &mut self.0 {
            State::Done(trailers) => trailers.take(),
            _ => None,
        }
    }
}

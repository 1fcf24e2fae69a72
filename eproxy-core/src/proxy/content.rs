//! What happens to the bytes of a body that passes: they are counted, shown to filters, copied for a mirror, and framed
//! anew. Nothing here does I/O.

use crate::error::Kind;
use crate::http1::{BodyCoding, encode_chunk_end, encode_chunk_start, encode_last_chunk};
use crate::message::{Headers, PipeWriter};

use super::filter::Filters;

/// A body that passes.
#[derive(Debug)]
pub(super) struct Content {
    coding: BodyCoding,
    /// Bytes that may still come.
    allowed: u64,
    /// Bytes that have come.
    moved: u64,
    /// What the user does to it, and how many bytes have come out of that.
    filters: Option<Box<Filters>>,
    filtered: u64,
    /// The last byte of a length that was announced: it is held back until the filters are known to have no more.
    last: Option<u8>,
    /// What takes a copy.
    copy: Option<PipeWriter>,
}

/// Where a run of the body is to be written from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Placed {
    /// From what is collected: it is there.
    Collected,
    /// From where it is; what goes before it is collected, and [`Content::tail`] goes behind it.
    InPlace,
}

/// Runs up to this size are copied to what is collected; longer ones are written from where they are.
const COPY: usize = 4 * 1024;

impl Content {
    /// A body that goes out in this coding, and may have so many bytes.
    pub(super) fn new(coding: BodyCoding, allowed: u64) -> Self {
        Self { coding, allowed, moved: 0, filters: None, filtered: 0, last: None, copy: None }
    }

    /// Passes the body through these.
    pub(super) fn filter(&mut self, filters: Filters) {
        self.filters = (!filters.is_empty()).then(|| Box::new(filters));
    }

    /// Gives a copy of the body away, as far as it is taken fast enough.
    pub(super) fn copy_to(&mut self, copy: PipeWriter) {
        self.copy = Some(copy);
    }

    /// Bytes of the body that have come.
    pub(super) fn moved(&self) -> u64 {
        self.moved
    }

    /// Nobody looks at the bytes, and nothing is put between them.
    pub(super) fn is_plain(&self) -> bool {
        self.filters.is_none() && self.copy.is_none() && self.coding != BodyCoding::Chunked
    }

    /// Says that so many bytes of a plain body were moved by others.
    ///
    /// # Errors
    ///
    /// `BodyTooLarge`.
    pub(super) fn count(&mut self, n: u64) -> Result<(), Kind> {
        self.allowed = self.allowed.checked_sub(n).ok_or(Kind::BodyTooLarge)?;
        self.moved += n;
        Ok(())
    }

    /// Takes a run of the body, which is not empty. `may_stay` allows that it is written from where it is.
    ///
    /// # Errors
    ///
    /// `BodyTooLarge`, `FilterFailed`, `BadGrpcWeb`.
    pub(super) fn take(&mut self, run: &[u8], out: &mut Vec<u8>, may_stay: bool) -> Result<Placed, Kind> {
        self.count(run.len() as u64)?;
        if let Some(filters) = &mut self.filters {
            let mut made = Vec::new();
            filters.run(run, &mut made)?;
            self.put_filtered(&made, out)?;
            return Ok(Placed::Collected);
        }
        self.give_copy(run);
        if may_stay && run.len() > COPY {
            if self.coding == BodyCoding::Chunked {
                encode_chunk_start(out, run.len());
            }
            return Ok(Placed::InPlace);
        }
        self.put(run, out);
        Ok(Placed::Collected)
    }

    /// What goes behind a run that is written from where it is.
    pub(super) fn tail(&self) -> &'static [u8] {
        if self.coding == BodyCoding::Chunked { b"\r\n" } else { b"" }
    }

    /// Collects what ends the body.
    ///
    /// # Errors
    ///
    /// `FilterFailed`, `BadGrpcWeb`.
    pub(super) fn end(&mut self, out: &mut Vec<u8>, mut trailers: Option<&Headers>) -> Result<(), Kind> {
        if let Some(filters) = &mut self.filters {
            let mut made = Vec::new();
            filters.finish(&mut made, trailers)?;
            trailers = trailers.filter(|_| !filters.take_trailers());
            self.put_filtered(&made, out)?;
            if matches!(self.coding, BodyCoding::Length(length) if self.filtered < length) {
                return Err(Kind::FilterFailed);
            }
            if let Some(last) = self.last.take() {
                self.give_copy(&[last]);
                self.put(&[last], out);
            }
        }
        if let Some(copy) = self.copy.take() {
            copy.finish(trailers.cloned());
        }
        if self.coding == BodyCoding::Chunked {
            encode_last_chunk(out, trailers);
        }
        Ok(())
    }

    fn put_filtered(&mut self, mut made: &[u8], out: &mut Vec<u8>) -> Result<(), Kind> {
        self.filtered += made.len() as u64;
        if let BodyCoding::Length(length) = self.coding {
            if self.filtered > length {
                return Err(Kind::FilterFailed);
            }
            if self.filtered == length
                && let Some((last, others)) = made.split_last()
            {
                (self.last, made) = (Some(*last), others);
            }
        }
        if !made.is_empty() {
            self.give_copy(made);
            self.put(made, out);
        }
        Ok(())
    }

    fn put(&self, bytes: &[u8], out: &mut Vec<u8>) {
        let is_chunked = self.coding == BodyCoding::Chunked;
        if is_chunked {
            encode_chunk_start(out, bytes.len());
        }
        out.extend_from_slice(bytes);
        if is_chunked {
            encode_chunk_end(out);
        }
    }

    fn give_copy(&mut self, bytes: &[u8]) {
        // A copy that is too slow is given up.
        self.copy.take_if(|copy| !copy.try_push(bytes));
    }
}

#[cfg(test)]
mod tests {
    use super::super::filter::BodyFilter;
    use super::*;

    /// Writes `n` bytes for each.
    struct Times(usize);

    impl BodyFilter for Times {
        fn filter(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> std::io::Result<()> {
            bytes.iter().for_each(|byte| out.extend(std::iter::repeat_n(*byte, self.0)));
            Ok(())
        }
    }

    fn passed(coding: BodyCoding, times: usize, may_resize: bool) -> Result<String, Kind> {
        let mut content = Content::new(coding, 100);
        let mut filters = Filters::default();
        filters.transform(Times(times), may_resize);
        content.filter(filters);
        let mut out = Vec::new();
        for run in [b"ab", b"cd"] {
            assert_eq!(content.take(run, &mut out, true)?, Placed::Collected);
        }
        content.end(&mut out, None)?;
        assert_eq!(content.moved(), 4);
        Ok(String::from_utf8(out).unwrap())
    }

    #[test]
    fn what_filters_make_is_framed_by_the_engine() {
        assert_eq!(passed(BodyCoding::Chunked, 2, true).unwrap(), "4\r\naabb\r\n4\r\nccdd\r\n0\r\n\r\n");
        assert_eq!(passed(BodyCoding::Chunked, 0, true).unwrap(), "0\r\n\r\n");
        assert_eq!(passed(BodyCoding::Length(4), 1, false).unwrap(), "abcd");
    }

    #[test]
    fn a_length_that_was_announced_is_kept() {
        assert_eq!(passed(BodyCoding::Length(4), 2, false), Err(Kind::FilterFailed));
        assert_eq!(passed(BodyCoding::Length(4), 0, false), Err(Kind::FilterFailed));
    }

    #[test]
    fn long_runs_stay_where_they_are_and_too_long_bodies_end() {
        let mut content = Content::new(BodyCoding::Chunked, 10_000);
        let mut out = Vec::new();
        assert_eq!(content.take(&[0; 5000], &mut out, true), Ok(Placed::InPlace));
        assert_eq!((&*out, content.tail()), (&b"1388\r\n"[..], &b"\r\n"[..]));
        assert_eq!(content.take(&[0; 5000], &mut out, false), Ok(Placed::Collected));
        assert_eq!(content.take(&[0; 1], &mut out, true), Err(Kind::BodyTooLarge));
    }

    #[test]
    fn a_copy_is_given_up_when_it_is_too_slow() {
        let (writer, reader) = crate::message::pipe(8);
        let mut content = Content::new(BodyCoding::Length(100), 100);
        content.copy_to(writer);
        let mut out = Vec::new();
        content.take(b"12345678", &mut out, true).unwrap();
        assert!(content.copy.is_some());
        content.take(b"9", &mut out, true).unwrap();
        assert!(content.copy.is_none());
        drop(reader);
    }
}

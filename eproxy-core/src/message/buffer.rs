//! The input buffer of a connection.
//!
//! A buffer holds memory only while there is something in it: blocks come from a shelf of the thread and go back there,
//! so that a thread which serves connections has as many as it has messages under way, and allocates none once it is
//! warm.

use std::cell::RefCell;

/// Bytes that were read and not yet used, at the front of one block that grows up to what is asked for.
#[derive(Debug)]
pub(crate) struct Buffer {
    /// Its whole length is readable memory; `start..end` is what was read.
    bytes: Vec<u8>,
    start: usize,
    end: usize,
}

/// The size of a block for a head that waits for its answer.
const TINY: usize = 1024;

/// The size of a block for heads and for bodies that fit behind them.
pub(crate) const SMALL: usize = 16 * 1024;

/// The size of a block for bodies.
pub(crate) const LARGE: usize = 64 * 1024;

impl Buffer {
    /// A buffer that takes a block when it is first filled.
    pub(crate) const fn new() -> Self {
        Self { bytes: Vec::new(), start: 0, end: 0 }
    }

    pub(crate) fn data(&self) -> &[u8] {
        &self.bytes[self.start..self.end]
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.start == self.end
    }

    pub(crate) fn len(&self) -> usize {
        self.end - self.start
    }

    /// Forgets the first `n` bytes.
    pub(crate) fn consume(&mut self, n: usize) {
        self.start += n;
        debug_assert!(self.start <= self.end);
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        }
    }

    /// Forgets everything, and gives the block back.
    pub(crate) fn clear(&mut self) {
        (self.start, self.end) = (0, 0);
        self.release();
    }

    /// Forgets everything, and keeps the block if it is a small one.
    pub(crate) fn reset(&mut self) {
        (self.start, self.end) = (0, 0);
        if self.bytes.len() > SMALL {
            self.release();
        }
    }

    /// A buffer that holds a copy of these bytes, in a block that is no larger than need be.
    pub(crate) fn copy_of(bytes: &[u8]) -> Self {
        let mut buffer = Self::new();
        buffer.space(bytes.len().max(1))[..bytes.len()].copy_from_slice(bytes);
        buffer.filled(bytes.len());
        buffer
    }

    /// Gives the block back, if the buffer is empty.
    pub(crate) fn release(&mut self) {
        if self.is_empty() && !self.bytes.is_empty() {
            let block = std::mem::take(&mut self.bytes);
            // The shelf is gone when its thread ends, and then the block may go, too.
            let _gone = SHELF.try_with(|shelf| shelf.borrow_mut().put(block));
        }
    }

    /// Room to read into, at least one byte, with the buffer as large as `size` if need be.
    pub(crate) fn space(&mut self, size: usize) -> &mut [u8] {
        if self.bytes.len() < size {
            self.grow(size);
        }
        if self.end == self.bytes.len() {
            if self.start == 0 {
                self.grow(self.bytes.len() * 2);
            } else {
                self.bytes.copy_within(self.start..self.end, 0);
                (self.start, self.end) = (0, self.end - self.start);
            }
        }
        &mut self.bytes[self.end..]
    }

    /// Moves what is there to a larger block.
    #[cold]
    fn grow(&mut self, size: usize) {
        let mut block = SHELF.with_borrow_mut(|shelf| shelf.take(size));
        let length = self.len();
        block[..length].copy_from_slice(self.data());
        let old = std::mem::replace(&mut self.bytes, block);
        (self.start, self.end) = (0, length);
        SHELF.with_borrow_mut(|shelf| shelf.put(old));
    }

    /// Says that `n` bytes of the space were filled.
    pub(crate) fn filled(&mut self, n: usize) {
        self.end += n;
        debug_assert!(self.end <= self.bytes.len());
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        self.clear();
    }
}

thread_local! {
    static SHELF: RefCell<Shelf> = const { RefCell::new(Shelf { blocks: [const { Vec::new() }; 3], limit: 0 }) };
}

/// The sizes of blocks, and the share of the limit that may be kept of each.
const SIZES: [(usize, usize); 3] = [(TINY, 1), (SMALL, 1), (LARGE, 4)];

/// Blocks that no buffer of the thread has.
struct Shelf {
    /// By size.
    blocks: [Vec<Vec<u8>>; 3],
    /// How many are kept of the smaller sizes, and a quarter as many of the largest.
    limit: usize,
}

/// Lets the calling thread, one that serves connections, keep up to `limit` unused blocks of each size, and a quarter as
/// many of the largest.
pub(crate) fn keep_buffers_of_this_thread(limit: usize) {
    SHELF.with_borrow_mut(|shelf| shelf.limit = limit);
}

impl Shelf {
    /// A block of at least so many bytes. A thread that keeps none makes them to measure.
    fn take(&mut self, size: usize) -> Vec<u8> {
        let fits = SIZES.iter().position(|(known, _)| size <= *known).filter(|_| self.limit > 0);
        match fits {
            Some(number) => self.blocks[number].pop().unwrap_or_else(|| vec![0; SIZES[number].0]),
            None => vec![0; size],
        }
    }

    fn put(&mut self, block: Vec<u8>) {
        if let Some(number) = SIZES.iter().position(|(size, _)| *size == block.len())
            && self.blocks[number].len() < self.limit / SIZES[number].1
        {
            self.blocks[number].push(block);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(buffer: &mut Buffer, bytes: &[u8]) {
        for byte in bytes {
            buffer.space(4)[0] = *byte;
            buffer.filled(1);
        }
    }

    #[test]
    fn what_is_put_in_comes_out_in_order_across_growth_and_compaction() {
        let mut buffer = Buffer::new();
        put(&mut buffer, b"abcd");
        buffer.consume(3);
        put(&mut buffer, b"efghij");
        assert_eq!(buffer.data(), b"defghij");
        buffer.consume(7);
        assert!(buffer.is_empty());
        put(&mut buffer, b"k");
        assert_eq!(buffer.data(), b"k");
    }

    #[test]
    fn blocks_are_used_again_and_no_more_are_kept_than_allowed() {
        keep_buffers_of_this_thread(4);
        let mut buffers: Vec<_> = (0..9).map(|_| Buffer::new()).collect();
        for size in [SMALL, LARGE] {
            buffers.iter_mut().for_each(|buffer| assert_eq!(buffer.space(size).len(), size));
            buffers.iter_mut().for_each(Buffer::release);
        }
        SHELF.with_borrow(|shelf| assert_eq!(shelf.blocks.each_ref().map(Vec::len), [0, 4, 1]));
        let mut buffer = Buffer::new();
        buffer.space(SMALL);
        SHELF.with_borrow(|shelf| assert_eq!(shelf.blocks.each_ref().map(Vec::len), [0, 3, 1]));
        buffer.filled(SMALL);
        assert_eq!(
            buffer.space(SMALL).len(),
            LARGE - SMALL,
            "what is longer than a block moves to a larger one"
        );
        drop(buffer);
        assert_eq!(Buffer::copy_of(b"abc").bytes.len(), TINY);
        keep_buffers_of_this_thread(0);
        let copy = Buffer::copy_of(b"abc");
        assert_eq!((copy.data(), copy.bytes.len()), (&b"abc"[..], 3));
    }
}

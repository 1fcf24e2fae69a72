//! The input buffer of a connection.

/// Bytes that were read and not yet used, at the front of one allocation that grows up to what is asked for.
#[derive(Debug)]
pub(crate) struct Buffer {
    /// Its whole length is readable memory; `start..end` is what was read.
    bytes: Vec<u8>,
    start: usize,
    end: usize,
}

impl Buffer {
    /// A buffer that allocates when it is first filled.
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

    /// Forgets everything.
    pub(crate) fn clear(&mut self) {
        (self.start, self.end) = (0, 0);
    }

    /// Room to read into, at least one byte, with the buffer as large as `size` if need be.
    pub(crate) fn space(&mut self, size: usize) -> &mut [u8] {
        if self.bytes.len() < size {
            self.bytes.resize(size, 0);
        }
        if self.end == self.bytes.len() {
            if self.start == 0 {
                let double = self.bytes.len() * 2;
                self.bytes.resize(double, 0);
            } else {
                self.bytes.copy_within(self.start..self.end, 0);
                (self.start, self.end) = (0, self.end - self.start);
            }
        }
        &mut self.bytes[self.end..]
    }

    /// Says that `n` bytes of the space were filled.
    pub(crate) fn filled(&mut self, n: usize) {
        self.end += n;
        debug_assert!(self.end <= self.bytes.len());
    }

    /// Gives memory beyond `size` back, if the buffer is empty.
    pub(crate) fn shrink(&mut self, size: usize) {
        if self.is_empty() && self.bytes.len() > size {
            self.bytes = Vec::new();
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
}

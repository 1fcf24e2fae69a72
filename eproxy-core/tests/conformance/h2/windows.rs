//! The windows of flow control.

use std::collections::BTreeMap;

/// Flow control (RFC 9113 §5.2) of one direction.
#[derive(Debug)]
pub(super) struct Windows {
    pub(super) connection: i64,
    /// Of streams that nothing was sent on.
    initial: i64,
    streams: BTreeMap<u32, i64>,
}

impl Windows {
    pub(super) fn new() -> Self {
        Self { connection: 65_535, initial: 65_535, streams: BTreeMap::new() }
    }

    pub(super) fn stream(&mut self, stream: u32) -> &mut i64 {
        self.streams.entry(stream).or_insert(self.initial)
    }

    /// RFC 9113 §6.9.2: a change of the initial size is one of all streams.
    pub(super) fn set_initial(&mut self, size: u32) {
        let more = i64::from(size) - self.initial;
        self.initial += more;
        self.streams.values_mut().for_each(|window| *window += more);
    }

    pub(super) fn open(&mut self, stream: u32, more: u32) {
        match stream {
            0 => self.connection += i64::from(more),
            stream => *self.stream(stream) += i64::from(more),
        }
    }

    pub(super) fn use_up(&mut self, stream: u32, length: usize) {
        let length = i64::try_from(length).expect("a length");
        self.connection -= length;
        *self.stream(stream) -= length;
    }
}

//! What a client hears, frame by frame, each held against the RFC.

use std::io::{ErrorKind, Read as _};

use crate::support::PATIENCE;

use super::answer::Answer;
use super::client::Client;
use super::frame::*;

impl Client {
    /// Reads a frame and takes it in; says no at the end of the connection.
    pub(crate) fn step(&mut self) -> bool {
        let Some(frame) = self.frame() else {
            self.heard.is_closed = true;
            return false;
        };
        assert!(frame.payload.len() <= 16_384, "RFC 9113 §4.2: {} bytes", frame.payload.len());
        if let Some((stream, ..)) = &self.open_block {
            assert_eq!((frame.kind, frame.stream), (CONTINUATION, *stream), "RFC 9113 §4.3");
        }
        match frame.kind {
            DATA => self.on_data(&frame),
            HEADERS => self.on_headers(frame),
            CONTINUATION => self.on_continuation(&frame),
            RST_STREAM => {
                assert!(frame.stream % 2 == 1, "RFC 9113 §6.4: {frame:?}");
                self.answer_on(frame.stream).on_reset(number(&frame.payload));
            }
            SETTINGS => self.on_settings(&frame),
            PING => {
                assert_eq!(frame.stream, 0, "RFC 9113 §6.7");
                let opaque: [u8; 8] = frame.payload[..].try_into().expect("RFC 9113 §6.7: eight bytes");
                match frame.flags & ACK {
                    0 => self.send(super::frame::frame(PING, ACK, 0, &opaque)),
                    _ => self.heard.pongs.push(opaque),
                }
            }
            GOAWAY => {
                assert_eq!(frame.stream, 0, "RFC 9113 §6.8");
                let [last, code] = [0, 4].map(|at| number(&frame.payload[at..at + 4]));
                let before = self.heard.goaways.last().map_or(u32::MAX, |(last, _)| *last);
                assert!(last <= before, "RFC 9113 §6.8: the last stream grows: {last} behind {before}");
                self.heard.goaways.push((last, code));
            }
            WINDOW_UPDATE => {
                let more = number(&frame.payload);
                assert!(more > 0 && more < 1 << 31, "RFC 9113 §6.9: {more}");
                self.room.open(frame.stream, more);
                *self.heard.window_updates.entry(frame.stream).or_default() += u64::from(more);
                let most = *self.room.stream(frame.stream);
                assert!(self.room.connection.max(most) < 1 << 31, "RFC 9113 §6.9.1");
            }
            PUSH_PROMISE => panic!("RFC 9113 §8.4: nothing is pushed: {frame:?}"),
            _ => {}
        }
        true
    }

    fn answer_on(&mut self, stream: u32) -> &mut Answer {
        self.heard.answers.entry(stream).or_default()
    }

    fn on_data(&mut self, frame: &Frame) {
        assert!(frame.stream % 2 == 1, "RFC 9113 §5.1.1: {frame:?}");
        let length = frame.payload.len();
        self.granted.use_up(frame.stream, length);
        let left = (self.granted.connection, *self.granted.stream(frame.stream));
        let is_in_bounds = length == 0 || left.0 >= 0 && left.1 >= 0;
        assert!(is_in_bounds, "RFC 9113 §6.9.1: {length} bytes of DATA leave windows of {left:?}");
        let is_last = frame.flags & END_STREAM != 0;
        self.answer_on(frame.stream).on_data(unpadded(frame), is_last);
        if let Ok(more @ 1..) = u32::try_from(length)
            && self.refills
        {
            self.open_window(0, more);
            if !is_last {
                self.open_window(frame.stream, more);
            }
        }
    }

    fn on_headers(&mut self, frame: Frame) {
        assert!(frame.stream % 2 == 1, "RFC 9113 §5.1.1: {frame:?}");
        let skipped = if frame.flags & WITH_PRIORITY != 0 { 5 } else { 0 };
        let fragment = unpadded(&frame)[skipped..].to_vec();
        self.open_block = Some((frame.stream, frame.flags, fragment));
        self.end_block(frame.flags);
    }

    fn on_continuation(&mut self, frame: &Frame) {
        let (_, _, fragments) = self.open_block.as_mut().expect("RFC 9113 §6.10: CONTINUATION of nothing");
        fragments.extend_from_slice(&frame.payload);
        self.end_block(frame.flags);
    }

    fn end_block(&mut self, flags: u8) {
        if flags & END_HEADERS == 0 {
            return;
        }
        if let Some((stream, flags, block)) = self.open_block.take() {
            let fields = self.decoder.decode(&block);
            self.answer_on(stream).on_fields(fields, flags & END_STREAM != 0);
        }
    }

    fn on_settings(&mut self, frame: &Frame) {
        assert!(frame.stream == 0 && frame.payload.len().is_multiple_of(6), "RFC 9113 §6.5: {frame:?}");
        if frame.flags & ACK != 0 {
            assert!(frame.payload.is_empty(), "RFC 9113 §6.5: {frame:?}");
            self.heard.settings_acks += 1;
            let ours = self.pending.pop_front().expect("RFC 9113 §6.5.3: each is acknowledged once");
            for (id, value) in ours {
                if id == INITIAL_WINDOW_SIZE {
                    self.granted.set_initial(value);
                }
            }
            return;
        }
        self.heard.settings_frames += 1;
        for entry in frame.payload.chunks(6) {
            let (id, value) = (u16::from_be_bytes([entry[0], entry[1]]), number(&entry[2..]));
            match id {
                ENABLE_PUSH => assert_eq!(value, 0, "RFC 9113 §6.5.2"),
                INITIAL_WINDOW_SIZE => {
                    assert!(value < 1 << 31, "RFC 9113 §6.5.2");
                    self.room.set_initial(value);
                }
                MAX_FRAME_SIZE => {
                    assert!((16_384..1 << 24).contains(&value), "RFC 9113 §6.5.2");
                    self.frame_size = value;
                }
                _ => {}
            }
            self.heard.settings.push((id, value));
        }
        self.send(settings_ack());
    }

    /// The next frame; none at the end of the connection.
    fn frame(&mut self) -> Option<Frame> {
        while !self.has_frame() {
            match self.fill() {
                Some(0) => {
                    let is_cut = self.at < self.buffer.len() && !self.heard.is_closed;
                    assert!(!is_cut, "the connection ends inside a frame: {:?}", self.heard);
                    return None;
                }
                Some(_) => {}
                None => {
                    panic!("nothing comes for {PATIENCE:?}, nor does the connection end: {:?}", self.heard)
                }
            }
        }
        let (head, rest) = self.buffer[self.at..].split_at(9);
        let (kind, flags) = (head[3], head[4]);
        let stream = number(&head[5..9]) & !(1 << 31);
        let payload = rest[..self.next_length()].to_vec();
        self.at += 9 + payload.len();
        Some(Frame { kind, flags, stream, payload })
    }

    /// Whether a whole frame was read.
    pub(super) fn has_frame(&self) -> bool {
        let length = self.buffer.len() - self.at;
        length >= 9 && length >= 9 + self.next_length()
    }

    fn next_length(&self) -> usize {
        self.buffer[self.at..self.at + 3].iter().fold(0, |length, byte| length << 8 | usize::from(*byte))
    }

    /// Reads more; how much, 0 at the end of the connection, of which a reset is one; none when nothing comes in time.
    pub(super) fn fill(&mut self) -> Option<usize> {
        self.buffer.drain(..self.at);
        self.at = 0;
        let mut chunk = [0; 32 * 1024];
        match self.stream.read(&mut chunk) {
            Ok(n) => {
                self.buffer.extend_from_slice(&chunk[..n]);
                Some(n)
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => None,
            Err(_) => {
                self.heard.is_closed = true;
                Some(0)
            }
        }
    }
}

/// The payload of DATA or HEADERS without its padding.
fn unpadded(frame: &Frame) -> &[u8] {
    match (frame.flags & PADDED, &frame.payload[..]) {
        (0, payload) => payload,
        (_, [padding, payload @ ..]) => {
            let end = payload.len().checked_sub(usize::from(*padding)).expect("RFC 9113 §6.1: padding");
            &payload[..end]
        }
        (_, []) => panic!("RFC 9113 §6.1: no pad length"),
    }
}

//! What a client's frames cost that do nothing for anybody, told from their heads as they are read.
//!
//! The codec bounds what it keeps of a peer; it answers pings, acknowledges settings and passes over priorities for as long as
//! somebody sends them.

use std::time::Instant;

/// Looks at frames as they pass.
#[derive(Debug)]
pub(super) struct Meter {
    /// Bytes before the head of the next frame.
    skip: usize,
    head: [u8; HEAD],
    /// Bytes of the head that were seen.
    seen: usize,
    has_begun: bool,
    /// Idle frames that are still borne.
    credit: u32,
    /// When the credit was last added to.
    since: Instant,
}

/// What frames amount to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Verdict {
    #[default]
    Fine,
    /// The first one is not SETTINGS (RFC 9113 §3.4).
    NoSettings,
    /// There were too many that do nothing (RFC 9113 §10.5).
    Flood,
}

const HEAD: usize = 9;

/// The preface of a client, whose second half the codec checks.
const PREFACE: usize = 24;

/// Idle frames that are borne at once, and a second.
const CREDIT: u32 = 10_000;
const RATE: f64 = 1000.0;

const DATA: u8 = 0;
const PRIORITY: u8 = 2;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const ACK: u8 = 1;

impl Meter {
    pub(super) fn new(now: Instant) -> Self {
        Self { skip: PREFACE, head: [0; HEAD], seen: 0, has_begun: false, credit: CREDIT, since: now }
    }

    /// Looks at bytes as they are read.
    pub(super) fn look(&mut self, mut bytes: &[u8], now: Instant) -> Verdict {
        loop {
            let skipped = self.skip.min(bytes.len());
            self.skip -= skipped;
            bytes = &bytes[skipped..];
            let more = bytes.len().min(HEAD - self.seen);
            self.head[self.seen..self.seen + more].copy_from_slice(&bytes[..more]);
            self.seen += more;
            bytes = &bytes[more..];
            if self.seen < HEAD {
                return Verdict::Fine;
            }
            self.seen = 0;
            let [a, b, c, kind, flags, ..] = self.head;
            self.skip = u32::from_be_bytes([0, a, b, c]) as usize;
            if !std::mem::replace(&mut self.has_begun, true) && (kind != SETTINGS || flags & ACK != 0) {
                return Verdict::NoSettings;
            }
            if self.is_idle(kind, flags) && !self.pay(now) {
                return Verdict::Flood;
            }
        }
    }

    /// Whether a frame does nothing but cost.
    fn is_idle(&self, kind: u8, flags: u8) -> bool {
        match kind {
            DATA => self.skip == 0 && flags & END_STREAM == 0,
            SETTINGS | PING => flags & ACK == 0,
            PRIORITY | CONTINUATION.. => true,
            _ => false,
        }
    }

    fn pay(&mut self, now: Instant) -> bool {
        if self.credit == 0 {
            let earned = ((now - self.since).as_secs_f64() * RATE) as u32;
            (self.credit, self.since) = (earned.min(CREDIT), now);
        }
        self.credit = self.credit.saturating_sub(1);
        self.credit > 0
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
        let length = (payload.len() as u32).to_be_bytes();
        [&length[1..], &[kind, flags, 0, 0, 0, 0], payload].concat()
    }

    fn preface() -> Vec<u8> {
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec()
    }

    #[test]
    fn the_first_frame_has_to_be_settings_however_it_comes() {
        let now = crate::driver::Core::new().unwrap().now();
        for (first, verdict) in [
            (frame(SETTINGS, 0, &[0; 6]), Verdict::Fine),
            (frame(SETTINGS, ACK, b""), Verdict::NoSettings),
            (frame(PING, 0, &[0; 8]), Verdict::NoSettings),
        ] {
            for piece in [1, 5, 100] {
                let mut meter = Meter::new(now);
                let bytes = [preface(), first.clone()].concat();
                let last = bytes.chunks(piece).map(|piece| meter.look(piece, now));
                assert_eq!(last.max_by_key(|verdict| *verdict != Verdict::Fine), Some(verdict));
            }
        }
    }

    #[test]
    fn idle_frames_are_borne_at_a_rate_and_others_without_limit() {
        let now = crate::driver::Core::new().unwrap().now();
        let mut meter = Meter::new(now);
        assert_eq!(meter.look(&[preface(), frame(SETTINGS, 0, b"")].concat(), now), Verdict::Fine);
        let data = frame(DATA, 0, b"something").repeat(3 * CREDIT as usize);
        assert_eq!(meter.look(&data, now), Verdict::Fine);
        let pings = frame(PING, 0, &[0; 8]);
        assert_eq!(meter.look(&pings.repeat(CREDIT as usize - 2), now), Verdict::Fine);
        assert_eq!(meter.look(&pings, now), Verdict::Flood);
        let later = now + Duration::from_secs(1);
        assert_eq!(meter.look(&pings.repeat(RATE as usize - 1), later), Verdict::Fine);
        assert_eq!(meter.look(&frame(DATA, 0, b"").repeat(2), later), Verdict::Flood);
    }
}

//! Records behind a buffer: how much room they need, and what goes into one.

use std::io::{self, IoSlice};

use rustls::unbuffered::{EncodeError, EncodeTlsData, EncryptError, WriteTraffic};

/// A record's bytes of plaintext at the most (RFC 8446 §5.1).
const RECORD: usize = 16 * 1024;

/// What a record has around its plaintext at the most: the header, TLS 1.2's nonce, and the tag.
pub(super) const AROUND: usize = 5 + 8 + 16;

/// Puts a record of the handshake behind `out`.
pub(super) fn encode<D>(mut data: EncodeTlsData<'_, D>, out: &mut Vec<u8>) {
    // Asked with no room at all, it says how much it needs.
    if let Err(EncodeError::InsufficientSize(needed)) = data.encode(&mut []) {
        let from = out.len();
        out.resize(from + needed.required_size, 0);
        let written = data.encode(&mut out[from..]).unwrap_or_default();
        out.truncate(from + written);
    }
}

/// Puts records of up to `most` bytes of `plain` behind `out`.
pub(super) fn seal<D>(
    mut traffic: WriteTraffic<'_, D>,
    plain: &[IoSlice<'_>],
    most: usize,
    out: &mut Vec<u8>,
) -> io::Result<usize> {
    let there: usize = plain.iter().map(|slice| slice.len()).sum();
    let most = most.min(there);
    out.reserve(most + most.div_ceil(RECORD) * AROUND);
    let mut sealed = 0;
    let mut gathered = Vec::new();
    let mut slices = plain.iter().map(|slice| &slice[..]).filter(|slice| !slice.is_empty());
    let mut rest: &[u8] = &[];
    while sealed < most {
        let length = RECORD.min(most - sealed);
        if rest.is_empty() {
            rest = slices.next().unwrap_or_default();
        }
        let mut record = &rest[..length.min(rest.len())];
        rest = &rest[record.len()..];
        if record.len() < length {
            // Of several slices, short ones such as a head, one record is made.
            gathered.clear();
            gathered.extend_from_slice(record);
            while gathered.len() < length {
                rest = slices.next().unwrap_or_default();
                let more = rest.len().min(length - gathered.len());
                gathered.extend_from_slice(&rest[..more]);
                rest = &rest[more..];
            }
            record = &gathered;
        }
        grow(out, record.len() + AROUND, |space| traffic.encrypt(record, space))?;
        sealed += length;
    }
    Ok(sealed)
}

/// Has `write` fill room behind `out`: so much as is expected to do, and where it says that it needs more, that.
pub(super) fn grow(
    out: &mut Vec<u8>,
    expected: usize,
    mut write: impl FnMut(&mut [u8]) -> Result<usize, EncryptError>,
) -> io::Result<usize> {
    let from = out.len();
    out.resize(from + expected, 0);
    let mut written = write(&mut out[from..]);
    if let Err(EncryptError::InsufficientSize(needed)) = &written {
        out.resize(from + needed.required_size, 0);
        written = write(&mut out[from..]);
    }
    out.truncate(from + written.as_ref().copied().unwrap_or_default());
    written.map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "tls: the keys are used up"))
}

/// Whether the bytes begin with a whole record: one that rustls has gone through and not let go, because it is a part of
/// a message that is not whole.
pub(super) fn begins_with_a_record(bytes: &[u8]) -> bool {
    let [_, _, _, high, low, rest @ ..] = bytes else { return false };
    rest.len() >= usize::from(u16::from_be_bytes([*high, *low]))
}

//! The two ends of a body's way, and how it is called when one of them fails.

use crate::driver::Stream;
use crate::error::Kind;
use crate::message::Buffer;

/// The two ends of a pump, and the buffers between them.
pub(super) struct Ends<'a> {
    pub(super) from: &'a Stream,
    pub(super) input: &'a mut Buffer,
    pub(super) to: &'a Stream,
    /// What goes out first: a head, or what was collected.
    pub(super) out: &'a mut Vec<u8>,
}

impl Ends<'_> {
    /// Whether the kernel has both.
    pub(super) fn are_sockets(&self) -> bool {
        self.from.is_plain() && self.to.is_plain()
    }
}

/// Why a body did not arrive, and at which end that was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    From(Kind),
    To(Kind),
}

/// How failures of one direction are called.
#[derive(Clone, Copy, Debug)]
pub(super) struct Names {
    /// The source ended in the middle of the body.
    pub(super) ended: Kind,
    /// The source was too slow.
    pub(super) stalled: Kind,
    /// Reading failed.
    pub(super) broken: Kind,
    /// What came is no body; as the decoder says where this is none.
    pub(super) malformed: Option<Kind>,
    /// Nothing was taken for too long, and writing failed.
    pub(super) refused: Kind,
    pub(super) lost: Kind,
}

pub(super) const UPLOAD: Names = Names {
    ended: Kind::Truncated,
    stalled: Kind::BodyTimeout,
    broken: Kind::DownstreamGone,
    malformed: None,
    refused: Kind::UpstreamWriteTimeout,
    lost: Kind::UpstreamIo,
};

pub(super) const DOWNLOAD: Names = Names {
    ended: Kind::UpstreamTruncated,
    stalled: Kind::UpstreamBodyTimeout,
    broken: Kind::UpstreamIo,
    malformed: Some(Kind::BadAnswer),
    refused: Kind::DownstreamGone,
    lost: Kind::DownstreamGone,
};

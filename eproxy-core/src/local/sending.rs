//! A long file on its way.

use std::path::PathBuf;

use async_std::io::ReadExt as _;

use crate::handler::BodyWriter;

/// Bytes that are read of a file at a time, and those up to which it is read at once.
pub(super) const PIECE: usize = 64 * 1024;

/// A part of a file that is sent as the client takes it.
#[derive(Debug)]
pub(super) struct Sending {
    /// At the first byte that is sent.
    pub(super) file: std::fs::File,
    pub(super) path: PathBuf,
    /// Bytes that are left.
    pub(super) left: u64,
    pub(super) writer: BodyWriter,
}

impl Sending {
    /// Sends all of it, or until the client is gone. Where the file has fewer bytes than were announced, the answer is left
    /// broken.
    pub(super) async fn run(self) {
        let Self { file, path, mut left, mut writer } = self;
        let mut file = async_std::fs::File::from(file);
        let mut piece = vec![0; left.min(PIECE as u64) as usize];
        while left > 0 {
            let wanted = left.min(PIECE as u64) as usize;
            let n = match file.read(&mut piece[..wanted]).await {
                Ok(0) => return log::error!("{path:?} got shorter while it was sent"),
                Ok(n) => n,
                Err(error) => return log::error!("{path:?} could not be read to its end: {error}"),
            };
            if writer.send(&piece[..n]).await.is_err() {
                return;
            }
            left -= n as u64;
        }
        writer.finish();
    }
}

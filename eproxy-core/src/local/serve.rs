//! The story of a request for a file.
//!
//! ```text
//!   handle ──▶ 405, or on a thread that may block: answer
//!     find the file
//!       ├─ a folder without its slash ──▶ 301
//!       ├─ nothing ──▶ the fallback, the page for 404, or 404
//!       └─ judge its conditions ──▶ 412, 304, or send: all of it or a part, at once or as the client takes it
//! ```

use std::io::{self, ErrorKind, Read as _, Seek as _, SeekFrom};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use async_std::task::{spawn, spawn_blocking};

use crate::driver::wall_seconds;
use crate::handler::{Handler, Request, Response};
use crate::message::target::{canonical, encode, escape, is_path_byte};
use crate::message::{Answer, Headers};

use super::coding::{Coding, acceptable};
use super::condition::{Verdict, judge, may_be_partial};
use super::fields::add_all;
use super::find::{Folder, Found, Sheet};
use super::media_type;
use super::range::{Portion, portion};
use super::sending::{PIECE, Sending};
use super::validator::Validators;

/// A folder that is served, at its place.
#[derive(Debug)]
pub(super) struct Site {
    pub(super) folder: Folder,
    pub(super) fallback: Option<String>,
    pub(super) not_found: Option<String>,
    pub(super) precompressed: bool,
    pub(super) cache_control: Option<String>,
    pub(super) media_types: Vec<(String, String)>,
    pub(super) headers: Headers,
    /// The name of the parameter that holds the path.
    pub(super) rest: Option<String>,
}

#[derive(Debug)]
struct Serving(Arc<Site>);

/// The methods that files are asked for with (RFC 9110 §9.3).
const ALLOW: &str = "GET, HEAD, OPTIONS";

impl Handler for Serving {
    fn handle(&self, req: Request, res: Response) {
        match req.method() {
            "GET" | "HEAD" => {}
            "OPTIONS" => return res.status(204).header("Allow", ALLOW).send(()),
            _ => return res.header("Allow", ALLOW).forward(Answer::plain(405)),
        }
        let site = self.0.clone();
        spawn(async move {
            if let Some(sending) = spawn_blocking(move || site.answer(&req, res)).await {
                sending.run().await;
            }
        });
    }
}

impl Site {
    pub(super) fn handler(self) -> impl Handler + use<> {
        Serving(Arc::new(self))
    }

    /// Answers a GET or HEAD; what is left to do is given back.
    fn answer(&self, req: &Request, res: Response) -> Option<Sending> {
        if res.is_closed() {
            return None;
        }
        let asked = canonical(req.path().as_bytes());
        let codings = if self.precompressed { acceptable(req.headers()) } else { Vec::new() };
        // Of /static and /static/, the rest is the same: the path tells which it was.
        let path = self.rest.as_deref().and_then(|name| req.param(name)).unwrap_or(&asked);
        let found = self.folder.find(path, asked.ends_with('/'), &codings);
        let found = match (found, &self.fallback) {
            (Ok(Found::Missing), Some(fallback)) => self.folder.named(fallback, &codings),
            (found, _) => found,
        };
        match found {
            Ok(Found::File(sheet)) => self.answer_file(req, res, sheet),
            Ok(Found::Folder) => {
                redirect(req, res, &asked);
                None
            }
            Ok(Found::Missing | Found::Refused) => self.answer_not_found(req, res, &codings),
            Err(error) => {
                refuse(res, &error, &self.folder.root.join(&*asked));
                None
            }
        }
    }

    fn answer_file(&self, req: &Request, res: Response, mut sheet: Sheet) -> Option<Sending> {
        let validators = Validators::of(sheet.modified, sheet.length, sheet.coding, wall_seconds());
        match judge(req.headers(), &validators) {
            Verdict::Go => {}
            Verdict::NotModified => {
                let res = self.describe(res, &validators, None).status(304);
                res.send(());
                return None;
            }
            Verdict::Failed => {
                res.forward(Answer::plain(412));
                return None;
            }
        }
        let length = sheet.length;
        let (status, range) = match asked_portion(req, &validators, length) {
            Portion::Whole => (200, 0..length),
            Portion::Part(range) => (206, range),
            Portion::Unsatisfiable => {
                let res = res.header("Content-Range", format!("bytes */{length}"));
                res.forward(Answer::plain(416));
                return None;
            }
        };
        let taken = match take(req, &mut sheet, &range) {
            Ok(taken) => taken,
            Err(error) => {
                refuse(res, &error, &sheet.path);
                return None;
            }
        };
        let mut res = self.describe(res, &validators, Some(&sheet)).header("Accept-Ranges", "bytes");
        if status == 206 {
            res = res.header("Content-Range", format!("bytes {}-{}/{length}", range.start, range.end - 1));
        }
        send(res.status(status), sheet, range, taken)
    }

    fn answer_not_found(&self, req: &Request, res: Response, codings: &[Coding]) -> Option<Sending> {
        let page = self.not_found.as_ref().map(|page| self.folder.named(page, codings));
        if let Some(Ok(Found::File(mut sheet))) = page {
            let range = 0..sheet.length;
            if let Ok(taken) = take(req, &mut sheet, &range) {
                let res = self.describe_content(add_all(res.status(404), &self.headers), &sheet);
                return send(res, sheet, range, taken);
            }
        }
        res.forward(Answer::plain(404));
        None
    }

    /// Sets what is said of a file; without one, what is said of it in a 304 (RFC 9110 §15.4.5).
    fn describe(&self, res: Response, validators: &Validators, sheet: Option<&Sheet>) -> Response {
        let mut res = add_all(res, &self.headers);
        if let Some(cache_control) = &self.cache_control {
            res = res.header("Cache-Control", cache_control);
        }
        let etag = validators.etag();
        if let Some(etag) = &etag {
            res = res.header("ETag", etag);
        }
        match sheet {
            Some(sheet) => {
                if let Some(date) = validators.last_modified() {
                    res = res.header("Last-Modified", date);
                }
                self.describe_content(res, sheet)
            }
            None => self.vary(res),
        }
    }

    /// Sets the type and the coding of a file.
    fn describe_content(&self, res: Response, sheet: &Sheet) -> Response {
        let res = res.header("Content-Type", media_type::of(&sheet.path, &self.media_types));
        let res = match sheet.coding {
            Some(coding) => res.header("Content-Encoding", coding.name()),
            None => res,
        };
        self.vary(res)
    }

    fn vary(&self, res: Response) -> Response {
        if self.precompressed { res.header("Vary", "Accept-Encoding") } else { res }
    }
}

/// What is sent of a file that is there: a part only to a GET, and only where the conditions allow it.
fn asked_portion(req: &Request, validators: &Validators, length: u64) -> Portion {
    let mut ranges = req.headers().get_all("range");
    match (ranges.next(), ranges.next()) {
        (Some(range), None) if req.method() == "GET" && may_be_partial(req.headers(), validators) => {
            portion(range, length)
        }
        _ => Portion::Whole,
    }
}

/// What is in hand of a file that is about to be sent.
enum Taken {
    /// It is not wanted: the request is a HEAD.
    Nothing,
    All(Vec<u8>),
    /// It is long, and stands where it is to be read from.
    Later,
}

/// Reads what is short, before anything is said of it.
fn take(req: &Request, sheet: &mut Sheet, range: &Range<u64>) -> io::Result<Taken> {
    if req.method() == "HEAD" {
        return Ok(Taken::Nothing);
    }
    if range.start > 0 {
        sheet.file.seek(SeekFrom::Start(range.start))?;
    }
    let length = range.end - range.start;
    if length > PIECE as u64 {
        return Ok(Taken::Later);
    }
    let mut bytes = vec![0; length as usize];
    sheet.file.read_exact(&mut bytes)?;
    Ok(Taken::All(bytes))
}

fn send(res: Response, sheet: Sheet, range: Range<u64>, taken: Taken) -> Option<Sending> {
    let length = range.end - range.start;
    match taken {
        Taken::Nothing => res.header("Content-Length", length.to_string()).send(()),
        Taken::All(bytes) => res.send(bytes),
        Taken::Later => {
            let Sheet { file, path, .. } = sheet;
            return Some(Sending { file, path, left: length, writer: res.stream_of(length) });
        }
    }
    None
}

/// Sends the client to the same folder with a slash at its end, so that what its page names is found beside it. The path is
/// the canonical one, which begins with a single slash: two would be those in front of a host.
fn redirect(req: &Request, res: Response, asked: &str) {
    let mut location = Vec::new();
    encode(&mut location, asked);
    location.push(b'/');
    if let Some(query) = req.query() {
        location.push(b'?');
        escape(&mut location, query.as_bytes(), |byte| is_path_byte(byte) || matches!(byte, b'%' | b'?'));
    }
    res.header("Location", location).forward(Answer::plain(301));
}

/// Answers where the system has failed.
fn refuse(res: Response, error: &io::Error, path: &Path) {
    match error.kind() {
        ErrorKind::PermissionDenied => res.forward(Answer::plain(403)),
        _ => {
            log::error!("{path:?} can't be served: {error}");
            res.forward(Answer::plain(500));
        }
    }
}

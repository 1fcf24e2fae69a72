//! What is asked, and the only right answer to it.
//!
//! A [`Page`] stands in the table of modes and in configurations; an [`Expected`] is the same with all bytes
//! of its body, ready to be compared.

use std::borrow::Cow;

/// A path and what is found there.
#[derive(Clone, Copy)]
pub(crate) struct Page {
    pub(crate) path: &'static str,
    pub(crate) content_type: &'static str,
    pub(crate) body: Body,
}

/// How the body of an answer is made.
#[derive(Clone, Copy)]
pub(crate) enum Body {
    Text(&'static str),
    /// As many MiB as the command line says, the same in every run, of bytes that don't repeat: one that is
    /// lost, doubled or out of its place shows.
    Noise,
}

impl Body {
    pub(crate) fn bytes(self, mib: usize) -> Cow<'static, [u8]> {
        match self {
            Self::Text(text) => text.as_bytes().into(),
            Self::Noise => {
                let mut bytes = vec![0; mib * 1024 * 1024];
                fastrand::Rng::with_seed(NOISE_SEED).fill(&mut bytes);
                bytes.into()
            }
        }
    }
}

impl Page {
    /// The text that configurations hold.
    pub(crate) fn text(&self) -> &'static str {
        match self.body {
            Body::Text(text) => text,
            Body::Noise => unreachable!("configurations that answer by themselves do so with short texts"),
        }
    }

    pub(crate) fn expected(&self, mib: usize) -> Expected {
        let Self { path, content_type, body } = *self;
        Expected { path, content_type, body: body.bytes(mib) }
    }
}

/// A request and the only right answer to it: status 200, this media type, exactly these bytes.
pub(crate) struct Expected {
    pub(crate) path: &'static str,
    pub(crate) content_type: &'static str,
    pub(crate) body: Cow<'static, [u8]>,
}

impl Expected {
    /// # Errors
    ///
    /// A sentence on what is wrong with the body; bytes themselves are shown only where they can be read.
    pub(crate) fn compare(&self, body: &[u8]) -> Result<(), String> {
        if *body == *self.body {
            return Ok(());
        }
        if self.body.len() <= LONGEST_SHOWN && body.len() <= LONGEST_SHOWN {
            let [body, expected] = [body, &self.body].map(String::from_utf8_lossy);
            return Err(format!("the body is {body:?} instead of {expected:?}"));
        }
        let same = body.iter().zip(self.body.iter()).take_while(|(ours, theirs)| ours == theirs).count();
        let (length, expected) = (body.len(), self.body.len());
        Err(format!("the body of {length} bytes is wrong from byte {same} on; {expected} were expected"))
    }
}

pub(crate) const HELLO: Page =
    Page { path: "/hello", content_type: "text/plain", body: Body::Text("Hello, World!") };

/// About what a small JSON interface answers. No `'`, `$` or `\`: the text stands in nginx's single quotes.
pub(crate) const SMALL: Page = Page {
    path: "/get",
    content_type: "application/json",
    body: Body::Text(concat!(
        r#"{"args":{},"headers":{"Accept":"*/*","Host":"127.0.0.1","User-Agent":"eproxy"},"#,
        r#""origin":"127.0.0.1","url":"http://127.0.0.1/get","items":[{"id":1,"name":"first"},"#,
        r#"{"id":2,"name":"second"},{"id":3,"name":"third"},{"id":4,"name":"fourth"}],"#,
        r#""note":"A fixed answer of about three hundred bytes.","ok":true}"#,
    )),
};

/// The same, where eproxy's handler fetches it.
pub(crate) const FETCHED: Page = Page { path: "/proxy", ..SMALL };

/// 1 KiB of letters that follow no period, without any that a configuration would take for something else.
pub(crate) const KIB: Page = Page { path: "/kib", content_type: "text/plain", body: Body::Text(LETTERS) };

const LETTERS: &str = match str::from_utf8(&LETTERS_BYTES) {
    Ok(text) => text,
    Err(_) => panic!("letters are text"),
};

const LETTERS_BYTES: [u8; 1024] = {
    let mut bytes = [0; 1024];
    let (mut at, mut state) = (0, 1_u32);
    while at < bytes.len() {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        bytes[at] = b'a' + (state >> 24) as u8 % 26;
        at += 1;
    }
    bytes
};

pub(crate) const BULK: Page =
    Page { path: "/bulk", content_type: "application/octet-stream", body: Body::Noise };

/// What the echo upstream answers to a request that asks for no WebSocket: it tells that proxy and upstream
/// are there.
pub(crate) const READY: Page = Page { path: "/echo", content_type: "text/plain", body: Body::Text("ready") };

/// Any number does; it must stay the same.
const NOISE_SEED: u64 = 65_536;

/// A longer body tells a reader nothing.
const LONGEST_SHOWN: usize = 1024;

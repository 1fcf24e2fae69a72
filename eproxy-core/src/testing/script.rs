//! What an upstream does with a request.

use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use super::seen::Seen;

/// What an [`Upstream`](super::Upstream) does with a request, step by step. It runs once for each, when the request is there
/// as a whole; the connection then waits for the next one. An empty script says nothing, and goes on listening.
///
/// ```
/// use std::time::Duration;
/// use eproxy_core::testing::Script;
///
/// let slow = Script::new().latency(Duration::from_millis(200)).answer(200, "hello");
/// let stalls = Script::new().send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel").stall();
/// let in_pieces = Script::new().send_split("HTTP/1.1 204 No Content\r\n\r\n", 1);
/// let sometimes_fails = Script::new().statuses([200, 200, 503]);
/// let echo = Script::from_request(|request| Script::new().answer(200, request.body()));
/// ```
#[derive(Clone, Default)]
#[must_use = "a script does nothing until an upstream is given it"]
pub struct Script {
    steps: Vec<Step>,
}

/// One thing to do.
#[derive(Clone)]
pub(super) enum Step {
    Send(Rc<[u8]>),
    Split(Rc<[u8]>, usize),
    Pause(Duration),
    Stall,
    Close,
    Reset,
    Echo,
    Answer(u16, Rc<[u8]>),
    /// One of these in turn.
    Statuses(Rc<[u16]>),
    Ask(Rc<dyn Fn(&Seen) -> Script>),
}

impl Script {
    /// A script without steps.
    pub fn new() -> Self {
        Self::default()
    }

    /// A script that is made for each request, from that.
    ///
    /// ```
    /// use eproxy_core::testing::Script;
    ///
    /// let script = Script::from_request(|request| match request.target() {
    ///     "/slow" => Script::new().stall(),
    ///     target => Script::new().answer(200, target),
    /// });
    /// ```
    pub fn from_request(script: impl Fn(&Seen) -> Self + 'static) -> Self {
        Self::new().step(Step::Ask(Rc::new(script)))
    }

    /// Waits before anything else, however late in the script this is said.
    pub fn latency(mut self, latency: Duration) -> Self {
        self.steps.insert(0, Step::Pause(latency));
        self
    }

    /// Sends an answer with a Content-Length. Where there may be no body (HEAD, 204, 304), none is sent.
    pub fn answer(self, status: u16, body: impl AsRef<[u8]>) -> Self {
        self.step(Step::Answer(status, body.as_ref().into()))
    }

    /// Sends an answer without a body, with these statuses in turn: the first request since the upstream was given this script
    /// gets the first, and the one behind the last gets the first again.
    ///
    /// # Panics
    ///
    /// There is none.
    pub fn statuses(self, statuses: impl IntoIterator<Item = u16>) -> Self {
        let statuses: Rc<[u16]> = statuses.into_iter().collect();
        assert!(!statuses.is_empty(), "statuses, and none of them");
        self.step(Step::Statuses(statuses))
    }

    /// Sends these bytes.
    pub fn send(self, bytes: impl AsRef<[u8]>) -> Self {
        self.step(Step::Send(bytes.as_ref().into()))
    }

    /// Sends these bytes in pieces, each of which is read before the next one comes. No time passes between them.
    ///
    /// # Panics
    ///
    /// The pieces are empty.
    pub fn send_split(self, bytes: impl AsRef<[u8]>, piece: usize) -> Self {
        assert!(piece > 0, "pieces without bytes");
        self.step(Step::Split(bytes.as_ref().into(), piece))
    }

    /// Waits. Time is the lab's: this takes none.
    pub fn pause(self, pause: Duration) -> Self {
        self.step(Step::Pause(pause))
    }

    /// Says nothing more, and keeps the connection open until the other side closes it.
    pub fn stall(self) -> Self {
        self.step(Step::Stall)
    }

    /// Closes the connection.
    pub fn close(self) -> Self {
        self.step(Step::Close)
    }

    /// Resets the connection: what the other side has not read is for it to read, and then it fails.
    pub fn reset(self) -> Self {
        self.step(Step::Reset)
    }

    /// Sends back whatever comes, until the other side says no more: the far end of a tunnel.
    pub fn echo(self) -> Self {
        self.step(Step::Echo)
    }

    fn step(mut self, step: Step) -> Self {
        self.steps.push(step);
        self
    }

    pub(super) fn into_steps(self) -> Vec<Step> {
        self.steps
    }
}

impl fmt::Debug for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.steps).finish()
    }
}

impl fmt::Debug for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Send(bytes) => write!(f, "send {}", bytes.escape_ascii()),
            Self::Split(bytes, piece) => write!(f, "send {} by {piece}", bytes.escape_ascii()),
            Self::Pause(pause) => write!(f, "pause {pause:?}"),
            Self::Stall => f.write_str("stall"),
            Self::Close => f.write_str("close"),
            Self::Reset => f.write_str("reset"),
            Self::Echo => f.write_str("echo"),
            Self::Answer(status, body) => write!(f, "answer {status} {}", body.escape_ascii()),
            Self::Statuses(statuses) => write!(f, "statuses {statuses:?}"),
            Self::Ask(_) => f.write_str("ask"),
        }
    }
}

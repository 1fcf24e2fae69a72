//! Turns and time: what runs when.
//!
//! Everything is on the thread of the test, which takes the core through its turns. When nothing is left to do in the
//! present, the clock is moved to the next deadline.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::rc::Rc;
use std::time::Duration;

use futures_lite::FutureExt as _;

use crate::driver::{Core, Network, TaskId};
use crate::server::Alone;

/// How long it is waited, in the time of the system, for somebody outside.
const PATIENCE: Duration = Duration::from_secs(10);

/// How far the clock is moved for one thing that is waited for.
const FAR: Duration = Duration::from_secs(3600);

/// Turns without a pause after which nothing is left to hope for.
const MANY: u32 = 1_000_000;

/// Sockets that are connected through the system's loopback interface may take a moment to tell.
#[cfg(unix)]
const GRACE: Duration = Duration::ZERO;
#[cfg(not(unix))]
const GRACE: Duration = Duration::from_millis(20);

/// What a lab and everything from it share.
pub(super) struct World {
    pub(super) core: Rc<Core>,
    server: RefCell<Option<Rc<Alone>>>,
    /// A turn is being taken.
    turns: Cell<bool>,
    /// The lab is gone: nothing moves any more.
    ended: Cell<bool>,
    /// What a script has ended in.
    panic: Cell<Option<Box<dyn Any + Send>>>,
}

impl World {
    pub(super) fn new() -> Rc<Self> {
        let core = Core::by_hand().expect("the system has a poll for a core");
        Rc::new(Self {
            core,
            server: RefCell::default(),
            turns: Cell::new(false),
            ended: Cell::new(false),
            panic: Cell::new(None),
        })
    }

    pub(super) fn network(&self) -> &Network {
        self.core.network().expect("a core that is taken through its turns has one")
    }

    pub(super) fn server(&self) -> Option<Rc<Alone>> {
        self.server.borrow().clone()
    }

    pub(super) fn set_server(&self, server: Alone) {
        *self.server.borrow_mut() = Some(Rc::new(server));
    }

    pub(super) fn now(&self) -> Duration {
        self.core.elapsed()
    }

    /// Adds a task. If it panics, so does whoever moves the lab.
    pub(super) fn spawn(self: &Rc<Self>, future: impl Future<Output = ()> + 'static) -> TaskId {
        let world = Rc::downgrade(self);
        self.core.spawn(async move {
            let end = AssertUnwindSafe(future).catch_unwind().await;
            if let (Err(panic), Some(world)) = (end, world.upgrade()) {
                world.panic.set(Some(panic));
            }
        })
    }

    /// Takes a turn, which sleeps for `most` at the most; says whether anything happened.
    fn step(&self, most: Duration) -> bool {
        if self.ended.get() {
            return false;
        }
        assert!(!self.turns.get(), "a script can't have its lab do anything: it is in the middle of a turn");
        let turn = Turn::begin(&self.turns);
        let taken = match self.server() {
            Some(server) => server.step(most),
            None => self.core.step(most, |_| {}, || {}),
        };
        drop(turn);
        if let Some(panic) = self.panic.take() {
            resume_unwind(panic);
        }
        assert_eq!(self.core.panics(), 0, "the engine panicked");
        taken.expect("the system can be asked for events")
    }

    /// Has everything run that can run now.
    pub(super) fn settle(&self) {
        for _ in 0..MANY {
            if !self.step(Duration::ZERO) && (GRACE.is_zero() || !self.step(GRACE)) {
                return;
            }
        }
        panic!("after {MANY} turns, there is still something to do at {:?}", self.now());
    }

    /// Moves the clock, from one thing that happens to the next.
    pub(super) fn advance(&self, by: Duration) {
        self.settle();
        let end = self.now() + by;
        while let Some(next) = self.core.patience()
            && self.now() + next <= end
        {
            self.core.advance(next);
            self.settle();
        }
        self.core.advance(end - self.now());
        self.settle();
    }

    /// Waits for `what`, which is there as soon as `done` says so.
    #[track_caller]
    pub(super) fn wait(&self, what: &str, mut done: impl FnMut() -> bool) {
        let end = self.now() + FAR;
        loop {
            self.settle();
            if done() {
                return;
            }
            let may_be_woken = self.core.may_be_woken();
            // Somebody may have woken it in between, and have no way to do so any more.
            if self.step(Duration::ZERO) {
                continue;
            }
            let next = self.core.patience();
            if may_be_woken {
                assert!(
                    self.step(PATIENCE),
                    "{PATIENCE:?} were waited for {what}: a handler, a hook or a body has not gone on, on whatever \
                     thread it is; the lab's clock is at {:?}, and only `advance` moves it meanwhile",
                    self.now()
                );
                continue;
            }
            match next {
                Some(next) if self.now() + next <= end => self.core.advance(next),
                Some(_) => panic!("{FAR:?} have passed on the lab's clock, and no sign of {what}"),
                None => panic!("nothing is left that could happen, and no sign of {what}"),
            }
        }
    }

    /// Ends everything: what is still there of the lab does nothing any more.
    pub(super) fn end(&self) {
        self.ended.set(true);
        let server = self.server.take();
        drop(server);
        self.network().close();
        self.core.end();
    }
}

/// Says that a turn is being taken, also where it ends in a panic.
struct Turn<'a>(&'a Cell<bool>);

impl<'a> Turn<'a> {
    fn begin(turns: &'a Cell<bool>) -> Self {
        turns.set(true);
        Self(turns)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.set(false);
    }
}

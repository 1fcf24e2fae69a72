//! A core's loop, and the way in from other threads.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::io;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::among::{Waiting, among};
use super::batch::GROUP;
use super::clock::Clock;
use super::executor::{Executor, TaskId};
use super::network::Network;
use super::reactor::{Reactor, WAKE, Wakeup};
use super::sleep::Sleep;

/// One worker thread's poll, tasks and timers. It lives and dies on its thread.
#[derive(Debug)]
pub(crate) struct Core {
    pub(super) reactor: Reactor,
    executor: Executor,
    remote: Arc<Remote>,
    stopped: Cell<bool>,
    /// The next turn does not sleep.
    hurries: Cell<bool>,
    /// Reused by every turn.
    woken: RefCell<Vec<TaskId>>,
    parked: RefCell<Vec<(u32, Wakeup)>>,
    /// Tasks that wait for what others do.
    waiting: Waiting,
    /// Where connections lead that are made here; none where it is the system's network.
    network: Option<Box<Network>>,
}

/// How long a turn may sleep where there is nothing to do.
#[derive(Clone, Copy, Debug)]
enum Rest {
    /// Until the next deadline.
    Deadline,
    /// So long, whatever the clock says.
    AtMost(Duration),
}

/// How often streams of a core may answer each other before the kernel is asked again.
const ROUNDS: usize = 8;

impl Core {
    /// Makes the core of the calling thread.
    pub(crate) fn new() -> io::Result<Rc<Self>> {
        Self::with(Clock::new(), None)
    }

    /// Makes a core that is taken through its turns by [`step`](Self::step). Its clock stands still until it is
    /// [moved](Self::advance), and what it connects to is on a network of its own.
    pub(crate) fn by_hand() -> io::Result<Rc<Self>> {
        let core = Self::with(Clock::by_hand(), Some(Box::default()))?;
        core.executor.leave();
        Ok(core)
    }

    fn with(clock: Clock, network: Option<Box<Network>>) -> io::Result<Rc<Self>> {
        let reactor = Reactor::new(clock)?;
        let remote = Arc::new(Remote::new(mio::Waker::new(reactor.registry(), WAKE)?));
        Ok(Rc::new(Self {
            reactor,
            executor: Executor::new(remote.clone()),
            remote,
            stopped: Cell::new(false),
            hurries: Cell::new(false),
            woken: RefCell::new(Vec::new()),
            parked: RefCell::new(Vec::new()),
            waiting: Waiting::default(),
            network,
        }))
    }

    /// The network that connections of this core lead to; none where it is the system's.
    pub(crate) fn network(&self) -> Option<&Network> {
        self.network.as_deref()
    }

    /// Something for dice to begin with: of a core that is taken through its turns by hand, always the same.
    pub(crate) fn seed(&self) -> u64 {
        match self.network.is_some() {
            true => 0,
            false => RandomState::new().hash_one(self.remote.id),
        }
    }

    /// The way in from other threads.
    pub(crate) fn remote(&self) -> Arc<Remote> {
        self.remote.clone()
    }

    /// Adds a task; it first runs later in this turn or in the next.
    pub(crate) fn spawn(&self, future: impl Future<Output = ()> + 'static) -> TaskId {
        self.executor.spawn(future, false)
    }

    /// Adds a task that serves somebody. Before a clock that is moved by hand goes on, those outside are waited for who may
    /// wake it.
    pub(crate) fn spawn_serving(&self, future: impl Future<Output = ()> + 'static) -> TaskId {
        self.executor.spawn(future, true)
    }

    /// Waits for `future`, which comes about by what another task does, and not by somebody outside: whoever has a waker for
    /// that need not be waited for before a clock that is moved by hand goes on.
    pub(crate) async fn among<F: Future>(&self, future: F) -> F::Output {
        among(&self.waiting, future).await
    }

    /// Queues a task.
    pub(crate) fn wake(&self, task: TaskId) {
        self.executor.wake(task);
    }

    /// Makes the next turn begin at once.
    pub(crate) fn hurry(&self) {
        self.hurries.set(true);
    }

    /// Makes [`run`](Self::run) return at the end of this turn.
    pub(crate) fn stop(&self) {
        self.stopped.set(true);
    }

    /// Takes turns until [`stop`](Self::stop), then drops all tasks. `on_parked` is told of parked sockets that have
    /// something to read or expired, `on_turn` is called at the end of every turn.
    ///
    /// # Errors
    ///
    /// What the kernel says when it can't be asked for events.
    pub(crate) fn run(&self, mut on_parked: impl FnMut(Wakeup), mut on_turn: impl FnMut()) -> io::Result<()> {
        while !self.stopped.get() {
            self.turn(Rest::Deadline, &mut on_parked, &mut on_turn)?;
        }
        self.executor.clear();
        Ok(())
    }

    /// One turn, which sleeps until `rest` is over if there is nothing to do. Says whether anything happened in it.
    fn turn(
        &self,
        rest: Rest,
        on_parked: &mut impl FnMut(Wakeup),
        on_turn: &mut impl FnMut(),
    ) -> io::Result<bool> {
        let is_busy = self.hurries.take() || self.executor.is_busy();
        let is_busy = is_busy || !self.reactor.told.borrow().is_empty();
        let is_busy = is_busy || self.remote.has_news_before_sleep();
        let limit = match (is_busy, rest) {
            (true, _) => Some(Duration::ZERO),
            (false, Rest::Deadline) => self.reactor.patience(),
            (false, Rest::AtMost(rest)) => Some(rest),
        };
        let mut parked = self.parked.borrow_mut();
        let is_told = self.reactor.turn(limit, &mut parked)?;
        let has_woken = self.remote.wake_up(&mut self.woken.borrow_mut());
        self.executor.enqueue(&mut self.woken.borrow_mut());
        for group in parked.chunks(GROUP) {
            self.reactor.receive(group);
            group.iter().for_each(|(_, wakeup)| on_parked(*wakeup));
            self.reactor.send();
        }
        self.executor.run();
        for _ in 0..ROUNDS {
            // What streams of this core said to each other.
            parked.clear();
            parked.append(&mut self.reactor.told.borrow_mut());
            if parked.is_empty() {
                break;
            }
            parked.iter().for_each(|(_, wakeup)| on_parked(*wakeup));
            self.executor.run();
        }
        parked.clear();
        on_turn();
        self.reactor.send();
        self.reactor.keep();
        Ok(is_busy || is_told || has_woken || self.hurries.get() || self.executor.is_busy())
    }

    /// One turn of a core that is taken through its turns [by hand](Self::by_hand), as those of [`run`](Self::run) are. It
    /// sleeps, in the time of the system, for `most` at the most. Says whether anything happened in it.
    ///
    /// # Errors
    ///
    /// As for [`run`](Self::run).
    pub(crate) fn step(
        &self,
        most: Duration,
        mut on_parked: impl FnMut(Wakeup),
        mut on_turn: impl FnMut(),
    ) -> io::Result<bool> {
        let _here = self.executor.enter();
        self.turn(Rest::AtMost(most), &mut on_parked, &mut on_turn)
    }

    /// Moves the clock of a core that is taken through its turns by hand.
    pub(crate) fn advance(&self, by: Duration) {
        self.reactor.clock().advance(by);
    }

    /// How far the clock has come since the core was made, as of this turn.
    pub(crate) fn elapsed(&self) -> Duration {
        self.reactor.clock().elapsed()
    }

    /// How long it is until something has to be looked at; none where nothing waits for the clock.
    pub(crate) fn patience(&self) -> Option<Duration> {
        self.reactor.patience()
    }

    /// Whether a task that serves somebody may be woken from outside: others than this core's sockets and timers have a waker
    /// of it, and it is not waiting [among](Self::among) tasks.
    pub(crate) fn may_be_woken(&self) -> bool {
        let mut inside = HashMap::new();
        self.reactor.count_wakers(&mut inside);
        inside.extend(self.waiting.borrow().iter().map(|(_, task)| (*task, usize::MAX)));
        self.executor.is_known_outside(&inside)
    }

    /// Drops all tasks.
    pub(crate) fn end(&self) {
        self.executor.clear();
    }

    /// Ready when `after`, counted from this turn, is over.
    pub(crate) fn sleep(&self, after: Duration) -> Sleep<'_> {
        self.reactor.sleep(after)
    }

    /// The time at which this turn began.
    pub(crate) fn now(&self) -> Instant {
        self.reactor.now()
    }

    /// The same in nanoseconds from when the core was made.
    pub(crate) fn nanoseconds(&self) -> u64 {
        self.reactor.clock().elapsed_nanoseconds()
    }

    /// The same in nanoseconds since 1970.
    pub(crate) fn unix_nanoseconds(&self) -> u64 {
        self.reactor.clock().unix_nanoseconds()
    }

    /// Seconds since 1970 at which this turn began.
    pub(crate) fn unix_seconds(&self) -> u64 {
        self.reactor.unix_seconds()
    }

    /// Runs something outside of all tasks, whose panic is counted as theirs are.
    pub(crate) fn contain(&self, run: impl FnOnce()) {
        self.executor.contain(run);
    }

    /// Tasks that ended in a panic.
    pub(crate) fn panics(&self) -> u64 {
        self.executor.panics()
    }
}

/// Runs a future as a task of a core of this thread.
#[cfg(test)]
pub(crate) fn on_a_core<T: 'static>(future: impl AsyncFnOnce(Rc<Core>) -> T + 'static) -> T {
    let core = Core::new().expect("there is a poll");
    let result = Rc::new(RefCell::new(None));
    let (inside, out) = (core.clone(), result.clone());
    core.spawn(async move {
        let value = future(inside.clone()).await;
        *out.borrow_mut() = Some(value);
        inside.stop();
    });
    core.run(|_| {}, || {}).expect("the poll can be asked");
    result.take().expect("the task has ended")
}

/// What other threads hold of a core: they can wake its tasks, and the core itself.
#[derive(Debug)]
pub(crate) struct Remote {
    id: u64,
    /// The core is asleep in the kernel, or about to be: only then does a wake-up cost a system call.
    asleep: AtomicBool,
    /// Something has come since the core last looked: tasks in `woken`, or what its owner shares with other threads.
    news: AtomicBool,
    woken: Mutex<Vec<TaskId>>,
    waker: mio::Waker,
}

impl Remote {
    fn new(waker: mio::Waker) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Self {
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            asleep: AtomicBool::new(false),
            news: AtomicBool::new(false),
            woken: Mutex::new(Vec::new()),
            waker,
        }
    }

    /// Unique in the process, never 0.
    pub(super) fn id(&self) -> u64 {
        self.id
    }

    /// Queues a task from another thread.
    pub(super) fn inject(&self, task: TaskId) {
        self.woken.lock().unwrap_or_else(PoisonError::into_inner).push(task);
        self.nudge();
    }

    /// Makes the core take a turn soon, to look at what its owner shares with other threads.
    pub(crate) fn nudge(&self) {
        self.news.store(true, Ordering::SeqCst);
        // Pairs with `has_news_before_sleep`: either the core sees the news, or this sees it asleep.
        if self.asleep.swap(false, Ordering::SeqCst) {
            // A poll that can't be woken is a poll that is gone: the core has ended.
            let _gone = self.waker.wake();
        }
    }

    fn has_news_before_sleep(&self) -> bool {
        self.asleep.store(true, Ordering::SeqCst);
        self.news.load(Ordering::SeqCst)
    }

    /// Takes the news in: whoever brought them before this is heard in this turn. Costs no lock without news. Says whether
    /// there were any.
    fn wake_up(&self, into: &mut Vec<TaskId>) -> bool {
        self.asleep.store(false, Ordering::SeqCst);
        let has_news = self.news.load(Ordering::Relaxed) && self.news.swap(false, Ordering::SeqCst);
        if has_news {
            into.append(&mut self.woken.lock().unwrap_or_else(PoisonError::into_inner));
        }
        has_news
    }
}

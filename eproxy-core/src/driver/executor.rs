//! The tasks of one core.
//!
//! A task is a future that stays on its core. Its waker may be called from any thread: on the core itself it puts the
//! task on a queue of the thread, elsewhere it goes through the core's [`Remote`](super::Remote).
//!
//! ```text
//!   idle ──wake──▶ queued ──run──▶ polled ──pending──▶ idle
//!                                     └──────ready──▶ gone
//! ```
//!
//! Why not an executor from a library: a wake-up here is a flag and a push, without the lock and the shared queue that
//! a general executor needs, and a task can be polled straight from the event that woke it.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use slab::Slab;

use super::among::TaskKey;
use super::cores::Remote;

/// A task of a core.
pub(crate) type TaskId = u32;

type LocalFuture = Pin<Box<dyn Future<Output = ()>>>;

thread_local! {
    /// The core whose loop runs on this thread; 0 on every other thread.
    static CURRENT: Cell<u64> = const { Cell::new(0) };
    /// The tasks of that core that are to run.
    static QUEUE: RefCell<VecDeque<TaskId>> = const { RefCell::new(VecDeque::new()) };
}

/// The tasks of one core; the queue of those to run belongs to the thread.
pub(super) struct Executor {
    tasks: RefCell<Slab<Task>>,
    remote: Arc<Remote>,
    panics: Cell<u64>,
}

struct Task {
    /// With the waker that it is polled with; taken out while it is.
    running: Option<(LocalFuture, Waker)>,
    flag: Arc<Flag>,
    /// Somebody waits for what it does.
    serves: bool,
}

/// What a task's wakers share.
struct Flag {
    id: TaskId,
    /// On the queue already, or being run: further wake-ups have nothing to do.
    queued: AtomicBool,
    remote: Arc<Remote>,
}

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.queued.swap(true, Ordering::AcqRel) {
            return;
        }
        if CURRENT.get() == self.remote.id() {
            QUEUE.with_borrow_mut(|queue| queue.push_back(self.id));
        } else {
            self.remote.inject(self.id);
        }
    }
}

impl Executor {
    /// The executor of the core that will run on this thread.
    pub(super) fn new(remote: Arc<Remote>) -> Self {
        CURRENT.set(remote.id());
        Self { tasks: RefCell::new(Slab::new()), remote, panics: Cell::new(0) }
    }

    /// Makes this the executor of its thread, which others may have been in between, as long as the guard is there.
    pub(super) fn enter(&self) -> Presence<'_> {
        CURRENT.set(self.remote.id());
        Presence(self)
    }

    /// Leaves the thread to others. What is queued is brought back as news.
    pub(super) fn leave(&self) {
        CURRENT.set(0);
        QUEUE.take().into_iter().for_each(|id| self.remote.inject(id));
    }

    /// Whether there are more wakers of a task that serves somebody than the one that it is polled with, and those `inside`.
    pub(super) fn is_known_outside(&self, inside: &HashMap<TaskKey, usize>) -> bool {
        self.tasks.borrow().iter().filter(|(_, task)| task.serves).any(|(_, task)| {
            let Some((_, own)) = &task.running else { return false };
            let inside = inside.get(&own.data()).copied().unwrap_or_default();
            Arc::strong_count(&task.flag) > inside.saturating_add(2)
        })
    }

    /// Adds a task and queues it.
    pub(super) fn spawn(&self, future: impl Future<Output = ()> + 'static, serves: bool) -> TaskId {
        let mut tasks = self.tasks.borrow_mut();
        let entry = tasks.vacant_entry();
        let id = TaskId::try_from(entry.key()).expect("a core holds fewer than four thousand million tasks");
        let flag = Arc::new(Flag { id, queued: AtomicBool::new(false), remote: self.remote.clone() });
        flag.wake_by_ref();
        entry.insert(Task { running: Some((Box::pin(future), flag.clone().into())), flag, serves });
        id
    }

    /// Queues a task from its own core.
    pub(super) fn wake(&self, id: TaskId) {
        if let Some(task) = self.tasks.borrow().get(id as usize) {
            task.flag.wake_by_ref();
        }
    }

    /// Whether anything is queued.
    pub(super) fn is_busy(&self) -> bool {
        QUEUE.with_borrow(|queue| !queue.is_empty())
    }

    /// Queues tasks that other threads woke; their flags are set already.
    pub(super) fn enqueue(&self, ids: &mut Vec<TaskId>) {
        QUEUE.with_borrow_mut(|queue| queue.extend(ids.drain(..)));
    }

    /// Runs what is queued, and what that wakes, for a bounded number of rounds: sockets get their turn in between.
    pub(super) fn run(&self) {
        const ROUNDS: usize = 4;
        for _ in 0..ROUNDS {
            let round = QUEUE.with_borrow(VecDeque::len);
            if round == 0 {
                return;
            }
            for _ in 0..round {
                let next = QUEUE.with_borrow_mut(VecDeque::pop_front);
                next.into_iter().for_each(|id| self.poll(id));
            }
        }
    }

    /// Tasks that ended in a panic: a fault of this crate, contained to one connection.
    pub(super) fn panics(&self) -> u64 {
        self.panics.get()
    }

    /// Runs something outside of all tasks, and counts its panic.
    pub(super) fn contain(&self, run: impl FnOnce()) {
        if catch_unwind(AssertUnwindSafe(run)).is_err() {
            self.panics.set(self.panics.get() + 1);
        }
    }

    /// Drops every task.
    pub(super) fn clear(&self) {
        let tasks = std::mem::take(&mut *self.tasks.borrow_mut());
        drop(tasks);
    }

    /// Polls a task.
    fn poll(&self, id: TaskId) {
        let (mut future, waker) = {
            let mut tasks = self.tasks.borrow_mut();
            let Some(task) = tasks.get_mut(id as usize) else { return };
            let Some(running) = task.running.take() else { return };
            task.flag.queued.store(false, Ordering::Release);
            running
        };
        let polled =
            catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(&mut Context::from_waker(&waker))));
        match polled {
            Ok(Poll::Pending) => {
                if let Some(task) = self.tasks.borrow_mut().get_mut(id as usize) {
                    task.running = Some((future, waker));
                }
                return;
            }
            Ok(Poll::Ready(())) => {}
            Err(_) => self.panics.set(self.panics.get() + 1),
        }
        let gone = self.tasks.borrow_mut().try_remove(id as usize);
        drop(gone);
    }
}

/// Leaves the thread to others when it is dropped.
#[derive(Debug)]
pub(super) struct Presence<'a>(&'a Executor);

impl Drop for Presence<'_> {
    fn drop(&mut self) {
        self.0.leave();
    }
}

impl std::fmt::Debug for Executor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Executor").field("tasks", &self.tasks.borrow().len()).finish_non_exhaustive()
    }
}

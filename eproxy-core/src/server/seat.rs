//! Tasks that serve connections which something has to be waited for on.
//!
//! A seat serves one connection after another and is never rebuilt, so that memory follows the requests that are being
//! waited on rather than the connections that are open, and a request allocates no task.

use std::cell::Cell;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;

use crate::driver::TaskId;

use super::connection::{self, End};
use super::desk::Desk;
use super::door;
use super::downstream::Connection;
use super::exchange::After;
use super::flight::Flight;
use super::multiplex;
use super::open::{Opened, Passing};
use super::tunnels;
use super::worker::Worker;

/// Seats that are kept while nobody needs them; more are made when more connections are waited on at once.
pub(super) const SPARE_SEATS: usize = 256;

/// A task that serves connections, and the place where the next one is put.
pub(super) struct Seat {
    task: Cell<TaskId>,
    next: Cell<Option<(Connection, Job)>>,
    /// Here while nobody sits.
    desk: Cell<Option<Box<Desk>>>,
}

/// What a connection is given a seat for; what belongs to it is on the desk.
pub(super) enum Job {
    /// Whatever comes next on it.
    Serve,
    /// To wait for the handler's answer, or to send it.
    Answer(Opened),
    /// To pass a request on.
    Pass(Passing),
    /// To wait for an upstream's answer.
    Resume(Flight),
    /// To send what is on the desk and end.
    End(After),
}

impl Seat {
    /// A new seat, and its task.
    pub(super) fn new(worker: &Rc<Worker>) -> Rc<Self> {
        let desk = Cell::new(Some(Desk::new()));
        let seat = Rc::new(Self { task: Cell::new(0), next: Cell::new(None), desk });
        seat.task.set(worker.core.spawn_serving(occupy(worker.clone(), seat.clone())));
        seat
    }

    /// Gives a connection to it, with the desk that holds what was read of it; takes its own desk for that.
    pub(super) fn take(&self, connection: Connection, job: Job, desk: &mut Box<Desk>) {
        let own = self.desk.take().unwrap_or_else(Desk::new);
        self.desk.set(Some(std::mem::replace(desk, own)));
        self.next.set(Some((connection, job)));
    }

    pub(super) fn task(&self) -> TaskId {
        self.task.get()
    }
}

/// Serves one connection after another.
async fn occupy(worker: Rc<Worker>, seat: Rc<Seat>) {
    loop {
        let (mut connection, job) = poll_fn(|_| match seat.next.take() {
            Some(next) => Poll::Ready(next),
            None => Poll::Pending,
        })
        .await;
        let mut desk = seat.desk.take().unwrap_or_else(Desk::new);
        let end = connection::serve(&worker, &mut connection, &mut desk, job).await;
        match end {
            End::Park => worker.park(connection),
            End::Close => drop(connection),
            End::Multiplex => multiplex::start(&worker, connection, desk.take_input()),
            End::Shake(tls) => {
                let mut came = desk.input.data().to_vec();
                desk.input.clear();
                if let Some(connection) = door::shake(&worker, connection, &tls, &mut came) {
                    door::on_shaking(&worker, connection, &mut desk);
                }
            }
            End::Tunnel(beginning) => tunnels::begin(&worker, connection, *beginning, &mut desk),
        }
        desk.clear();
        seat.desk.set(Some(desk));
        if !worker.leave_seat(&seat) {
            return;
        }
    }
}

//! A network in memory: where the connections of a core lead that is taken through its turns by hand.
//!
//! A connection is a pair of sockets of the system's, both of this core, so that what is above is the real thing. What is
//! decided here is who listens where, what a name leads to, and what of a connection's end the sockets don't tell.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;

use super::cores::Core;
use super::listen::Address;
use super::reactor::Reactor;
use super::stream::Stream;
use super::timer::Claim;

/// What those meet who connect to an address.
#[derive(Clone)]
pub(crate) enum Welcome {
    /// This takes the other end of the connection, after so much time.
    Accept(Duration, Rc<dyn Fn(Stream)>),
    /// The address is there, and nobody listens.
    Refuse,
    /// Nobody says anything.
    Hang,
}

/// Who listens where, and what names lead to.
#[derive(Default)]
pub(crate) struct Network {
    doors: RefCell<HashMap<Address, Welcome>>,
    names: RefCell<HashMap<String, Vec<IpAddr>>>,
    /// By their keys: ends of connections, and the other end of each.
    ends: RefCell<HashMap<u32, (Claim, Claim)>>,
    /// Ends whose other one was reset, and who don't know it yet.
    resets: RefCell<HashSet<Claim>>,
}

impl Network {
    /// Says what those meet who connect to `address`; without that, they are refused.
    pub(crate) fn listen(&self, address: Address, welcome: Welcome) {
        self.doors.borrow_mut().insert(address, welcome);
    }

    /// Says what a name leads to, in the order in which a resolver gives it.
    pub(crate) fn name(&self, name: &str, addresses: Vec<IpAddr>) {
        self.names.borrow_mut().insert(name.to_ascii_lowercase(), addresses);
    }

    /// What a name leads to; nothing where it is not known.
    pub(crate) fn look_up(&self, name: &str, port: u16) -> Vec<SocketAddr> {
        let names = self.names.borrow();
        let found = names.get(&name.to_ascii_lowercase()).map(Vec::as_slice).unwrap_or_default();
        found.iter().map(|ip| SocketAddr::new(*ip, port)).collect()
    }

    /// Connects to `address` within `patience`, as [`Stream::connect`] does.
    pub(super) async fn connect(
        &self,
        core: &Rc<Core>,
        address: &Address,
        patience: Duration,
    ) -> io::Result<Stream> {
        let welcome = self.doors.borrow().get(address).cloned().unwrap_or(Welcome::Refuse);
        match welcome {
            Welcome::Accept(late, accept) if late < patience => {
                if !late.is_zero() {
                    core.sleep(late).await;
                }
                let (ours, theirs) = Stream::pair(core)?;
                accept(theirs);
                Ok(ours)
            }
            Welcome::Refuse => Err(io::ErrorKind::ConnectionRefused.into()),
            Welcome::Hang | Welcome::Accept(..) => {
                core.sleep(patience).await;
                Err(io::ErrorKind::TimedOut.into())
            }
        }
    }

    /// Forgets who listens.
    pub(crate) fn close(&self) {
        let doors = std::mem::take(&mut *self.doors.borrow_mut());
        drop(doors);
    }

    /// Remembers that two sources are the ends of a connection.
    pub(super) fn join(&self, reactor: &Reactor, one: u32, other: u32) {
        let (Some(one), Some(other)) = (reactor.claim(one), reactor.claim(other)) else { return };
        self.ends.borrow_mut().extend([(one.key, (one, other)), (other.key, (other, one))]);
    }

    /// Makes the end that is to come at `key` a reset for the other end.
    pub(super) fn reset(&self, reactor: &Reactor, key: u32) {
        if let Some((own, other)) = self.ends.borrow().get(&key)
            && reactor.claim(key) == Some(*own)
        {
            self.resets.borrow_mut().insert(*other);
        }
    }

    /// Whether the end that was found at `key` is a reset; it is told once, as the system does.
    pub(super) fn is_reset(&self, reactor: &Reactor, key: u32) -> bool {
        reactor.claim(key).is_some_and(|own| self.resets.borrow_mut().remove(&own))
    }
}

impl std::fmt::Debug for Network {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Network").field("names", &self.names).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::future::poll_fn;

    use super::super::source::Direction;
    use super::*;

    const ADDRESS: &str = "11.0.0.1:80";

    /// Takes turns until nothing happens.
    fn settle(core: &Core) {
        while core.step(Duration::ZERO, |_| {}, || {}).unwrap() {}
    }

    /// Moves the clock from deadline to deadline until there are none left.
    fn run_out(core: &Core) {
        settle(core);
        while let Some(next) = core.patience() {
            core.advance(next);
            settle(core);
        }
    }

    /// Runs a future as a task of a core, whose clock is moved until nothing is left to wait for.
    fn run<T: 'static>(core: &Rc<Core>, future: impl Future<Output = T> + 'static) -> Option<T> {
        let value = Rc::new(Cell::new(None));
        let out = value.clone();
        core.spawn(async move { out.set(Some(future.await)) });
        run_out(core);
        value.take()
    }

    async fn connect(core: Rc<Core>) -> io::Result<Stream> {
        Stream::connect(&core, &ADDRESS.parse().unwrap(), Duration::from_secs(5)).await
    }

    async fn read(stream: &Stream) -> io::Result<Vec<u8>> {
        let mut into = [0; 100];
        let n = poll_fn(|cx| stream.poll_read(cx, &mut into)).await?;
        Ok(into[..n].to_vec())
    }

    /// Two ends of a connection.
    fn connected(core: &Rc<Core>) -> (Stream, Stream) {
        let accepted = Rc::new(Cell::new(None));
        let accepts = accepted.clone();
        let welcome = Welcome::Accept(Duration::ZERO, Rc::new(move |stream| accepts.set(Some(stream))));
        core.network().unwrap().listen(ADDRESS.parse().unwrap(), welcome);
        (run(core, connect(core.clone())).unwrap().unwrap(), accepted.take().unwrap())
    }

    #[test]
    fn who_listens_gets_the_other_end_and_others_are_refused_at_once() {
        let core = Core::by_hand().unwrap();
        let error = run(&core, connect(core.clone())).unwrap().unwrap_err();
        assert_eq!((error.kind(), core.elapsed()), (io::ErrorKind::ConnectionRefused, Duration::ZERO));
        let (one, other) = connected(&core);
        assert_eq!(one.try_write(b"hello").unwrap().unwrap(), 5);
        assert_eq!(run(&core, async move { read(&other).await.unwrap() }).unwrap(), b"hello");
    }

    #[test]
    fn who_hangs_is_given_up_when_the_time_is_over() {
        let core = Core::by_hand().unwrap();
        core.network().unwrap().listen(ADDRESS.parse().unwrap(), Welcome::Hang);
        let error = run(&core, connect(core.clone())).unwrap().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!((5000..=5016).contains(&core.elapsed().as_millis()), "{:?}", core.elapsed());
    }

    #[test]
    fn who_is_late_takes_the_connection_if_there_is_time_for_it() {
        for (late, is_connected, least) in [(4, true, 4), (5, false, 5), (60, false, 5)] {
            let core = Core::by_hand().unwrap();
            let welcome = Welcome::Accept(Duration::from_secs(late), Rc::new(drop));
            core.network().unwrap().listen(ADDRESS.parse().unwrap(), welcome);
            let end = run(&core, connect(core.clone())).unwrap().map_err(|error| error.kind());
            assert_eq!((end.is_ok(), core.elapsed().as_secs()), (is_connected, least));
        }
    }

    #[test]
    fn a_reset_is_told_once_behind_what_came_before_it() {
        let core = Core::by_hand().unwrap();
        let (one, other) = connected(&core);
        one.try_write(b"last words").unwrap().unwrap();
        one.reset_on_drop();
        drop(one);
        let ends = run(&core, async move {
            let words = read(&other).await.unwrap();
            (words, read(&other).await.unwrap_err().kind(), read(&other).await.unwrap())
        });
        assert_eq!(ends.unwrap(), (b"last words".to_vec(), io::ErrorKind::ConnectionReset, Vec::new()));
    }

    #[test]
    fn a_reset_is_none_for_whoever_has_the_key_next() {
        let core = Core::by_hand().unwrap();
        let (one, other) = connected(&core);
        one.reset_on_drop();
        drop((one, other));
        let (one, other) = connected(&core);
        drop(one);
        assert_eq!(run(&core, async move { read(&other).await.unwrap() }).unwrap(), b"");
    }

    #[test]
    fn names_lead_where_it_was_said_in_any_case_and_others_nowhere() {
        let core = Core::by_hand().unwrap();
        let network = core.network().unwrap();
        network.name("App.test", vec!["11.0.0.2".parse().unwrap(), "::1".parse().unwrap()]);
        let found: Vec<_> = network.look_up("app.TEST", 81).iter().map(ToString::to_string).collect();
        assert_eq!(found, ["11.0.0.2:81", "[::1]:81"]);
        assert!(network.look_up("localhost", 81).is_empty());
    }

    #[test]
    fn deadlines_come_when_the_clock_is_moved_and_not_before() {
        let core = Core::by_hand().unwrap();
        let woken = Rc::new(Cell::new(false));
        let (inside, wakes) = (core.clone(), woken.clone());
        core.spawn_serving(async move {
            inside.sleep(Duration::from_secs(3600)).await;
            wakes.set(true);
        });
        settle(&core);
        assert!(!core.may_be_woken(), "the timer alone has its waker");
        let mut steps = 0;
        while !woken.get() {
            core.advance(core.patience().expect("there is a deadline"));
            settle(&core);
            steps += 1;
        }
        assert!(core.elapsed() >= Duration::from_secs(3600) && steps < 1000, "{steps} steps");
        assert!(core.elapsed() <= Duration::from_secs(3600) + Duration::from_millis(8));
        assert_eq!(core.patience(), None);
    }

    #[test]
    fn who_may_be_woken_from_outside_is_known_until_it_was() {
        let core = Core::by_hand().unwrap();
        let (give, take) = std::sync::mpsc::channel();
        let woken = Rc::new(Cell::new(0));
        let wakes = woken.clone();
        core.spawn_serving(poll_fn(move |cx| {
            wakes.set(wakes.get() + 1);
            match wakes.get() {
                1 => {
                    give.send(cx.waker().clone()).unwrap();
                    std::task::Poll::Pending
                }
                _ => std::task::Poll::Ready(()),
            }
        }));
        settle(&core);
        assert_eq!((core.may_be_woken(), woken.get()), (true, 1));
        let outside = std::thread::spawn(move || take.recv().unwrap().wake());
        assert!(core.step(Duration::from_secs(10), |_| {}, || {}).unwrap(), "it sleeps until it is woken");
        settle(&core);
        assert_eq!((core.may_be_woken(), woken.get()), (false, 2));
        outside.join().unwrap();
    }

    #[test]
    fn tasks_that_wait_for_each_other_or_that_nobody_waits_for_are_not_woken_from_outside() {
        let core = Core::by_hand().unwrap();
        let (list, outside) = (Rc::new(RefCell::new(Vec::new())), Rc::new(RefCell::new(Vec::new())));
        let (inside, waits, given) = (core.clone(), list.clone(), outside.clone());
        let waiting = poll_fn(move |cx| {
            waits.borrow_mut().push(cx.waker().clone());
            std::task::Poll::<()>::Pending
        });
        core.spawn_serving(async move { inside.among(waiting).await });
        core.spawn(poll_fn(move |cx| {
            given.borrow_mut().push(cx.waker().clone());
            std::task::Poll::<()>::Pending
        }));
        settle(&core);
        assert!(!core.may_be_woken() && list.borrow().len() == 1 && outside.borrow().len() == 1);
        list.borrow()[0].wake_by_ref();
        settle(&core);
        assert!(!core.may_be_woken() && list.borrow().len() == 2, "it was woken and waits again");
        core.end();
    }

    #[test]
    fn deadlines_of_sockets_are_those_of_the_clock_that_is_moved() {
        let core = Core::by_hand().unwrap();
        let (one, other) = connected(&core);
        let late = run(&core, async move {
            other.set_deadline(Direction::Read, Some(Duration::from_secs(60)));
            (read(&other).await.unwrap_err().kind(), one.is_quiet())
        });
        assert_eq!(late, Some((io::ErrorKind::TimedOut, true)));
        assert_eq!(core.elapsed().as_secs(), 60);
    }
}

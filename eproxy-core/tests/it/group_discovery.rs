//! Endpoints that are found while a server runs, by a discovery of one's own.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use async_std::channel::{Receiver, Sender, unbounded};
use eproxy_core::{Balance, Discovery, Endpoint, Feed, Found, Group, Proxy, Server};

use crate::support::notes::Notes;
use crate::support::{eventually, get, start};
use crate::upstream::echoing;

/// Finds what the test says, and notes when it ends.
struct Told {
    news: Receiver<Found>,
    notes: Notes,
}

fn told() -> (Sender<Found>, Notes, Told) {
    let (say, news) = unbounded();
    let notes = Notes::default();
    (say, notes.clone(), Told { news, notes })
}

impl Discovery for Told {
    fn run(self: Arc<Self>, feed: Feed) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(async move {
            self.notes.add("begun");
            while feed.wait(Duration::from_millis(2)).await {
                match self.news.try_recv() {
                    Ok(Found::Endpoints(endpoints)) => feed.set(endpoints),
                    Ok(Found::Failed(why)) => feed.failed(why),
                    Err(_) => {}
                }
            }
            self.notes.add("ended");
        })
    }
}

fn names(group: &Group) -> Vec<String> {
    group.snapshot().endpoints.into_iter().map(|endpoint| endpoint.url).collect()
}

#[test]
fn endpoints_that_are_found_share_the_requests_beside_those_that_are_named() {
    let (named, found) = (echoing(), echoing());
    let (say, _notes, told) = told();
    let group = Group::from(named.url()).balance(Balance::RoundRobin).discover(told);
    let server = start(Server::builder().workers(1).at("/*path", Proxy::to(group.clone())));
    assert_eq!(server.ask(get("/")).status, 200);
    say.try_send(Found::Endpoints(vec![Endpoint::new(found.url())])).unwrap();
    eventually("it is found", || names(&group).len() == 2);
    (0..10).for_each(|_| assert_eq!(server.ask(get("/")).status, 200));
    assert_eq!(found.count(), 5);
}

#[test]
fn what_can_not_be_found_takes_nothing_away_and_is_told() {
    let found = echoing();
    let (say, _notes, told) = told();
    let group = Group::new().discover(told);
    let server = start(Server::builder().workers(1).at("/*path", Proxy::to(group.clone())));
    assert_eq!(server.ask(get("/")).status, 503, "nothing is found yet");
    say.try_send(Found::Endpoints(vec![Endpoint::new(found.url())])).unwrap();
    eventually("it is found", || names(&group) == [found.url()]);
    say.try_send(Found::Failed("the registry sleeps".into())).unwrap();
    eventually("it is told", || !group.snapshot().troubles.is_empty());
    assert_eq!(group.snapshot().troubles, ["the registry sleeps"]);
    assert_eq!((names(&group), server.ask(get("/")).status), (vec![found.url()], 200));
    say.try_send(Found::Endpoints(vec![Endpoint::new(found.url()).weight(2)])).unwrap();
    eventually("it is over", || group.snapshot().troubles.is_empty());
}

#[test]
fn a_discovery_ends_with_the_last_server_that_uses_its_group() {
    let (_say, notes, told) = told();
    let group = Group::from("http://127.0.0.1:1").discover(told);
    let serve = || start(Server::builder().workers(2).at("/*path", Proxy::to(group.clone())));
    let (first, second) = (serve(), serve());
    assert_eq!(notes.wait(1), ["begun"]);
    drop(first);
    assert!(notes.take().is_empty(), "the second one still uses it");
    drop(second);
    assert_eq!(notes.wait(1), ["ended"]);
    let third = serve();
    assert_eq!(notes.wait(1), ["begun"]);
    drop(third);
    assert_eq!(notes.wait(1), ["ended"]);
}

#[test]
fn a_new_set_leaves_the_endpoints_of_others_alone() {
    let (say_one, _notes, one) = told();
    let (say_other, _more, other) = told();
    let urls = ["http://127.0.0.1:1", "http://127.0.0.1:2", "http://127.0.0.1:3", "http://127.0.0.1:4"];
    let group = Group::from(urls[0]).discover(one).discover(other);
    let _server = start(Server::builder().workers(1).at("/*path", Proxy::to(group.clone())));
    let find =
        |say: &Sender<Found>, url: &str| say.try_send(Found::Endpoints(vec![Endpoint::new(url)])).unwrap();
    find(&say_one, urls[1]);
    eventually("the first has found one", || names(&group).len() == 2);
    find(&say_other, urls[2]);
    eventually("the other has found one", || names(&group).len() == 3);
    find(&say_one, urls[3]);
    eventually("it has found another", || names(&group) == [urls[0], urls[2], urls[3]]);
    group.set_endpoints([]).unwrap();
    assert_eq!(names(&group), [urls[2], urls[3]]);
}

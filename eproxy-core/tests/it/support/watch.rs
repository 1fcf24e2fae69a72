//! A discovery at work, and what it tells.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use async_std::task::{self, JoinHandle, block_on};
use eproxy_core::{Discovery, Endpoint, Feed, Found};

use super::wire::PATIENCE;

/// A discovery at work. Dropping this ends it, and fails the test if it does not end.
pub(crate) struct Watch {
    feed: Feed,
    news: Receiver<Found>,
    task: Option<JoinHandle<()>>,
}

impl Watch {
    pub(crate) fn of(discovery: impl Discovery) -> Self {
        discovery.check().expect("its options are right");
        let (sink, news) = channel();
        // Whoever looks away from the news does not mind what it is.
        let feed = Feed::new(move |found| drop(sink.send(found)));
        let task = task::spawn(Arc::new(discovery).run(feed.clone()));
        Self { feed, news, task: Some(task) }
    }

    /// The next news.
    pub(crate) fn next(&self) -> Found {
        self.news.recv_timeout(PATIENCE).expect("there are news")
    }

    /// The next news, which are endpoints.
    pub(crate) fn endpoints(&self) -> Vec<Endpoint> {
        match self.next() {
            Found::Endpoints(endpoints) => endpoints,
            Found::Failed(reason) => panic!("it failed: {reason}"),
        }
    }

    /// The next news, which are a failure.
    pub(crate) fn failure(&self) -> String {
        match self.next() {
            Found::Failed(reason) => reason,
            Found::Endpoints(endpoints) => panic!("it found {endpoints:?}"),
        }
    }

    /// Asserts that nothing else was told until now.
    pub(crate) fn has_told_all(&self) {
        assert_eq!(self.news.try_recv().ok(), None);
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.feed.close();
        let Some(task) = self.task.take() else { return };
        let end = block_on(async_std::future::timeout(PATIENCE, task));
        if !thread::panicking() {
            assert!(end.is_ok(), "the discovery did not end");
        }
    }
}

//! The way from whoever finds endpoints to whoever uses them.

use std::collections::HashSet;
use std::fmt;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};
use std::time::Duration;

use crate::error::{Error, Kind, Result};
use crate::upstream::endpoint::Endpoint;

/// What a [`Discovery`](crate::Discovery) has found out, as the user of its endpoints hears it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// These are all endpoints, none of them twice, each of them usable; whatever was wrong before is over.
    Endpoints(Vec<Endpoint>),
    /// It couldn't be found out, and this is why. The endpoints that were found last stay.
    Failed(String),
}

/// Where a [`Discovery`](crate::Discovery) tells of the endpoints that it has found. Clones lead to the same place.
///
/// Only news is passed on: the same endpoints in another order are none, and neither is the same failure again. A failure
/// is logged when it begins, when its reason changes and when it is over.
#[derive(Clone)]
pub struct Feed(Arc<Shared>);

struct Shared {
    sink: Box<dyn Fn(Found) + Send + Sync>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    told: Told,
    is_closed: bool,
    /// Who waits for the end.
    waiting: Vec<Waker>,
}

impl Feed {
    /// A feed whose news goes to `sink`, one after another. A group makes one by itself; this is for the tests of a
    /// discovery. The sink must not tell the feed anything.
    ///
    /// ```
    /// use eproxy_core::{Endpoint, Feed, Found};
    ///
    /// let (sink, news) = std::sync::mpsc::channel();
    /// let feed = Feed::new(move |found| sink.send(found).expect("the test listens"));
    /// let endpoints = vec![Endpoint::new("http://10.0.0.7:3000")];
    /// feed.set(endpoints.clone());
    /// feed.set(endpoints.clone());
    /// feed.set(Vec::new());
    /// assert_eq!(news.try_recv(), Ok(Found::Endpoints(endpoints)));
    /// assert_eq!(news.try_recv(), Ok(Found::Failed("no endpoint was found".into())));
    /// assert!(news.try_recv().is_err());
    /// ```
    #[must_use = "a feed is given to a discovery"]
    pub fn new(sink: impl Fn(Found) + Send + Sync + 'static) -> Self {
        Self(Arc::new(Shared { sink: Box::new(sink), state: Mutex::default() }))
    }

    /// These are all endpoints there are now. Where one of them is not usable, or where there are none or more than 10,000,
    /// this is a failure, and the last ones stay.
    pub fn set(&self, endpoints: Vec<Endpoint>) {
        self.tell(match endpoints.is_empty() {
            true => News::Failed(NONE.into()),
            false => News::All(endpoints),
        });
    }

    /// As [`set`](Self::set), where it is known for certain that there may be none.
    pub fn set_even_if_empty(&self, endpoints: Vec<Endpoint>) {
        self.tell(News::All(endpoints));
    }

    /// It can't be found out which endpoints there are, and why. The last ones stay.
    pub fn failed(&self, reason: impl Into<String>) {
        self.tell(News::Failed(reason.into()));
    }

    /// These are all endpoints, but something was in the way of knowing that of all of them; none is a failure.
    pub(super) fn set_despite(&self, endpoints: Vec<Endpoint>, trouble: Option<String>) {
        match trouble {
            None => self.set(endpoints),
            Some(trouble) if endpoints.is_empty() => self.failed(trouble),
            Some(trouble) => self.tell(News::AllDespite(endpoints, trouble)),
        }
    }

    fn tell(&self, news: News) {
        // The sink is called under the lock: what is told first arrives first.
        let mut state = self.state();
        if state.is_closed {
            return;
        }
        for found in state.told.hear(news) {
            (self.0.sink)(found);
        }
    }

    /// Whether nobody uses the endpoints any more.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.state().is_closed
    }

    /// Waits until nobody uses the endpoints any more.
    ///
    /// # Cancel safety
    ///
    /// It may be dropped and called again.
    pub async fn closed(&self) {
        poll_fn(|cx| {
            let mut state = self.state();
            if state.is_closed {
                return Poll::Ready(());
            }
            if !state.waiting.iter().any(|waker| waker.will_wake(cx.waker())) {
                state.waiting.push(cx.waker().clone());
            }
            Poll::Pending
        })
        .await;
    }

    /// Lets some time pass, and says whether the endpoints are still used; if they are not, it says so at once.
    ///
    /// # Cancel safety
    ///
    /// It may be dropped at any time.
    pub async fn wait(&self, time: Duration) -> bool {
        let passed = async {
            async_std::task::sleep(time).await;
            true
        };
        let closed = async {
            self.closed().await;
            false
        };
        futures_lite::future::or(closed, passed).await
    }

    /// Says that nobody uses the endpoints any more. What is told from now on goes nowhere.
    pub fn close(&self) {
        let waiting = {
            let mut state = self.state();
            state.is_closed = true;
            std::mem::take(&mut state.waiting)
        };
        waiting.into_iter().for_each(Waker::wake);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Feed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Feed").field("is_closed", &self.is_closed()).finish_non_exhaustive()
    }
}

/// What the source of a feed says.
enum News {
    All(Vec<Endpoint>),
    AllDespite(Vec<Endpoint>, String),
    Failed(String),
}

/// What was told last, which decides whether something is news.
#[derive(Default)]
struct Told {
    endpoints: Option<HashSet<Endpoint>>,
    trouble: Option<String>,
}

impl Told {
    /// What has to be passed on.
    fn hear(&mut self, news: News) -> Vec<Found> {
        match news {
            News::Failed(reason) => self.trouble(reason).into_iter().collect(),
            News::All(endpoints) => match usable(endpoints) {
                Err(error) => self.trouble(error.to_string()).into_iter().collect(),
                Ok(endpoints) => {
                    let is_over = self.trouble.take().is_some();
                    if is_over {
                        log::info!("endpoints are found again: {}", endpoints.len());
                    }
                    match self.changes(&endpoints) || is_over {
                        true => vec![Found::Endpoints(endpoints)],
                        false => Vec::new(),
                    }
                }
            },
            News::AllDespite(endpoints, trouble) => match usable(endpoints) {
                Err(error) => self.trouble(error.to_string()).into_iter().collect(),
                Ok(endpoints) if self.changes(&endpoints) => {
                    // The endpoints say that all is well, so the trouble is told behind them even if it is not new.
                    self.trouble(trouble.clone());
                    vec![Found::Endpoints(endpoints), Found::Failed(trouble)]
                }
                Ok(_) => self.trouble(trouble).into_iter().collect(),
            },
        }
    }

    /// Whether these are others than before; then they are what is known.
    fn changes(&mut self, endpoints: &[Endpoint]) -> bool {
        let endpoints = Some(endpoints.iter().cloned().collect());
        let is_new = self.endpoints != endpoints;
        self.endpoints = endpoints;
        is_new
    }

    fn trouble(&mut self, reason: String) -> Option<Found> {
        if self.trouble.as_ref() == Some(&reason) {
            return None;
        }
        let kept = self.endpoints.as_ref().map_or(0, HashSet::len);
        log::warn!("endpoints are not found: {reason}; {kept} of before stay");
        self.trouble = Some(reason.clone());
        Some(Found::Failed(reason))
    }
}

/// Leaves out what leads to the same place as one before; one that is not usable spoils them all.
fn usable(endpoints: Vec<Endpoint>) -> Result<Vec<Endpoint>> {
    if endpoints.len() > MAX_ENDPOINTS {
        let what = format!("{} endpoints, at most {MAX_ENDPOINTS} are taken", endpoints.len());
        return Err(Error::new(Kind::BadOption).detail(what));
    }
    let mut places = HashSet::new();
    let mut usable = Vec::with_capacity(endpoints.len());
    for endpoint in endpoints {
        let origin = endpoint.origin()?;
        if places.insert((origin.place, origin.scheme, origin.base, origin.authority)) {
            usable.push(endpoint);
        }
    }
    Ok(usable)
}

/// Endpoints of one feed: every core keeps something about each of them.
const MAX_ENDPOINTS: usize = 10_000;

/// Why no endpoints are a failure.
const NONE: &str = "no endpoint was found";

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoints(urls: &[&str]) -> Vec<Endpoint> {
        urls.iter().map(|url| Endpoint::new(*url)).collect()
    }

    fn all(urls: &[&str]) -> News {
        News::All(endpoints(urls))
    }

    fn failed(reason: &str) -> News {
        News::Failed(reason.into())
    }

    fn found(urls: &[&str]) -> Vec<Found> {
        vec![Found::Endpoints(endpoints(urls))]
    }

    #[test]
    fn only_other_endpoints_are_news() {
        let mut told = Told::default();
        assert_eq!(
            told.hear(all(&["http://a", "http://b", "http://a:80"])),
            found(&["http://a", "http://b"])
        );
        assert_eq!(told.hear(all(&["http://b", "http://a"])), []);
        let heavier = vec![Endpoint::new("http://a").weight(2), Endpoint::new("http://b")];
        assert_eq!(told.hear(News::All(heavier.clone())), [Found::Endpoints(heavier)]);
    }

    #[test]
    fn the_first_news_may_be_that_there_are_none() {
        assert_eq!(Told::default().hear(all(&[])), found(&[]));
    }

    #[test]
    fn a_failure_is_told_once_until_its_reason_changes_or_it_is_over() {
        let mut told = Told::default();
        assert_eq!(told.hear(all(&["http://a"])), found(&["http://a"]));
        assert_eq!(told.hear(failed("x")), [Found::Failed("x".into())]);
        assert_eq!(told.hear(failed("x")), []);
        assert_eq!(told.hear(failed("y")), [Found::Failed("y".into())]);
        assert_eq!(told.hear(all(&["http://a"])), found(&["http://a"]), "that it is over is news");
        assert_eq!(told.hear(failed("y")), [Found::Failed("y".into())]);
    }

    #[test]
    fn one_endpoint_that_is_not_usable_spoils_them_all() {
        let mut told = Told::default();
        let news = told.hear(all(&["http://a", "ftp://b"]));
        assert!(matches!(&news[..], [Found::Failed(reason)] if reason.contains("ftp://b")), "{news:?}");
        assert_eq!(told.hear(all(&["http://a"])), found(&["http://a"]));
    }

    #[test]
    fn more_endpoints_than_make_sense_are_refused() {
        let endpoints = |count| (0..count).map(|port| Endpoint::new(format!("http://a:{port}"))).collect();
        let mut told = Told::default();
        let news = told.hear(News::All(endpoints(10_001)));
        assert!(
            matches!(&news[..], [Found::Failed(reason)] if reason.contains("10001 endpoints")),
            "{news:?}"
        );
        let news = told.hear(News::All(endpoints(10_000)));
        assert!(matches!(&news[..], [Found::Endpoints(all)] if all.len() == 10_000));
    }

    #[test]
    fn trouble_with_some_of_them_stays_told_behind_every_change() {
        let mut told = Told::default();
        let despite = |urls: &[&str]| News::AllDespite(endpoints(urls), "x".into());
        let mut expected = found(&["http://a"]);
        expected.push(Found::Failed("x".into()));
        assert_eq!(told.hear(despite(&["http://a"])), expected);
        assert_eq!(told.hear(despite(&["http://a"])), []);
        expected[0] = Found::Endpoints(endpoints(&["http://b"]));
        assert_eq!(told.hear(despite(&["http://b"])), expected);
        assert_eq!(told.hear(all(&["http://b"])), found(&["http://b"]));
    }

    #[test]
    fn a_feed_that_is_closed_passes_nothing_on_and_lets_nobody_wait() {
        let feed = Feed::new(|found| panic!("{found:?}"));
        feed.close();
        feed.set(endpoints(&["http://a"]));
        feed.failed("x");
        assert!(feed.is_closed());
        assert!(!async_std::task::block_on(feed.wait(Duration::from_secs(3600))));
    }

    #[test]
    fn whoever_waits_is_told_of_the_end() {
        let feed = Feed::new(|_| {});
        let waiting = async_std::task::spawn({
            let feed = feed.clone();
            async move { feed.wait(Duration::from_secs(3600)).await }
        });
        assert!(async_std::task::block_on(feed.wait(Duration::from_millis(1))), "it is used");
        feed.close();
        assert!(!async_std::task::block_on(waiting));
    }
}

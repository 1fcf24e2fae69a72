//! Batches of spans on their way to a collector.
//!
//! ```text
//!   spans ──512, or a second──▶ one POST ──2xx──▶ done
//!                                 ▲   ├─ 429, 502, 503, 504, no answer ──▶ wait, and again, five times at the most
//!                                 └───┘                                     └─▶ dropped, counted
//!                                     └─ another status, or spans that it has rejected ──▶ dropped, counted
//! ```

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_std::channel::{Receiver, Sender};
use http_types::{Method, Request, Url};

use crate::client::{Client, ClientOptions};
use crate::error::{Error, Kind, Result};
use crate::telemetry::{Journal, Losses, Span, SpanNews, SpanQueue};

use super::encode::encode;
use super::traces::Traces;
use super::verdict::{Rejected, Verdict, judge};

/// Spans that leave together at the most.
const BATCH: usize = 512;

/// How long the first of a batch waits for others.
const DELAY: Duration = Duration::from_secs(1);

/// Times that a batch is sent again, and how long is waited before the first; each time twice as long as before.
const REPEATS: u32 = 5;
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// Waiting that a collector may ask for.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// How long a POST may take, with all of its answer.
const LIMIT: Duration = Duration::from_secs(10);

/// Bytes of the body of an answer that are read.
const MOST: u64 = 64 * 1024;

/// Sends spans on async-std, for as long as there is somebody who may have some.
pub(crate) struct Exporter {
    client: Client,
    url: Url,
    traces: Traces,
    losses: Arc<Losses>,
    journal: Journal,
    /// For a POST with all of its answer.
    limit: Duration,
    /// The last batch was given up: that is told once.
    has_failed: bool,
}

impl Exporter {
    /// Starts sending; gives the way to it.
    ///
    /// # Errors
    ///
    /// `BadOption`: spans can't be sent there.
    pub(crate) fn start(traces: &Traces, losses: &Arc<Losses>, journal: &Journal) -> Result<SpanQueue> {
        let url = traces.endpoint()?;
        for (name, value) in traces.headers() {
            let fits = !name.is_empty() && value.bytes().all(|byte| matches!(byte, b' '..=b'~'));
            if !fits || !crate::message::is_token(name.as_bytes()) {
                return Err(Error::new(Kind::BadOption).detail(format!("the field {name:?} for a collector")));
            }
        }
        let (queue, news) = SpanQueue::new(losses);
        let exporter = Self {
            client: Client::with_options(ClientOptions { pool_size: 1, ..ClientOptions::default() }),
            url,
            traces: traces.clone(),
            losses: losses.clone(),
            journal: journal.clone(),
            limit: LIMIT,
            has_failed: false,
        };
        async_std::task::spawn(exporter.run(news));
        Ok(queue)
    }

    async fn run(mut self, news: Receiver<SpanNews>) {
        let mut batch: Vec<Span> = Vec::with_capacity(BATCH);
        while let Ok(first) = news.recv().await {
            let mut waits: Vec<Sender<Infallible>> = Vec::new();
            take(first, &mut batch, &mut waits);
            let collect = async {
                while batch.len() < BATCH && waits.is_empty() {
                    match news.recv().await {
                        Ok(more) => take(more, &mut batch, &mut waits),
                        Err(_) => return,
                    }
                }
            };
            // A batch that is not full leaves when its time has come.
            let _late = async_std::future::timeout(DELAY, collect).await;
            if !batch.is_empty() {
                self.send(&batch).await;
                batch.clear();
            }
            drop(waits);
        }
    }

    /// Sends a batch, again if it has to be.
    async fn send(&mut self, batch: &[Span]) {
        let body = encode(self.traces.service_name(), batch);
        let all = batch.len() as u64;
        let mut pause = FIRST_PAUSE;
        let mut repeats = 0;
        let (dropped, why) = loop {
            match self.post(body.clone()).await {
                Verdict::Taken(None) => {
                    self.has_failed = false;
                    return;
                }
                Verdict::Taken(Some(Rejected { spans, why })) => {
                    break (spans.min(all), format!("the collector has rejected {spans}: {why:?}"));
                }
                Verdict::Later(asked, _) if repeats < REPEATS => {
                    repeats += 1;
                    async_std::task::sleep(wait(asked, pause)).await;
                    pause *= 2;
                }
                Verdict::Later(_, why) | Verdict::Refused(why) => break (all, why),
            }
        };
        self.losses.add_spans(dropped);
        if !std::mem::replace(&mut self.has_failed, true) {
            let url = self.traces.shown();
            self.journal.note(log::Level::Warn, || format!("spans for {url} are dropped: {why}"));
        }
    }

    async fn post(&self, body: Vec<u8>) -> Verdict {
        let mut request = Request::new(Method::Post, self.url.clone());
        request.set_body(body);
        request.insert_header("Content-Type", "application/json");
        for (name, value) in self.traces.headers() {
            request.insert_header(name.as_str(), value.as_str());
        }
        let mut verdict = Verdict::Later(None, format!("no answer within {:?}", self.limit));
        let exchange = async {
            match self.client.send(request).await {
                Ok(answer) => {
                    #[expect(
                        clippy::disallowed_methods,
                        reason = "what a date in an answer is compared with"
                    )]
                    let now = SystemTime::now();
                    verdict = judge(answer.status(), answer.headers().get_str("retry-after"), now);
                    // What is not read costs the connection.
                    let text = answer.into_body().bytes(MOST).await;
                    if let (Verdict::Taken(rejected), Ok(text)) = (&mut verdict, text) {
                        *rejected = Rejected::parse(&text);
                    }
                }
                Err(error) => verdict = Verdict::Later(None, error.to_string()),
            }
        };
        // What the head of an answer has said holds, whatever becomes of its body.
        let _late = async_std::future::timeout(self.limit, exchange).await;
        verdict
    }
}

/// How long is waited: what is usual where a collector asks for less, for then it can't be sent all repeats at once.
fn wait(asked: Option<Duration>, usual: Duration) -> Duration {
    asked.unwrap_or_default().max(usual).min(LONGEST_PAUSE)
}

fn take(news: SpanNews, batch: &mut Vec<Span>, waits: &mut Vec<Sender<Infallible>>) {
    match news {
        SpanNews::Spans(spans) => batch.extend(spans),
        SpanNews::Flush(waiting) => waits.push(waiting),
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn a_collector_is_not_asked_sooner_than_usual_nor_much_later() {
        for (asked, seconds) in [(None, 2), (Some(0), 2), (Some(1), 2), (Some(7), 7), (Some(u64::MAX), 30)] {
            let wait = wait(asked.map(Duration::from_secs), Duration::from_secs(2));
            assert_eq!(wait, Duration::from_secs(seconds), "{asked:?}");
        }
    }

    #[test]
    fn an_answer_that_does_not_end_holds_nobody_up() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let traces = Traces::to(format!("http://{}", listener.local_addr().unwrap()));
        let collector = std::thread::spawn(move || {
            for answer in ["HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{", "HTTP/1.1 2"] {
                let (mut peer, _) = listener.accept().unwrap();
                peer.write_all(answer.as_bytes()).unwrap();
                // Until whoever waits has had enough.
                let _gone = peer.read_to_end(&mut Vec::new());
            }
        });
        let exporter = Exporter {
            client: Client::new(),
            url: traces.endpoint().unwrap(),
            traces,
            losses: Arc::default(),
            journal: Journal::start().unwrap(),
            limit: Duration::from_millis(300),
            has_failed: false,
        };
        async_std::task::block_on(async {
            assert_eq!(exporter.post(b"{}".to_vec()).await, Verdict::Taken(None));
            let Verdict::Later(None, why) = exporter.post(b"{}".to_vec()).await else { panic!("no answer") };
            assert!(why.contains("no answer within"), "{why}");
        });
        collector.join().unwrap();
    }
}

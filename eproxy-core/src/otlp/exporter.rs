//! Batches of spans on their way to a collector.
//!
//! ```text
//!   spans ──512, or a second──▶ one POST ──2xx──▶ done
//!                                 ▲   ├─ 429, 502, 503, 504, no answer ──▶ wait, and again, five times at the most
//!                                 └───┘                                     └─▶ dropped, counted
//!                                     └─ another status ──▶ dropped, counted
//! ```

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use async_std::channel::{Receiver, Sender};
use http_types::{Method, Request, Url};

use crate::client::{Client, ClientOptions};
use crate::error::{Error, Kind, Result};
use crate::message::Answer;
use crate::telemetry::{Journal, Losses, Span, SpanNews, SpanQueue};

use super::encode::encode;
use super::traces::Traces;

/// Spans that leave together at the most.
const BATCH: usize = 512;

/// How long the first of a batch waits for others.
const DELAY: Duration = Duration::from_secs(1);

/// Times that a batch is sent again, and how long is waited before the first; each time twice as long as before.
const REPEATS: u32 = 5;
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// Bytes of an answer that are read.
const MOST: u64 = 64 * 1024;

/// Waiting that a collector may ask for.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Sends spans on async-std, for as long as there is somebody who may have some.
pub(crate) struct Exporter {
    client: Client,
    url: Url,
    traces: Traces,
    losses: Arc<Losses>,
    journal: Journal,
    /// The last batch was given up: that is told once.
    has_failed: bool,
}

/// What became of a batch.
enum Sent {
    Taken,
    /// It may be sent again, after so long if that was said.
    Later(Option<Duration>, String),
    Refused(String),
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
        let head = Duration::from_secs(10);
        let exporter = Self {
            client: Client::with_options(ClientOptions { head, pool_size: 1, ..ClientOptions::default() }),
            url,
            traces: traces.clone(),
            losses: losses.clone(),
            journal: journal.clone(),
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
        let mut pause = FIRST_PAUSE;
        let mut repeats = 0;
        let why = loop {
            match self.post(body.clone()).await {
                Sent::Taken => {
                    self.has_failed = false;
                    return;
                }
                Sent::Later(asked, _) if repeats < REPEATS => {
                    repeats += 1;
                    async_std::task::sleep(asked.unwrap_or(pause).min(LONGEST_PAUSE)).await;
                    pause *= 2;
                }
                Sent::Later(_, why) | Sent::Refused(why) => break why,
            }
        };
        self.losses.add_spans(batch.len() as u64);
        if !std::mem::replace(&mut self.has_failed, true) {
            let url = &self.url;
            self.journal.note(log::Level::Warn, || format!("spans for {url} are dropped: {why}"));
        }
    }

    async fn post(&self, body: Vec<u8>) -> Sent {
        let mut request = Request::new(Method::Post, self.url.clone());
        request.set_body(body);
        request.insert_header("Content-Type", "application/json");
        for (name, value) in self.traces.headers() {
            request.insert_header(name.as_str(), value.as_str());
        }
        match self.client.send(request).await {
            Ok(answer) => {
                let sent = judge(&answer);
                // What is not read costs the connection.
                let _text = answer.into_body().bytes(MOST).await;
                sent
            }
            Err(error) => Sent::Later(None, error.to_string()),
        }
    }
}

fn take(news: SpanNews, batch: &mut Vec<Span>, waits: &mut Vec<Sender<Infallible>>) {
    match news {
        SpanNews::Spans(spans) => batch.extend(spans),
        SpanNews::Flush(waiting) => waits.push(waiting),
    }
}

/// Which answers say that a batch may be sent again (OTLP 1.3, "Failures").
fn judge(answer: &Answer) -> Sent {
    let after = || {
        let seconds: u64 = answer.headers().get_str("retry-after")?.trim().parse().ok()?;
        Some(Duration::from_secs(seconds))
    };
    match answer.status() {
        200..300 => Sent::Taken,
        status @ (429 | 502..=504) => Sent::Later(after(), format!("the collector says {status}")),
        status => Sent::Refused(format!("the collector says {status}")),
    }
}

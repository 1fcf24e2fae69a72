//! The load of the group modes: connections that ask one thing after another, each answer compared. One thread holds all
//! of them. What is counted is kept by phases, which whoever runs the load begins; a request belongs to the phase in which
//! it was sent.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{ErrorKind, Read, Write};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};

use crate::pages::Expected;
use crate::{Outcome, clock, websocket};

/// What became of the requests of one phase.
#[derive(Default)]
pub(crate) struct Tally {
    pub(crate) gets: u64,
    pub(crate) failed_gets: u64,
    pub(crate) posts: u64,
    /// The numbers of those that failed.
    pub(crate) failed_posts: Vec<u64>,
    /// Of GETs that were answered, in microseconds.
    waits: Vec<u32>,
    /// Answers to GETs, by the port that the upstream says it has.
    pub(crate) from: BTreeMap<u16, u64>,
    /// What was wrong with some of those that failed.
    pub(crate) complaints: Vec<String>,
}

impl Tally {
    pub(crate) fn percentile_ms(&mut self, share: f64) -> f64 {
        self.waits.sort_unstable();
        let place = (self.waits.len() as f64 * share) as usize;
        let wait = self.waits.get(place.min(self.waits.len().saturating_sub(1)));
        wait.map_or(f64::NAN, |&wait| f64::from(wait) / 1e3)
    }

    /// The share of the answers that came from a port.
    pub(crate) fn share_of(&self, port: u16) -> f64 {
        let all: u64 = self.from.values().sum();
        self.from.get(&port).copied().unwrap_or_default() as f64 / all.max(1) as f64
    }
}

/// What whoever runs the load says and sees while it goes on.
#[derive(Default)]
pub(crate) struct Control {
    phase: AtomicUsize,
    /// GETs of this phase that have ended.
    gets: AtomicU64,
    /// The ports that have answered GETs of this phase.
    ports: Mutex<BTreeSet<u16>>,
    is_over: AtomicBool,
}

impl Control {
    pub(crate) fn begin(&self, phase: usize) {
        self.phase.store(phase, Ordering::Relaxed);
        self.gets.store(0, Ordering::Relaxed);
        self.ports().clear();
    }

    pub(crate) fn gets(&self) -> u64 {
        self.gets.load(Ordering::Relaxed)
    }

    pub(crate) fn has_heard_of(&self, port: u16) -> bool {
        self.ports().contains(&port)
    }

    fn ports(&self) -> MutexGuard<'_, BTreeSet<u16>> {
        self.ports.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn end(&self) {
        self.is_over.store(true, Ordering::Relaxed);
    }
}

/// Asks until it is told to stop; returns a tally for each of so many phases.
pub(crate) fn run(
    port: u16,
    expected: &Expected,
    (getters, posters): (usize, usize),
    phases: usize,
    control: &Control,
) -> Outcome<Vec<Tally>> {
    let mut poll = Poll::new().map_err(|err| format!("a poll can't be made: {err}"))?;
    let mut tallies: Vec<Tally> = (0..phases).map(|_| Tally::default()).collect();
    let mut posts = 0;
    let mut askers = Vec::new();
    for number in 0..getters + posters {
        let stream = connect(port, number, &poll)?;
        let asks_by_post = number >= getters;
        askers.push(Asker {
            stream,
            input: Vec::new(),
            post: None,
            asks_by_post,
            since: clock::now(),
            phase: 0,
        });
        askers[number].ask(expected, &mut posts, control);
    }
    let mut events = Events::with_capacity(askers.len());
    let mut looked = clock::now();
    while !control.is_over.load(Ordering::Relaxed) {
        match poll.poll(&mut events, Some(LOOK)) {
            Err(err) if err.kind() != ErrorKind::Interrupted => {
                return Err(format!("sockets can't be waited for: {err}"));
            }
            _ => {}
        }
        let now = clock::now();
        let mut heard: Vec<(usize, Result<u16, String>)> = Vec::new();
        for event in &events {
            let number = event.token().0;
            heard.extend(askers[number].hear(expected).map(|heard| (number, heard)));
        }
        if now - looked > LOOK {
            looked = now;
            let late = askers.iter().enumerate().filter(|(_, asker)| now - asker.since > PATIENCE);
            heard.extend(late.map(|(number, _)| (number, Err("no answer came".to_owned()))));
        }
        for (number, heard) in heard {
            let asker = &mut askers[number];
            let failed = heard.is_err();
            asker.count(heard, &mut tallies[asker.phase], now, control);
            if failed {
                asker.stream = connect(port, number, &poll)?;
                asker.input.clear();
            }
            asker.ask(expected, &mut posts, control);
        }
    }
    Ok(tallies)
}

struct Asker {
    stream: TcpStream,
    input: Vec<u8>,
    /// The number of the POST that waits for its answer.
    post: Option<u64>,
    asks_by_post: bool,
    since: Instant,
    /// The phase in which it has asked.
    phase: usize,
}

impl Asker {
    fn ask(&mut self, expected: &Expected, posts: &mut u64, control: &Control) {
        let request = match self.asks_by_post {
            false => format!("GET {} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", expected.path),
            true => {
                *posts += 1;
                self.post = Some(*posts);
                format!("POST /post/{posts} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 4\r\n\r\nbody")
            }
        };
        self.since = clock::now();
        self.phase = control.phase.load(Ordering::Relaxed);
        // Whatever is wrong shows when nothing comes back.
        let _broken = self.stream.write(request.as_bytes());
    }

    /// None: there is more to come. Otherwise the port that answered, or a sentence on what is wrong.
    fn hear(&mut self, expected: &Expected) -> Option<Result<u16, String>> {
        let mut buffer = [0; 4096];
        loop {
            match self.stream.read(&mut buffer) {
                Ok(0) => return Some(Err("the connection ended".to_owned())),
                Ok(length) => self.input.extend_from_slice(&buffer[..length]),
                Err(err) if err.kind() == ErrorKind::WouldBlock => break,
                Err(err) if err.kind() == ErrorKind::Interrupted => {}
                Err(err) => return Some(Err(format!("the answer can't be read: {err}"))),
            }
        }
        let length = websocket::head_length(&self.input)?;
        let head = String::from_utf8_lossy(&self.input[..length]).into_owned();
        let body = websocket::field(&head, "Content-Length").and_then(|length| length.parse().ok());
        let Some(body): Option<usize> = body else { return Some(Err(format!("no length: {head}"))) };
        let whole = self.input.get(length..length + body)?.to_vec();
        self.input.clear();
        let status = head.split_whitespace().nth(1).unwrap_or_default();
        if status != "200" {
            let why = websocket::field(&head, "Proxy-Status").unwrap_or_default();
            return Some(Err(format!("the status is {status}: {why}")));
        }
        if let Err(what) = expected.compare(&whole) {
            return Some(Err(what));
        }
        let from = websocket::field(&head, "X-From").and_then(|port| port.parse().ok());
        Some(from.ok_or_else(|| "the answer does not say from where it is".to_owned()))
    }

    fn count(&mut self, heard: Result<u16, String>, tally: &mut Tally, now: Instant, control: &Control) {
        let post = self.post.take();
        match post {
            Some(_) => tally.posts += 1,
            None => {
                tally.gets += 1;
                if self.phase == control.phase.load(Ordering::Relaxed) {
                    control.gets.fetch_add(1, Ordering::Relaxed);
                }
            }
        }
        match heard {
            Ok(from) if post.is_none() => {
                tally.waits.push((now - self.since).as_micros() as u32);
                let answers = tally.from.entry(from).or_default();
                *answers += 1;
                if *answers == 1 {
                    control.ports().insert(from);
                }
            }
            Ok(_) => {}
            Err(what) => {
                match post {
                    Some(number) => tally.failed_posts.push(number),
                    None => tally.failed_gets += 1,
                }
                if tally.complaints.len() < MOST_COMPLAINTS && !tally.complaints.contains(&what) {
                    tally.complaints.push(what);
                }
            }
        }
    }
}

fn connect(port: u16, number: usize, poll: &Poll) -> Outcome<TcpStream> {
    let open = || {
        let stream = std::net::TcpStream::connect(("127.0.0.1", port))?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        let mut stream = TcpStream::from_std(stream);
        poll.registry().register(&mut stream, Token(number), Interest::READABLE)?;
        Ok(stream)
    };
    open().map_err(|err: std::io::Error| format!("no connection to the proxy: {err}"))
}

/// How long an answer may take before its request has failed.
const PATIENCE: Duration = Duration::from_secs(10);

/// How often late ones are looked for.
const LOOK: Duration = Duration::from_millis(100);

const MOST_COMPLAINTS: usize = 5;

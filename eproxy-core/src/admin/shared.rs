//! What all answers of an admin listener are made from.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use async_std::channel::{Receiver, Sender, bounded};

use crate::server::Handle;
use crate::server::life::Life;
use crate::telemetry::RouteMetrics;
use crate::upstream::Group;

use super::callbacks::Callbacks;
use super::gate::Gate;
use super::groups::GroupState;
use super::history::{Extent, History, Moment};
use super::lately::Lately;
use super::process;
use super::routes::RouteState;
use super::state::State;

/// How often it is looked what was counted, and how often those who listen are told.
const PERIOD: Duration = Duration::from_secs(1);

/// Pages that may listen to events at once.
const STREAMS: usize = 16;

/// Events in which failures are told again: one that gets lost in between does no harm.
const TOLD: u64 = 3;

#[derive(Debug)]
pub(super) struct Shared {
    /// The server that is shown.
    pub(super) server: Handle,
    /// How far the admin listener itself has come. Its handle would hold on to its routes, and so to this.
    own: OnceLock<Arc<Life>>,
    pub(super) gate: Gate,
    pub(super) callbacks: Callbacks,
    /// Milliseconds since 1970, and the same as an instant.
    pub(super) started_at: u64,
    pub(super) started: Instant,
    recorded: Mutex<Recorded>,
    /// Those who listen.
    listeners: Mutex<Vec<Sender<Arc<str>>>>,
    is_reloading: AtomicBool,
}

/// What is written down once a second.
#[derive(Debug, Default)]
struct Recorded {
    history: History,
    /// How long routes and endpoints took a while ago.
    routes: Lately,
    endpoints: Lately,
    /// How often that was.
    number: u64,
    /// The failure that was the newest then, and when that changed.
    newest: u64,
    changed: u64,
}

/// The right to reload; free again when it is dropped.
pub(super) struct Reloading<'a>(&'a AtomicBool);

impl Recorded {
    /// Groups and routes, with how long they took lately.
    fn told(&self, groups: Vec<GroupState>, routes: Vec<RouteMetrics>) -> (Vec<GroupState>, Vec<RouteState>) {
        let groups = groups.into_iter().map(|group| group.tell(&self.endpoints)).collect();
        let routes = routes.into_iter().filter_map(|route| RouteState::of(route, &self.routes)).collect();
        (groups, routes)
    }
}

impl Shared {
    pub(super) fn new(server: Handle, gate: Gate, callbacks: Callbacks) -> Self {
        let (started, started_at) = now();
        let shared = Self {
            server,
            own: OnceLock::new(),
            gate,
            callbacks,
            started_at,
            started,
            recorded: Mutex::default(),
            listeners: Mutex::default(),
            is_reloading: AtomicBool::new(false),
        };
        shared.record();
        shared
    }

    pub(super) fn set_own(&self, own: &Handle) {
        // It is started once.
        let _first = self.own.set(own.life());
    }

    /// Whether the admin listener is ending.
    pub(super) fn is_ending(&self) -> bool {
        self.own.get().is_some_and(|own| own.is_draining())
    }

    /// Why the server is not ready; nothing if it is.
    pub(super) fn reasons(&self) -> Vec<&'static str> {
        match (self.server.has_ended(), self.server.is_draining()) {
            (true, _) => vec!["the server has ended"],
            (_, true) => vec!["the server is draining: it takes no new connections"],
            (false, false) => vec![],
        }
    }

    fn groups(&self) -> Vec<GroupState> {
        let groups = self.callbacks.groups();
        groups.into_iter().map(|(name, group)| GroupState::of(name, &group)).collect()
    }

    /// Groups with how long their endpoints took lately.
    pub(super) fn groups_told(&self) -> Vec<GroupState> {
        let groups = self.groups();
        let recorded = self.recorded();
        groups.into_iter().map(|group| group.tell(&recorded.endpoints)).collect()
    }

    /// A group likewise.
    pub(super) fn group_told(&self, name: &str, group: &Group) -> GroupState {
        GroupState::of(name.to_owned(), group).tell(&self.recorded().endpoints)
    }

    /// Everything that is known now, as JSON.
    pub(super) fn state(&self) -> String {
        // The groups are asked for before the lock is taken: that calls the program.
        let groups = self.groups();
        let routes = self.server.metrics().routes();
        let recorded = self.recorded();
        let (groups, routes) = recorded.told(groups, routes);
        json(&State::now(self, (groups, routes), &recorded.history, Extent::All, true))
    }

    fn recorded(&self) -> MutexGuard<'_, Recorded> {
        self.recorded.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes down what was counted up to now.
    fn record(&self) {
        let groups = self.groups();
        let routes = self.server.metrics().routes();
        let moment = self.moment();
        let mut recorded = self.recorded();
        recorded.routes.look(routes.iter().map(|route| (route.name.clone(), &route.duration)));
        recorded.endpoints.look(groups.iter().flat_map(GroupState::latencies));
        recorded.history.add(moment, &routes, &groups);
        recorded.number += 1;
        let newest = self.server.recent_failures().first().map_or(0, |failure| failure.number);
        if newest != recorded.newest {
            (recorded.newest, recorded.changed) = (newest, recorded.number);
        }
        let listeners = self.listeners();
        if !listeners.is_empty() {
            let has_news = recorded.number - recorded.changed < TOLD;
            let (groups, routes) = recorded.told(groups, routes);
            let state = State::now(self, (groups, routes), &recorded.history, Extent::Latest, has_news);
            let event: Arc<str> = json(&state).into();
            // Whoever has not taken the last one yet misses this one.
            listeners.iter().for_each(|listener| drop(listener.try_send(event.clone())));
        }
    }

    fn moment(&self) -> Moment {
        let (instant, at) = now();
        let stats = self.server.stats();
        let groups = self.server.metrics().groups();
        let endpoints = groups.iter().flat_map(|group| &group.endpoints);
        Moment {
            instant,
            at,
            requests: stats.requests,
            open: stats.open,
            at_upstreams: endpoints.map(|endpoint| endpoint.active).sum(),
            cpu: process::cpu_time(),
        }
    }

    /// Those who still listen.
    fn listeners(&self) -> MutexGuard<'_, Vec<Sender<Arc<str>>>> {
        let mut listeners = self.listeners.lock().unwrap_or_else(PoisonError::into_inner);
        listeners.retain(|listener| !listener.is_closed());
        listeners
    }

    /// A place among those who listen, for as long as what is given back is kept; none where all are taken.
    pub(super) fn listen(&self) -> Option<Receiver<Arc<str>>> {
        let mut listeners = self.listeners();
        (listeners.len() < STREAMS).then(|| {
            let (tell, events) = bounded(1);
            listeners.push(tell);
            events
        })
    }

    /// The right to reload; none while somebody else does.
    pub(super) fn reload(&self) -> Option<Reloading<'_>> {
        (!self.is_reloading.swap(true, Ordering::AcqRel)).then_some(Reloading(&self.is_reloading))
    }
}

impl Drop for Reloading<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

/// Writes down what is counted, once a second, until it is dropped.
pub(super) async fn sample(shared: Arc<Shared>) {
    loop {
        async_std::task::sleep(PERIOD).await;
        shared.record();
    }
}

/// The time, for rates and for people: as an instant, and in milliseconds since 1970.
pub(super) fn now() -> (Instant, u64) {
    #[expect(clippy::disallowed_methods, reason = "off the cores; nothing that is served depends on it")]
    let (instant, wall) = (Instant::now(), SystemTime::now());
    (instant, milliseconds(wall))
}

pub(super) fn milliseconds(wall: SystemTime) -> u64 {
    wall.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis().try_into().unwrap_or(u64::MAX)
}

fn json(state: &State) -> String {
    serde_json::to_string(state).expect("names and numbers can be written as JSON")
}

//! What would become of a request that is passed on, told without sending it.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use serde::Serialize;

use crate::http1::Lines;
use crate::upstream::{Group, Lead, Mode, Origin, Prospect, UpstreamOptions};

use super::ask::{Asking, read};
use super::proxy::Proxy;
use super::request_head::{HostRule, RequestRules};
use super::retry::Retry;
use super::reverse::Reverse;

/// What becomes of a request that is passed on; a part of an [`Explanation`](crate::Explanation).
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Onward {
    /// Path and query as the upstream gets them.
    pub target: String,
    /// The Host field that the upstream gets.
    pub host: String,
    /// How an endpoint is chosen, in words.
    pub policy: String,
    /// The endpoints as they are now, in the order in which they were named.
    pub endpoints: Vec<OnwardEndpoint>,
    /// The endpoint that the request leads to by its key or its cookie, where that can be told beforehand.
    pub leads_to: Option<Leads>,
    /// Limits and timeouts that hold towards the upstream.
    pub bounds: Vec<Bound>,
    /// What else may make a difference: hooks, a mirror, endpoints with other paths.
    pub notes: Vec<String>,
}

/// An endpoint of a group, as a request may find it.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct OnwardEndpoint {
    /// What it is called in logs.
    pub name: String,
    /// Its URL.
    pub url: String,
    /// Its weight.
    pub weight: u32,
    /// Its tier: lower ones come first.
    pub priority: u8,
    /// Its zone.
    pub zone: Option<String>,
    /// What it may be sent, as its operator says: `active`, `draining`, `maintenance`.
    pub mode: String,
    /// How it fares: `fit`, `ejected`, `broken`, `down`.
    pub health: String,
    /// Requests that are with it now.
    pub active: u64,
    /// It may be sent new requests.
    pub is_open: bool,
}

/// The endpoint that a request leads to for a reason of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Leads {
    /// What it is called.
    pub endpoint: String,
    /// `key` or `cookie`.
    pub by: &'static str,
}

/// A limit or timeout that holds for a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Bound {
    /// What is limited, as the option is called.
    pub name: &'static str,
    /// How much there may be of it; none means that there is no limit.
    pub value: Option<u64>,
    /// What that is counted in.
    pub unit: Unit,
}

/// What a [`Bound`] is counted in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Unit {
    /// Bytes.
    Bytes,
    /// Bytes in a second.
    BytesPerSecond,
    /// Milliseconds.
    Milliseconds,
    /// Pieces of what it is about.
    Count,
}

impl Bound {
    pub(crate) fn bytes(name: &'static str, bytes: u64) -> Self {
        Self { name, value: (bytes != u64::MAX).then_some(bytes), unit: Unit::Bytes }
    }

    pub(crate) fn time(name: &'static str, time: Duration) -> Self {
        let milliseconds = u64::try_from(time.as_millis()).ok();
        Self { name, value: milliseconds, unit: Unit::Milliseconds }
    }

    pub(crate) fn count(name: &'static str, count: u64) -> Self {
        Self { name, value: Some(count), unit: Unit::Count }
    }
}

/// Says it in short: `body 16 MiB`.
impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, value, unit } = self;
        let Some(value) = *value else { return write!(f, "{name} unlimited") };
        match unit {
            Unit::Count => write!(f, "{name} {value}"),
            Unit::Milliseconds => write!(f, "{name} {:?}", Duration::from_millis(value)),
            Unit::BytesPerSecond => write!(f, "{name} {value} B/s"),
            Unit::Bytes if value > 0 && value % (1 << 20) == 0 => write!(f, "{name} {} MiB", value >> 20),
            Unit::Bytes if value > 0 && value % (1 << 10) == 0 => write!(f, "{name} {} KiB", value >> 10),
            Unit::Bytes => write!(f, "{name} {value} B"),
        }
    }
}

/// A request that is asked about.
#[derive(Clone, Copy)]
pub(crate) struct Inquiry<'a> {
    /// As they came.
    pub(crate) path: &'a [u8],
    pub(crate) query: Option<&'a [u8]>,
    /// What it is for, as an absolute target or the Host field says.
    pub(crate) host: Option<&'a [u8]>,
    pub(crate) lines: Lines<'a>,
    /// Whom it comes from, if that is known.
    pub(crate) client: Option<IpAddr>,
}

/// What is looked at of a proxy, be it built or not.
struct Parts<'a> {
    group: Option<&'a Group>,
    request: &'a RequestRules,
    options: &'a UpstreamOptions,
    retry: &'a Retry,
    has_hooks: bool,
    has_mirror: bool,
}

impl Reverse {
    /// What would become of a request.
    pub(crate) fn explain(&self, inquiry: &Inquiry<'_>) -> Onward {
        let parts = Parts {
            group: self.endpoints.as_ref(),
            request: &self.request,
            options: &self.options,
            retry: &self.retry,
            has_hooks: self.has_hooks(),
            has_mirror: self.mirror.is_some(),
        };
        parts.explain(inquiry)
    }
}

impl Proxy {
    /// What would become of a request.
    pub(crate) fn explain(&self, inquiry: &Inquiry<'_>) -> Onward {
        let parts = Parts {
            group: Some(&self.group),
            request: &self.request,
            options: &self.options,
            retry: &self.retry,
            has_hooks: !self.hooks.is_empty(),
            has_mirror: self.mirror.is_some(),
        };
        parts.explain(inquiry)
    }
}

impl Parts<'_> {
    fn explain(&self, inquiry: &Inquiry<'_>) -> Onward {
        let prospects = self.group.map(Group::prospects).unwrap_or_default();
        let leads_to = self.lead(inquiry);
        let is_led =
            |prospect: &&Prospect| leads_to.as_ref().is_some_and(|lead| lead.endpoint == prospect.known.name);
        let example = prospects.iter().find(is_led);
        let example = example.or_else(|| prospects.iter().find(|prospect| prospect.is_open()));
        let origin = example.or(prospects.first()).map(|prospect| &prospect.origin);
        let (target, host) = self.as_sent(inquiry, origin);
        let mut notes = Vec::new();
        let differs = |prospect: &Prospect| {
            self.as_sent(inquiry, Some(&prospect.origin)) != (target.clone(), host.clone())
        };
        if prospects.iter().any(differs) {
            notes.push("other endpoints are sent another target or host".to_owned());
        }
        if self.has_hooks {
            notes.push("hooks may change the request, or answer it".to_owned());
        }
        if self.has_mirror {
            notes.push("a copy is sent to the mirror".to_owned());
        }
        Onward {
            target,
            host,
            policy: self.group.map(Group::policy).unwrap_or_default(),
            endpoints: prospects.into_iter().map(OnwardEndpoint::of).collect(),
            leads_to,
            bounds: self.bounds(),
            notes,
        }
    }

    /// Target and Host as an endpoint is sent them.
    fn as_sent(&self, inquiry: &Inquiry<'_>, origin: Option<&Origin>) -> (String, String) {
        let mut target = Vec::new();
        self.request.path.encode(&mut target, inquiry.path, origin.map_or("", |origin| &origin.base));
        if let Some(query) = inquiry.query {
            target.push(b'?');
            target.extend_from_slice(query);
        }
        let own = origin.map_or("", |origin| &origin.authority);
        let host = match (&self.request.host, inquiry.host) {
            (HostRule::Keep, Some(host)) => String::from_utf8_lossy(host).into_owned(),
            (HostRule::Keep, None) | (HostRule::Upstream, _) => own.to_owned(),
            (HostRule::Set(host), _) => host.clone(),
        };
        (String::from_utf8_lossy(&target).into_owned(), host)
    }

    fn lead(&self, inquiry: &Inquiry<'_>) -> Option<Leads> {
        let group = self.group?;
        let Inquiry { path, query, lines, client, .. } = *inquiry;
        let ask = read(&Asking { lines, path, query, client }, &group.wishes_as_said()?);
        Some(match group.lead(&ask)? {
            Lead::Key(endpoint) => Leads { endpoint, by: "key" },
            Lead::Cookie(endpoint) => Leads { endpoint, by: "cookie" },
        })
    }

    fn bounds(&self) -> Vec<Bound> {
        let UpstreamOptions { connect, head, body_idle, write_idle, .. } = *self.options;
        let Retry { repeats, patience, hedge, .. } = *self.retry;
        let mut bounds = vec![
            Bound::time("connect", connect),
            Bound::time("head", head),
            Bound::time("body_idle", body_idle),
            Bound::time("write_idle", write_idle),
            Bound::count("retries", u64::from(repeats)),
        ];
        bounds.extend(patience.map(|time| Bound::time("attempt_timeout", time)));
        bounds.extend(hedge.map(|time| Bound::time("hedge_after", time)));
        bounds
    }
}

impl OnwardEndpoint {
    fn of(prospect: Prospect) -> Self {
        let is_open = prospect.is_open();
        let known = prospect.known;
        Self {
            name: known.name,
            url: known.url,
            weight: known.weight,
            priority: known.priority,
            zone: known.zone,
            mode: word(known.mode),
            health: format!("{:?}", known.health).to_ascii_lowercase(),
            active: known.active,
            is_open,
        }
    }
}

fn word(mode: Mode) -> String {
    format!("{mode:?}").to_ascii_lowercase()
}

//! What becomes of a request and why, for people and for programs.

use std::fmt;

use serde::Serialize;

use crate::proxy::{Bound, Onward};
use crate::router::{Candidate, ChosenRoute};

/// What would become of a request, and why: see [`Handle::explain`](crate::Handle::explain). `Display` tells it to people,
/// on several short lines; as a `serde::Serialize` it is what
/// [`Builder::explain_header`](crate::Builder::explain_header) answers.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Explanation {
    /// The method.
    pub method: String,
    /// The host and port that it is for: those of an absolute target, else those of the Host field.
    pub host: Option<String>,
    /// The target, as it came.
    pub target: String,
    /// The path by which routes are chosen: decoded, with dot segments resolved and runs of slashes merged.
    pub path: String,
    /// What would answer.
    pub outcome: Outcome,
    /// The route that is chosen, if one is.
    pub route: Option<ChosenRoute>,
    /// The routes that are looked at, in that order; behind them those that are near.
    pub candidates: Vec<Candidate>,
    /// Routes that have nothing to do with the request.
    pub left_out: usize,
    /// Limits and timeouts that hold towards the client.
    pub bounds: Vec<Bound>,
    /// What becomes of it where it is passed on.
    pub onward: Option<Onward>,
}

/// What would answer a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "by", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Outcome {
    /// The handler of the route.
    Handler,
    /// An upstream, to which the route's proxy passes it on.
    Proxy,
    /// The host that it names, to which the forward proxy passes it on.
    Forward,
    /// The server itself.
    Server {
        /// The status code: 404, 405, 204 to OPTIONS; 400 where there is a forward proxy only; 421 for another host than the
        /// one that the client has named in its TLS handshake.
        status: u16,
        /// The Allow field, if there is one.
        allow: Option<String>,
    },
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Handler => f.write_str("a handler"),
            Self::Proxy => f.write_str("an upstream"),
            Self::Forward => f.write_str("the host that it names, through the forward proxy"),
            Self::Server { status, allow: None } => write!(f, "the server: {status}"),
            Self::Server { status, allow: Some(allow) } => write!(f, "the server: {status}, Allow: {allow}"),
        }
    }
}

/// A line with a heading; those behind the first have none.
fn line(f: &mut fmt::Formatter<'_>, heading: &str, text: impl fmt::Display) -> fmt::Result {
    writeln!(f, "{heading:<12}{text}")
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = self.host.as_deref().unwrap_or("no host");
        line(f, "request", format_args!("{} {}, for {host}", self.method, self.target))?;
        line(f, "path", visible(&self.path))?;
        line(f, "answered by", &self.outcome)?;
        if let Some(route) = &self.route {
            tell_route(f, route)?;
        }
        tell_candidates(f, &self.candidates, self.left_out)?;
        tell_bounds(f, "limits", &self.bounds)?;
        self.onward.as_ref().map_or(Ok(()), |onward| tell_onward(f, onward))
    }
}

/// A decoded path may hold what ends a line, or moves a terminal's cursor.
fn visible(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character.is_control() {
            true => out.extend(character.escape_default()),
            false => out.push(character),
        }
    }
    out
}

fn tell_route(f: &mut fmt::Formatter<'_>, route: &ChosenRoute) -> fmt::Result {
    let ChosenRoute { name, pattern, host, conditions, priority, params, .. } = route;
    match name == pattern {
        true => line(f, "route", format_args!("{pattern}, host {host}"))?,
        false => line(f, "route", format_args!("{name}: {pattern}, host {host}"))?,
    }
    if *priority != 0 {
        line(f, "", format_args!("priority {priority}"))?;
    }
    for condition in conditions {
        line(f, "", format_args!("when {condition}"))?;
    }
    for (name, value) in params {
        line(f, "", format_args!("{name} = {value:?}"))?;
    }
    Ok(())
}

fn tell_candidates(f: &mut fmt::Formatter<'_>, candidates: &[Candidate], left_out: usize) -> fmt::Result {
    /// Columns are no wider than this because of one long name.
    const WIDEST: usize = 32;
    let width = |text: fn(&Candidate) -> &String| {
        let widths = candidates.iter().map(|candidate| text(candidate).chars().count());
        widths.filter(|width| *width <= WIDEST).max().unwrap_or(0)
    };
    let (routes, patterns, hosts) =
        (width(|one| &one.route), width(|one| &one.pattern), width(|one| &one.host));
    let mut heading = "looked at";
    for Candidate { route, pattern, host, verdict } in candidates {
        let columns =
            format_args!("{route:<routes$}  {pattern:<patterns$}  {host:<hosts$}  {verdict}").to_string();
        line(f, std::mem::take(&mut heading), columns)?;
    }
    match left_out {
        0 => Ok(()),
        1 => line(f, heading, "one other route has nothing to do with it"),
        others => line(f, heading, format_args!("{others} other routes have nothing to do with it")),
    }
}

/// A few on each line.
fn tell_bounds(f: &mut fmt::Formatter<'_>, mut heading: &str, bounds: &[Bound]) -> fmt::Result {
    for some in bounds.chunks(4) {
        let words: Vec<String> = some.iter().map(ToString::to_string).collect();
        line(f, std::mem::take(&mut heading), words.join(", "))?;
    }
    Ok(())
}

fn tell_onward(f: &mut fmt::Formatter<'_>, onward: &Onward) -> fmt::Result {
    line(f, "upstream", format_args!("{}, Host: {}", onward.target, onward.host))?;
    line(f, "chosen", &onward.policy)?;
    let width = onward.endpoints.iter().map(|endpoint| endpoint.name.len()).max().unwrap_or(0);
    let mut heading = "endpoints";
    for endpoint in &onward.endpoints {
        let mut words = vec![endpoint.mode.clone(), endpoint.health.clone()];
        words.push(format!("weight {}", endpoint.weight));
        if endpoint.priority > 0 {
            words.push(format!("tier {}", endpoint.priority));
        }
        words.extend(endpoint.zone.as_ref().map(|zone| format!("zone {zone}")));
        words.push(format!("{} active", endpoint.active));
        line(
            f,
            std::mem::take(&mut heading),
            format_args!("{:<width$}  {}", endpoint.name, words.join(", ")),
        )?;
    }
    if let Some(leads) = &onward.leads_to {
        line(f, "leads to", format_args!("{}, by its {}", leads.endpoint, leads.by))?;
    }
    tell_bounds(f, "there", &onward.bounds)?;
    let mut heading = "note";
    for note in &onward.notes {
        line(f, std::mem::take(&mut heading), note)?;
    }
    Ok(())
}

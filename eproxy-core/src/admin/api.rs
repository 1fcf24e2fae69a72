//! Which answer a request gets.

use std::sync::Arc;

use async_std::task;
use serde::Serialize;

use crate::handler::{Request, Response};

use super::answer;
use super::changes::{self, Action};
use super::events;
use super::explain;
use super::gate::Need;
use super::page;
use super::shared::Shared;
use super::state::log_level;

/// The route of changes to endpoints, by whose parameters they are known.
pub(super) const CHANGES: &str = "/api/groups/:group/endpoints/:action";

/// What can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Call {
    Page,
    Health,
    Ready,
    Metrics,
    State,
    Events,
    Config,
    Groups,
    Change(Action),
    Reload,
    Explain,
    Level,
    SetLevel,
}

/// Why it can't be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Miss {
    /// There is no such thing.
    Unknown,
    /// There is, for these methods.
    Method(&'static str),
}

#[derive(Debug, Serialize)]
struct Alive {
    alive: bool,
}

#[derive(Debug, Serialize)]
struct Ready {
    ready: bool,
    reasons: Vec<&'static str>,
}

#[derive(Debug, Serialize)]
struct Level {
    level: String,
}

impl Call {
    fn of(method: &str, path: &str, action: Option<&str>) -> Result<Self, Miss> {
        let reads = |call| match method {
            "GET" | "HEAD" => Ok(call),
            _ => Err(Miss::Method("GET, HEAD")),
        };
        let posts = |call| match method {
            "POST" => Ok(call),
            _ => Err(Miss::Method("POST")),
        };
        match path {
            "/" => reads(Self::Page),
            "/healthz" => reads(Self::Health),
            "/readyz" => reads(Self::Ready),
            "/metrics" => reads(Self::Metrics),
            "/api/state" => reads(Self::State),
            "/api/events" => reads(Self::Events),
            "/api/config" => reads(Self::Config),
            "/api/groups" => reads(Self::Groups),
            "/api/explain" => reads(Self::Explain),
            "/api/reload" => posts(Self::Reload),
            "/api/log-level" if method == "PUT" => Ok(Self::SetLevel),
            "/api/log-level" => reads(Self::Level).map_err(|_| Miss::Method("GET, HEAD, PUT")),
            _ => match action.map(Action::of) {
                Some(Some(action)) => posts(Self::Change(action)),
                _ => Err(Miss::Unknown),
            },
        }
    }

    fn need(self) -> Need {
        match self {
            // The page has no numbers in it: it asks for them, with the token.
            Self::Page | Self::Health | Self::Ready => Need::Nothing,
            Self::Metrics
            | Self::Explain
            | Self::State
            | Self::Events
            | Self::Config
            | Self::Groups
            | Self::Level => Need::Token,
            Self::Change(_) | Self::Reload | Self::SetLevel => Need::Intent,
        }
    }
}

/// Answers a request of the admin listener, now or later.
pub(super) fn answer(shared: &Arc<Shared>, request: Request, response: Response) {
    let call = Call::of(request.method(), request.path(), request.param("action"));
    // Whoever may not ask is not told what there is.
    let need = call.map_or(Need::Token, Call::need);
    if let Err(refusal) = shared.gate.check(&request, need) {
        return answer::refuse(response, refusal);
    }
    let call = match call {
        Ok(call) => call,
        Err(Miss::Unknown) => return answer::error(response, 404, "there is no such thing here"),
        Err(Miss::Method(allowed)) => return answer::not_allowed(response, allowed),
    };
    match call {
        Call::Page => page::send(response),
        Call::Health => answer::json(response, 200, &Alive { alive: true }),
        Call::Ready => {
            let reasons = shared.reasons();
            let ready = reasons.is_empty();
            answer::json(response, if ready { 200 } else { 503 }, &Ready { ready, reasons });
        }
        Call::Level => answer::json(response, 200, &Level { level: log_level() }),
        Call::Events => listen(shared, &request, response),
        // What calls the program does not keep this thread from answering others.
        Call::Metrics | Call::State | Call::Config | Call::Groups | Call::Explain => {
            let shared = shared.clone();
            task::spawn(async move { read(&shared, call, &request, response) });
        }
        Call::Change(action) => {
            task::spawn(changes::endpoint(shared.clone(), action, request, response));
        }
        Call::Reload => {
            task::spawn(changes::reload(shared.clone(), response));
        }
        Call::SetLevel => {
            task::spawn(changes::level(shared.clone(), request, response));
        }
    }
}

fn read(shared: &Shared, call: Call, request: &Request, response: Response) {
    match (call, &shared.callbacks.config) {
        (Call::Metrics, _) => {
            let (mime, text) = shared.server.metrics().negotiate(request.headers().get_str("accept"));
            answer::text(response, mime, text);
        }
        (Call::Explain, _) => explain::answer(shared, request, response),
        (Call::State, _) => answer::text(response, "application/json", shared.state()),
        (Call::Groups, _) => answer::json(response, 200, &shared.groups_told()),
        (_, Some(config)) => answer::text(response, "text/plain; charset=utf-8", config()),
        (_, None) => answer::error(response, 404, "this program tells nothing of its configuration"),
    }
}

fn listen(shared: &Arc<Shared>, request: &Request, response: Response) {
    let Some(listener) = shared.listen() else {
        let words = "as many as may listen do already: close another page";
        return answer::error(response.header("Retry-After", "5"), 503, words);
    };
    let response = answer::guarded(response)
        .header("Content-Type", "text/event-stream; charset=utf-8")
        // A proxy in between is not to collect them.
        .header("X-Accel-Buffering", "no");
    let writer = response.stream();
    // A HEAD is told of no event, and takes no place (RFC 9110 §9.3.2).
    if request.method() == "HEAD" {
        return writer.finish();
    }
    task::spawn(events::tell(shared.clone(), listener, writer));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_changes_something_needs_an_intent_and_no_get() {
        for (method, path, action, call) in [
            ("GET", "/", None, Ok(Call::Page)),
            ("HEAD", "/healthz", None, Ok(Call::Health)),
            ("POST", "/", None, Err(Miss::Method("GET, HEAD"))),
            ("HEAD", "/api/events", None, Ok(Call::Events)),
            ("POST", "/api/events", None, Err(Miss::Method("GET, HEAD"))),
            ("GET", "/api/reload", None, Err(Miss::Method("POST"))),
            ("POST", "/api/reload", None, Ok(Call::Reload)),
            ("PUT", "/api/log-level", None, Ok(Call::SetLevel)),
            ("DELETE", "/api/log-level", None, Err(Miss::Method("GET, HEAD, PUT"))),
            ("GET", "/api/groups/a/endpoints/drain", Some("drain"), Err(Miss::Method("POST"))),
            ("POST", "/api/groups/a/endpoints/drain", Some("drain"), Ok(Call::Change(Action::Drain))),
            ("POST", "/api/groups/a/endpoints/burn", Some("burn"), Err(Miss::Unknown)),
            ("GET", "/api/explain", None, Ok(Call::Explain)),
            ("GET", "/metrics", None, Ok(Call::Metrics)),
            ("GET", "/api", None, Err(Miss::Unknown)),
        ] {
            assert_eq!(Call::of(method, path, action), call, "{method} {path}");
            if let Ok(call) = call {
                assert_eq!(call.need() == Need::Intent, method != "GET" && method != "HEAD", "{path}");
            }
        }
    }
}

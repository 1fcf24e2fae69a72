//! Requests that change something.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::handler::{Request, Response};

use super::answer;
use super::groups::GroupState;
use super::shared::Shared;

/// What can be done to an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    Drain,
    Resume,
    Maintain,
    Weight,
}

impl Action {
    pub(super) fn of(name: &str) -> Option<Self> {
        match name {
            "drain" => Some(Self::Drain),
            "resume" => Some(Self::Resume),
            "maintain" => Some(Self::Maintain),
            "weight" => Some(Self::Weight),
            _ => None,
        }
    }
}

/// The body of a change to an endpoint.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wish {
    /// Its URL or its name.
    endpoint: String,
    weight: Option<u32>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WishedLevel {
    level: String,
}

#[derive(Debug, Serialize)]
struct Level<'a> {
    level: &'a str,
}

#[derive(Debug, Serialize)]
struct Reloaded {
    outcome: String,
}

/// Why a change is not made: a status, and words.
struct Refused(u16, String);

/// Reads the body of a change.
async fn wish<T: for<'a> Deserialize<'a>>(request: &mut Request) -> Result<T, Refused> {
    // The route's limit bounds it.
    let body = request.take_body().bytes(u64::MAX).await;
    let body = body.map_err(|error| Refused(error.status().max(400), error.to_string()))?;
    serde_json::from_slice(&body)
        .map_err(|error| Refused(400, format!("the body is not what it has to be: {error}")))
}

/// Changes an endpoint, and tells how its group is then.
pub(super) async fn endpoint(shared: Arc<Shared>, action: Action, mut request: Request, response: Response) {
    let group = request.param("group").unwrap_or_default().to_owned();
    match change(&shared, action, &group, &mut request).await {
        Ok(group) => answer::json(response, 200, &group),
        Err(Refused(status, words)) => answer::error(response, status, &words),
    }
}

async fn change(
    shared: &Shared,
    action: Action,
    name: &str,
    request: &mut Request,
) -> Result<GroupState, Refused> {
    let Wish { endpoint, weight } = wish(request).await?;
    let groups = shared.callbacks.groups();
    let Some((_, group)) = groups.iter().find(|(known, _)| known == name) else {
        let known: Vec<_> = groups.iter().map(|(known, _)| known.as_str()).collect();
        let known = if known.is_empty() { "none".into() } else { known.join(", ") };
        return Err(Refused(404, format!("there is no group {name:?}; there are: {known}")));
    };
    if group.snapshot().endpoint(&endpoint).is_none() {
        return Err(Refused(404, format!("the group {name:?} has no endpoint {endpoint:?}")));
    }
    let changed = match (action, weight) {
        (Action::Drain, _) => group.drain(&endpoint),
        (Action::Resume, _) => group.resume(&endpoint),
        (Action::Maintain, _) => group.maintain(&endpoint),
        (Action::Weight, Some(weight)) => group.set_weight(&endpoint, weight),
        (Action::Weight, None) => return Err(Refused(422, "a weight is needed, from 1 to 1000".into())),
    };
    changed.map_err(|error| Refused(422, error.into_detail()))?;
    log::info!(
        "admin: {action:?} {endpoint} of group {name}{}",
        weight.map_or_else(String::new, |weight| format!(", {weight}"))
    );
    Ok(shared.group_told(name, group))
}

/// Has the program load its configuration again.
pub(super) async fn reload(shared: Arc<Shared>, response: Response) {
    let Some(reload) = &shared.callbacks.reload else {
        return answer::error(response, 404, "this program has nothing to load again");
    };
    let Some(reloading) = shared.reload() else {
        return answer::error(response, 409, "it is being loaded again at this moment");
    };
    let outcome = reload().await;
    drop(reloading);
    match outcome {
        Ok(outcome) => {
            log::info!("admin: reload: {outcome}");
            answer::json(response, 200, &Reloaded { outcome });
        }
        Err(words) => {
            log::warn!("admin: reload refused: {words}");
            let lines: Vec<_> =
                words.lines().filter(|line| !line.trim().is_empty()).map(str::to_owned).collect();
            answer::problems(response, 422, "the configuration was refused: nothing has changed", &lines);
        }
    }
}

/// Has the program set its log level.
pub(super) async fn level(shared: Arc<Shared>, mut request: Request, response: Response) {
    let Some(set) = &shared.callbacks.set_level else {
        return answer::not_allowed(response, "GET, HEAD");
    };
    let WishedLevel { level } = match wish(&mut request).await {
        Ok(wish) => wish,
        Err(Refused(status, words)) => return answer::error(response, status, &words),
    };
    let level = level.to_ascii_lowercase();
    if level.parse::<log::LevelFilter>().is_err() {
        let words = format!("there is no level {level:?}: off, error, warn, info, debug, trace");
        return answer::error(response, 422, &words);
    }
    match set(&level) {
        Ok(()) => {
            log::info!("admin: log level {level}");
            answer::json(response, 200, &Level { level: &level });
        }
        Err(words) => answer::error(response, 422, &words),
    }
}

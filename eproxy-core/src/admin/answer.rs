//! Answers of the admin listener, and the fields that all of them have.

use serde::Serialize;

use crate::handler::Response;

use super::gate::{INTENT, Refusal};

/// What an answer may load and who may show it, unless it is the page: nothing, and nobody.
const POLICY: &str = "default-src 'none'; frame-ancestors 'none'";

/// What is said where something is refused.
#[derive(Debug, Serialize)]
struct Said<'a> {
    error: &'a str,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    problems: &'a [String],
}

/// Sets what all answers have in common.
pub(super) fn guarded(response: Response) -> Response {
    guarded_by(response, POLICY)
}

/// The same, with another content security policy.
pub(super) fn guarded_by(response: Response, policy: &str) -> Response {
    response
        .header("Cache-Control", "no-store")
        .header("Content-Security-Policy", policy)
        .header("Cross-Origin-Opener-Policy", "same-origin")
        .header("Cross-Origin-Resource-Policy", "same-origin")
        .header("Referrer-Policy", "no-referrer")
        .header("X-Content-Type-Options", "nosniff")
        .header("X-Frame-Options", "DENY")
}

pub(super) fn json(response: Response, status: u16, value: &impl Serialize) {
    guarded(response).status(status).json(value);
}

pub(super) fn text(response: Response, mime: &str, text: String) {
    guarded(response).header("Content-Type", mime).send(text);
}

/// Refuses, with a status and the reason.
pub(super) fn error(response: Response, status: u16, error: &str) {
    json(response, status, &Said { error, problems: &[] });
}

/// Refuses, with a line for each problem.
pub(super) fn problems(response: Response, status: u16, error: &str, problems: &[String]) {
    json(response, status, &Said { error, problems });
}

/// A method that there is not (RFC 9110 §15.5.6).
pub(super) fn not_allowed(response: Response, allowed: &'static str) {
    let words = format!("only {allowed} is understood here");
    error(response.header("Allow", allowed), 405, &words);
}

pub(super) fn refuse(response: Response, refusal: Refusal) {
    match refusal {
        // RFC 9110 §15.5.20.
        Refusal::Host => error(
            response,
            421,
            "this is not the host that was asked: use localhost, an address, or a name that the admin listener was told of",
        ),
        // RFC 6750 §3: whoever has shown no token is told no more than that one is needed.
        Refusal::NoToken => error(
            response.header("WWW-Authenticate", "Bearer realm=\"eproxy\""),
            401,
            "the token is missing: send Authorization: Bearer TOKEN",
        ),
        Refusal::Token => error(
            response.header("WWW-Authenticate", "Bearer realm=\"eproxy\", error=\"invalid_token\""),
            401,
            "the token is wrong: send Authorization: Bearer TOKEN",
        ),
        Refusal::Foreign => error(response, 403, "a page of another origin may not do this"),
        Refusal::Unclear => error(
            response,
            403,
            &format!("a page of another origin might have sent this: send {INTENT}: 1, or set a token"),
        ),
    }
}

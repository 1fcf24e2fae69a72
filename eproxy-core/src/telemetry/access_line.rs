//! A line of the access log.

use crate::driver::Peer;
use crate::message::Known;

use super::access_log::{Format, LogRules, Shown, Telling};
use super::redact::{HIDDEN, redact};
use super::story::Story;
use super::text::{
    WallTime, push_address, push_hex, push_json, push_json_inside, push_milliseconds, push_number,
    push_readable,
};
use super::watch::Ended;

/// Appends the line that tells of an exchange, with the LF at its end.
pub(super) fn write(
    out: &mut Vec<u8>,
    wall: &mut WallTime,
    rules: &LogRules,
    story: &Story,
    ended: &Ended<'_>,
) {
    match rules.format {
        Format::Json => write_json(out, wall, rules, story, ended),
        Format::Pretty => write_pretty(out, wall, rules, story, ended),
    }
    out.push(b'\n');
}

fn write_json(out: &mut Vec<u8>, wall: &mut WallTime, rules: &LogRules, story: &Story, ended: &Ended<'_>) {
    out.extend_from_slice(b"{\"time\":\"");
    wall.push(out, story.began_unix);
    out.push(b'"');
    if let Peer::Tcp(address) = story.peer {
        out.extend_from_slice(b",\"peer\":\"");
        push_address(out, address);
        out.push(b'"');
    }
    if !story.head.is_empty() {
        let (method, target) = (story.line.method.of(&story.head), story.line.target.of(&story.head));
        text(out, b",\"method\":", method);
        if let Some(host) = story.fields.iter().find(|field| field.known == Known::Host) {
            text(out, b",\"host\":", host.value.of(&story.head));
        }
        out.extend_from_slice(b",\"target\":\"");
        redact(target, &rules.keys, |part| push_json_inside(out, part));
        out.extend_from_slice(b"\",\"version\":\"");
        out.extend_from_slice(story.version().as_bytes());
        out.push(b'"');
    }
    number(out, b",\"status\":", u64::from(ended.status));
    number(out, b",\"bytes_in\":", ended.bytes_in);
    number(out, b",\"bytes_out\":", ended.bytes_out);
    out.extend_from_slice(b",\"duration_ms\":");
    push_milliseconds(out, ended.duration);
    if !ended.route.is_empty() {
        text(out, b",\"route\":", ended.route.as_bytes());
    }
    if story.attempts > 0 {
        write_json_upstream(out, story);
    }
    if let Some(failure) = ended.failure {
        text(out, b",\"failure\":", failure.row().name.as_bytes());
    }
    if !story.id.is_empty() {
        text(out, b",\"request_id\":", &story.id);
    }
    if let Some(trace) = &story.trace {
        out.extend_from_slice(b",\"trace_id\":\"");
        push_hex(out, &trace.trace);
        out.push(b'"');
    }
    if let Some(tls) = story.tls {
        text(out, b",\"tls\":", tls.as_bytes());
    }
    if let Some(referer) = story.field("referer") {
        out.extend_from_slice(b",\"referer\":\"");
        redact(referer, &rules.keys, |part| push_json_inside(out, part));
        out.push(b'"');
    }
    if let Some(agent) = story.field("user-agent") {
        text(out, b",\"user_agent\":", agent);
    }
    write_json_headers(out, rules, story);
    out.push(b'}');
}

fn write_json_upstream(out: &mut Vec<u8>, story: &Story) {
    if let Some(after) = story.head_after {
        out.extend_from_slice(b",\"upstream_ms\":");
        push_milliseconds(out, after);
    }
    if !story.group.is_empty() {
        text(out, b",\"group\":", story.group.as_bytes());
    }
    text(out, b",\"endpoint\":", story.endpoint.as_bytes());
    number(out, b",\"attempts\":", u64::from(story.attempts));
}

fn write_json_headers(out: &mut Vec<u8>, rules: &LogRules, story: &Story) {
    let mut before: &[u8] = b",\"headers\":{";
    for shown in &rules.headers {
        if story.field(&shown.name).is_none() {
            continue;
        }
        out.extend_from_slice(before);
        push_json(out, shown.name.as_bytes());
        out.extend_from_slice(b":\"");
        tell(shown, rules, story, |part| push_json_inside(out, part));
        out.push(b'"');
        before = b",";
    }
    if before == b"," {
        out.push(b'}');
    }
}

/// Gives what is told of a field's values to `put`.
fn tell(shown: &Shown, rules: &LogRules, story: &Story, mut put: impl FnMut(&[u8])) {
    if shown.telling == Telling::Nothing {
        return put(HIDDEN);
    }
    for (number, value) in story.values(&shown.name).enumerate() {
        if number > 0 {
            put(b", ");
        }
        match shown.telling {
            Telling::WithoutSecrets => redact(value, &rules.keys, &mut put),
            Telling::All | Telling::Nothing => put(value),
        }
    }
}

fn text(out: &mut Vec<u8>, key: &[u8], value: &[u8]) {
    out.extend_from_slice(key);
    push_json(out, value);
}

fn number(out: &mut Vec<u8>, key: &[u8], value: u64) {
    out.extend_from_slice(key);
    push_number(out, value);
}

/// `2024-02-29T12:34:56.007Z 200 GET example.org/a 1.234 ms, 13 bytes, on /*path to 10.0.0.7:3000, from 192.0.2.7:1234`
fn write_pretty(out: &mut Vec<u8>, wall: &mut WallTime, rules: &LogRules, story: &Story, ended: &Ended<'_>) {
    wall.push(out, story.began_unix);
    out.push(b' ');
    match ended.status {
        0 => out.extend_from_slice(b"---"),
        status => push_number(out, u64::from(status)),
    }
    out.push(b' ');
    if !story.head.is_empty() {
        push_readable(out, story.line.method.of(&story.head));
        out.push(b' ');
        if let Some(host) = story.fields.iter().find(|field| field.known == Known::Host) {
            push_readable(out, host.value.of(&story.head));
        }
        redact(story.line.target.of(&story.head), &rules.keys, |part| push_readable(out, part));
        out.push(b' ');
    }
    push_milliseconds(out, ended.duration);
    out.extend_from_slice(b" ms, ");
    push_number(out, ended.bytes_out);
    out.extend_from_slice(b" bytes");
    if !ended.route.is_empty() {
        out.extend_from_slice(b", on ");
        push_readable(out, ended.route.as_bytes());
    }
    if story.attempts > 0 {
        out.extend_from_slice(b" to ");
        push_readable(out, story.endpoint.as_bytes());
    }
    if story.attempts > 1 {
        out.extend_from_slice(b" at attempt ");
        push_number(out, u64::from(story.attempts));
    }
    if let Some(failure) = ended.failure {
        out.extend_from_slice(b", ");
        out.extend_from_slice(failure.row().name.as_bytes());
    }
    if let Peer::Tcp(address) = story.peer {
        out.extend_from_slice(b", from ");
        push_address(out, address);
    }
    if !story.id.is_empty() {
        out.extend_from_slice(b", request ");
        out.extend_from_slice(&story.id);
    }
    if let Some(trace) = &story.trace {
        out.extend_from_slice(b", trace ");
        push_hex(out, &trace.trace);
    }
    for shown in &rules.headers {
        if story.field(&shown.name).is_none() {
            continue;
        }
        out.extend_from_slice(b", ");
        out.extend_from_slice(shown.name.as_bytes());
        out.extend_from_slice(b": ");
        tell(shown, rules, story, |part| push_readable(out, part));
    }
}

//! What clients say to files and redirects, for the fuzzer.

use std::path::{Component, Path};

use http_types::Url;

use crate::message::target::{canonical, is_authority};
use crate::message::{Headers, is_value};

use super::coding::acceptable;
use super::condition::{judge, may_be_partial};
use super::find::is_servable;
use super::place::Place;
use super::range::{Portion, portion};
use super::template::{Asked, Template};
use super::validator::Validators;

/// Templates, and the host that they lead to; none for the one that was asked.
const TEMPLATES: [(&str, Option<&str>); 10] = [
    ("{uri}", Some("a.test")),
    ("{path}", Some("a.test")),
    ("/{path}/", Some("a.test")),
    ("/{rest}", Some("a.test")),
    ("/{id}/{rest}?x={id}&{query}", Some("a.test")),
    ("https://b.test{uri}", Some("b.test")),
    ("//b.test/{rest}?{query}#{path}", Some("b.test")),
    ("https://b.test/?to={uri}&{query}", Some("b.test")),
    ("https://{host}{uri}", None),
    ("{scheme}://{host}:{port}/{rest}", None),
];

/// Takes the first line for a host, a space and a target, and the others for header fields.
pub(crate) fn run(input: &[u8]) {
    let mut lines = input.split(|byte| *byte == b'\n');
    let first = lines.next().unwrap_or_default();
    let mut headers = Headers::new();
    for line in lines {
        let colon = line.iter().position(|byte| *byte == b':').unwrap_or(line.len());
        let value = line.get(colon + 1..).unwrap_or_default();
        // What the server would not let in is not of interest.
        let _taken = headers.append(std::str::from_utf8(&line[..colon]).unwrap_or_default(), value);
    }
    ask_for_file(&headers);
    let Some(space) = first.iter().position(|byte| *byte == b' ') else { return };
    let (authority, target) = (&first[..space], &first[space + 1..]);
    // As the wires have it (RFC 9112 §3.2).
    let is_target = target.iter().all(|byte| matches!(byte, 0x21..=0x7E) && *byte != b'#');
    if is_target && target.first() == Some(&b'/') && is_authority(authority) {
        let text = |bytes| std::str::from_utf8(bytes).expect("it was checked to be ASCII");
        ask_for_path(text(authority), text(target));
    }
}

fn ask_for_file(headers: &Headers) {
    let codings = acceptable(headers);
    assert!(
        codings.len() <= 3 && codings.iter().all(|one| codings.iter().filter(|two| one == *two).count() == 1)
    );
    for length in [0, 1, 10, u64::MAX] {
        for value in headers.get_all("range") {
            if let Portion::Part(range) = portion(value, length) {
                assert!(range.start < range.end && range.end <= length, "{range:?} of {length}");
            }
        }
        let validators = Validators::of(Some(std::time::UNIX_EPOCH), length, None, 100);
        // They say something.
        let _said = (judge(headers, &validators), may_be_partial(headers, &validators));
    }
}

fn ask_for_path(authority: &str, target: &str) {
    let (path, query) = match target.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (target, None),
    };
    let canonical = canonical(path.as_bytes());
    let rest = canonical.strip_prefix('/').expect("a canonical path begins with a slash");
    if is_servable(&canonical, true) {
        let is_name = |component| matches!(component, Component::Normal(_));
        assert!(Path::new(canonical.trim_matches('/')).components().all(is_name), "{canonical:?}");
    }
    let id = rest.split('/').next().unwrap_or_default();
    let param = |name: &str| Some(if name == "id" { id } else { rest });
    let asked = Asked { scheme: "http", authority: Some(authority), path, query, param: &param };
    let names = ["id".to_owned(), "rest".to_owned()];
    let place = Place { names: &names, has_rest: true };
    let base = Url::parse("http://a.test/a/b").expect("a URL");
    let own = Url::parse(&format!("http://{authority}/"));
    for (text, host) in TEMPLATES {
        let template = Template::parse(text, &place).expect("a template");
        let Some(location) = template.fill(&asked) else { continue };
        assert!(location.bytes().all(|byte| matches!(byte, 0x21..=0x7E)) && is_value(location.as_bytes()));
        // A browser's way of reading it; a host that is no browser's is led nowhere else.
        let Ok(url) = base.join(&location) else { continue };
        match (host, &own) {
            (Some(host), _) => assert_eq!(url.host_str(), Some(host), "{text}: {location}"),
            (None, Ok(own)) => assert_eq!(url.host_str(), own.host_str(), "{text}: {location}"),
            (None, Err(_)) => panic!("{text}: {location} leads to a host that was not asked"),
        }
    }
    let tenant = Template::parse("https://{id}.b.test/{rest}", &place).expect("a template");
    let location = tenant.fill(&asked).expect("no host is wanted");
    if let Ok(url) = base.join(&location) {
        let host = url.host_str().unwrap_or_default();
        assert!(host.ends_with(".b.test") && url.username().is_empty(), "{location}");
    }
}

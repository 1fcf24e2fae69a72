//! What the lines of a file of endpoints say. Bytes in, endpoints or mistakes out.

use std::collections::HashMap;

use crate::upstream::endpoint::Endpoint;
use crate::upstream::origin::{Place, Scheme};

/// Reads an endpoint a line: a URL, and what is to be known of it. What stands behind a `#` is for people.
///
/// # Errors
///
/// All mistakes, as far as there is room, each with the number and the text of its line.
pub(super) fn parse(text: &str) -> Result<Vec<Endpoint>, String> {
    let mut endpoints = Vec::new();
    let mut mistakes = Vec::new();
    let mut known = HashMap::new();
    for (number, line) in (1..).zip(text.lines()) {
        let parsed = match parse_line(line) {
            None => continue,
            Some(parsed) => parsed.and_then(|endpoint| match known.insert(identity(&endpoint)?, number) {
                None => Ok(endpoint),
                Some(earlier) => Err(format!("the same endpoint as in line {earlier}")),
            }),
        };
        match parsed {
            Ok(endpoint) => endpoints.push(endpoint),
            Err(what) => mistakes.push(format!("line {number}: {what}: {:?}", start_of(line.trim()))),
        }
    }
    match (mistakes.len(), endpoints.is_empty()) {
        (0, false) => Ok(endpoints),
        (0, true) => Err("there is no endpoint in it".into()),
        (number, _) => {
            let rest = number.saturating_sub(MOST_MISTAKES);
            mistakes.truncate(MOST_MISTAKES);
            let mistakes = mistakes.join("; ");
            Err(if rest > 0 { format!("{mistakes}; and {rest} more") } else { mistakes })
        }
    }
}

/// Mistakes that are told one by one.
const MOST_MISTAKES: usize = 5;

/// Characters of a line that are shown with its mistake.
const SHOWN: usize = 100;

/// Reads a line; none where there is nothing on it.
fn parse_line(line: &str) -> Option<Result<Endpoint, String>> {
    let mut words = line.split_whitespace().take_while(|word| !word.starts_with('#'));
    let url = words.next()?;
    Some(
        words
            .try_fold((Endpoint::new(url), Vec::new()), |(endpoint, mut keys), word| {
                let Some((key, value)) = word.split_once('=') else {
                    return Err(format!("{word:?} is not KEY=VALUE"));
                };
                if keys.contains(&key) {
                    return Err(format!("{key} is there twice"));
                }
                keys.push(key);
                let endpoint = match key {
                    "weight" => endpoint.weight(number(key, value)?),
                    "priority" => endpoint.priority(number(key, value)?),
                    "zone" => endpoint.zone(value),
                    "host" => endpoint.host(value),
                    _ => match key.strip_prefix("label.") {
                        Some(key) => endpoint.label(key, value),
                        None => {
                            return Err(format!(
                                "{key} is none of weight, priority, zone, host and label.NAME"
                            ));
                        }
                    },
                };
                Ok((endpoint, keys))
            })
            .map(|(endpoint, _)| endpoint),
    )
}

fn number<T: std::str::FromStr>(key: &str, value: &str) -> Result<T, String> {
    value.parse().map_err(|_| format!("{key} is {value:?}, which is not a number in its range"))
}

/// What tells it from the others.
fn identity(endpoint: &Endpoint) -> Result<(Place, Scheme, String, String), String> {
    let origin = endpoint.origin().map_err(|error| error.to_string())?;
    Ok((origin.place, origin.scheme, origin.base, origin.authority))
}

fn start_of(line: &str) -> &str {
    let end = line.char_indices().nth(SHOWN).map_or(line.len(), |(at, _)| at);
    &line[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_an_endpoint_with_what_is_to_be_known_of_it() {
        let text = "# the shop\n\
                    \n\
                    http://10.0.0.7:3000\n\
                    \t http://[::1]:3000/v1 weight=2 priority=1\tzone=eu-1a label.version=canary label.rack= # spare\r\n\
                    http://10.0.0.9:3000 host=shop.test:80\n\
                    unix:/run/app.sock";
        assert_eq!(
            parse(text).unwrap(),
            [
                Endpoint::new("http://10.0.0.7:3000"),
                Endpoint::new("http://[::1]:3000/v1")
                    .weight(2)
                    .priority(1)
                    .zone("eu-1a")
                    .label("version", "canary")
                    .label("rack", ""),
                Endpoint::new("http://10.0.0.9:3000").host("shop.test:80"),
                Endpoint::new("unix:/run/app.sock"),
            ]
        );
    }

    #[test]
    fn every_mistake_is_told_with_its_line() {
        for (line, what) in [
            ("10.0.0.7:3000", "line 2: invalid option: upstream \"10.0.0.7:3000\" is neither"),
            ("http://b weight=0", "line 2: invalid option: upstream \"http://b\" has the weight 0"),
            (
                "http://b weight=x",
                "line 2: weight is \"x\", which is not a number in its range: \"http://b weight=x\"",
            ),
            ("http://b priority=256", "line 2: priority is \"256\""),
            ("http://b zone=", "the zone \"\""),
            ("http://b weigth=2", "line 2: weigth is none of weight, priority, zone, host and label.NAME"),
            ("http://b weight", "line 2: \"weight\" is not KEY=VALUE"),
            ("http://b label.=x", "a label \"\""),
            ("http://b weight=1 weight=2", "line 2: weight is there twice"),
            ("http://A:80/ weight=2", "line 2: the same endpoint as in line 1"),
        ] {
            let error = parse(&format!("http://a\n  {line}\nhttp://c")).unwrap_err();
            assert!(error.contains(what), "{error}");
        }
    }

    #[test]
    fn mistakes_are_told_as_far_as_there_is_room() {
        let long = "x".repeat(1000);
        let error = parse(&format!("{long}\nhttp://a\n\nx\nx\nx\nx\nx\nx\n")).unwrap_err();
        assert!(error.contains("line 7: ") && !error.contains("line 8: "), "{error}");
        assert!(error.ends_with("; and 2 more"), "{error}");
        assert_eq!(parse("# http://a\n \n").unwrap_err(), "there is no endpoint in it");
    }
}

//! What would become of a request, and why.

use serde::Serialize;

use crate::handler::{Request, Response};
use crate::server::{Asked, Explanation};

use super::answer;
use super::shared::Shared;

/// An explanation for people and for programs.
#[derive(Debug, Serialize)]
struct Told {
    text: String,
    explanation: Explanation,
}

/// Answers `?method=GET&url=http://example.com/a`, with `header=Name: value` as often as there are such.
pub(super) fn answer(shared: &Shared, request: &Request, response: Response) {
    let asked = match asked(request.query().unwrap_or_default()) {
        Ok(asked) => asked,
        Err(words) => return answer::error(response, 400, words),
    };
    match shared.server.explain(&asked) {
        Ok(explanation) => answer::json(response, 200, &Told { text: explanation.to_string(), explanation }),
        Err(error) => {
            let words = format!("this is no request, it would be refused with {}: {error}", error.status());
            answer::error(response, 422, &words);
        }
    }
}

/// The request that a query describes.
fn asked(query: &str) -> Result<Asked, &'static str> {
    // The part in front is there because there is no query without a URL.
    let url = http_types::Url::parse(&format!("http://localhost/?{query}"));
    let url = url.map_err(|_| "the query can't be read")?;
    let all = |name: &'static str| {
        url.query_pairs().filter(move |(known, _)| known == name).map(|(_, value)| value.into_owned())
    };
    let target = all("url").next().ok_or("a URL is needed: ?method=GET&url=http://example.com/a")?;
    let method = all("method").next().unwrap_or_else(|| "GET".into());
    let asked = Asked::new(&method, &target);
    all("header").try_fold(asked, |asked, header| {
        let (name, value) = header.split_once(':').ok_or("a header is Name: value")?;
        Ok(asked.header(name.trim(), value.trim()))
    })
}

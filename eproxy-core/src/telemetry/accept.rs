//! Which of the two formats an `Accept` field asks for (RFC 9110 §12.5.1).

/// Whether OpenMetrics is to be told rather than the older format: where it is named, and nothing that would do as well has a
/// greater weight. What accepts everything has not asked for it.
pub(super) fn prefers_openmetrics(accept: &str) -> bool {
    let ranges = || accept.split(',').filter_map(Range::parse);
    let weight = |name: &str, version: &str| {
        let named = ranges().filter(|range| range.name.eq_ignore_ascii_case(name) && range.takes(version));
        named.map(|range| range.weight).reduce(f32::max)
    };
    let openmetrics = weight("application/openmetrics-text", "1.0.0").unwrap_or(0.0);
    // The most specific range that fits has the word.
    let plain = || ["text/plain", "text/*", "*/*"].into_iter().find_map(|name| weight(name, "0.0.4"));
    openmetrics > 0.0 && openmetrics >= plain().unwrap_or(0.0)
}

/// A media range, as far as it matters here.
struct Range<'a> {
    name: &'a str,
    version: Option<&'a str>,
    /// From 0, not at all, to 1 (§12.4.2).
    weight: f32,
}

impl<'a> Range<'a> {
    /// None where its weight is none.
    fn parse(text: &'a str) -> Option<Self> {
        let mut parts = text.split(';').map(str::trim);
        let mut range = Self { name: parts.next()?, version: None, weight: 1.0 };
        for (key, value) in parts.filter_map(|part| part.split_once('=')) {
            if key.eq_ignore_ascii_case("q") {
                range.weight = value.parse().ok().filter(|weight| (0.0..=1.0).contains(weight))?;
            } else if key.eq_ignore_ascii_case("version") {
                range.version = Some(value.trim_matches('"'));
            }
        }
        Some(range)
    }

    fn takes(&self, version: &str) -> bool {
        self.version.is_none_or(|wanted| wanted == version)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_format_with_the_greater_weight_is_told() {
        for (accept, is_preferred) in [
            ("application/openmetrics-text", true),
            ("Application/OpenMetrics-Text; Version=\"1.0.0\"; charset=utf-8", true),
            // What Prometheus 2 and 3 say.
            (
                "application/openmetrics-text;version=1.0.0;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,\
                 text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
                true,
            ),
            (
                "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,\
                 text/plain;version=1.0.0;escaping=allow-utf-8;q=0.6,text/plain;version=0.0.4;q=0.2,*/*;q=0.1",
                true,
            ),
            ("text/plain, application/openmetrics-text", true),
            ("*/*, application/openmetrics-text", true),
            ("application/openmetrics-text;q=0.5, */*;q=0.9, text/plain;q=0.1", true),
            ("application/openmetrics-text;q=0", false),
            ("application/openmetrics-text; q=0.000, */*", false),
            ("text/plain, application/openmetrics-text;q=0.9", false),
            ("text/*;q=0.6, application/openmetrics-text;q=0.5", false),
            ("application/openmetrics-text;q=0.5, */*", false),
            ("application/openmetrics-text;version=0.0.1", false),
            ("application/openmetrics-text;version=2.0.0, text/plain;q=0.1", false),
            ("application/openmetrics-text;q=x", false),
            ("application/openmetrics-text;q=NaN", false),
            ("application/openmetrics-textual", false),
            ("text/html;see=application/openmetrics-text", false),
            ("application/*, */*", false),
            (",;,=", false),
            ("", false),
        ] {
            assert_eq!(prefers_openmetrics(accept), is_preferred, "{accept}");
        }
    }
}

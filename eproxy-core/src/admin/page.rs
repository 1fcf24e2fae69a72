//! The live page: one document, with everything that belongs to it inside.

use std::sync::LazyLock;

use sha2::{Digest as _, Sha256};

use crate::handler::Response;

use super::answer::guarded_by;

const DOCUMENT: &str = include_str!("page.html");
const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// Where they belong in the document.
const STYLE_MARK: &str = "/*{style}*/";
const SCRIPT_MARK: &str = "/*{script}*/";

/// The document, and what it may load: the style and the script that are in it, and nothing but data from here.
static PAGE: LazyLock<(String, String)> = LazyLock::new(|| {
    let document = DOCUMENT.replace(STYLE_MARK, STYLE).replace(SCRIPT_MARK, SCRIPT);
    // A hash is that of all that stands between the tags (Content Security Policy Level 3 §2.3.1).
    let hash = |text: &str| format!("'sha256-{}'", base64::encode(Sha256::digest(text.as_bytes())));
    let policy = format!(
        "default-src 'none'; style-src {}; script-src {}; connect-src 'self'; img-src data:; base-uri 'none'; \
         form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'",
        hash(STYLE),
        hash(SCRIPT),
    );
    (document, policy)
});

pub(super) fn send(response: Response) {
    let (document, policy) = &*PAGE;
    guarded_by(response, policy).header("Content-Type", "text/html; charset=utf-8").send(document.as_str());
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes that the page may have, with all that belongs to it.
    const MOST: usize = 100 * 1024;

    #[test]
    fn the_page_is_whole_small_and_loads_nothing() {
        let (document, policy) = &*PAGE;
        assert!(document.len() <= MOST, "{} bytes", document.len());
        assert!(document.contains(STYLE) && document.contains(SCRIPT) && !document.contains("/*{"));
        assert_eq!((document.matches("<script").count(), document.matches("<style").count()), (1, 1));
        assert!(policy.contains("script-src 'sha256-"));
        // Names of namespaces are no addresses.
        let addresses = document.replace("http://www.w3.org/2000/svg", "").replace("http://example.com/", "");
        assert!(!addresses.contains("http://") && !addresses.contains("https://"));
    }

    #[test]
    fn nothing_of_the_server_becomes_markup() {
        for way in [
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "document.write",
            "eval(",
            "DOMParser",
            "setHTML",
        ] {
            assert!(!SCRIPT.contains(way), "{way}");
        }
        // The policy allows neither styles nor scripts in attributes.
        assert!(!DOCUMENT.contains(" style=") && !DOCUMENT.contains(" onclick="));
    }
}

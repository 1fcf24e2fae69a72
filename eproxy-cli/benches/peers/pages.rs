//! What is asked, and the only right answer to it.

use crate::probe::Expected;

pub(crate) const HELLO: Expected =
    Expected { path: "/hello", content_type: "text/plain", body: "Hello, World!" };

/// About what a small JSON interface answers. No `'`, `$` or `\`: the text stands in nginx's single quotes.
pub(crate) const UPSTREAM: Expected = Expected {
    path: "/get",
    content_type: "application/json",
    body: concat!(
        r#"{"args":{},"headers":{"Accept":"*/*","Host":"127.0.0.1","User-Agent":"eproxy"},"#,
        r#""origin":"127.0.0.1","url":"http://127.0.0.1/get","items":[{"id":1,"name":"first"},"#,
        r#"{"id":2,"name":"second"},{"id":3,"name":"third"},{"id":4,"name":"fourth"}],"#,
        r#""note":"A fixed answer of about three hundred bytes.","ok":true}"#,
    ),
};

//! The keys of answers that no upstream gives: fixed ones, redirects, files.

use super::shape::{Section, Shape, optional, required, without};

/// The same answer to everybody.
pub(super) static ANSWER: Section = Section::new(
    "answer",
    "The same answer to everybody: for health checks, `robots.txt`, maintenance.",
    &[
        optional("status", Shape::Integer(200, 999), "200", "The status.").also(&["code"]),
        without("body", Shape::Text, "none", "The body.").also(&["text", "content"]),
        without(
            "body_file",
            Shape::File,
            "none",
            "A file with the body, which is read with the configuration.",
        ),
        without(
            "content_type",
            Shape::Text,
            "`text/plain; charset=utf-8` with `body`, `application/octet-stream` with `body_file`",
            "The media type of the body.",
        ),
        without("headers", HEADERS, "none", "Further header fields; a list has several of one name."),
    ],
);

const HEADERS: Shape = Shape::Map(&Shape::Some(&Shape::Text));

/// The client is sent elsewhere.
pub(super) static REDIRECT: Section = Section::new(
    "redirect",
    "The client is told where else to ask: `to` a place, or to the same by `https`. What a request brings can't change the host.",
    &[
        without(
            "to",
            Shape::Text,
            "—",
            "Where to: an URL, or a path on the same host. `{scheme}`, `{host}`, `{port}`, `{path}`, `{query}`, `{uri}` and the \
             parameters of the route's path stand for what the request has.",
        )
        .also(&["url", "location"]),
        without("https", Shape::Flag, "—", "`true`: the same host, path and query by `https`."),
        optional("port", Shape::Integer(1, 65535), "443", "The port, with `https`."),
        without(
            "status",
            Shape::Integer(301, 308),
            "307, and 308 with `https`",
            "301, 302, 303, 307 or 308: 301 and 308 are remembered by clients, 307 and 308 keep the method, 303 makes it GET.",
        )
        .also(&["code"]),
        without("headers", Shape::Map(&Shape::Text), "none", "Further header fields."),
    ],
)
.one_of(&[&["to", "https"]]);

/// Files from a folder.
pub(super) static FILES: Section = Section::new(
    "files",
    "Files from a folder: which one is said by the `*rest` of the route's path, or by the whole path where it has none.",
    &[
        required("root", Shape::Path, "The folder.").also(&["dir", "path", "folder"]),
        optional("index", Shape::Text, "\"index.html\"", "The file that a folder is answered with; none is ever listed."),
        without(
            "fallback",
            Shape::Text,
            "none",
            "The file of the folder that is sent where there is no other: for applications of one page.",
        )
        .also(&["try_files"]),
        without("not_found", Shape::Text, "a line of text", "The file of the folder that is sent with a 404."),
        without("cache_control", Shape::Text, "none", "The Cache-Control of files.").also(&["expires"]),
        optional(
            "precompressed",
            Shape::Flag,
            "false",
            "Sends `app.js.br`, `app.js.zst` or `app.js.gz` for `app.js` where one is there and the client takes it.",
        )
        .also(&["gzip_static"]),
        optional("follow_symlinks", Shape::Flag, "false", "Follows symbolic links that lead out of the folder, too."),
        optional("hidden", Shape::Flag, "false", "Serves names that begin with a dot, too."),
        optional("nosniff", Shape::Flag, "false", "Sends `X-Content-Type-Options: nosniff`."),
        without(
            "media_types",
            Shape::Map(&Shape::Text),
            "those that are known",
            "The media types of files by the ends of their names: `{ md = \"text/markdown\" }`.",
        )
        .also(&["types", "mime_types"]),
        without("headers", Shape::Map(&Shape::Text), "none", "Further header fields."),
    ],
);

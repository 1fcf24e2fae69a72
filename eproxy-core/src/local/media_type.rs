//! Content-Type, by the ending of a file's name (RFC 9110 §8.3).

use std::path::Path;

/// What is sent where nothing is known.
const UNKNOWN: &str = "application/octet-stream";

/// The media type of a file: one of `own`, by extensions in lower case, or one of those that are known.
pub(super) fn of<'a>(path: &Path, own: &'a [(String, String)]) -> &'a str {
    let Some(extension) = path.extension().and_then(|extension| extension.to_str()) else { return UNKNOWN };
    let extension = extension.to_ascii_lowercase();
    // The last that was set counts.
    let set = own.iter().rev().find(|(known, _)| *known == extension);
    set.map_or_else(|| known(&extension), |(_, media_type)| media_type)
}

fn known(extension: &str) -> &'static str {
    match extension {
        "html" | "htm" => "text/html; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        // RFC 9239.
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "txt" | "text" | "log" => "text/plain; charset=utf-8",
        "md" => "text/markdown; charset=utf-8",
        "csv" => "text/csv; charset=utf-8",
        "ics" => "text/calendar; charset=utf-8",
        "vtt" => "text/vtt; charset=utf-8",
        "json" | "map" => "application/json",
        "webmanifest" => "application/manifest+json",
        "xml" => "application/xml",
        "xhtml" => "application/xhtml+xml",
        "rss" => "application/rss+xml",
        "atom" => "application/atom+xml",
        "yaml" | "yml" => "application/yaml",
        "wasm" => "application/wasm",
        "pdf" => "application/pdf",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "gif" => "image/gif",
        "webp" => "image/webp",
        "avif" => "image/avif",
        "ico" => "image/x-icon",
        "bmp" => "image/bmp",
        "woff" => "font/woff",
        "woff2" => "font/woff2",
        "ttf" => "font/ttf",
        "otf" => "font/otf",
        "mp3" => "audio/mpeg",
        "ogg" | "oga" | "opus" => "audio/ogg",
        "wav" => "audio/wav",
        "flac" => "audio/flac",
        "m4a" => "audio/mp4",
        "mp4" | "m4v" => "video/mp4",
        "webm" => "video/webm",
        "mov" => "video/quicktime",
        "zip" => "application/zip",
        "gz" | "tgz" => "application/gzip",
        "zst" => "application/zstd",
        "tar" => "application/x-tar",
        _ => UNKNOWN,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_known_by_the_last_extension_whatever_its_case() {
        let own = [("md".into(), "text/x-notes".into()), ("x".into(), "a/b".into())];
        for (name, expected) in [
            ("a/index.HTML", "text/html; charset=utf-8"),
            ("app.min.js", "text/javascript; charset=utf-8"),
            ("data.tar.gz", "application/gzip"),
            ("notes.md", "text/x-notes"),
            ("one.x", "a/b"),
            ("Makefile", UNKNOWN),
            (".html", UNKNOWN),
            ("a.html/b", UNKNOWN),
            ("a.", UNKNOWN),
        ] {
            assert_eq!(of(Path::new(name), &own), expected, "{name}");
        }
    }
}

//! Files: which one is sent, which never are, and what a client can say of what it has and wants.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::time::{Duration, SystemTime};

use eproxy_core::testing::Lab;
use eproxy_core::{Files, Server};

use crate::support::folder::Folder;
use crate::support::http2::Http2;
use crate::support::wire::Reply;
use crate::support::{Running, crlf, eventually, get, start};

/// When the files of the tests were changed: Sun, 06 Nov 1994 08:49:37 GMT.
const CHANGED: u64 = 784_111_777;
const DATE: &str = "Sun, 06 Nov 1994 08:49:37 GMT";

/// A file that was changed long ago, with the folders that it is in.
fn write(folder: &Folder, name: &str, content: impl AsRef<[u8]>) {
    let path = folder.path(name);
    let parent = path.parent().expect("a file is in a folder");
    fs::create_dir_all(parent).expect("a folder can be made");
    fs::write(&path, content).expect("a file can be written");
    set_changed(&path, CHANGED);
}

fn set_changed(path: &Path, seconds: u64) {
    let file = fs::File::options().write(true).open(path).expect("the file is there");
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
    file.set_modified(time).expect("its time can be set");
}

/// A folder with a site in it, and a secret beside that.
fn site() -> Folder {
    let folder = Folder::new();
    write(&folder, "secret.txt", "secret");
    for (name, content) in [
        ("www/index.html", "start"),
        ("www/a b.txt", "text"),
        ("www/caf\u{e9}.txt", "coffee"),
        ("www/ten.txt", "0123456789"),
        ("www/empty.txt", ""),
        ("www/docs/index.html", "docs"),
        ("www/docs/guide.md", "guide"),
        ("www/no-index/x.bin", "x"),
        ("www/.git/config", "hidden"),
        ("www/.env", "hidden"),
        ("www/.well-known/security.txt", "contact"),
        ("www/404.html", "not here"),
    ] {
        write(&folder, name, content);
    }
    folder
}

fn files(folder: &Folder) -> Files {
    Files::from(folder.path("www"))
}

fn serve(files: Files) -> Running {
    start(Server::builder().at("/*path", files))
}

/// A GET with further fields, a line each.
fn ask(server: &Running, target: &str, fields: &str) -> Reply {
    server.ask(crlf(&format!("GET {target} HTTP/1.1\nHost: test\n{fields}\n")))
}

#[test]
fn a_path_leads_to_a_file() {
    let folder = site();
    let server = start(
        Server::builder()
            .at("/static/*path", files(&folder))
            .get("/ten.txt", files(&folder))
            .get("/u/:user", Files::from(folder.path("www")).index("guide.md")),
    );
    for (target, expected) in [
        ("/static/", (200, "start")),
        ("/static/index.html", (200, "start")),
        ("/static/a%20b.txt?x", (200, "text")),
        ("/static/caf%C3%A9.txt", (200, "coffee")),
        ("/static//docs/./guide.md", (200, "guide")),
        ("/static/docs/", (200, "docs")),
        ("/static/docs/../ten.txt", (200, "0123456789")),
        ("/static/empty.txt", (200, "")),
        ("/static/.well-known/security.txt", (200, "contact")),
        ("/ten.txt", (200, "0123456789")),
        ("/static/nothing", (404, "404 Not Found\n")),
        ("/static/no-index/", (404, "404 Not Found\n")),
        ("/static/ten.txt/", (404, "404 Not Found\n")),
        ("/static/ten.txt/x", (404, "404 Not Found\n")),
        ("/static/TEN.txt", (404, "404 Not Found\n")),
        ("/static/caf%E9.txt", (404, "404 Not Found\n")),
        ("/u/ten.txt", (404, "404 Not Found\n")),
    ] {
        let reply = server.ask(get(target));
        assert_eq!((reply.status, reply.text()), expected, "{target}");
    }
    let long = format!("/static/{}", "a".repeat(4000));
    assert_eq!(server.ask(get(&long)).status, 404);
}

#[test]
fn a_folder_is_asked_for_with_a_slash() {
    let folder = site();
    fs::create_dir_all(folder.path("www/a b/\u{e9}")).unwrap();
    fs::create_dir_all(folder.path("www/evil.example")).unwrap();
    let server = start(Server::builder().at("/static/*path", files(&folder)).at("/*path", files(&folder)));
    for (target, expected) in [
        ("/static", "/static/"),
        ("/static/docs", "/static/docs/"),
        ("/static/docs?a=b&c", "/static/docs/?a=b&c"),
        ("/static/a%20b/%c3%a9", "/static/a%20b/%C3%A9/"),
        ("//evil.example", "/evil.example/"),
        ("/\\evil.example", "/evil.example/"),
        ("/%5c%5cevil.example?\"", "/evil.example/?%22"),
    ] {
        let reply = server.ask(get(target));
        assert_eq!((reply.status, reply.header("location")), (301, Some(expected)), "{target}");
    }
}

#[test]
fn nothing_outside_of_the_folder_is_served() {
    let folder = site();
    symlink(folder.path("secret.txt"), folder.path("www/out.txt")).unwrap();
    symlink("../secret.txt", folder.path("www/up.txt")).unwrap();
    symlink(folder.path(""), folder.path("www/parent")).unwrap();
    symlink("nowhere", folder.path("www/broken")).unwrap();
    symlink("ten.txt", folder.path("www/in.txt")).unwrap();
    symlink("docs", folder.path("www/manual")).unwrap();
    symlink(folder.path("www"), folder.path("current")).unwrap();
    let attempts = [
        "/../secret.txt",
        "/docs/../../secret.txt",
        "/%2e%2e/secret.txt",
        "/%2e%2e%2fsecret.txt",
        "/..%2fsecret.txt",
        "/..%2Fsecret.txt",
        "/..%5csecret.txt",
        "/..\\secret.txt",
        "/.%2e/secret.txt",
        "/%252e%252e/secret.txt",
        "/..%252fsecret.txt",
        "/..%c0%afsecret.txt",
        "/%c0%ae%c0%ae/secret.txt",
        "/%e0%80%ae%e0%80%ae/secret.txt",
        "/docs/..;/..;/secret.txt",
        "/....//secret.txt",
        "/.../secret.txt",
        "/docs/%00/../../../secret.txt",
        "/secret.txt%00.html",
        "/../www/../secret.txt",
        "/ten.txt/../../secret.txt",
        "/parent/secret.txt",
        "/out.txt",
        "/up.txt",
        "/broken",
        "/.git/config",
        "/.git/",
        "/.git",
        "/.env",
        "/%2eenv",
        "/docs/../.env",
        "/docs/.well-known/../../.env",
    ];
    for root in ["www", "current"] {
        let server = serve(Files::from(folder.path(root)));
        for target in attempts {
            let reply = server.ask(get(target));
            assert_eq!((reply.status, reply.text()), (404, "404 Not Found\n"), "{target}");
        }
        // The path of an absolute target, and one below a wildcard that is not at the root.
        let absolute = crlf("GET http://test/../secret.txt HTTP/1.1\nHost: test\n\n");
        assert_eq!(server.ask(absolute).status, 404);
        assert_eq!(server.ask(get("/in.txt")).text(), "0123456789");
        assert_eq!(server.ask(get("/manual/guide.md")).text(), "guide");
    }
    let below = start(Server::builder().at("/static/*path", files(&folder)));
    for target in attempts {
        assert_eq!(below.ask(get(&format!("/static{target}"))).status, 404, "{target}");
    }
    let open = serve(files(&folder).follow_symlinks().hidden());
    for (target, content) in [
        ("/out.txt", "secret"),
        ("/parent/secret.txt", "secret"),
        ("/.env", "hidden"),
        ("/.git/config", "hidden"),
    ] {
        assert_eq!(open.ask(get(target)).text(), content, "{target}");
    }
    assert_eq!(open.ask(get("/../secret.txt")).status, 404);
}

#[test]
fn the_folder_may_be_exchanged_while_it_is_served() {
    let folder = Folder::new();
    write(&folder, "one/x.txt", "one");
    write(&folder, "two/x.txt", "two");
    symlink("one", folder.path("current")).unwrap();
    let server = serve(Files::from(folder.path("current")));
    assert_eq!(server.ask(get("/x.txt")).text(), "one");
    symlink("two", folder.path("next")).unwrap();
    fs::rename(folder.path("next"), folder.path("current")).unwrap();
    assert_eq!(server.ask(get("/x.txt")).text(), "two");
}

#[test]
fn what_is_no_regular_file_is_not_opened() {
    let folder = site();
    let _socket = std::os::unix::net::UnixListener::bind(folder.path("www/socket")).unwrap();
    let server = serve(files(&folder));
    assert_eq!(server.ask(get("/socket")).status, 404);
}

#[test]
fn what_may_not_be_read_is_forbidden() {
    let folder = site();
    fs::set_permissions(folder.path("www/ten.txt"), fs::Permissions::from_mode(0o0)).unwrap();
    if fs::read(folder.path("www/ten.txt")).is_ok() {
        eprintln!("skipped: this user may read whatever it likes");
        return;
    }
    let reply = serve(files(&folder)).ask(get("/ten.txt"));
    assert_eq!((reply.status, reply.text()), (403, "403 Forbidden\n"));
}

#[test]
fn other_methods_are_told_which_there_are() {
    let folder = site();
    let server = serve(files(&folder));
    let mut client = server.connect();
    for method in ["POST", "PUT", "DELETE", "get", "BREW"] {
        let reply =
            client.ask(format!("{method} /ten.txt HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi"));
        assert_eq!((reply.status, reply.header("allow")), (405, Some("GET, HEAD, OPTIONS")), "{method}");
    }
    let reply = client.ask(crlf("OPTIONS /ten.txt HTTP/1.1\nHost: a\n\n"));
    assert_eq!((reply.status, reply.header("allow")), (204, Some("GET, HEAD, OPTIONS")));
    assert_eq!(client.ask(get("/ten.txt")).text(), "0123456789");
}

#[test]
fn a_head_gets_what_a_get_does_but_for_the_body() {
    let folder = site();
    write(&folder, "www/long.bin", vec![7; 200_000]);
    let server = serve(files(&folder).cache_control("no-cache").nosniff().header("X-A", "1"));
    let mut client = server.connect();
    for target in ["/ten.txt", "/empty.txt", "/long.bin", "/docs/", "/docs", "/nothing"] {
        let whole = client.ask(get(target));
        client.send(crlf(&format!("HEAD {target} HTTP/1.1\nHost: test\nRange: bytes=0-1\n\n")));
        let head = client.reply_to_head();
        let fields = |reply: &Reply| {
            let fields = reply.headers.iter().filter(|(name, _)| name != "Date").cloned();
            let mut fields: Vec<_> = fields.collect();
            fields.sort();
            (reply.status, fields)
        };
        assert_eq!(fields(&head), fields(&whole), "{target}");
        assert_eq!(head.body.len(), 0);
    }
    let reply = client.ask(get("/ten.txt"));
    for (name, value) in [
        ("content-type", "text/plain; charset=utf-8"),
        ("last-modified", DATE),
        ("accept-ranges", "bytes"),
        ("cache-control", "no-cache"),
        ("x-content-type-options", "nosniff"),
        ("x-a", "1"),
        ("content-length", "10"),
    ] {
        assert_eq!(reply.header(name), Some(value), "{name}");
    }
    assert_eq!(reply.header("vary"), None);
}

#[test]
fn conditions_are_judged_in_their_order() {
    let folder = site();
    let server = serve(files(&folder).cache_control("max-age=60"));
    let tag = ask(&server, "/ten.txt", "").header("etag").unwrap().to_owned();
    assert!(tag.starts_with('"'), "a file of long ago has a strong tag: {tag}");
    let (before, after) = ("Sun, 06 Nov 1994 08:49:36 GMT", "Sun, 06 Nov 1994 08:49:38 GMT");
    let cases = [
        (format!("If-Match: {tag}\n"), 200),
        ("If-Match: *\n".into(), 200),
        (format!("If-Match: \"a\", {tag}\n"), 200),
        (format!("If-Match: \"a\"\nIf-Match: {tag}\n"), 200),
        ("If-Match: \"a\"\n".into(), 412),
        (format!("If-Match: W/{tag}\n"), 412),
        ("If-Match: a\n".into(), 412),
        (format!("If-Unmodified-Since: {DATE}\n"), 200),
        (format!("If-Unmodified-Since: {after}\n"), 200),
        (format!("If-Unmodified-Since: {before}\n"), 412),
        ("If-Unmodified-Since: yesterday\n".into(), 200),
        (format!("If-Unmodified-Since: {before}\nIf-Unmodified-Since: {before}\n"), 200),
        // If-Match comes before If-Unmodified-Since.
        (format!("If-Match: {tag}\nIf-Unmodified-Since: {before}\n"), 200),
        (format!("If-Match: \"a\"\nIf-Unmodified-Since: {after}\n"), 412),
        (format!("If-None-Match: {tag}\n"), 304),
        (format!("If-None-Match: W/{tag}\n"), 304),
        ("If-None-Match: *\n".into(), 304),
        (format!("If-None-Match: \"a,b\",, W/\"c\" , {tag}\n"), 304),
        ("If-None-Match: \"a\"\n".into(), 200),
        (format!("If-Modified-Since: {DATE}\n"), 304),
        (format!("If-Modified-Since: {after}\n"), 304),
        (format!("If-Modified-Since: {before}\n"), 200),
        ("If-Modified-Since: Sunday, 06-Nov-94 08:49:37 GMT\n".into(), 304),
        ("If-Modified-Since: Sun Nov  6 08:49:37 1994\n".into(), 304),
        ("If-Modified-Since: 0\n".into(), 200),
        // If-None-Match comes before If-Modified-Since.
        (format!("If-None-Match: \"a\"\nIf-Modified-Since: {after}\n"), 200),
        (format!("If-None-Match: {tag}\nIf-Modified-Since: {before}\n"), 304),
        // What must hold comes before what may be spared.
        (format!("If-Match: \"a\"\nIf-None-Match: {tag}\n"), 412),
        (format!("If-Match: {tag}\nIf-None-Match: {tag}\n"), 304),
        (format!("If-Unmodified-Since: {before}\nIf-Modified-Since: {after}\n"), 412),
        // A range is of no interest where the client has it all.
        (format!("If-None-Match: {tag}\nRange: bytes=0-1\n"), 304),
        (format!("If-Match: {tag}\nRange: bytes=0-1\n"), 206),
        ("If-Match: \"a\"\nRange: bytes=0-1\n".into(), 412),
    ];
    for (fields, status) in cases {
        let reply = ask(&server, "/ten.txt", &fields);
        assert_eq!(reply.status, status, "{fields}");
        if status == 304 {
            assert_eq!(reply.header("etag"), Some(tag.as_str()));
            assert_eq!(reply.header("cache-control"), Some("max-age=60"));
            assert_eq!((reply.header("content-type"), reply.header("content-length")), (None, None));
        }
    }
    // Conditions are those of what is there.
    assert_eq!(ask(&server, "/nothing", "If-Match: *\n").status, 404);
}

#[test]
fn ranges_are_sent_where_they_can_be() {
    let folder = site();
    let server = serve(files(&folder));
    let tag = ask(&server, "/ten.txt", "").header("etag").unwrap().to_owned();
    let before = "Sun, 06 Nov 1994 08:49:36 GMT";
    let part = |content: &'static str, range: &'static str| (206, content, Some(range));
    let whole = (200, "0123456789", None);
    let none = (416, "416 Requested Range Not Satisfiable\n", Some("bytes */10"));
    let cases = [
        ("Range: bytes=0-0\n".into(), part("0", "bytes 0-0/10")),
        ("Range: bytes=2-4\n".into(), part("234", "bytes 2-4/10")),
        ("Range: bytes=7-\n".into(), part("789", "bytes 7-9/10")),
        ("Range: bytes=-3\n".into(), part("789", "bytes 7-9/10")),
        ("Range: bytes=-30\n".into(), part("0123456789", "bytes 0-9/10")),
        ("Range: bytes=0-99\n".into(), part("0123456789", "bytes 0-9/10")),
        ("Range: bytes=10-\n".into(), none),
        ("Range: bytes=-0\n".into(), none),
        ("Range: bytes=3-2\n".into(), whole),
        ("Range: bytes=0-1,3-4\n".into(), whole),
        ("Range: bytes=0-1\nRange: bytes=3-4\n".into(), whole),
        ("Range: pages=1-2\n".into(), whole),
        ("Range: bytes=x\n".into(), whole),
        (format!("Range: bytes=2-4\nIf-Range: {tag}\n"), part("234", "bytes 2-4/10")),
        (format!("Range: bytes=2-4\nIf-Range: {DATE}\n"), part("234", "bytes 2-4/10")),
        (format!("Range: bytes=2-4\nIf-Range: W/{tag}\n"), whole),
        ("Range: bytes=2-4\nIf-Range: \"a\"\n".into(), whole),
        (format!("Range: bytes=2-4\nIf-Range: {before}\n"), whole),
        ("Range: bytes=2-4\nIf-Range: Mon, 07 Nov 1994 08:49:37 GMT\n".into(), whole),
        (format!("Range: bytes=2-4\nIf-Range: {tag}, \"b\"\n"), whole),
        ("Range: bytes=10-\nIf-Range: \"a\"\n".into(), whole),
    ];
    for (fields, expected) in cases {
        let reply = ask(&server, "/ten.txt", &fields);
        assert_eq!((reply.status, reply.text(), reply.header("content-range")), expected, "{fields}");
        if reply.status == 206 {
            assert_eq!(reply.header("etag"), Some(tag.as_str()));
            assert_eq!(reply.header("content-type"), Some("text/plain; charset=utf-8"));
        }
    }
    let reply = ask(&server, "/empty.txt", "Range: bytes=0-\n");
    assert_eq!((reply.status, reply.header("content-range")), (416, Some("bytes */0")));
}

#[test]
fn what_was_changed_just_now_is_not_resumed() {
    let folder = site();
    let server = serve(files(&folder));
    // As fresh as can be, whenever this runs: from the future, which no answer may say.
    let path = folder.path("www/ten.txt");
    set_changed(&path, CHANGED + (1 << 33));
    let reply = ask(&server, "/ten.txt", "");
    let tag = reply.header("etag").unwrap();
    assert!(tag.starts_with("W/\""), "{tag}");
    assert_eq!(reply.header("last-modified"), None);
    assert_eq!(ask(&server, "/ten.txt", &format!("Range: bytes=0-1\nIf-Range: {tag}\n")).status, 200);
    let strong = tag.trim_start_matches("W/");
    assert_eq!(ask(&server, "/ten.txt", &format!("Range: bytes=0-1\nIf-Range: {strong}\n")).status, 200);
    assert_eq!(ask(&server, "/ten.txt", &format!("If-None-Match: {tag}\n")).status, 304);
    assert_eq!(ask(&server, "/ten.txt", &format!("If-Match: {strong}\n")).status, 412);
}

#[test]
fn long_files_are_sent_in_pieces_and_in_parts() {
    let folder = site();
    let content: Vec<u8> = (0..3_000_000u32).map(|number| (number / 7) as u8).collect();
    write(&folder, "www/long.bin", &content);
    let server = serve(files(&folder));
    let mut client = server.connect();
    for _ in 0..2 {
        let reply = client.ask(get("/long.bin"));
        assert_eq!((reply.status, reply.header("content-length")), (200, Some("3000000")));
        assert!(reply.body == content);
    }
    for (range, from, to) in
        [("100-199999", 100, 200_000), ("-2500000", 500_000, 3_000_000), ("65536-131071", 65_536, 131_072)]
    {
        let reply = ask(&server, "/long.bin", &format!("Range: bytes={range}\n"));
        assert_eq!(reply.header("content-range"), Some(format!("bytes {from}-{}/3000000", to - 1).as_str()));
        assert!(reply.body == content[from..to], "{range}");
    }
    let reply = server.ask(crlf("GET /long.bin HTTP/1.0\n\n"));
    assert_eq!(reply.header("content-length"), Some("3000000"));
    assert!(reply.body == content);
}

#[test]
fn clients_of_http2_get_the_same() {
    let folder = site();
    let content: Vec<u8> = (0..1_000_000u32).map(|number| (number / 7) as u8).collect();
    write(&folder, "www/long.bin", &content);
    let server = serve(files(&folder));
    let client = Http2::to(server.address());
    let whole = client.get("/long.bin");
    assert_eq!((whole.status, whole.field("content-length")), (200, Some("1000000")));
    assert!(whole.body == content);
    assert_eq!(client.get("/ten.txt").text(), "0123456789");
    for (target, length) in [("/long.bin", "1000000"), ("/ten.txt", "10")] {
        let head = client.ask("HEAD", target).whole();
        assert_eq!((head.status, head.field("content-length"), head.body.len()), (200, Some(length), 0));
    }
    let mut request = client.request("GET", "/long.bin");
    request.headers_mut().insert("range", http::HeaderValue::from_static("bytes=7-99999"));
    let part = client.begin_request(request, true).whole();
    assert_eq!((part.status, part.field("content-range")), (206, Some("bytes 7-99999/1000000")));
    assert!(part.body == content[7..100_000]);
    let mut request = client.request("GET", "/ten.txt");
    request.headers_mut().insert("if-none-match", http::HeaderValue::from_static("*"));
    assert_eq!(client.begin_request(request, true).whole().status, 304);
}

#[test]
fn files_can_be_served_in_a_lab() {
    let folder = site();
    let content = "x".repeat(200_000);
    write(&folder, "www/long.txt", &content);
    let lab = Lab::new();
    lab.serve(Server::builder().at("/*path", files(&folder)));
    for _ in 0..20 {
        assert_eq!(lab.get("/ten.txt").text(), "0123456789");
        assert!(lab.get("/long.txt").text() == content);
    }
    assert_eq!(lab.now(), Duration::ZERO);
}

#[test]
fn a_file_that_shrinks_while_it_is_sent_breaks_the_answer_off() {
    let folder = site();
    let length = 64 << 20;
    write(&folder, "www/long.bin", "");
    let file = fs::File::options().write(true).open(folder.path("www/long.bin")).unwrap();
    file.set_len(length).unwrap();
    let server = serve(files(&folder));
    let mut client = server.connect();
    client.send(get("/long.bin"));
    let head = client.head().unwrap();
    assert_eq!(head.header("content-length"), Some("67108864"));
    // More than what is on its way at most, less than all.
    file.set_len(length / 2).unwrap();
    let rest = client.rest();
    assert!((rest.len() as u64) < length, "{} bytes have come", rest.len());
    assert_eq!(server.failures("body_failed"), 1);
}

#[test]
fn a_client_that_goes_away_ends_the_reading() {
    let folder = site();
    write(&folder, "www/long.bin", "");
    let file = fs::File::options().write(true).open(folder.path("www/long.bin")).unwrap();
    file.set_len(1 << 40).unwrap();
    let server = serve(files(&folder));
    let mut client = server.connect();
    client.send(get("/long.bin"));
    assert_eq!(client.head().unwrap().header("content-length"), Some("1099511627776"));
    client.reset_on_drop();
    drop(client);
    eventually("it is counted", || server.failures("downstream_gone") == 1);
    if Path::new("/proc/self/fd").exists() {
        eventually("the file is closed", || !is_open(&folder.path("www/long.bin")));
    }
}

/// Whether this process, apart from this test, has a file open.
fn is_open(path: &Path) -> bool {
    let path = fs::canonicalize(path).expect("the file is there");
    let open = fs::read_dir("/proc/self/fd").expect("there is a list of them").flatten();
    open.filter(|entry| fs::read_link(entry.path()).is_ok_and(|target| target == path)).count() > 1
}

#[test]
fn compressed_files_are_sent_to_those_who_take_them() {
    let folder = site();
    write(&folder, "www/app.js", "plain");
    for (name, content) in [("app.js.br", "brotli"), ("app.js.gz", "gzip"), ("ten.txt.zst", "zstd")] {
        write(&folder, &format!("www/{name}"), content);
    }
    symlink(folder.path("secret.txt"), folder.path("www/docs/guide.md.gz")).unwrap();
    fs::create_dir(folder.path("www/empty.txt.gz")).unwrap();
    let server = serve(files(&folder).precompressed());
    for (target, accepted, expected, coding) in [
        ("/app.js", "gzip, deflate, br, zstd", "brotli", Some("br")),
        ("/app.js", "gzip, zstd", "gzip", Some("gzip")),
        ("/app.js", "br;q=0.1, gzip;q=0.2", "gzip", Some("gzip")),
        ("/app.js", "zstd", "plain", None),
        ("/app.js", "gzip;q=0", "plain", None),
        ("/app.js", "identity, gzip;q=0.9", "plain", None),
        ("/ten.txt", "gzip, br, zstd", "zstd", Some("zstd")),
        ("/docs/guide.md", "gzip", "guide", None),
        ("/empty.txt", "gzip", "", None),
    ] {
        let reply = ask(&server, target, &format!("Accept-Encoding: {accepted}\n"));
        assert_eq!(
            (reply.text(), reply.header("content-encoding")),
            (expected, coding),
            "{target} {accepted}"
        );
        assert_eq!(reply.header("vary"), Some("Accept-Encoding"));
        let media_type = if target == "/app.js" {
            "text/javascript; charset=utf-8"
        } else {
            reply.header("content-type").unwrap()
        };
        assert_eq!(reply.header("content-type"), Some(media_type));
    }
    let plain = ask(&server, "/app.js", "");
    let coded = ask(&server, "/app.js", "Accept-Encoding: br\n");
    let (plain, coded) = (plain.header("etag").unwrap(), coded.header("etag").unwrap());
    assert_ne!(plain, coded);
    let fields = format!("Accept-Encoding: br\nIf-None-Match: {coded}\n");
    let reply = ask(&server, "/app.js", &fields);
    assert_eq!(
        (reply.status, reply.header("vary"), reply.header("etag")),
        (304, Some("Accept-Encoding"), Some(coded))
    );
    let reply = ask(&server, "/app.js", "Accept-Encoding: br\nRange: bytes=0-1\n");
    assert_eq!((reply.status, reply.text(), reply.header("content-range")), (206, "br", Some("bytes 0-1/6")));
    assert_eq!(ask(&server, "/app.js.gz", "").header("content-type"), Some("application/gzip"));
    let without = serve(files(&folder));
    let reply = ask(&without, "/app.js", "Accept-Encoding: br\n");
    assert_eq!((reply.text(), reply.header("vary")), ("plain", None));
}

#[test]
fn what_is_not_there_may_have_a_page() {
    let folder = site();
    let server = serve(files(&folder).not_found("404.html").cache_control("max-age=60"));
    let reply = ask(&server, "/nothing", "If-None-Match: *\nRange: bytes=0-1\n");
    assert_eq!((reply.status, reply.text()), (404, "not here"));
    assert_eq!(reply.header("content-type"), Some("text/html; charset=utf-8"));
    assert_eq!((reply.header("etag"), reply.header("cache-control")), (None, None));
    assert_eq!(ask(&server, "/.env", "").text(), "not here");
    let server = serve(files(&folder).fallback("index.html").not_found("404.html"));
    for (target, expected) in [
        ("/users/7", (200, "start")),
        ("/no-index/", (200, "start")),
        ("/ten.txt", (200, "0123456789")),
        ("/.git/config", (404, "not here")),
    ] {
        let reply = ask(&server, target, "");
        assert_eq!((reply.status, reply.text()), expected, "{target}");
    }
    let tag = ask(&server, "/users/7", "").header("etag").unwrap().to_owned();
    assert_eq!(ask(&server, "/users/8", &format!("If-None-Match: {tag}\n")).status, 304);
    let server = serve(files(&folder).fallback("gone.html").not_found("gone.html"));
    assert_eq!(ask(&server, "/nothing", "").text(), "404 Not Found\n");
}

#[test]
fn a_folder_that_is_not_there_is_told_when_the_server_starts() {
    let folder = site();
    for path in ["nowhere", "secret.txt"] {
        let builder = Server::builder().at("/*path", Files::from(folder.path(path))).bind("127.0.0.1:0");
        let error = builder.start().unwrap_err();
        assert_eq!(error.name(), "bad_option");
        assert!(error.to_string().contains(path), "{error}");
    }
}

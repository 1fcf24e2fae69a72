//! Which handler a request reaches.

use eproxy_core::{Request, Response, Route, Server};

use crate::support::{Running, crlf, get, post, start};

/// Answers with its name and the parameters of these names.
fn named(
    name: &'static str,
    params: &'static [&'static str],
) -> impl Fn(Request, Response) + Send + Sync + 'static {
    move |req: Request, res: Response| {
        let params: Vec<_> =
            params.iter().map(|param| format!(" {param}={}", req.param(param).unwrap_or("?"))).collect();
        res.send(format!("{name}{}", params.concat()));
    }
}

fn server() -> Running {
    start(
        Server::builder()
            .get("/", named("root", &[]))
            .get("/users/:id", named("user", &["id"]))
            .get("/users/me", named("me", &[]))
            .get("/users/:id/posts/:post", named("post", &["id", "post"]))
            .get("/files/*path", named("files", &["path"]))
            .at("/admin/*rest", named("ADMIN", &["rest"]))
            .route(Route::new("/both").get(named("get", &[])).post(named("post", &[])))
            .put("/both", named("put", &[]))
            .delete("/both", named("delete", &[]))
            .route(Route::new("/head").get(named("get", &[])).method("HEAD", |_: Request, res: Response| {
                res.status(204).send(());
            }))
            .route(Route::new("/options").any(named("any", &[])))
            .route(Route::new("/brew").method("BREW", named("brew", &[])).patch(named("patch", &[]))),
    )
}

fn with_method(method: &str, target: &str) -> Vec<u8> {
    crlf(&format!("{method} {target} HTTP/1.1\nHost: test\n\n"))
}

#[test]
fn literals_win_over_parameters_and_parameters_over_wildcards() {
    let server = server();
    let mut client = server.connect();
    for (target, expected) in [
        ("/", "root"),
        ("/?q", "root"),
        ("/users/7", "user id=7"),
        ("/users/a%20b%2Bc", "user id=a b+c"),
        ("/users/%C3%A9", "user id=é"),
        ("/users/me", "me"),
        ("/users/me/posts/1", "post id=me post=1"),
        ("/files", "files path="),
        ("/files/", "files path="),
        ("/files/a/b", "files path=a/b"),
        ("http://other/users/7", "user id=7"),
        ("http://other", "root"),
    ] {
        let reply = client.ask(get(target));
        assert_eq!((reply.status, reply.text()), (200, expected), "{target}");
    }
}

#[test]
fn paths_without_a_route_are_not_found() {
    let server = server();
    let mut client = server.connect();
    for target in [
        "/none",
        "/users",
        "/users/",
        "/users/7/",
        "/users/7/posts",
        "/both/",
        "/Both",
        "/file",
        "/users/:id/x",
    ] {
        let reply = client.ask(get(target));
        assert_eq!((reply.status, reply.text()), (404, "404 Not Found\n"), "{target}");
    }
    assert_eq!(client.ask(post("/none", "a body that is drained")).status, 404);
    assert_eq!(client.ask(get("/")).text(), "root");
}

#[test]
fn methods_without_a_handler_are_told_which_have_one() {
    let server = server();
    let mut client = server.connect();
    for (method, target, allow) in [
        ("PATCH", "/both", "DELETE, GET, HEAD, OPTIONS, POST, PUT"),
        ("get", "/both", "DELETE, GET, HEAD, OPTIONS, POST, PUT"),
        ("GET", "/brew", "BREW, OPTIONS, PATCH"),
        ("HEAD", "/brew", "BREW, OPTIONS, PATCH"),
        ("UNKNOWN", "/users/7", "GET, HEAD, OPTIONS"),
    ] {
        client.send(with_method(method, target));
        let reply = if method == "HEAD" { client.reply_to_head() } else { client.reply() };
        assert_eq!((reply.status, reply.header("allow")), (405, Some(allow)), "{method} {target}");
    }
    for (method, expected) in [("POST", "post"), ("PUT", "put"), ("DELETE", "delete"), ("GET", "get")] {
        assert_eq!(client.ask(with_method(method, "/both")).text(), expected);
    }
    assert_eq!(client.ask(with_method("BREW", "/brew")).text(), "brew");
}

#[test]
fn head_is_answered_by_get_unless_it_has_a_handler() {
    let server = server();
    let mut client = server.connect();
    client.send(with_method("HEAD", "/users/7"));
    let reply = client.reply_to_head();
    assert_eq!((reply.status, reply.header("content-length")), (200, Some("9")));
    client.send(with_method("HEAD", "/head"));
    assert_eq!(client.reply_to_head().status, 204);
}

#[test]
fn options_is_answered_where_no_handler_is() {
    let server = server();
    let mut client = server.connect();
    for (target, allow) in [
        ("/both", "DELETE, GET, HEAD, OPTIONS, POST, PUT"),
        ("*", "BREW, DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT"),
    ] {
        let reply = client.ask(with_method("OPTIONS", target));
        assert_eq!((reply.status, reply.header("allow"), reply.text()), (204, Some(allow), ""), "{target}");
    }
    assert_eq!(client.ask(with_method("OPTIONS", "/options")).text(), "any");
    assert_eq!(client.ask(with_method("OPTIONS", "/none")).status, 404);
}

#[test]
fn no_spelling_of_a_path_gets_around_its_route() {
    let server = server();
    let mut client = server.connect();
    for target in [
        "/admin/x",
        "//admin/x",
        "/admin//x",
        "/%61dmin/x",
        "/admin%2fx",
        "/admin%2Fx",
        "/admin%5cx",
        "/admin\\x",
        "/./admin/x",
        "/files/../admin/x",
        "/files/..%2fadmin/x",
        "/files/%2e%2e/admin/x",
        "/files/%2E%2e%2Fadmin%2fx",
        "/files/a/..//../admin/./x",
        "/../../admin/x",
        "/admin/y/../x",
        "/files\\..\\admin\\x",
        "http://other/files/../admin/x",
        "/admin/x?/../../files",
    ] {
        assert_eq!(client.ask(get(target)).text(), "ADMIN rest=x", "{target}");
    }
    for (target, expected) in [
        ("/admin/..", "root"),
        ("/admin/../users/7", "user id=7"),
        ("/admin%2f..%2fusers%2f7", "user id=7"),
        ("/users/%252e%252e", "user id=%2e%2e"),
        ("/users/..%00", "user id=..\0"),
        ("/users/...", "user id=..."),
        ("/files/a%00b", "files path=a\0b"),
    ] {
        assert_eq!(client.ask(get(target)).text(), expected, "{target}");
    }
}

#[test]
fn the_target_is_shown_to_the_handler_byte_for_byte() {
    let server = start(
        Server::builder().at("/*rest", |req: Request, res: Response| res.send(req.target().to_owned())),
    );
    let mut client = server.connect();
    for target in [
        "/a/b?x=1&y=2",
        "/a%2Fb%2fc",
        "/%2e%2e/%2E/x",
        "/a/./b/c/../d",
        "//a///b",
        "/a/",
        "/a?",
        "/a?p=/etc/../x//y",
        "/a;v=1,2;w/b",
        "/a!$&'()*+,;=:@b-._~?!$&'()*+,;=:@/?",
        "/%c3%a9?%e2%82%ac",
        "/a%3Fb%23c",
        "/a%00b",
        "/a?x[]=1|2^`{}\"<>",
        "/@other.example/..;/x",
        "http://test/a/../b",
    ] {
        assert_eq!(client.ask(get(target)).text(), target);
    }
}

#[test]
fn patterns_that_can_not_be_served_are_refused_at_the_start() {
    for pattern in ["none", "/:", "/*all/more", "/:a/:a"] {
        let error = Server::builder().get(pattern, named("", &[])).bind("127.0.0.1:0").start().unwrap_err();
        assert!(error.name() == "bad_pattern" && error.to_string().contains(pattern), "{error}");
    }
    let twice = Server::builder().get("/:a", named("", &[])).get("/:b", named("", &[])).bind("127.0.0.1:0");
    assert_eq!(twice.start().unwrap_err().name(), "bad_pattern");
}

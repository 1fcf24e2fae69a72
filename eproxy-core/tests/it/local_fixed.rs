//! Fixed answers: what is sent, to whom, and what is refused before anybody asks.

use eproxy_core::{Fixed, Route, Server};

use crate::support::{get, start};

#[test]
fn everybody_gets_the_same_answer() {
    let server = start(
        Server::builder()
            .get("/text", Fixed::new(200).body("pong\n"))
            .get("/bytes", Fixed::new(200).body(vec![0, 255]).header("X-A", "1"))
            .get("/json", Fixed::new(200).content_type("application/json").body("{}"))
            .get(
                "/cookies",
                Fixed::new(200).append_header("Set-Cookie", "a=1").append_header("Set-Cookie", "b=2"),
            )
            .at("/none", Fixed::new(204))
            .at("/*path", Fixed::new(503).header("Retry-After", "120").body("back soon\n".to_owned())),
    );
    let mut client = server.connect();
    for _ in 0..2 {
        let reply = client.ask(get("/text"));
        assert_eq!((reply.status, reply.text()), (200, "pong\n"));
        assert_eq!(reply.header("content-type"), Some("text/plain; charset=utf-8"));
        let reply = client.ask(get("/bytes"));
        assert_eq!((reply.body.as_slice(), reply.header("x-a")), (&[0, 255][..], Some("1")));
        assert_eq!(reply.header("content-type"), Some("application/octet-stream"));
        let reply = client.ask(get("/json"));
        assert_eq!((reply.text(), reply.header("content-type")), ("{}", Some("application/json")));
        let reply = client.ask(get("/none"));
        assert_eq!((reply.status, reply.header("content-type"), reply.body.len()), (204, None, 0));
        let reply = client.ask("BREW /other HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!(
            (reply.status, reply.header("retry-after"), reply.text()),
            (503, Some("120"), "back soon\n")
        );
    }
    assert_eq!(
        client.ask(get("/cookies")).headers.iter().filter(|(name, _)| name == "Set-Cookie").count(),
        2
    );
    client.send("HEAD /text HTTP/1.1\r\nHost: a\r\n\r\n");
    let reply = client.reply_to_head();
    assert_eq!((reply.status, reply.header("content-length")), (200, Some("5")));
    assert_eq!(client.ask("POST /text HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi").status, 405);
    assert_eq!(client.ask(get("/text")).text(), "pong\n");
}

#[test]
fn what_can_not_be_sent_is_told_when_the_server_starts() {
    let builders = [
        Server::builder().at("/a", Fixed::new(99)),
        Server::builder().get("/a", Fixed::new(304).body("text")),
        Server::builder().route(Route::new("/a").put(Fixed::new(200).header("X-A", "1\r\nX-B: 2"))),
        Server::builder().route(Route::new("/a").method("BREW", Fixed::new(200).header("Trailer", "X-A"))),
    ];
    for builder in builders {
        let error = builder.bind("127.0.0.1:0").start().unwrap_err();
        assert_eq!(error.name(), "bad_option");
        assert!(error.to_string().ends_with(", on route /a"), "{error}");
    }
}

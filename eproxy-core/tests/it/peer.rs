//! An independent peer: async-h1's own encoder and decoder, with messages of http-types.

use async_std::net::TcpStream;
use async_std::task::block_on;
use eproxy_core::{Request, Response, Server};
use http_types::{Method, Url};

use crate::support::{Running, start};

fn server() -> Running {
    start(
        Server::builder()
            .get("/hello", |_: Request, res: Response| res.header("X-A", "b").send("Hello, World!"))
            .get("/stream", |_: Request, res: Response| {
                let mut writer = res.stream();
                async_std::task::spawn(async move {
                    for part in ["one ", "two"] {
                        let _gone = writer.send(part).await;
                    }
                    writer.finish();
                });
            })
            .post("/echo", |req: Request, res: Response| {
                req.read(|body| match body {
                    Ok(body) => res.status(201).send(body),
                    Err(error) => res.status(error.status()).send(()),
                });
            }),
    )
}

/// One exchange on a connection of its own.
fn exchange(
    server: &Running,
    method: Method,
    path: &str,
    body: Option<http_types::Body>,
) -> http_types::Response {
    let url = Url::parse(&format!("http://{}{path}", server.address())).expect("a URL");
    let mut request = http_types::Request::new(method, url);
    if let Some(body) = body {
        request.set_body(body);
    }
    block_on(async {
        let stream = TcpStream::connect(server.address()).await.expect("the server takes connections");
        async_h1::connect(stream, request).await.expect("the peer understands the answer")
    })
}

#[test]
fn it_gets_an_answer_with_its_headers() {
    let server = server();
    let mut response = exchange(&server, Method::Get, "/hello", None);
    assert_eq!((response.status().into(), response["X-A"].as_str()), (200_u16, "b"));
    assert_eq!(block_on(response.body_string()).unwrap(), "Hello, World!");
    let mut response = exchange(&server, Method::Get, "/stream", None);
    assert_eq!(block_on(response.body_string()).unwrap(), "one two");
    assert_eq!(u16::from(exchange(&server, Method::Get, "/none", None).status()), 404);
}

#[test]
fn it_posts_bodies_with_and_without_a_length() {
    let server = server();
    let text = "some text ".repeat(10_000);
    let chunked = http_types::Body::from_reader(futures_lite::io::Cursor::new(text.clone()), None);
    for body in [text.clone().into(), chunked] {
        let mut response = exchange(&server, Method::Post, "/echo", Some(body));
        assert_eq!(u16::from(response.status()), 201);
        assert!(block_on(response.body_string()).unwrap() == text);
    }
}

#[test]
fn it_asks_for_a_head_alone() {
    let server = server();
    // Its decoder would wait for the body that an answer to HEAD announces: what matters is the head.
    let response = exchange(&server, Method::Head, "/hello", None);
    assert_eq!((u16::from(response.status()), response.len()), (200, Some(13)));
}

#[test]
fn it_sends_many_requests_over_one_connection() {
    let server = server();
    block_on(async {
        let stream = TcpStream::connect(server.address()).await.unwrap();
        let url = Url::parse(&format!("http://{}/hello", server.address())).unwrap();
        for _ in 0..20 {
            let request = http_types::Request::new(Method::Get, url.clone());
            let mut response = async_h1::connect(stream.clone(), request).await.unwrap();
            assert_eq!(response.body_string().await.unwrap(), "Hello, World!");
        }
    });
    assert_eq!(server.stats().accepted, 1);
}

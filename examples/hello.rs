use eproxy_core::{Request, Response, Server};
#[async_std::main]
async fn main() -> eproxy_core::Result<()> {
    Server::builder()
        .get("/hello", |_: Request, res: Response| res.send("Hello, World!"))
        .bind("127.0.0.1:18090")
        .workers(1)
        .run()
        .await
}

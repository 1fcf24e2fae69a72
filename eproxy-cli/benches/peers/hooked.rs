//! A contender that is this program itself: a reverse proxy with hooks, as one who embeds eproxy-core writes it.

use eproxy_core::{Proxy, ProxyRequest, ProxyResponse, Result, Server};

use crate::Outcome;

/// The first argument of this program when it is to be that proxy; then come a port and the URL of the upstream.
pub(crate) const NAME: &str = "hooked";

/// As the program eproxy has it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Serves until it is killed.
pub(crate) fn serve(port: &str, upstream: &str) -> Outcome<()> {
    let proxy = Proxy::to(upstream)
        .on_request(|req: &mut ProxyRequest| -> Result<()> {
            req.headers_mut().insert("X-Seen-By", "eproxy")?;
            Ok(())
        })
        .on_response(|res: &mut ProxyResponse| -> Result<()> {
            res.headers_mut().insert("X-Served-By", "eproxy")?;
            Ok(())
        });
    let server = Server::builder().at("/*path", proxy).bind(format!("127.0.0.1:{port}")).workers(1).start();
    let handle = server.map_err(|error| error.to_string())?;
    async_std::task::block_on(handle.wait());
    Ok(())
}

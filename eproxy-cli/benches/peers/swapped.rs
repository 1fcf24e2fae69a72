//! A contender that is this program itself: a server that looks at its certificate's files more often than the program eproxy
//! does, so that it sees each of those that follow one another quickly.

use std::time::Duration;

use eproxy_core::{Request, Response, Server, Tls};

use crate::Outcome;
use crate::pages::HELLO;

/// The first argument of this program when it is to be that server; then come a port and the files of certificate and key.
pub(crate) const NAME: &str = "swapped";

/// Serves until it is killed.
pub(crate) fn serve(port: &str, certificate: &str, key: &str) -> Outcome<()> {
    let tls = Tls::files(certificate, key).reload_every(LOOK);
    let server = Server::builder()
        .get(HELLO.path, |_: Request, res: Response| res.send(HELLO.text()))
        .bind_tls(format!("127.0.0.1:{port}"), tls)
        .workers(1)
        .start();
    let handle = server.map_err(|error| error.to_string())?;
    async_std::task::block_on(handle.wait());
    Ok(())
}

const LOOK: Duration = Duration::from_millis(20);

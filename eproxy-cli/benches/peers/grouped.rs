//! A contender that is this program itself: a proxy with a group of endpoints, as one who embeds eproxy-core writes it.

use std::fs::File;
use std::io::Write as _;
use std::time::Duration;

use eproxy_core::{Balance, Done, Group, Probe, Proxy, Server};

use crate::Outcome;

/// The first argument of this program when it is to be that proxy; then come a port, what it is like, a file, and the
/// ports of the endpoints.
pub(crate) const NAME: &str = "grouped";

pub(crate) const PEAK_EWMA: &str = "peak-ewma";
pub(crate) const ROUND_ROBIN: &str = "round-robin";
/// Peak-EWMA with probes, a limit for each attempt, and repetitions. POSTs that failed are written to the file.
pub(crate) const CAREFUL: &str = "careful";

/// Serves until it is killed.
pub(crate) fn serve(port: &str, kind: &str, failures: &str, endpoints: &[&str]) -> Outcome<()> {
    let group: Group = endpoints.iter().map(|port| format!("http://127.0.0.1:{port}")).collect();
    let proxy = match kind {
        ROUND_ROBIN => Proxy::to(group.balance(Balance::RoundRobin)),
        CAREFUL => careful(group, failures)?,
        _ => Proxy::to(group),
    };
    let server = Server::builder().at("/*path", proxy).bind(format!("127.0.0.1:{port}")).workers(1).start();
    let handle = server.map_err(|error| error.to_string())?;
    async_std::task::block_on(handle.wait());
    Ok(())
}

fn careful(group: Group, failures: &str) -> Outcome<Proxy> {
    let half = Duration::from_millis(500);
    let file = File::create(failures).map_err(|err| format!("{failures} can't be made: {err}"))?;
    let proxy = Proxy::to(group.probe(Probe::http("/health").interval(half).timeout(half)))
        .attempt_timeout(Duration::from_secs(1))
        .retries(2)
        .on_done(move |done: &mut Done| {
            let target = done.request().target();
            if done.failure().is_some() && target.starts_with("/post/") {
                let sent: u64 = done.tries().iter().map(|attempt| attempt.bytes_sent()).sum();
                // A line that is lost makes the check after the run fail.
                let _lost = (&file).write_all(format!("{target} {sent}\n").as_bytes());
            }
        });
    Ok(proxy)
}

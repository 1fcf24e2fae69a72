//! `eproxy`: a demo server and proxy over the public face of eproxy-core.

mod flags;
mod logging;
mod origin;
mod routes;
mod signals;

use std::io::Write as _;
use std::process::ExitCode;

use eproxy_core::{Client, Handle, Server};

use flags::Flags;

/// What one thread allocates another frees when handlers answer from elsewhere, which this allocator does without a lock
/// (docs/benchmarks.md). Without huge pages: they would make an idle connection cost kilobytes.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let flags = match Flags::from_env() {
        Ok(flags) => flags,
        Err(early) => return early.print(),
    };
    logging::start(flags.log_level, flags.log_format);
    // Handlers' async work is light here: one thread does it, beside the workers.
    async_global_executor::init_with_config(
        async_global_executor::GlobalExecutorConfig::default()
            .with_min_threads(1)
            .with_max_threads(1)
            .with_thread_name_fn(|| "eproxy-async".into()),
    );
    match async_std::task::block_on(run(&flags)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&error.to_string());
            ExitCode::FAILURE
        }
    }
}

/// Starts the servers, says where, and serves until a signal ends it.
async fn run(flags: &Flags) -> eproxy_core::Result<()> {
    let mut signals = signals::Signals::new();
    // The demo has an upstream of its own unless it is given a real one.
    let (embedded, upstream) = match &flags.upstream {
        Some(upstream) => (None, upstream.clone()),
        None => {
            let (origin, url) = origin::start()?;
            (Some(origin), url)
        }
    };
    let mut server = match flags.to.is_empty() {
        true => routes::add(Server::builder(), Client::new(), &upstream).bind(flags.address()),
        false => {
            let mut proxy = eproxy_core::Proxy::to(flags.to.clone());
            if let Some(timeout) = flags.upstream_timeout {
                proxy = proxy.timeout(timeout);
            }
            Server::builder().at("/*path", proxy).bind(flags.address())
        }
    };
    if let Some(head) = flags.head_timeout {
        server = server.timeouts(eproxy_core::Timeouts { head, ..Default::default() });
    }
    if let Some(workers) = flags.workers {
        server = server.workers(workers);
    }
    let server = server.start()?;
    announce(flags, &server, upstream.as_str());

    signals.until_stopped(&server).await;
    if let Some(origin) = embedded {
        origin.shutdown(std::time::Duration::ZERO).await;
    }
    Ok(())
}

/// Says where the server listens: in the log, and on standard output where the log would keep quiet about a port that
/// only the system knows.
fn announce(flags: &Flags, server: &Handle, upstream: &str) {
    for listener in server.listeners() {
        let line = format!("listening on http://{listener}, /proxy asks {upstream}");
        if flags.port == 0 && !log::log_enabled!(log::Level::Info) {
            // Whoever closed standard output does not want to know.
            let _closed = writeln!(std::io::stdout(), "{line}");
        }
        log::info!("{line}");
    }
}

/// One line on standard error.
fn complain(message: &str) {
    // There is nobody left to tell if this fails.
    let _closed = writeln!(std::io::stderr(), "eproxy: {message}");
}

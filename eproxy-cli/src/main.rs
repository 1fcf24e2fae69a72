//! `eproxy`: a reverse proxy, a forward proxy and a demo, over the public face of eproxy-core.

mod checking;
mod configured;
mod flags;
mod health;
mod listening;
mod logging;
mod notify;
mod origin;
mod process;
mod proxies;
mod reloading;
mod routes;
mod signals;
#[cfg(unix)]
mod upgrade;
#[cfg(test)]
mod words;

use std::io::Write as _;
use std::process::ExitCode;

use eproxy_core::{Client, Handle, Inherited, Server, Timeouts};

use flags::Flags;
use process::Process;

/// What one thread allocates another frees when handlers answer from elsewhere, which this allocator does without a lock
/// (docs/benchmarks.md). Without huge pages: they would make an idle connection cost kilobytes.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let flags = match Flags::from_env() {
        Ok(flags) => flags,
        Err(early) => return early.print(),
    };
    if let Some(url) = &flags.health_check {
        return health::check(url);
    }
    if let Some(command) = &flags.command {
        return checking::run(command);
    }
    let config = match flags.config.as_deref().map(configured::load).transpose() {
        Ok(config) => config,
        Err(wrong) => return wrong,
    };
    // Before there are threads: it changes the environment.
    let inherited = Inherited::from_env();
    let (level, format) = configured::log(&flags, config.as_ref());
    logging::start(level, format);
    // Handlers' async work is light here: one thread does it, beside the workers.
    async_global_executor::init_with_config(
        async_global_executor::GlobalExecutorConfig::default()
            .with_min_threads(1)
            .with_max_threads(1)
            .with_thread_name_fn(|| "eproxy-async".into()),
    );
    let served = inherited.and_then(|inherited| match config {
        Some(config) => async_std::task::block_on(configured::run(&flags, config, inherited)),
        None => async_std::task::block_on(run(&flags, inherited)),
    });
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&error.to_string());
            // A flag's value that only the library can judge is wrong usage, too.
            if error.name() == "bad_option" { ExitCode::from(2) } else { ExitCode::FAILURE }
        }
    }
}

/// Starts the server, says where, and serves until a signal ends it.
async fn run(flags: &Flags, inherited: Inherited) -> eproxy_core::Result<()> {
    let mut process = Process::new(inherited);
    // The demo has an upstream of its own unless it is given a real one.
    let embedded = match flags.serves_demo() && flags.upstream.is_none() {
        true => Some(origin::start()?),
        false => None,
    };
    let (mut server, does) = match embedded.as_ref().map(|(_, url)| url).or(flags.upstream.as_ref()) {
        Some(upstream) => {
            (routes::add(Server::builder(), Client::new(), upstream), format!(", /proxy asks {upstream}"))
        }
        None => (proxies::add(Server::builder(), flags), proxies::describe(flags)),
    };
    if let Some(head) = flags.head_timeout {
        server = server.timeouts(Timeouts { head, ..Timeouts::default() });
    }
    if let Some(workers) = flags.workers {
        server = server.workers(workers);
    }
    let server = process.start(listening::add(server, flags))?;
    announce(flags, &server, &does);
    process.serves(&server);

    process.until_stopped(flags, &server, &|| {}).await;
    if let Some((origin, _)) = embedded {
        origin.shutdown(std::time::Duration::ZERO).await;
    }
    Ok(())
}

/// Says where the server listens and what it does: in the log, and on standard output where the log would keep quiet about
/// a port that only the system knows.
fn announce(flags: &Flags, server: &Handle, does: &str) {
    for listener in server.listeners() {
        let line = format!("listening on {}://{listener}{does}", listening::scheme(flags));
        if flags.port() == 0 && !log::log_enabled!(log::Level::Info) {
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

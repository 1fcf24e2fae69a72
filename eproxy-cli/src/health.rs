//! Asking a running eproxy, or anybody else, whether all is well: for images that have no other program in them.

use std::process::ExitCode;
use std::time::Duration;

use eproxy_core::http_types::Url;
use eproxy_core::{Client, ClientOptions};

/// How long the answer may take, name look-up and connection included: less than the time-outs that who asks has, so that
/// what is wrong is said.
const PATIENCE: Duration = Duration::from_secs(3);

/// Asks once. Exit code 0 is a status from 200 to 399, as probes take it; anything else is 1, and a line on standard error.
pub(crate) fn check(url: &Url) -> ExitCode {
    // Its body is of no interest, and nothing is asked a second time.
    let client = Client::with_options(ClientOptions { pool_size: 0, ..ClientOptions::default() });
    let asked = async_std::future::timeout(PATIENCE, client.send(url.clone()));
    let wrong = match async_std::task::block_on(asked) {
        Ok(Ok(answer)) if (200..400).contains(&answer.status()) => return ExitCode::SUCCESS,
        Ok(Ok(answer)) => format!("status {}", answer.status()),
        Ok(Err(error)) => error.to_string(),
        Err(_) => format!("no answer within {} s", PATIENCE.as_secs()),
    };
    crate::complain(&format!("{url}: {wrong}"));
    ExitCode::FAILURE
}

//! One run of wrk, its result read from a line that a script of ours prints, not from the text meant for
//! people.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::Outcome;
use crate::options::Options;

/// What one run of wrk saw.
pub(crate) struct Run {
    pub(crate) requests: f64,
    /// Of answers that were not finished too, and of heads.
    pub(crate) bytes: f64,
    pub(crate) seconds: f64,
    pub(crate) p99_us: f64,
}

/// wrk with the numbers of connections and threads of this run.
pub(crate) struct Wrk {
    program: PathBuf,
    script: PathBuf,
    connections: usize,
    threads: usize,
    patience_seconds: usize,
}

impl Wrk {
    pub(crate) fn new(program: &Path, dir: &Path, options: &Options) -> Outcome<Self> {
        let script = dir.join("result.lua");
        fs::write(&script, SCRIPT).map_err(|err| format!("{} can't be written: {err}", script.display()))?;
        Ok(Self {
            program: program.to_owned(),
            script,
            connections: options.connections,
            threads: options.threads,
            // wrk's own default, and time for long bodies.
            patience_seconds: 2 + options.body_mib,
        })
    }

    /// Loads one URL. An answer that isn't a success, or any socket error, is an error: such a run measures
    /// something else.
    pub(crate) fn run(&self, url: &str, seconds: u64) -> Outcome<Run> {
        let output = Command::new(&self.program)
            .args([
                &format!("-t{}", self.threads),
                &format!("-c{}", self.connections),
                &format!("-d{seconds}s"),
            ])
            .args(["--timeout", &format!("{}s", self.patience_seconds)])
            .args(["--latency", "-s"])
            .arg(&self.script)
            .arg(url)
            .stdin(Stdio::null())
            .output()
            .map_err(|err| format!("wrk can't be started: {err}"))?;
        let text = String::from_utf8_lossy(&output.stdout);
        let line = text.lines().find_map(|line| line.strip_prefix(MARK)).filter(|_| output.status.success());
        let Some(line) = line else {
            let complaint = String::from_utf8_lossy(&output.stderr);
            return Err(format!("wrk on {url} failed ({}): {text}{complaint}", output.status));
        };
        let numbers: Vec<f64> = line.split_whitespace().filter_map(|word| word.parse().ok()).collect();
        let [requests, bytes, duration_us, p99_us, status, connect, read, write, timeout] = numbers[..]
        else {
            return Err(format!("wrk's result can't be read: {line}"));
        };
        if [status, connect, read, write, timeout].iter().any(|&errors| errors != 0.0) {
            return Err(format!(
                "wrk on {url} met errors in {requests} requests: {status} answers of status 400 and up; \
                 sockets: {connect} connecting, {read} reading, {write} writing, {timeout} timeouts"
            ));
        }
        if requests == 0.0 {
            return Err(format!("wrk on {url} completed no request"));
        }
        Ok(Run { requests, bytes, seconds: duration_us / 1e6, p99_us })
    }
}

/// Starts the line that the script prints.
const MARK: &str = "eproxy-peers ";

/// Only `done`: a `request` or `response` function would run for every request and make wrk the bottleneck.
const SCRIPT: &str = r#"
function done(summary, latency, requests)
    local errors = summary.errors
    print(string.format("eproxy-peers %d %d %d %f %d %d %d %d %d",
        summary.requests, summary.bytes, summary.duration, latency:percentile(99),
        errors.status, errors.connect, errors.read, errors.write, errors.timeout))
end
"#;

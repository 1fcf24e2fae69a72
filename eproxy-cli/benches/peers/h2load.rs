//! One run of h2load (nghttp2), its result read from the lines that it prints.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::Outcome;
use crate::options::Options;

/// What one run of h2load saw.
pub(crate) struct Run {
    pub(crate) requests: f64,
    pub(crate) seconds: f64,
}

/// h2load with the number of connections of this run, and [`STREAMS`] streams on each.
pub(crate) struct H2load {
    program: PathBuf,
    connections: usize,
}

impl H2load {
    pub(crate) fn new(program: &Path, options: &Options) -> Self {
        Self { program: program.to_owned(), connections: options.connections }
    }

    /// Loads one URL by HTTP/2 with prior knowledge. An answer that isn't a success or as long as it has to be, or any error,
    /// is an error.
    pub(crate) fn run(&self, url: &str, body: usize, seconds: u64) -> Outcome<Run> {
        let output = Command::new(&self.program)
            .args(["-t1", &format!("-c{}", self.connections), &format!("-m{STREAMS}")])
            .args([&format!("-D{seconds}"), url])
            .stdin(Stdio::null())
            .output()
            .map_err(|err| format!("h2load can't be started: {err}"))?;
        let text = String::from_utf8_lossy(&output.stdout);
        if !output.status.success() {
            let complaint = String::from_utf8_lossy(&output.stderr);
            return Err(format!("h2load on {url} failed ({}): {text}{complaint}", output.status));
        }
        let number = |line, what| number_before(&text, line, what);
        let numbers = [
            number("requests:", " done"),
            number("requests:", " failed"),
            number("status codes:", " 2xx"),
            number("traffic:", " data"),
        ];
        let [Some(done), Some(failed), Some(good), Some(bytes)] = numbers else {
            return Err(format!("h2load's result can't be read: {text}"));
        };
        // Those that the end of the run cut short may have brought bytes, too.
        if done == 0.0 || failed > 0.0 || good < done || bytes < done * body as f64 {
            return Err(format!(
                "h2load on {url}: {failed} requests failed; of {done} others {good} had a status of success, \
                 and {bytes} bytes came with them"
            ));
        }
        Ok(Run { requests: done, seconds: seconds as f64 })
    }
}

/// The number in front of a word, in the line that begins so; in parentheses where there is another, rounded one.
fn number_before(text: &str, line: &str, what: &str) -> Option<f64> {
    let line = text.lines().find_map(|whole| whole.strip_prefix(line))?;
    let (before, _) = line.split_once(what)?;
    before.rsplit([' ', '(']).next()?.trim_end_matches(')').parse().ok()
}

/// Requests that are under way on a connection at the same time.
pub(crate) const STREAMS: usize = 100;

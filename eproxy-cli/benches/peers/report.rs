//! What is printed: the machine, a table with a row for each contender, and eproxy's ratio to each peer.
//!
//! Tables are Markdown, to be pasted into documents as they are.

use std::fmt;

use crate::h2load::STREAMS;
use crate::options::Options;
use crate::story::{Calls, Load, Quiet};
use crate::tools::Tools;
use crate::{Outcome, balance, chaos, idle, load, procfs, reload, restart, swap};

pub(crate) fn machine(tools: &Tools) {
    println!("{}; {}", procfs::machine(), tools.versions());
}

/// The whole report of a run that only checks.
pub(crate) fn checked(mode: &str, names: impl Iterator<Item = &'static str>) -> Outcome<()> {
    println!(
        "{mode}: the answers of {} are right; nothing was measured",
        names.collect::<Vec<_>>().join(", ")
    );
    Ok(())
}

/// One line for a round as it ends, on standard error: the report itself stays clean.
pub(crate) fn progress<'a>(
    load: Load,
    round: usize,
    rounds: usize,
    latest: impl Iterator<Item = (&'static str, Option<&'a load::Sample>)>,
) {
    let figures: Vec<String> =
        latest.filter_map(|(name, sample)| Some(format!("{name} {:.2}", sample?.cpu_us_per_unit))).collect();
    eprintln!("round {} of {rounds}, CPU µs/{}: {}", round + 1, unit(load), figures.join(", "));
}

/// What is counted, and what CPU time is divided by.
fn unit(load: Load) -> &'static str {
    match load {
        Load::Requests | Load::Streams | Load::Calls(Calls::Requests) => "request",
        Load::Bytes | Load::Calls(Calls::Bytes) => "MiB",
        Load::Messages => "message",
        Load::Calls(Calls::Full | Calls::Resumed) => "handshake",
    }
}

pub(crate) fn load(load: Load, options: &Options, lanes: &[load::Lane]) {
    let Options { mode, rounds, seconds, connections, threads, body_mib, .. } = options;
    let client = match load {
        Load::Requests => format!("wrk with {threads} threads"),
        Load::Bytes => format!("bodies of {body_mib} MiB, wrk with {threads} threads"),
        Load::Messages => "one message at a time on each".to_owned(),
        Load::Streams => format!("h2load with {STREAMS} streams on each"),
        Load::Calls(Calls::Full) => "each for one full handshake and one request".to_owned(),
        Load::Calls(Calls::Resumed) => "each for one resumed handshake and one request".to_owned(),
        Load::Calls(Calls::Requests) => "one request at a time on each".to_owned(),
        Load::Calls(Calls::Bytes) => format!("bodies of {body_mib} MiB, one at a time on each"),
    };
    println!(
        "\n{}: {connections} connections, {client}, {seconds} s each, rounds: {rounds}; median (min..max)\n",
        mode.name
    );
    let unit = unit(load);
    let units_per_second = if unit == "MiB" { "MiB/s".to_owned() } else { format!("{unit}s/s") };
    let mut rows = vec![
        ["contender", &format!("CPU µs/{unit}"), &units_per_second, "cores busy", "p99 µs", "RSS MiB"]
            .map(str::to_owned),
    ];
    for lane in lanes {
        let spread = |pick: fn(&load::Sample) -> f64| Spread::of(lane.samples.iter().map(pick));
        rows.push([
            lane.name.to_owned(),
            format!("{:.2}", spread(|sample| sample.cpu_us_per_unit)),
            format!("{:.0}", spread(|sample| sample.units_per_second).median),
            format!("{:.2}", spread(load::Sample::cores_busy).median),
            format!("{:.0}", spread(|sample| sample.p99_us)),
            format!("{:.1}", spread(|sample| sample.resident_bytes as f64 / MIB).median),
        ]);
    }
    print_table(&rows);
    let Some((ours, peers)) = lanes.split_first() else { return };
    if !peers.is_empty() {
        println!(
            "\nratios within the same round, median (min..max); below 1 {} is the better one\n",
            ours.name
        );
    }
    for peer in peers {
        let ratio = |pick: fn(&load::Sample) -> f64| Spread::of_ratios(&ours.samples, &peer.samples, pick);
        let cpu = ratio(|sample| sample.cpu_us_per_unit);
        if load == Load::Streams {
            println!("{} / {}: CPU per {unit} {cpu:.2}", ours.name, peer.name);
            continue;
        }
        let p99 = ratio(|sample| sample.p99_us);
        println!("{} / {}: CPU per {unit} {cpu:.2}, p99 {p99:.2}", ours.name, peer.name);
    }
}

pub(crate) fn idle(quiet: Quiet, options: &Options, lanes: &[idle::Lane]) {
    let Options { mode, rounds, seconds, connections, .. } = options;
    let (what, use_) = match quiet {
        Quiet::Connections(_) => ("connection", "request"),
        Quiet::Tunnels => ("tunnel", "message"),
    };
    println!(
        "\n{}: {connections} {what}s, {seconds} s after their only {use_}, fresh processes: {rounds}; \
         median (min..max)\n",
        mode.name
    );
    let bytes_each = format!("bytes per idle {what}");
    let mut rows = vec![["contender", &bytes_each, "RSS before MiB", "RSS after MiB"].map(str::to_owned)];
    for lane in lanes {
        let spread = |pick: fn(&idle::Sample) -> f64| Spread::of(lane.samples.iter().map(pick));
        rows.push([
            lane.name.to_owned(),
            format!("{:.0}", spread(|sample| sample.bytes_each)),
            format!("{:.1}", spread(|sample| sample.before_bytes as f64 / MIB).median),
            format!("{:.1}", spread(|sample| sample.after_bytes as f64 / MIB).median),
        ]);
    }
    print_table(&rows);
    let Some((ours, peers)) = lanes.split_first() else { return };
    println!();
    for peer in peers {
        let ratio = Spread::of_ratios(&ours.samples, &peer.samples, |sample| sample.bytes_each);
        println!("{} / {}: {bytes_each} {ratio:.2}", ours.name, peer.name);
    }
}

pub(crate) fn balance(options: &Options, lanes: &[balance::Lane]) {
    let Options { mode, rounds, seconds, connections, .. } = options;
    println!(
        "\n{}: {connections} connections, {seconds} s each, rounds: {rounds}; median (min..max)\n",
        mode.name
    );
    let head = ["contender", "requests/s", "p50 ms", "p99 ms", "% to the slow one"];
    let mut rows = vec![head.map(str::to_owned)];
    for lane in lanes {
        let spread = |pick: fn(&balance::Sample) -> f64| Spread::of(lane.samples.iter().map(pick));
        rows.push([
            lane.name.to_owned(),
            format!("{:.0}", spread(|sample| sample.requests).median),
            format!("{:.2}", spread(|sample| sample.p50_ms)),
            format!("{:.2}", spread(|sample| sample.p99_ms)),
            format!("{:.2}", spread(|sample| sample.slow_percent)),
        ]);
    }
    print_table(&rows);
    let Some((ours, peers)) = lanes.split_first() else { return };
    println!();
    for peer in peers {
        let (worse, better) = if peer.name.starts_with("eproxy") { (peer, ours) } else { (ours, peer) };
        let ratio = Spread::of_ratios(&worse.samples, &better.samples, |sample| sample.p99_ms);
        println!("{} / {}: p99 {ratio:.2}", worse.name, better.name);
    }
}

pub(crate) fn chaos(options: &Options, lanes: &mut [chaos::Lane]) {
    let Options { mode, connections, .. } = options;
    println!(
        "\n{}: {connections} connections; detection is taken to be over after {} ms\n",
        mode.name,
        chaos::DETECTION.as_millis()
    );
    let head = ["scenario", "phase", "GETs", "failed", "p50 ms", "p99 ms", "POSTs", "failed"];
    let mut rows = vec![head.map(str::to_owned)];
    for chaos::Lane { name, phases, .. } in lanes.iter_mut() {
        // Where nothing was down, there was nothing to wait for in the end.
        for (phase, tally) in phases.iter_mut().filter(|(_, tally)| tally.gets > 0) {
            rows.push([
                (*name).to_owned(),
                (*phase).to_owned(),
                tally.gets.to_string(),
                tally.failed_gets.to_string(),
                format!("{:.2}", tally.percentile_ms(0.5)),
                format!("{:.2}", tally.percentile_ms(0.99)),
                tally.posts.to_string(),
                tally.failed_posts.len().to_string(),
            ]);
        }
    }
    print_table(&rows);
    println!();
    for chaos::Lane { name, phases, posts, back } in lanes {
        let chaos::Posts { seen, sent, unsent, doubled } = posts;
        println!(
            "{name}: of the POSTs that failed an upstream had seen {seen}, {sent} more were sent, {unsent} were \
             not; {doubled} were seen twice"
        );
        if !back.is_zero() {
            println!("{name}: what was down answered again after {:.1} s", back.as_secs_f64());
        }
        let mut p99 = |name: &str| {
            let phase = phases.iter_mut().find(|(phase, _)| *phase == name);
            phase.map(|(_, tally)| tally.percentile_ms(0.99))
        };
        if let (Some(healthy), Some(detected)) = (p99("healthy"), p99("detected")) {
            println!("{name}: p99 after detection / healthy {:.2}", detected / healthy);
        }
        for (phase, tally) in phases.iter().filter(|(_, tally)| !tally.complaints.is_empty()) {
            println!("{name}, {phase}: {}", tally.complaints.join("; "));
        }
    }
}

pub(crate) fn restart(options: &Options, lanes: &[restart::Lane]) {
    let Options { mode, rounds, seconds, connections, .. } = options;
    println!(
        "\n{}: {connections} connections, an upstream of two killed {rounds} times by turns, {seconds} s from \
         one to the next\n",
        mode.name
    );
    tallies(lanes);
}

pub(crate) fn upgrade(options: &Options, lanes: &[restart::Lane]) {
    let Options { mode, rounds, seconds, connections, .. } = options;
    println!(
        "\n{}: {connections} clients, half of which connect anew all the time; the program replaced {rounds} times, \
         {seconds} s from one to the next, then stopped\n",
        mode.name
    );
    tallies(lanes);
}

/// What became of requests under load.
fn tallies(lanes: &[restart::Lane]) {
    let mut rows = vec![["contender", "requests", "failed", "requests/s", "longest ms"].map(str::to_owned)];
    for restart::Lane { name, tally } in lanes {
        rows.push([
            (*name).to_owned(),
            tally.requests.to_string(),
            tally.failed.to_string(),
            format!("{:.0}", tally.requests as f64 / tally.elapsed.as_secs_f64()),
            format!("{:.0}", tally.longest.as_secs_f64() * 1e3),
        ]);
    }
    print_table(&rows);
    for restart::Lane { name, tally } in lanes.iter().filter(|lane| lane.tally.failed > 0) {
        println!("\n{name} failed, among others:");
        tally.complaints.iter().for_each(|complaint| println!("  {complaint}"));
    }
}

pub(crate) fn swap(options: &Options, lanes: &[swap::Lane]) {
    let Options { mode, rounds, connections, .. } = options;
    println!(
        "\n{}: {connections} clients, half of which connect anew for each request; the certificate replaced {rounds} \
         times\n",
        mode.name
    );
    let head = ["contender", "requests", "failed", "handshakes", "certificates seen", "last seen after s"];
    let mut rows = vec![head.map(str::to_owned)];
    for swap::Lane { name, tally, seen, last } in lanes {
        rows.push([
            (*name).to_owned(),
            tally.requests.to_string(),
            tally.failed.to_string(),
            tally.handshakes.to_string(),
            seen.to_string(),
            format!("{:.1}", last.as_secs_f64()),
        ]);
    }
    print_table(&rows);
    for swap::Lane { name, tally, .. } in lanes.iter().filter(|lane| lane.tally.failed > 0) {
        println!("\n{name} failed, among others:");
        tally.complaints.iter().for_each(|complaint| println!("  {complaint}"));
    }
}

pub(crate) fn reload(options: &Options, lanes: &[reload::Lane]) {
    let Options { mode, rounds, connections, .. } = options;
    println!(
        "\n{}: {connections} clients, half of which connect anew for each request; the configuration read again {rounds} \
         times\n",
        mode.name
    );
    let head = [
        "contender",
        "requests",
        "failed",
        "WebSockets",
        "dropped",
        "resident KiB",
        "growth %",
        "longest ms",
    ];
    let mut rows = vec![head.map(str::to_owned)];
    for lane in lanes {
        rows.push([
            lane.name.to_owned(),
            lane.tally.requests.to_string(),
            lane.tally.failed.to_string(),
            lane.tunnels.to_string(),
            lane.dropped.to_string(),
            format!("{} to {}", lane.settled / 1024, lane.end / 1024),
            format!("{:.1}", lane.growth() * 100.0),
            lane.longest.as_millis().to_string(),
        ]);
    }
    print_table(&rows);
    for reload::Lane { name, tally, .. } in lanes.iter().filter(|lane| lane.tally.failed > 0) {
        println!("\n{name} failed, among others:");
        tally.complaints.iter().for_each(|complaint| println!("  {complaint}"));
    }
}

/// A median with the extremes around it.
struct Spread {
    median: f64,
    min: f64,
    max: f64,
}

impl Spread {
    fn of(values: impl Iterator<Item = f64>) -> Self {
        let mut values: Vec<f64> = values.collect();
        values.sort_by(f64::total_cmp);
        let (Some(&min), Some(&max)) = (values.first(), values.last()) else {
            return Self { median: f64::NAN, min: f64::NAN, max: f64::NAN };
        };
        // For an even count the mean of the two in the middle; for an odd one both are the same.
        let (low, high) = (values[(values.len() - 1) / 2], values[values.len() / 2]);
        Self { median: f64::midpoint(low, high), min, max }
    }

    /// The ratio is taken within each round: two figures of one round saw about the same machine.
    fn of_ratios<T>(ours: &[T], theirs: &[T], pick: fn(&T) -> f64) -> Self {
        Self::of(ours.iter().zip(theirs).map(|(ours, theirs)| pick(ours) / pick(theirs)))
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = f.precision().unwrap_or(2);
        let Self { median, min, max } = self;
        if median.is_nan() {
            return f.write_str("–");
        }
        write!(f, "{median:.digits$} ({min:.digits$}..{max:.digits$})")
    }
}

/// A Markdown table whose columns line up in a terminal too; the first row is the head.
fn print_table<const N: usize>(rows: &[[String; N]]) {
    let widths: [usize; N] = std::array::from_fn(|column| {
        rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default()
    });
    for (index, row) in rows.iter().enumerate() {
        let cells: Vec<String> =
            row.iter().zip(widths).map(|(cell, width)| format!(" {cell:<width$} ")).collect();
        println!("|{}|", cells.join("|"));
        if index == 0 {
            println!("|{}|", widths.map(|width| "-".repeat(width + 2)).join("|"));
        }
    }
}

const MIB: f64 = 1024.0 * 1024.0;

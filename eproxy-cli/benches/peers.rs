//! eproxy beside nginx, HAProxy and Envoy on this machine: CPU time per request, byte, message and handshake, latency,
//! memory, and what becomes of requests when upstreams die, or certificates or the program are replaced.
//!
//! ```text
//! cargo bench -p eproxy-cli --bench peers -- hello --rounds 7 --seconds 3 --connections 64
//! cargo bench -p eproxy-cli --bench peers -- bulk --body-mib 100
//! cargo bench -p eproxy-cli --bench peers -- --help                             # all modes
//! EPROXY_BIN=$PWD/old/eproxy cargo bench -p eproxy-cli --bench peers -- fetch    # another build
//! ```
//!
//! Every server gets one worker. Only the relation within one run is worth quoting: the contenders take turns
//! within each round, so a noisy neighbour meets all of them, and the report compares figures of the same
//! round.
//!
//! | file | what it holds |
//! |---|---|
//! | `modes.rs` | the table of modes: what is asked, how it is measured, who contends |
//! | `story.rs` | the ways of measuring |
//! | `pages.rs` | what is asked, and the only right answers |
//! | `contender.rs` | what a contender is |
//! | `configs/` | how each program is told what a mode wants of it |
//! | `hooked.rs` | the contender that is this program itself: a proxy with hooks |
//! | `grouped.rs` | another one: a proxy with a group of endpoints |
//! | `swapped.rs` | a third one: a server whose certificate changes often |
//! | `stage.rs` | what stands around the contenders: upstreams, scratch directory |
//! | `load.rs` | the story of the load modes: check, warm up, rounds in turns |
//! | `idle.rs` | the story of the idle modes: thousands of quiet connections or tunnels |
//! | `restart.rs` | the story of the restart mode: upstreams that are killed under load |
//! | `balance.rs` | the story of the balance mode: an upstream that is slow |
//! | `chaos.rs` | the stories of the chaos and rolling modes: upstreams that fail, or are restarted |
//! | `asker.rs` | the load of these three |
//! | `origin.rs` | the upstream of these three, which can be slow |
//! | `reload.rs` | the story of the reload mode: a configuration that is replaced under load |
//! | `swap.rs` | the story of the swap mode: certificates that are replaced under load |
//! | `upgrade.rs` | the story of the upgrade mode: the program is replaced and stopped under load |
//! | `options.rs` | the command line |
//! | `tools.rs` | which programs are installed, and their versions |
//! | `server.rs` | a server as a child process; the scratch directory |
//! | `probe.rs` | a small HTTP client: whole answers, checked byte for byte |
//! | `http2.rs` | the same over HTTP/2 |
//! | `identity.rs` | certificates and keys, made for the run |
//! | `secure.rs` | how this program speaks TLS |
//! | `callers.rs` | many TLS clients at once: the load of the TLS modes |
//! | `wrk.rs`, `h2load.rs` | one run of wrk, and of h2load |
//! | `websocket.rs` | handshake and frames of a WebSocket, in bytes |
//! | `tunnel.rs` | a WebSocket of ours through a contender |
//! | `talkers.rs` | many of them at once: the load of the echo mode |
//! | `echo.rs` | the upstream that they talk to |
//! | `procfs.rs` | CPU time and memory of a process tree; what the machine is |
//! | `clock.rs` | the time |
//! | `report.rs` | tables, medians and ratios |
//!
//! A new mode is a row in `modes.rs`; a new kind of measurement is a variant in `story.rs` and a story file beside `load.rs`.

#![expect(clippy::print_stdout, reason = "the report is what this program is for")]

#[path = "peers/asker.rs"]
mod asker;
#[path = "peers/balance.rs"]
mod balance;
#[path = "peers/callers.rs"]
mod callers;
#[path = "peers/chaos.rs"]
mod chaos;
#[path = "peers/clock.rs"]
mod clock;
#[path = "peers/configs/mod.rs"]
mod configs;
#[path = "peers/contender.rs"]
mod contender;
#[path = "peers/echo.rs"]
mod echo;
#[path = "peers/grouped.rs"]
mod grouped;
#[path = "peers/h2load.rs"]
mod h2load;
#[path = "peers/hooked.rs"]
mod hooked;
#[path = "peers/http2.rs"]
mod http2;
#[path = "peers/identity.rs"]
mod identity;
#[path = "peers/idle.rs"]
mod idle;
#[path = "peers/load.rs"]
mod load;
#[path = "peers/modes.rs"]
mod modes;
#[path = "peers/options.rs"]
mod options;
#[path = "peers/origin.rs"]
mod origin;
#[path = "peers/pages.rs"]
mod pages;
#[path = "peers/probe.rs"]
mod probe;
#[path = "peers/procfs.rs"]
mod procfs;
#[path = "peers/reload.rs"]
mod reload;
#[path = "peers/report.rs"]
mod report;
#[path = "peers/restart.rs"]
mod restart;
#[path = "peers/secure.rs"]
mod secure;
#[path = "peers/server.rs"]
mod server;
#[path = "peers/stage.rs"]
mod stage;
#[path = "peers/story.rs"]
mod story;
#[path = "peers/swap.rs"]
mod swap;
#[path = "peers/swapped.rs"]
mod swapped;
#[path = "peers/talkers.rs"]
mod talkers;
#[path = "peers/tools.rs"]
mod tools;
#[path = "peers/tunnel.rs"]
mod tunnel;
#[path = "peers/upgrade.rs"]
mod upgrade;
#[path = "peers/websocket.rs"]
mod websocket;
#[path = "peers/wrk.rs"]
mod wrk;

use std::process::ExitCode;

use options::{Command, Options};
use story::{Story, Upstream};
use tools::Tools;

/// What can go wrong is told to a person and ends the run, so a sentence is all that an error carries.
type Outcome<T> = Result<T, String>;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match &arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [hooked::NAME, port, upstream] => return exit(hooked::serve(port, upstream)),
        [grouped::NAME, port, kind, failures, endpoints @ ..] => {
            return exit(grouped::serve(port, kind, failures, endpoints));
        }
        [swapped::NAME, port, certificate, key] => return exit(swapped::serve(port, certificate, key)),
        [origin::NAME, port, delay, seen] => return exit(origin::serve(port, delay, seen)),
        _ => {}
    }
    let all = match options::parse(arguments.into_iter()) {
        Ok(Command::Run(all)) => all,
        Ok(Command::Help) => {
            print!("{}", options::usage());
            return ExitCode::SUCCESS;
        }
        Err(mistake) => {
            eprint!("peers: {mistake}\n\n{}", options::usage());
            return ExitCode::from(2);
        }
    };
    if !cfg!(target_os = "linux") {
        println!(
            "skipped: CPU time and memory are read from /proc, so this runs on Linux only; nothing was measured"
        );
        return ExitCode::SUCCESS;
    }
    exit(run_all(&all))
}

fn exit(end: Outcome<()>) -> ExitCode {
    match end {
        Ok(()) => ExitCode::SUCCESS,
        Err(sentence) => {
            eprintln!("peers: {sentence}");
            ExitCode::FAILURE
        }
    }
}

fn run_all(all: &[Options]) -> Outcome<()> {
    procfs::raise_open_files(all.iter().map(Options::open_files).max().unwrap_or_default())?;
    let tools = Tools::find();
    report::machine(&tools);
    all.iter().try_for_each(|options| run(options, &tools))
}

fn run(options: &Options, tools: &Tools) -> Outcome<()> {
    let contenders = tools.present(options.mode.contenders, &options.contenders);
    if contenders.is_empty() {
        println!("skipped: nobody is there who contends in the mode {}", options.mode.name);
        return Ok(());
    }
    if matches!(options.mode.upstream, Upstream::Nginx { .. }) && tools.nginx.is_none() {
        println!(
            "skipped: nginx is also the upstream of the mode {}; nothing was measured",
            options.mode.name
        );
        return Ok(());
    }
    match options.mode.story {
        Story::Load(load) => load::run(load, options, tools, &contenders),
        Story::Idle(quiet) => idle::run(quiet, options, tools, &contenders),
        Story::Restart => restart::run(options, tools, &contenders),
        Story::Balance => balance::run(options, tools, &contenders),
        Story::Chaos => chaos::chaos(options, tools, &contenders),
        Story::Rolling => chaos::rolling(options, tools, &contenders),
        Story::Swap => swap::run(options, tools, &contenders),
        Story::Reload => reload::run(options, tools, &contenders),
        Story::Upgrade => upgrade::run(options, tools, &contenders),
    }
}

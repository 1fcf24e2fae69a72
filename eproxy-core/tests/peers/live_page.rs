//! The live page of the admin listener in Chromium: what it shows, what can be done there, and that it keeps to itself.
//!
//! With `LIVE_PAGE_PICTURES=FOLDER` a server is kept busy for five minutes, and pictures of the page are left in that folder.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_std::task;
use eproxy_core::{Admin, Endpoint, Group, Handle, Probe, Proxy, Request, Response, Server, async_handler};

use crate::program::{Folder, command, find, run};
use crate::support::server::nobody;
use crate::support::{Running, start};

const TOKEN: &str = "sesame";

#[test]
fn the_live_page_shows_numbers_drains_by_a_click_and_keeps_to_itself() {
    let Some((mut node, _folder)) = script("live_page.js") else { return };
    let upstream =
        || start(Server::builder().workers(1).at("/*path", |_: Request, res: Response| res.send("hello")));
    let (one, other) = (upstream(), upstream());
    let url = |upstream: &Running| format!("http://{}", upstream.address());
    let probe = Probe::http("/").interval(Duration::from_millis(100)).fall(1);
    let group = Group::from([url(&one), url(&other)]).probe(probe);
    let doomed = other.handle().clone();
    let kill = async_handler(move |_: Request| {
        let doomed = doomed.clone();
        async move {
            doomed.shutdown(Duration::ZERO).await;
            "gone"
        }
    });
    let closing = Arc::new(OnceLock::<Handle>::new());
    let closed = closing.clone();
    let close = move |_: Request, res: Response| {
        let admin = closed.get().expect("it is asked for when both are there").clone();
        task::spawn(async move { admin.shutdown(Duration::ZERO).await });
        res.send("closing");
    };
    let server = start(
        Server::builder()
            .workers(1)
            .get("/kill", kill)
            .get("/close-admin", close)
            .at("/gone", Proxy::to(nobody()))
            .at("/*path", Proxy::to(group.clone())),
    );
    let open = Admin::new().bind("127.0.0.1:0").groups([("web", group.clone())]);
    let open = Running::of(open.start(server.handle()).expect("it starts"));
    let guarded = Admin::new().bind("127.0.0.1:0").groups([("web", group)]).token(TOKEN);
    let guarded = Running::of(guarded.start(server.handle()).expect("it starts"));
    closing.set(guarded.handle().clone()).expect("it is set once");
    let page = |admin: &Running| format!("http://{}/", admin.address());
    let said = run(node.args([page(&open), url(&server), page(&guarded), TOKEN.into()]));
    assert!(said.contains("all is well"), "{said}");
    // What it has measured, for whoever wants to know.
    eprint!("{said}");
}

/// Node with a script, Chromium, and the folder that it lives in.
fn script(name: &str) -> Option<(Command, Folder)> {
    let (chromium, node) = (find(&["chromium", "chromium-browser"])?, find(&["node", "nodejs"])?);
    let folder = Folder::new();
    let mut command = command(&node);
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers/scripts");
    command.arg(scripts.join(name)).arg(chromium).arg(folder.as_path());
    Some((command, folder))
}

#[test]
fn pictures_of_the_live_page_are_taken_where_somebody_wants_them() {
    let Some(pictures) = env::var_os("LIVE_PAGE_PICTURES").map(PathBuf::from) else { return };
    let Some((mut node, _folder)) = script("pictures.js") else { return };
    let upstreams: Vec<_> = [2, 3, 3, 14, 21, 1].map(upstream).into();
    let url = |number: usize| format!("http://{}", upstreams[number].addresses()[0]);
    let probe = || Probe::http("/").interval(Duration::from_millis(500));
    let shop = Group::new()
        .with(Endpoint::new(url(0)).weight(2).zone("eu-1a"))
        .with(Endpoint::new(url(1)).zone("eu-1a"))
        .with(Endpoint::new(url(2)).zone("eu-1b"))
        .with(Endpoint::new(nobody()).zone("eu-2").priority(1))
        .probe(probe());
    let search = Group::from([url(3), url(4)]);
    let files = Group::new().with(Endpoint::new(url(5))).with(Endpoint::new(url(0)).priority(1));
    let gone = Group::from(nobody());
    let server = start(
        Server::builder()
            .workers(2)
            .at("/shop/*path", Proxy::to(shop.clone()))
            .at("/search", Proxy::to(search.clone()))
            .at("/static/*path", Proxy::to(files.clone()))
            .at("/old", Proxy::to(gone))
            .get("/", |_: Request, res: Response| res.send("welcome")),
    );
    let admin = Admin::new()
        .bind("127.0.0.1:0")
        .groups([("shop", shop.clone()), ("search", search), ("static", files.clone())])
        .config(|| "listen = [\"0.0.0.0:80\"]\n".into())
        .on_reload(|| async { Ok("nothing has changed".into()) });
    let admin = Running::of(admin.start(server.handle()).expect("it starts"));
    shop.drain(&url(2)).expect("it is there");
    files.maintain(&url(0)).expect("it is there");
    let page = format!("http://{}/", admin.address());
    let seconds = env::var("LIVE_PAGE_SECONDS").unwrap_or_else(|_| "305".into());
    run(node.arg(page).arg(format!("http://{}", server.address())).arg(pictures).arg(seconds));
    for upstream in upstreams {
        task::block_on(upstream.shutdown(Duration::ZERO));
    }
}

/// A server that takes so many milliseconds, sometimes longer, and fails now and then.
fn upstream(milliseconds: u64) -> Handle {
    let turns = Arc::new(std::sync::atomic::AtomicU64::new(0));
    let answer = move |request: Request| {
        let turn = turns.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let is_probe = request.path() == "/";
        async move {
            let longer = if turn % 50 == 7 { 30 } else { turn * 7 % 5 };
            task::sleep(Duration::from_millis(if is_probe { 0 } else { milliseconds + longer })).await;
            match turn % 211 {
                _ if is_probe => (200, "fine".to_owned()),
                17 => (503, "too much".to_owned()),
                1..=4 => (404, "not here".to_owned()),
                20..=33 => (304, String::new()),
                other => (200, "x".repeat(400 * (1 + other as usize % 9))),
            }
        }
    };
    let server = Server::builder().workers(1).at("/*path", async_handler(answer)).bind("127.0.0.1:0");
    server.start().expect("it starts")
}

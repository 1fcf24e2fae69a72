//! Which certificate a client is shown, and certificates that change while a server runs.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use eproxy_core::{Certificate, CertificateResolver, Hello, Request, Response, Server, Tls};

use crate::support::certificates::{Authority, Pair, authority, pair};
use crate::support::folder::Folder;
use crate::support::http2::Http2;
use crate::support::secure::TlsClient;
use crate::support::{Helper, Running, eventually, get};

fn server(tls: Tls) -> Running {
    let builder = Server::builder().workers(1).get("/", |_: Request, res: Response| res.send("hello"));
    Running::new(builder.bind_tls("127.0.0.1:0", tls))
}

/// The certificate that a client is shown who asks for this name, and accepts whatever comes.
fn shown(server: &Running, name: &str) -> Option<Vec<u8>> {
    let secure = TlsClient::trusting_anybody().ask_for(name).try_connect(server.address()).ok()?;
    secure.session().peer_certificates()?.first().map(|certificate| certificate.to_vec())
}

fn der(pair: &Pair) -> Option<Vec<u8>> {
    pair.chain().first().map(|certificate| certificate.to_vec())
}

#[test]
fn a_client_gets_the_certificate_for_the_name_it_asks_for() {
    let names: [&[&str]; 4] = [&["a.test"], &["*.b.test"], &["x.b.test"], &["c.test", "127.0.0.1"]];
    let [a, wild, x, c] = names.map(|names| authority().certify(names));
    let tls = a.tls().and_pem(&wild.certificate, &wild.key).and_pem(&x.certificate, &x.key);
    let tls = tls.and_pem(&c.certificate, &c.key);
    let strict = server(tls.clone().refuse_unknown_names());
    let server = server(tls);
    for (name, expected) in
        [("a.test", &a), ("A.test", &a), ("y.b.test", &wild), ("x.b.test", &x), ("c.test", &c)]
    {
        assert!(shown(&server, name) == der(expected) && shown(&strict, name) == der(expected), "{name}");
    }
    for unknown in ["d.test", "b.test", "z.y.b.test", "127.0.0.1"] {
        assert!(shown(&server, unknown) == der(&a), "{unknown}");
        assert!(shown(&strict, unknown).is_none(), "{unknown}");
    }
    eventually("they are counted", || strict.failures("tls_handshake_failed") == 4);
    assert_eq!(server.failures("tls_handshake_failed"), 0);
}

/// Has a certificate for one name.
struct Own(Arc<Certificate>);

impl CertificateResolver for Own {
    fn resolve(&self, hello: &Hello<'_>) -> Option<Arc<Certificate>> {
        (hello.server_name() == Some("own.test")).then(|| self.0.clone())
    }
}

#[test]
fn a_resolver_of_the_program_decides_and_others_are_asked_behind_it() {
    let own = authority().certify(&["own.test"]);
    let certificate = Certificate::from_pem(own.certificate.as_bytes(), own.key.as_bytes());
    let tls = Tls::resolver(Own(Arc::new(certificate.expect("a certificate and its key"))));
    let behind = pair();
    let server = server(tls.and_pem(&behind.certificate, &behind.key));
    assert!(shown(&server, "own.test") == der(&own));
    assert!(shown(&server, "a.test") == der(behind));
}

#[test]
fn certificates_are_swapped_a_hundred_times_and_no_request_fails() {
    let folder = Folder::new();
    let certificate = folder.path("shop.pem");
    let pairs = [authority().certify(&["test"]), authority().certify(&["test"])];
    let write = |pair: &Pair| {
        std::fs::write(folder.path("new.pem"), [&pair.certificate[..], &pair.key].concat()).expect("a file");
        std::fs::rename(folder.path("new.pem"), &certificate).expect("the folder is there");
    };
    write(&pairs[0]);
    // Certificate and key are in one file, so that they change together.
    let server = server(Tls::files(&certificate, &certificate).reload_every(Duration::from_millis(2)));
    let address = server.address();
    let (is_over, asked) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let helper = |is_http2: bool| {
        let (is_over, asked) = (is_over.clone(), asked.clone());
        Helper::run(move || {
            // One connection that stays, and new ones beside it.
            let mut old = TlsClient::new().connect(address);
            let resuming = TlsClient::new().resuming();
            while !is_over.load(Ordering::SeqCst) {
                assert_eq!(old.ask(get("/")).text(), "hello");
                match is_http2 {
                    true => assert_eq!(Http2::secure(address).get("/").text(), "hello"),
                    false => assert_eq!(resuming.connect(address).ask(get("/")).text(), "hello"),
                }
                asked.fetch_add(2, Ordering::SeqCst);
            }
        })
    };
    let helpers = [helper(false), helper(true)];
    for number in 1..=100 {
        write(&pairs[number % 2]);
        let expected = der(&pairs[number % 2]);
        eventually("the new one is shown", || shown(&server, "test") == expected);
    }
    is_over.store(true, Ordering::SeqCst);
    helpers.into_iter().for_each(Helper::join);
    assert!(asked.load(Ordering::SeqCst) > 0);
    assert_eq!(server.stats().failures().map(|(_, count)| count).sum::<u64>(), 0);
}

#[test]
fn what_does_not_fit_together_changes_nothing() {
    let folder = Folder::new();
    let path = folder.path("shop.pem");
    let (first, second) = (authority().certify(&["test"]), authority().certify(&["test"]));
    let write = |text: &str| std::fs::write(&path, text).expect("a file can be written");
    write(&[&first.certificate[..], &first.key].concat());
    let server = server(Tls::files(&path, &path).reload_every(Duration::from_millis(5)));
    for wrong in ["", "nonsense", &first.certificate, &[&first.certificate[..], &second.key].concat()] {
        write(wrong);
        crate::support::pause(30);
        assert!(shown(&server, "test") == der(&first), "{wrong}");
    }
    std::fs::remove_file(&path).expect("it is there");
    crate::support::pause(30);
    assert!(shown(&server, "test") == der(&first));
    write(&[&second.certificate[..], &second.key].concat());
    eventually("the new one is shown", || shown(&server, "test") == der(&second));
}

#[test]
fn a_server_does_not_start_with_what_does_not_fit() {
    let (one, other) = (authority().certify(&["a.test"]), Authority::new("other").certify(&["a.test"]));
    for (tls, what) in [
        (Tls::pem(&one.certificate, &other.key), "key"),
        (Tls::pem("", &one.key), "certificate"),
        (Tls::pem(&one.certificate, ""), "key"),
        (Tls::files("/nowhere/shop.pem", "/nowhere/shop.key"), "/nowhere/shop.pem"),
    ] {
        let builder = Server::builder().get("/", |_: Request, res: Response| res.send(""));
        let error = builder.bind_tls("127.0.0.1:0", tls).start().expect_err("it does not start");
        assert_eq!(error.name(), "bad_option");
        assert!(error.to_string().contains(what), "{error}");
    }
}

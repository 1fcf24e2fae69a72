//! HAProxy as a server and as a proxy.

use crate::contender::{Launch, SPARE_CONNECTIONS, Site, Wire};
use crate::pages::{FETCHED, HELLO, SMALL};

pub(crate) fn hello(site: &Site<'_>) -> Launch {
    launch(site, &greeting(), "")
}

/// The same over TLS.
pub(crate) fn hello_tls(site: &Site<'_>) -> Launch {
    launch_on(Wire::Tls, site, &greeting(), "")
}

/// The same over HTTP/2.
pub(crate) fn hello_http2(site: &Site<'_>) -> Launch {
    launch_on(Wire::Http2, site, &greeting(), "")
}

fn greeting() -> String {
    let (path, content_type, text) = (HELLO.path, HELLO.content_type, HELLO.text());
    format!(
        "http-request return status 200 content-type {content_type} string \"{text}\" if {{ path {path} }}"
    )
}

pub(crate) fn fetch(site: &Site<'_>) -> Launch {
    let backend = backend(site, &format!("http-request set-path {}", SMALL.path));
    launch(site, &format!("use_backend behind if {{ path {} }}", FETCHED.path), &backend)
}

/// A reverse proxy that tells its upstream what eproxy tells it.
pub(crate) fn relay(site: &Site<'_>) -> Launch {
    everything(site, &[FORWARDED])
}

/// A reverse proxy that tells its upstream nothing: the least work that HAProxy can do.
pub(crate) fn relay_bare(site: &Site<'_>) -> Launch {
    everything(site, &[])
}

/// The same over TLS.
pub(crate) fn relay_tls(site: &Site<'_>) -> Launch {
    launch_on(Wire::Tls, site, EVERYTHING, &backend(site, &forwarded_https()))
}

/// The same with buffers of the size of eproxy's, and records that are as long as they may be: a buffer that HAProxy has by
/// default is a little shorter than what one of these says.
pub(crate) fn bulk_tls_tuned(site: &Site<'_>) -> Launch {
    let behind = backend(site, &forwarded_https());
    let buffers = "global
            tune.bufsize 65536
            tune.ssl.maxrecord 16384";
    launch_on(Wire::Tls, site, EVERYTHING, &format!("{behind}\n        {buffers}"))
}

/// The same over HTTP/2 to clients; HTTP/1.1 to the upstream.
pub(crate) fn relay_http2(site: &Site<'_>) -> Launch {
    launch_on(Wire::Http2, site, EVERYTHING, &backend(site, FORWARDED))
}

/// Long bodies pass through pipes in the kernel, whenever there is something to be read: `splice-auto`,
/// HAProxy's own guess whether that pays, is off for streams that look slow.
pub(crate) fn bulk_spliced(site: &Site<'_>) -> Launch {
    everything(site, &[FORWARDED, "option splice-response"])
}

/// WebSockets, which need nothing but time.
pub(crate) fn upgrade(site: &Site<'_>) -> Launch {
    everything(site, &[FORWARDED, "timeout tunnel 1h"])
}

/// Requests go to the other upstream, and are sent again where HAProxy knows that to be safe enough: it does
/// neither by itself.
pub(crate) fn restart(site: &Site<'_>) -> Launch {
    let again = "option redispatch
            retries 3
            retry-on conn-failure empty-response";
    everything(site, &[FORWARDED, again])
}

/// By the fewest connections under way.
pub(crate) fn leastconn(site: &Site<'_>) -> Launch {
    everything(site, &[FORWARDED, "balance leastconn"])
}

/// By turns.
pub(crate) fn roundrobin(site: &Site<'_>) -> Launch {
    everything(site, &[FORWARDED, "balance roundrobin"])
}

/// What eproxy tells upstreams of where a request comes from; the client's own Host stays by itself.
const FORWARDED: &str = "option forwardfor
            http-request set-header X-Forwarded-Proto http
            http-request set-header X-Forwarded-Host %[req.hdr(host)]
            http-request set-header Forwarded for=%[src];host=\\\"%[req.hdr(host)]\\\";proto=http
            http-request add-header Via \"1.1 haproxy\"";

/// The same where clients come by TLS.
fn forwarded_https() -> String {
    FORWARDED.replace("Proto http", "Proto https").replace("proto=http", "proto=https")
}

fn everything(site: &Site<'_>, directives: &[&str]) -> Launch {
    launch(site, EVERYTHING, &backend(site, &directives.join("\n            ")))
}

const EVERYTHING: &str = "default_backend behind";

fn backend(site: &Site<'_>, directives: &str) -> String {
    let servers: String = site
        .upstreams
        .iter()
        .map(|port| format!("            server behind-{port} 127.0.0.1:{port}\n"))
        .collect();
    format!("backend behind\n            {directives}\n{servers}")
}

/// `-db` keeps HAProxy in the foreground without a master process; no `log` line means no logging. The ratios
/// keep connections to the upstream: by default HAProxy closes those that rest when a quarter of its files are
/// open, and its files are few here, so that it would connect anew all the time.
fn launch(site: &Site<'_>, rule: &str, backend: &str) -> Launch {
    launch_on(Wire::Http1, site, rule, backend)
}

fn launch_on(wire: Wire, site: &Site<'_>, rule: &str, backend: &str) -> Launch {
    let (speaks, tuning) = match wire {
        Wire::Http1 => (String::new(), ""),
        Wire::Tls => (format!(" ssl crt {} alpn http/1.1", site.path("identity.pem")), TLS),
        Wire::Http2 => (" proto h2".to_owned(), HTTP2),
    };
    let config = format!(
        "global
            nbthread 1
            maxconn {}
            tune.pool-low-fd-ratio 100
            tune.pool-high-fd-ratio 100
            {tuning}
        defaults
            mode http
            http-reuse always
            timeout connect 5s
            timeout client 75s
            timeout server 75s
            timeout http-keep-alive 75s
        frontend front
            bind 127.0.0.1:{}{speaks}
            {rule}
        {backend}\n",
        site.connections + SPARE_CONNECTIONS,
        site.port,
    );
    let arguments = ["-db", "-f", &site.path("config")].map(str::to_owned);
    let identity = format!("{}{}", site.identity.certificate, site.identity.key);
    let files = vec![("config", config.into_bytes()), ("identity.pem", identity.into_bytes())];
    Launch { arguments: arguments.into(), files }
}

/// Tickets alone: HAProxy would keep each session in its own memory, too.
const TLS: &str = "ssl-default-bind-options ssl-min-ver TLSv1.3
            tune.ssl.cachesize 0";

/// h2load has 100 streams; that is HAProxy's own limit, too.
const HTTP2: &str = "tune.h2.max-concurrent-streams 128";

//! nginx as a server, as a proxy, and as the upstream behind everybody.

use crate::contender::{Launch, Site, Wire};
use crate::identity::Identity;
use crate::pages::{BULK, HELLO, KIB, Page, SMALL};

pub(crate) fn hello(site: &Site<'_>) -> Launch {
    launch(site, "", &answer(&HELLO))
}

/// The same over TLS.
pub(crate) fn hello_tls(site: &Site<'_>) -> Launch {
    launch_on(Wire::Tls, site, "", &answer(&HELLO))
}

/// The same over HTTP/2.
pub(crate) fn hello_http2(site: &Site<'_>) -> Launch {
    launch_on(Wire::Http2, site, "", &answer(&HELLO))
}

pub(crate) fn fetch(site: &Site<'_>) -> Launch {
    let location = format!("location = /proxy {{ {KEEP} proxy_pass http://behind{}; }}", SMALL.path);
    launch(site, &group(site), &location)
}

/// A reverse proxy that tells its upstream what eproxy tells it.
pub(crate) fn relay(site: &Site<'_>) -> Launch {
    everything(site, &[KEEP, FORWARDED])
}

/// The same over TLS.
pub(crate) fn relay_tls(site: &Site<'_>) -> Launch {
    launch_on(Wire::Tls, site, &group(site), &relaying(&[KEEP, FORWARDED]))
}

/// The same over HTTP/2 to clients; HTTP/1.1 to the upstream.
pub(crate) fn relay_http2(site: &Site<'_>) -> Launch {
    launch_on(Wire::Http2, site, &group(site), &relaying(&[KEEP, FORWARDED]))
}

/// A reverse proxy that tells its upstream nothing: the least work that nginx can do.
pub(crate) fn relay_bare(site: &Site<'_>) -> Launch {
    everything(site, &[KEEP])
}

/// The same, with the headers that eproxy's hooks set.
pub(crate) fn relay_with_headers(site: &Site<'_>) -> Launch {
    everything(site, &[KEEP, FORWARDED, "proxy_set_header X-Seen-By nginx;", "add_header X-Served-By nginx;"])
}

/// The same with a log of every request, written as each comes.
pub(crate) fn relay_logged(site: &Site<'_>) -> Launch {
    everything(site, &[KEEP, FORWARDED, &format!("access_log {} combined;", site.path("access.log"))])
}

/// The same with a log that is written when 64 KiB have come together.
pub(crate) fn relay_logged_late(site: &Site<'_>) -> Launch {
    let log = format!("access_log {} combined buffer=64k flush=1s;", site.path("access.log"));
    everything(site, &[KEEP, FORWARDED, &log])
}

/// Long bodies with the buffers that nginx has by default, 8 of a page for each request; `proxy_buffering
/// off`, which leaves one of them, costs more than twice as much. What does not fit waits in the upstream: a
/// temporary file would measure the disk.
pub(crate) fn bulk(site: &Site<'_>) -> Launch {
    everything(site, &[KEEP, FORWARDED, "proxy_max_temp_file_size 0;"])
}

/// Long bodies as an administrator who knows of them may have it: one buffer of the size of eproxy's, from
/// which every piece is passed on as soon as it was read. With buffering, through 8 such buffers, it costs
/// nearly twice as much.
pub(crate) fn bulk_tuned(site: &Site<'_>) -> Launch {
    everything(site, &[KEEP, FORWARDED, UNBUFFERED])
}

/// The same over TLS; buffers by default.
pub(crate) fn bulk_tls(site: &Site<'_>) -> Launch {
    launch_on(Wire::Tls, site, &group(site), &relaying(&[KEEP, FORWARDED, "proxy_max_temp_file_size 0;"]))
}

/// The same over TLS; one buffer of 64 KiB.
pub(crate) fn bulk_tls_tuned(site: &Site<'_>) -> Launch {
    launch_on(Wire::Tls, site, &group(site), &relaying(&[KEEP, FORWARDED, UNBUFFERED]))
}

/// WebSockets, as nginx's own documentation has them; `map` leaves Connection empty for requests that ask for
/// none.
pub(crate) fn upgrade(site: &Site<'_>) -> Launch {
    let map = "map $http_upgrade $connection_upgrade { default upgrade; '' ''; }";
    let upgrade = "proxy_http_version 1.1;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection $connection_upgrade;
            proxy_read_timeout 1h;
            proxy_send_timeout 1h;";
    launch(site, &format!("{map}\n{}", group(site)), &relaying(&[upgrade, FORWARDED]))
}

/// The upstream: one small answer.
pub(crate) fn upstream(site: &Site<'_>) -> Launch {
    launch(site, "", &answer(&SMALL))
}

/// The upstream of answers of 1 KiB.
pub(crate) fn kib_upstream(site: &Site<'_>) -> Launch {
    launch(site, "", &answer(&KIB))
}

/// The upstream of long bodies: a file, straight from the page cache.
pub(crate) fn bulk_upstream(site: &Site<'_>) -> Launch {
    let Page { path, content_type, body } = BULK;
    let location = format!(
        "location = {path} {{
            default_type {content_type};
            sendfile on;
            tcp_nopush on;
            alias {};
        }}",
        site.path("noise"),
    );
    let mut launch = launch(site, "", &location);
    launch.files.push(("noise", body.bytes(site.body_mib).into_owned()));
    launch
}

/// A request limit per connection that no run reaches: reconnecting is not what is measured here.
const ENDLESS_REQUESTS: u32 = 100_000_000;

/// Connections to the upstream are kept, which nginx doesn't do by itself.
const KEEP: &str = "proxy_http_version 1.1;
            proxy_set_header Connection \"\";";

/// What eproxy tells upstreams of where a request comes from, and the client's own Host.
const FORWARDED: &str = "proxy_set_header Host $http_host;
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
            proxy_set_header X-Forwarded-Proto $scheme;
            proxy_set_header X-Forwarded-Host $http_host;
            proxy_set_header Forwarded 'for=$remote_addr;host=\"$http_host\";proto=$scheme';
            proxy_set_header Via '1.1 nginx';";

/// The last two are what nginx insists on beside the first.
const UNBUFFERED: &str = "proxy_buffering off;
            proxy_buffer_size 64k;
            proxy_buffers 8 64k;
            proxy_busy_buffers_size 128k;";

fn answer(page: &Page) -> String {
    let Page { path, content_type, .. } = page;
    format!("location = {path} {{ default_type {content_type}; return 200 '{}'; }}", page.text())
}

fn everything(site: &Site<'_>, directives: &[&str]) -> Launch {
    launch(site, &group(site), &relaying(directives))
}

fn relaying(directives: &[&str]) -> String {
    format!("location / {{ {} proxy_pass http://behind; }}", directives.join("\n"))
}

/// The upstreams, and more kept connections to them than will ever be open.
fn group(site: &Site<'_>) -> String {
    let servers: String =
        site.upstreams.iter().map(|port| format!("server 127.0.0.1:{port};\n            ")).collect();
    format!(
        "upstream behind {{
            {servers}keepalive {};
            keepalive_requests {ENDLESS_REQUESTS};
        }}",
        (site.connections * 2).max(128),
    )
}

fn launch(site: &Site<'_>, http: &str, location: &str) -> Launch {
    launch_on(Wire::Http1, site, http, location)
}

/// Every path that a distribution compiles in is set, so that nginx touches nothing outside its directory and
/// needs no root.
fn launch_on(wire: Wire, site: &Site<'_>, http: &str, location: &str) -> Launch {
    let dir = site.dir.display();
    let (speaks, tuning) = match wire {
        Wire::Http1 => ("", String::new()),
        Wire::Tls => (" ssl", tls(site)),
        Wire::Http2 => (" http2", "http2_max_concurrent_streams 128;".to_owned()),
    };
    let config = format!(
        "worker_processes 1;
        daemon off;
        pid {dir}/pid;
        error_log {dir}/error.log error;
        events {{ worker_connections {}; }}
        http {{
            access_log off;
            keepalive_requests {ENDLESS_REQUESTS};
            keepalive_timeout 75s;
            client_body_temp_path {dir}/client_body;
            proxy_temp_path {dir}/proxy;
            fastcgi_temp_path {dir}/fastcgi;
            uwsgi_temp_path {dir}/uwsgi;
            scgi_temp_path {dir}/scgi;
            {http}
            server {{
                {}
                {tuning}
                {location}
            }}
        }}\n",
        site.room_for_connections(),
        (site.port..site.port + site.doors)
            .map(|port| format!("listen 127.0.0.1:{port}{speaks};"))
            .collect::<Vec<_>>()
            .join("\n                "),
    );
    let arguments =
        ["-p", &site.path(""), "-e", &site.path("error.log"), "-c", &site.path("config")].map(str::to_owned);
    let Identity { certificate, key, .. } = site.identity;
    let files = [("config", &config), ("certificate.pem", certificate), ("key.pem", key)];
    let files = files.map(|(name, text)| (name, text.clone().into_bytes()));
    Launch { arguments: arguments.into(), files: files.into() }
}

/// Tickets alone: a cache would keep each session in memory, too.
fn tls(site: &Site<'_>) -> String {
    let [certificate, key] = ["certificate.pem", "key.pem"].map(|name| site.path(name));
    format!(
        "ssl_certificate {certificate};
                ssl_certificate_key {key};
                ssl_protocols TLSv1.3;
                ssl_session_tickets on;
                ssl_session_cache off;"
    )
}

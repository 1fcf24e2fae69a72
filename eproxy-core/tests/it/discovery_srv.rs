//! Endpoints by the records of a service.

use std::time::Duration;

use eproxy_core::{Endpoint, Srv};

use crate::support::dns::{Dns, Record, Says};
use crate::support::watch::Watch;

const SERVICE: &str = "_http._tcp.app.test";

fn discovery(server: &Dns) -> Srv {
    Srv::new("http://_http._tcp.app.test").server(server.address()).min_ttl(Duration::from_millis(200))
}

fn has(server: &Dns, records: &[(u16, u16, u16, &str)], ttl: u32) {
    let record = |&(priority, weight, port, target): &(u16, u16, u16, &str)| {
        Record::Srv(priority, weight, port, target.to_owned())
    };
    server.says(SERVICE, Says::Records(records.iter().map(record).collect(), ttl));
}

#[test]
fn priorities_are_tiers_weights_are_weights_and_servers_are_called_by_their_own_names() {
    let server = Dns::start();
    has(&server, &[(10, 60, 8080, "a.test"), (10, 40, 8081, "B.test"), (20, 0, 80, "spare.test")], 60);
    server.has("a.test", &["10.0.0.1", "::1"], 60);
    server.has("b.test", &["10.0.0.2"], 60);
    server.has("spare.test", &["10.0.0.3"], 60);
    let expected = |host: [&str; 3]| {
        [
            Endpoint::new("http://10.0.0.1:8080").host(host[0]).weight(60),
            Endpoint::new("http://10.0.0.2:8081").host(host[1]).weight(40),
            Endpoint::new("http://[::1]:8080").host(host[0]).weight(60),
            Endpoint::new("http://10.0.0.3:80").host(host[2]).priority(1),
        ]
    };
    let watch = Watch::of(discovery(&server));
    assert_eq!(watch.endpoints(), expected(["a.test:8080", "b.test:8081", "spare.test"]));
    let watch = Watch::of(discovery(&server).host("app.test"));
    assert_eq!(watch.endpoints(), expected(["app.test"; 3]));
}

#[test]
fn options_hold_for_all_servers() {
    let server = Dns::start();
    has(&server, &[(10, 0, 8080, "a.test"), (20, 0, 8080, "a.test")], 60);
    server.has("a.test", &["10.0.0.1"], 60);
    let url = "http://_http._tcp.app.test/v1";
    let srv = Srv::new(url).server(server.address()).priority(3).zone("eu").label("from", "srv");
    let endpoint = Endpoint::new("http://10.0.0.1:8080/v1").host("a.test:8080").priority(3);
    // The second record leads to the same place.
    assert_eq!(Watch::of(srv).endpoints(), [endpoint.zone("eu").label("from", "srv")]);
}

#[test]
fn servers_come_and_go_with_their_records() {
    let server = Dns::start();
    has(&server, &[(0, 1, 8080, "a.test")], 1);
    server.has("a.test", &["10.0.0.1"], 3600);
    server.has("b.test", &["10.0.0.2"], 3600);
    let watch = Watch::of(discovery(&server));
    assert_eq!(watch.endpoints().len(), 1);
    has(&server, &[(0, 1, 8080, "a.test"), (0, 1, 8080, "b.test")], 1);
    assert_eq!(watch.endpoints().len(), 2);
    has(&server, &[(0, 1, 8080, "b.test")], 1);
    assert_eq!(watch.endpoints(), [Endpoint::new("http://10.0.0.2:8080").host("b.test:8080")]);
}

#[test]
fn an_address_that_changes_is_seen_even_if_the_service_holds_for_long() {
    let server = Dns::start();
    has(&server, &[(0, 1, 8080, "a.test")], 3600);
    server.has("a.test", &["10.0.0.1"], 1);
    let watch = Watch::of(discovery(&server));
    watch.endpoints();
    server.has("a.test", &["10.0.0.2"], 1);
    assert_eq!(watch.endpoints(), [Endpoint::new("http://10.0.0.2:8080").host("a.test:8080")]);
}

#[test]
fn a_server_whose_name_stops_resolving_keeps_its_addresses_and_this_is_said() {
    let server = Dns::start();
    has(&server, &[(0, 1, 8080, "a.test"), (0, 1, 8080, "b.test")], 0);
    server.has("a.test", &["10.0.0.1"], 0);
    server.has("b.test", &["10.0.0.2"], 0);
    let watch = Watch::of(discovery(&server));
    assert_eq!(watch.endpoints().len(), 2);
    server.forgets("a.test");
    assert_eq!(watch.failure(), "a.test does not exist");
    server.has("b.test", &["10.0.0.3"], 0);
    let kept = Endpoint::new("http://10.0.0.1:8080").host("a.test:8080");
    let moved = Endpoint::new("http://10.0.0.3:8080").host("b.test:8080");
    assert_eq!(watch.endpoints(), [kept, moved]);
    assert_eq!(watch.failure(), "a.test does not exist", "it still is so");
    has(&server, &[(0, 1, 8080, "b.test")], 60);
    assert_eq!(watch.endpoints().len(), 1, "a server that is not listed any more is not missed");
}

#[test]
fn a_service_that_is_gone_or_said_to_be_not_there_keeps_its_last_endpoints() {
    let server = Dns::start();
    has(&server, &[(0, 1, 8080, "a.test")], 0);
    server.has("a.test", &["10.0.0.1"], 0);
    let watch = Watch::of(discovery(&server));
    watch.endpoints();
    has(&server, &[(0, 0, 0, ".")], 0);
    assert_eq!(watch.failure(), "_http._tcp.app.test is said to be not available");
    server.forgets(SERVICE);
    assert_eq!(watch.failure(), "_http._tcp.app.test does not exist");
    has(&server, &[(0, 1, 8080, "a.test")], 60);
    assert_eq!(watch.endpoints().len(), 1);
}

#[test]
fn more_servers_than_are_asked_for_at_once_are_all_found() {
    let server = Dns::start();
    let names: Vec<_> = (1..=40).map(|number| format!("server-{number}.test")).collect();
    let records: Vec<_> = names.iter().map(|name| (0, 1, 8080, name.as_str())).collect();
    has(&server, &records, 60);
    for (number, name) in names.iter().enumerate() {
        server.has(name, &[&format!("10.0.0.{number}")], 60);
    }
    assert_eq!(Watch::of(discovery(&server)).endpoints().len(), 40);
}

//! Endpoints by the addresses of a name.

use std::time::Duration;

use eproxy_core::{Dns, Endpoint, Found};

use crate::support::dns::{Says, ip};
use crate::support::watch::Watch;
use crate::support::{dns, pause};

const NAME: &str = "app.test";
const URL: &str = "http://app.test:3000";

/// A discovery that asks only this server, and often. Between two rounds of questions there is time for a test to change
/// the answers to both.
fn discovery(server: &dns::Dns) -> Dns {
    Dns::new(URL).server(server.address()).min_ttl(Duration::from_millis(200))
}

/// The endpoints at these addresses.
fn at(addresses: &[&str]) -> Vec<Endpoint> {
    let endpoint = |address: &&str| Endpoint::new(format!("http://{address}:3000")).host("app.test:3000");
    addresses.iter().map(endpoint).collect()
}

#[test]
fn every_address_of_a_name_is_an_endpoint_that_goes_on_to_be_called_by_the_name() {
    let server = dns::Dns::start();
    server.has(NAME, &["10.0.0.8", "2001:db8::7", "10.0.0.7"], 60);
    let watch = Watch::of(Dns::new("http://App.test:3000/v1").server(server.address()).weight(2).zone("a"));
    let endpoint = |address: &str| {
        Endpoint::new(format!("http://{address}:3000/v1")).host("app.test:3000").weight(2).zone("a")
    };
    assert_eq!(watch.endpoints(), ["10.0.0.7", "10.0.0.8", "[2001:db8::7]"].map(endpoint));
}

#[test]
fn a_name_is_asked_for_again_when_its_records_are_over() {
    let server = dns::Dns::start();
    server.has(NAME, &["10.0.0.7"], 1);
    let watch = Watch::of(discovery(&server));
    assert_eq!(watch.endpoints(), at(&["10.0.0.7"]));
    server.has(NAME, &["10.0.0.8", "10.0.0.7"], 1);
    assert_eq!(watch.endpoints(), at(&["10.0.0.7", "10.0.0.8"]));
    server.has(NAME, &["10.0.0.8"], 1);
    assert_eq!(watch.endpoints(), at(&["10.0.0.8"]));
}

#[test]
fn the_same_addresses_in_another_order_are_no_news() {
    let server = dns::Dns::start();
    server.has(NAME, &["10.0.0.7", "10.0.0.8"], 0);
    let watch = Watch::of(discovery(&server));
    assert_eq!(watch.endpoints(), at(&["10.0.0.7", "10.0.0.8"]));
    server.has(NAME, &["10.0.0.8", "10.0.0.7"], 0);
    server.wait_until_asked(NAME, server.asked(NAME) + 6);
    watch.has_told_all();
}

#[test]
fn records_that_hold_for_no_time_are_kept_for_the_least_time_that_was_set() {
    let server = dns::Dns::start();
    server.has(NAME, &["10.0.0.7"], 0);
    let watch = Watch::of(discovery(&server).min_ttl(Duration::from_secs(100)));
    watch.endpoints();
    let asked = server.asked(NAME);
    pause(300);
    assert_eq!((asked, server.asked(NAME)), (2, 2));
}

#[test]
fn records_that_hold_for_long_are_kept_for_the_longest_time_that_was_set() {
    let server = dns::Dns::start();
    server.has(NAME, &["10.0.0.7"], 86_400);
    let watch = Watch::of(discovery(&server).max_ttl(Duration::from_millis(200)));
    watch.endpoints();
    server.has(NAME, &["10.0.0.8"], 86_400);
    assert_eq!(watch.endpoints(), at(&["10.0.0.8"]));
}

#[test]
fn a_name_that_stops_existing_keeps_its_last_endpoints_and_says_so_once() {
    let server = dns::Dns::start();
    server.has(NAME, &["10.0.0.7"], 0);
    let watch = Watch::of(discovery(&server));
    assert_eq!(watch.endpoints(), at(&["10.0.0.7"]));
    server.forgets(NAME);
    assert_eq!(watch.failure(), "app.test does not exist");
    server.wait_until_asked(NAME, server.asked(NAME) + 2);
    watch.has_told_all();
    server.has(NAME, &["10.0.0.7"], 60);
    assert_eq!(watch.endpoints(), at(&["10.0.0.7"]), "that it is over is news");
}

#[test]
fn a_name_without_addresses_keeps_its_last_endpoints() {
    let server = dns::Dns::start();
    server.has(NAME, &["10.0.0.7"], 0);
    let watch = Watch::of(discovery(&server));
    watch.endpoints();
    server.has(NAME, &[], 0);
    assert_eq!(watch.failure(), "app.test has no A record");
}

#[test]
fn a_name_that_does_not_exist_yet_is_found_when_it_does() {
    let server = dns::Dns::start();
    let watch = Watch::of(discovery(&server));
    assert_eq!(watch.failure(), "app.test does not exist");
    server.has(NAME, &["10.0.0.7"], 60);
    assert_eq!(watch.endpoints(), at(&["10.0.0.7"]));
}

#[test]
fn a_server_that_fails_or_is_silent_takes_nothing_away() {
    let server = dns::Dns::start();
    server.has(NAME, &["10.0.0.7"], 0);
    let watch = Watch::of(discovery(&server).timeout(Duration::from_millis(600)));
    watch.endpoints();
    for says in [Says::Fails, Says::Nothing] {
        server.says(NAME, says);
        let reason = watch.failure();
        assert!(reason.starts_with("app.test: "), "{reason}");
    }
    server.has(NAME, &["10.0.0.8"], 60);
    assert_eq!(watch.endpoints(), at(&["10.0.0.8"]));
}

#[test]
fn a_server_that_knows_nothing_of_ipv6_is_good_enough() {
    let server = dns::Dns::start();
    server.says(NAME, Says::OnlyV4(vec![ip("10.0.0.7")], 0));
    let watch = Watch::of(discovery(&server));
    assert_eq!(watch.endpoints(), at(&["10.0.0.7"]));
    server.says(NAME, Says::OnlyV4(vec![ip("10.0.0.8")], 60));
    assert_eq!(watch.endpoints(), at(&["10.0.0.8"]));
    watch.has_told_all();
}

#[test]
fn a_family_that_can_not_be_asked_for_keeps_its_addresses_and_this_is_said() {
    let server = dns::Dns::start();
    server.has(NAME, &["10.0.0.7", "::7"], 0);
    let watch = Watch::of(discovery(&server));
    assert_eq!(watch.endpoints(), at(&["10.0.0.7", "[::7]"]));
    server.says(NAME, Says::OnlyV4(vec![ip("10.0.0.8")], 60));
    assert_eq!(watch.endpoints(), at(&["10.0.0.8", "[::7]"]));
    assert!(matches!(watch.next(), Found::Failed(reason) if reason.starts_with("app.test: ")));
}

#[test]
fn more_addresses_than_fit_into_a_datagram_come_over_tcp() {
    let server = dns::Dns::start();
    let addresses: Vec<_> = (1..=100).map(|last| format!("10.0.0.{last}")).collect();
    server.says(NAME, Says::Records(addresses.iter().map(|address| ip(address)).collect(), 60));
    let watch = Watch::of(discovery(&server));
    let addresses: Vec<_> = addresses.iter().map(String::as_str).collect();
    assert_eq!(watch.endpoints(), at(&addresses));
    assert!(server.over_tcp() > 0);
}

#[test]
fn an_address_is_an_endpoint_and_nobody_is_asked() {
    let server = dns::Dns::start();
    let watch = Watch::of(Dns::new("http://[::1]:3000").server(server.address()));
    assert_eq!(watch.endpoints(), [Endpoint::new("http://[::1]:3000")]);
}

#[test]
fn a_name_that_the_system_knows_by_itself_is_found() {
    let setup = std::fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
    let hosts = std::fs::read_to_string("/etc/hosts").unwrap_or_default();
    let has =
        |text: &str, words: [&str; 2]| text.lines().any(|line| words.iter().all(|word| line.contains(word)));
    if !has(&setup, ["nameserver", ""]) || !has(&hosts, ["127.0.0.1", "localhost"]) {
        eprintln!("skipped: this system has no DNS servers or does not know localhost");
        return;
    }
    let watch = Watch::of(Dns::new("http://localhost:3000"));
    let localhost = Endpoint::new("http://127.0.0.1:3000").host("localhost:3000");
    assert!(watch.endpoints().contains(&localhost));
}

//! The server from outside, one file for each promise. Everything is said in bytes over loopback sockets, or in a lab.

mod admin_access;
mod admin_api;
mod admin_events;
mod bodies;
#[cfg(all(feature = "config", feature = "dns", unix))]
mod config_broken;
#[cfg(all(feature = "config", feature = "dns", unix))]
mod config_pages;
#[cfg(all(feature = "config", unix))]
mod config_reload;
#[cfg(all(feature = "config", unix))]
mod config_served;
mod conversions;
#[cfg(feature = "dns")]
mod discovery_dns;
#[cfg(unix)]
mod discovery_file;
#[cfg(feature = "dns")]
mod discovery_srv;
mod drain;
mod echoing;
mod expect_continue;
mod explain;
mod explain_agrees;
mod forward;
mod forward_credentials;
mod forward_parent;
mod group_balance;
mod group_breaker;
mod group_changes;
mod group_discovery;
mod group_ejection;
mod group_hash;
mod group_health;
mod group_hedging;
mod group_limits;
mod group_retries;
mod group_snapshot;
mod group_sticky;
mod group_tiers;
mod grpc_failures;
mod grpc_health;
mod grpc_web;
mod guard;
mod handlers;
mod http2_drain;
mod http2_forward;
mod http2_groups;
mod http2_pairings;
mod http2_proxied;
mod http2_requests;
mod http2_retries;
mod http2_streaming;
mod http2_timeouts;
mod http2_upstreams;
mod http2_websockets;
#[cfg(unix)]
mod inherited_sockets;
mod keep_alive_and_pipelining;
mod lab;
mod lab_clients;
mod lab_groups_told;
mod lab_handlers;
mod lab_upstreams;
mod limits;
mod listeners;
#[cfg(unix)]
mod local_files;
mod local_fixed;
mod local_redirect;
mod mutations;
mod peer;
mod proxy_buffering;
mod proxy_buffering_answers;
mod proxy_filtered;
mod proxy_filters;
mod proxy_filters_framing;
mod proxy_hooks;
mod proxy_hooks_answers;
mod proxy_hooks_done;
mod proxy_hooks_waiting;
mod proxy_mirror;
mod proxy_mutations;
mod proxy_pool;
mod proxy_protocol;
mod proxy_protocol_out;
mod proxy_retries;
mod proxy_rewrites;
mod proxy_streaming;
mod proxy_timeouts;
mod refusals;
mod replacing;
mod routes_by_host;
mod routing;
#[path = "../conformance/relay/seen.rs"]
mod seen;
mod shutdown;
mod support;
#[cfg(unix)]
mod telemetry_access_log;
#[cfg(unix)]
mod telemetry_access_log_files;
mod telemetry_ids;
mod telemetry_metrics;
mod telemetry_otlp;
mod telemetry_traces;
mod timeouts;
#[cfg(unix)]
mod tls_certificates;
mod tls_clients;
mod tls_listener;
mod tls_proxy_protocol;
mod tls_transfers;
mod tls_upstreams;
mod trusted_proxies;
mod tunnels;
mod turns;
#[cfg(unix)]
mod unix_upstream;
mod upgrades;
#[path = "../conformance/relay/upstream.rs"]
#[expect(dead_code, reason = "shared with the relay tests of the conformance suite, which use more of it")]
mod upstream;

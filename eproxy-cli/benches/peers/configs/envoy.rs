//! Envoy as a proxy.

use crate::contender::{Launch, Site};

/// A reverse proxy of HTTP/2 clients over HTTP/1.1, which tells its upstream what eproxy tells it. What it would do by itself
/// and eproxy does not is off: identifiers of requests, headers about itself, limits of what is under way, hot restarts.
pub(crate) fn relay_http2(site: &Site<'_>) -> Launch {
    let config = format!(
        r#"
static_resources:
  listeners:
  - address: {{ socket_address: {{ address: 127.0.0.1, port_value: {port} }} }}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: front
          codec_type: HTTP2
          http2_protocol_options: {{ max_concurrent_streams: 128 }}
          generate_request_id: false
          use_remote_address: true
          via: "1.1 envoy"
          server_header_transformation: PASS_THROUGH
          route_config:
            request_headers_to_add:
            - header: {{ key: x-forwarded-host, value: "%REQ(:AUTHORITY)%" }}
              append_action: OVERWRITE_IF_EXISTS_OR_ADD
            - header:
                key: forwarded
                value: 'for=%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%;host="%REQ(:AUTHORITY)%";proto=http'
              append_action: OVERWRITE_IF_EXISTS_OR_ADD
            virtual_hosts:
            - name: everything
              domains: ["*"]
              routes:
              - match: {{ prefix: "/" }}
                route: {{ cluster: behind, timeout: 0s }}
          http_filters:
          - name: envoy.filters.http.router
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router
              suppress_envoy_headers: true
              dynamic_stats: false
  clusters:
  - name: behind
    type: STATIC
    connect_timeout: 5s
    circuit_breakers:
      thresholds:
      - {{ max_connections: {room}, max_pending_requests: {room}, max_requests: {room} }}
    load_assignment:
      cluster_name: behind
      endpoints:
      - lb_endpoints:
        - endpoint:
            address: {{ socket_address: {{ address: 127.0.0.1, port_value: {upstream} }} }}
"#,
        port = site.port,
        upstream = site.upstream(),
        room = site.room_for_connections(),
    );
    let path = site.path("config.yaml");
    let arguments = ["-c", &path, "--concurrency", "1", "--log-level", "error", "--disable-hot-restart"];
    Launch {
        arguments: arguments.map(str::to_owned).into(),
        files: vec![("config.yaml", config.into_bytes())],
    }
}

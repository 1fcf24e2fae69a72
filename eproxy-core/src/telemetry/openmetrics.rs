//! What was counted, as text for those who collect it: OpenMetrics 1.0, and the older format of Prometheus.
//!
//! The set of metrics is fixed; `docs/observability.md` has each of them. Labels have names that were configured, or names
//! of this program: no client can add one.

use std::fmt::{self, Write as _};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::{Registry, Unit};

use super::histogram::Latencies;
use super::metrics::{Classes, EndpointMetrics, GroupMetrics, MetricsSnapshot, RouteMetrics};

/// The bounds that histograms are told with, in microseconds.
const BOUNDS: [u64; 16] = [
    250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000,
    5_000_000, 10_000_000, 30_000_000,
];

/// Writes everything.
pub(super) fn encode(snapshot: MetricsSnapshot) -> String {
    let mut registry = Registry::with_prefix("eproxy");
    registry.register_collector(Box::new(Exposition(snapshot)));
    let mut out = String::with_capacity(16 * 1024);
    match text::encode(&mut out, &registry) {
        Ok(()) => out,
        // Writing to text can't fail.
        Err(fmt::Error) => String::from("# EOF\n"),
    }
}

#[derive(Debug)]
struct Exposition(MetricsSnapshot);

/// What was counted of an endpoint.
type Count = fn(&EndpointMetrics) -> u64;

/// A label and its value.
type Label<'a> = (&'static str, &'a str);

impl Collector for Exposition {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut out = Out(&mut encoder);
        self.server(&mut out)?;
        self.connections(&mut out)?;
        self.requests(&mut out)?;
        self.upstreams(&mut out)?;
        self.endpoints(&mut out)?;
        self.endpoint_counts(&mut out)
    }
}

impl Exposition {
    fn server(&self, out: &mut Out<'_, '_>) -> fmt::Result {
        let MetricsSnapshot { uptime, process, stats, .. } = &self.0;
        let version = [("version", env!("CARGO_PKG_VERSION"))];
        out.family("build", "What this is", None, MetricType::Info, |metric| metric.encode_info(&version))?;
        out.seconds("uptime", "How long ago the server was started", uptime.as_secs_f64())?;
        if let Some(cpu) = process.cpu {
            let help = "Processor time that the process has used";
            out.family("process_cpu", help, Some(&Unit::Seconds), MetricType::Counter, |metric| {
                counter(metric, cpu.as_secs_f64())
            })?;
        }
        if let Some(bytes) = process.resident_bytes {
            let help = "Resident memory of the process";
            out.family("process_resident_memory", help, Some(&Unit::Bytes), MetricType::Gauge, |metric| {
                metric.encode_gauge(&bytes)
            })?;
        }
        if let Some(open) = process.open_fds {
            out.gauge("process_open_fds", "Descriptors that the process has open", open)?;
        }
        out.counter(
            "task_panics",
            "Panics of the engine, each of which cost a connection",
            stats.task_panics,
        )?;
        out.counter(
            "access_log_dropped",
            "Lines of the access log that were dropped",
            self.0.access_log_dropped,
        )?;
        out.counter("trace_spans_dropped", "Spans of traces that were dropped", self.0.spans_dropped)
    }

    fn connections(&self, out: &mut Out<'_, '_>) -> fmt::Result {
        let stats = &self.0.stats;
        out.counter("connections", "Connections of clients that were accepted", stats.accepted)?;
        out.gauge("connections_open", "Connections of clients that are open", stats.open)?;
        out.counter(
            "connection_limit_hits",
            "Times that accepting stopped because of the limit on connections",
            stats.connection_limit,
        )?;
        out.counter(
            "accept_errors",
            "Failures of accept, for want of descriptors or memory",
            stats.accept_errors,
        )?;
        out.counter("tls_handshakes", "TLS handshakes with clients", stats.tls_handshakes)?;
        out.counter("tls_resumed", "TLS handshakes that went on with an earlier session", stats.tls_resumed)?;
        out.counter(
            "http2_connections",
            "Connections of clients that spoke HTTP/2",
            stats.http2_connections,
        )?;
        out.counter("http2_streams", "Streams of HTTP/2 that clients have begun", stats.http2_streams)?;
        out.gauge("http2_streams_open", "Streams of HTTP/2 that are open", stats.http2_open_streams)?;
        out.counter("tunnels", "Connections that became tunnels", stats.tunnels)?;
        let moved = [("up", stats.tunnel_bytes_up), ("down", stats.tunnel_bytes_down)];
        let help = "Bytes that went through tunnels, up to upstreams and down from them";
        out.family("tunnel", help, Some(&Unit::Bytes), MetricType::Counter, |metric| {
            moved
                .iter()
                .try_for_each(|(direction, bytes)| count(metric, &[("direction", *direction)], *bytes))
        })
    }

    fn requests(&self, out: &mut Out<'_, '_>) -> fmt::Result {
        let routes = &self.0.routes;
        out.classes(
            "requests",
            "Exchanges that are over, by route and class of the answer",
            routes.iter().map(|route| (vec![("route", route.name.as_str())], route.requests)),
        )?;
        let named = |route: &RouteMetrics, bytes: u64, metric: &mut MetricEncoder<'_>| {
            count(metric, &[("route", route.name.as_str())], bytes)
        };
        out.family(
            "request_body",
            "Bytes of the bodies of requests",
            Some(&Unit::Bytes),
            MetricType::Counter,
            |metric| routes.iter().try_for_each(|route| named(route, route.bytes_in, metric)),
        )?;
        out.family(
            "answer_body",
            "Bytes of the bodies of answers",
            Some(&Unit::Bytes),
            MetricType::Counter,
            |metric| routes.iter().try_for_each(|route| named(route, route.bytes_out, metric)),
        )?;
        out.family(
            "request_duration",
            "How long exchanges took",
            Some(&Unit::Seconds),
            MetricType::Histogram,
            |metric| {
                let mut routes = routes.iter();
                routes.try_for_each(|route| {
                    histogram(metric, &[("route", route.name.as_str())], &route.duration)
                })
            },
        )?;
        out.family("failures", "Failures by name", None, MetricType::Counter, |metric| {
            let mut failures = self.0.stats.failures();
            failures.try_for_each(|(name, failures)| count(metric, &[("kind", name)], failures))
        })
    }

    fn upstreams(&self, out: &mut Out<'_, '_>) -> fmt::Result {
        let stats = &self.0.stats;
        out.counter(
            "upstream_connects",
            "Connections to upstreams that were begun",
            stats.upstream_connects,
        )?;
        out.counter("upstream_reuses", "Times that a connection was used again", stats.upstream_reused)?;
        out.counter("retries", "Requests that were sent again", stats.retries)?;
        out.counter("retries_denied", "Requests that were not, for want of budget", stats.retries_denied)?;
        out.counter("hedges", "Second endpoints that were asked as well", stats.hedges)?;
        out.counter("hedges_won", "Second endpoints that answered first", stats.hedges_won)?;
        out.counter("queued", "Requests that waited for an endpoint to have room", stats.queued)?;
        out.counter("ejections", "Endpoints that were ejected for an answer or for none", stats.ejections)?;
        out.counter("mirrored", "Copies of requests that were answered", stats.mirrored)?;
        out.counter("mirror_dropped", "Copies of requests that were not", stats.mirror_dropped)?;
        out.family("group_waiting", "Requests that wait for room", None, MetricType::Gauge, |metric| {
            self.0.groups.iter().try_for_each(|group| {
                metric.encode_family(&[("group", group.name.as_str())])?.encode_gauge(&group.waiting)
            })
        })
    }

    /// How endpoints fare.
    fn endpoints(&self, out: &mut Out<'_, '_>) -> fmt::Result {
        let gauge = |metric: &mut MetricEncoder<'_>, value: fn(&EndpointMetrics) -> u64| {
            self.each_endpoint(|group, endpoint| {
                metric.encode_family(&labels(group, endpoint))?.encode_gauge(&value(endpoint))
            })
        };
        out.family(
            "endpoint_up",
            "Whether it may be sent new requests",
            None,
            MetricType::Gauge,
            |metric| gauge(metric, |endpoint| u64::from(endpoint.is_up)),
        )?;
        out.family(
            "endpoint_mode",
            "What its operator lets it be sent",
            None,
            MetricType::Gauge,
            |metric| {
                self.each_endpoint(|group, endpoint| {
                    ["active", "draining", "maintenance"].into_iter().try_for_each(|mode| {
                        let [one, two] = labels(group, endpoint);
                        let is_so = u64::from(endpoint.mode == mode);
                        metric.encode_family(&[one, two, ("mode", mode)])?.encode_gauge(&is_so)
                    })
                })
            },
        )?;
        out.family("endpoint_active", "Requests that are with it", None, MetricType::Gauge, |metric| {
            gauge(metric, |endpoint| endpoint.active)
        })
    }

    /// What was counted of endpoints.
    fn endpoint_counts(&self, out: &mut Out<'_, '_>) -> fmt::Result {
        let all = self.0.groups.iter().flat_map(|group| {
            group.endpoints.iter().map(move |endpoint| (labels(group, endpoint).to_vec(), endpoint.answers))
        });
        out.classes("endpoint_answers", "Heads of answers, by class", all)?;
        let counts: [(&str, &str, Count); 6] = [
            ("endpoint_attempts", "Times that it was chosen", |it| it.attempts),
            ("endpoint_retries", "Times that it was chosen for a request that had been sent before", |it| {
                it.retries
            }),
            ("endpoint_unreached", "Attempts that found no connection", |it| it.unreached),
            ("endpoint_unanswered", "Attempts that were sent and brought no answer", |it| it.unanswered),
            ("endpoint_ejections", "Times that it was ejected", |it| it.ejections),
            ("endpoint_connects", "Connections to it that were begun", |it| it.connects),
        ];
        for (name, help, value) in counts {
            out.family(name, help, None, MetricType::Counter, |metric| {
                self.each_endpoint(|group, endpoint| count(metric, &labels(group, endpoint), value(endpoint)))
            })?;
        }
        out.family(
            "endpoint_latency",
            "How long attempts took to the head of their answer",
            Some(&Unit::Seconds),
            MetricType::Histogram,
            |metric| {
                self.each_endpoint(|group, endpoint| {
                    histogram(metric, &labels(group, endpoint), &endpoint.latency)
                })
            },
        )
    }

    fn each_endpoint(
        &self,
        mut show: impl FnMut(&GroupMetrics, &EndpointMetrics) -> fmt::Result,
    ) -> fmt::Result {
        let mut groups = self.0.groups.iter();
        groups.try_for_each(|group| group.endpoints.iter().try_for_each(|endpoint| show(group, endpoint)))
    }
}

fn labels<'a>(group: &'a GroupMetrics, endpoint: &'a EndpointMetrics) -> [Label<'a>; 2] {
    [("group", group.name.as_str()), ("endpoint", endpoint.name.as_str())]
}

/// Where families are written.
struct Out<'a, 'e>(&'a mut DescriptorEncoder<'e>);

impl Out<'_, '_> {
    fn family(
        &mut self,
        name: &str,
        help: &str,
        unit: Option<&Unit>,
        kind: MetricType,
        values: impl FnOnce(&mut MetricEncoder<'_>) -> fmt::Result,
    ) -> fmt::Result {
        values(&mut self.0.encode_descriptor(name, help, unit, kind)?)
    }

    fn counter(&mut self, name: &str, help: &str, value: u64) -> fmt::Result {
        self.family(name, help, None, MetricType::Counter, |metric| counter(metric, value))
    }

    fn gauge(&mut self, name: &str, help: &str, value: u64) -> fmt::Result {
        self.family(name, help, None, MetricType::Gauge, |metric| metric.encode_gauge(&value))
    }

    fn seconds(&mut self, name: &str, help: &str, value: f64) -> fmt::Result {
        self.family(name, help, Some(&Unit::Seconds), MetricType::Gauge, |metric| metric.encode_gauge(&value))
    }

    /// A counter by class.
    fn classes<'v>(
        &mut self,
        name: &str,
        help: &str,
        values: impl Iterator<Item = (Vec<Label<'v>>, Classes)>,
    ) -> fmt::Result {
        self.family(name, help, None, MetricType::Counter, |metric| {
            for (mut labels, classes) in values {
                for (class, value) in classes.iter() {
                    labels.push(("class", class));
                    count(metric, &labels, value)?;
                    labels.pop();
                }
            }
            Ok(())
        })
    }
}

fn counter(
    metric: &mut MetricEncoder<'_>,
    value: impl prometheus_client::encoding::EncodeCounterValue,
) -> fmt::Result {
    metric.encode_counter::<[Label<'_>; 0], _, u64>(&value, None)
}

fn count(metric: &mut MetricEncoder<'_>, labels: &[Label<'_>], value: u64) -> fmt::Result {
    counter(&mut metric.encode_family(&labels)?, value)
}

fn histogram(metric: &mut MetricEncoder<'_>, labels: &[Label<'_>], latencies: &Latencies) -> fmt::Result {
    let counts = latencies.between(BOUNDS);
    let beyond = latencies.count() - counts.iter().sum::<u64>();
    let mut buckets: Vec<_> = BOUNDS.iter().map(|bound| *bound as f64 / 1e6).zip(counts).collect();
    buckets.push((f64::INFINITY, beyond));
    let mut metric = metric.encode_family(&labels)?;
    metric.encode_histogram::<[Label<'_>; 0]>(
        latencies.sum().as_secs_f64(),
        latencies.count(),
        &buckets,
        None,
    )
}

/// The same in the older format of Prometheus, which knows neither units nor the kind of information, and calls counters by
/// the names of their samples.
pub(super) fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    // The help of a family stands in front of its type.
    let mut help = "";
    for line in text.lines() {
        match line.strip_prefix("# ").map(|rest| rest.split_once(' ').unwrap_or((rest, ""))) {
            Some(("HELP", rest)) => help = rest,
            Some(("TYPE", rest)) => {
                let (name, kind) = rest.split_once(' ').unwrap_or((rest, "untyped"));
                let (suffix, kind) = match kind {
                    "counter" => ("_total", "counter"),
                    "info" => ("_info", "gauge"),
                    kind => ("", kind),
                };
                let help = help.split_once(' ').map_or("", |(_, help)| help);
                // Writing to text can't fail.
                let _written = write!(out, "# HELP {name}{suffix} {help}\n# TYPE {name}{suffix} {kind}\n");
            }
            Some(_) => {}
            None => {
                out.push_str(line);
                out.push('\n');
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_older_format_names_counters_by_their_samples() {
        let text = "# HELP a What a is.\n# TYPE a counter\na_total{x=\"# y\"} 1\n# HELP b_seconds B\n# TYPE b_seconds \
                    gauge\n# UNIT b_seconds seconds\nb_seconds 2.5\n# HELP c C\n# TYPE c info\nc_info{v=\"1\"} 1\n# EOF\n";
        assert_eq!(
            plain(text),
            "# HELP a_total What a is.\n# TYPE a_total counter\na_total{x=\"# y\"} 1\n# HELP b_seconds B\n# TYPE \
             b_seconds gauge\nb_seconds 2.5\n# HELP c_info C\n# TYPE c_info gauge\nc_info{v=\"1\"} 1\n"
        );
    }
}

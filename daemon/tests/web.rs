//! The HTTP side from outside, without privileges: a replay that serves, asked by curl, by Prometheus and by clients that
//! mean no good. `cargo xtask test` sets `PROMETHEUS` and `PROMTOOL`.

#[path = "web/client.rs"]
mod client;
#[path = "web/limits.rs"]
mod limits;
#[path = "web/prometheus.rs"]
mod prometheus;
#[path = "web/tls.rs"]
mod tls;

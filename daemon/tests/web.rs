//! The HTTP side from outside, without privileges: a replay that serves, asked by curl, by Prometheus and by clients that
//! mean no good, and shown in a terminal. `cargo xtask test` sets `PROMETHEUS` and `PROMTOOL`.

#[path = "web/client.rs"]
mod client;
#[path = "web/limits.rs"]
mod limits;
#[path = "web/prometheus.rs"]
mod prometheus;
#[path = "web/terminal.rs"]
mod terminal;
#[path = "web/tls.rs"]
mod tls;
#[path = "web/top.rs"]
mod top;

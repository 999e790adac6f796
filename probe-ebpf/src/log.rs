//! Lines about single events through aya-log: for work on the probes, compiled in by the feature `log` only.

/// A line, or nothing at all.
macro_rules! log {
    ($ctx:expr, $($line:tt)*) => {{
        #[cfg(feature = "log")]
        aya_log_ebpf::info!($ctx, $($line)*);
    }};
}
pub(crate) use log;

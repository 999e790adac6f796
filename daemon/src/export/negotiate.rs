//! The formats of a scrape, and which of them an Accept header asks for.

/// A format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Prometheus text 0.0.4.
    Prometheus,
    /// OpenMetrics text 1.0.0.
    OpenMetrics,
    /// Messages io.prometheus.client.MetricFamily, each with its length before it.
    Protobuf,
}

/// In the order in which they are sent to who asks for anything at all.
const ALL: [Format; 3] = [Format::Prometheus, Format::OpenMetrics, Format::Protobuf];

impl Format {
    /// Chooses by an Accept header: the largest q counts, among equal ones what is named more exactly, then what is named
    /// first. Who accepts none of the formats gets Prometheus text.
    #[must_use]
    pub fn accepted(accept: Option<&str>) -> Self {
        let ranges: Vec<Range<'_>> = accept.into_iter().flat_map(ranges).collect();
        let mut best = (Rank { quality: 0, exactness: Exactness::Anything, earliness: 0 }, Self::Prometheus);
        for format in ALL {
            if let Some(rank) = Rank::of(format, &ranges).filter(|rank| rank.quality > 0 && *rank > best.0) {
                best = (rank, format);
            }
        }
        best.1
    }

    /// The Content-Type of it.
    #[must_use]
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Protobuf => {
                "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"
            }
        }
    }

    fn media_type(self) -> (&'static str, &'static str) {
        match self {
            Self::Prometheus => ("text", "plain"),
            Self::OpenMetrics => ("application", "openmetrics-text"),
            Self::Protobuf => ("application", "vnd.google.protobuf"),
        }
    }

    /// Whether a range that names the media type means this format of it.
    fn has(self, range: &Range<'_>) -> bool {
        let is = |name, value| range.parameter(name) == Some(value);
        let has_version = |version| range.parameter("version").is_none_or(|asked| asked == version);
        match self {
            Self::Prometheus => has_version("0.0.4"),
            Self::OpenMetrics => has_version("1.0.0"),
            Self::Protobuf => is("proto", "io.prometheus.client.MetricFamily") && is("encoding", "delimited"),
        }
    }
}

/// How well a format fits a header; more is better.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    /// In thousandths.
    quality: u16,
    exactness: Exactness,
    /// Of what is named exactly: counted from the end of the header.
    earliness: usize,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Exactness {
    Anything,
    Type,
    Exact,
}

impl Rank {
    /// The most exact range that has a format counts for it.
    fn of(format: Format, ranges: &[Range<'_>]) -> Option<Self> {
        let (kind, subtype) = format.media_type();
        let ranks = ranges.iter().rev().enumerate().filter_map(|(n, range)| {
            let is = |name: &str, have: &str| name.eq_ignore_ascii_case(have);
            let (exactness, earliness) = match (range.kind, range.subtype) {
                ("*", "*") => (Exactness::Anything, 0),
                (asked, "*") if is(asked, kind) => (Exactness::Type, 0),
                (asked, sub) if is(asked, kind) && is(sub, subtype) && format.has(range) => (Exactness::Exact, n + 1),
                _ => return None,
            };
            Some(Self { quality: range.quality, exactness, earliness })
        });
        ranks.max_by_key(|rank| (rank.exactness, rank.quality, rank.earliness))
    }
}

/// A media range with its weight.
struct Range<'a> {
    kind: &'a str,
    subtype: &'a str,
    parameters: Vec<(&'a str, &'a str)>,
    quality: u16,
}

impl Range<'_> {
    fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| *value)
    }
}

/// The ranges of a header; what is none is left out. No value in use here has a comma or semicolon in quotes.
fn ranges(accept: &str) -> impl Iterator<Item = Range<'_>> {
    accept.split(',').filter_map(|range| {
        let mut parts = range.split(';').map(str::trim);
        let (kind, subtype) = parts.next()?.split_once('/')?;
        let parameters = parts.filter_map(|part| part.split_once('='));
        let parameters = parameters.map(|(name, value)| (name.trim(), value.trim().trim_matches('"'))).collect();
        let mut range = Range { kind, subtype, parameters, quality: 1_000 };
        if let Some(quality) = range.parameter("q") {
            let quality = quality.parse::<f32>().ok().filter(|quality| (0.0..=1.0).contains(quality))?;
            range.quality = (quality * 1_000.0).round() as u16;
        }
        Some(range)
    })
}

#[cfg(test)]
mod tests {
    use super::Format::{self, OpenMetrics, Prometheus, Protobuf};

    const DELIMITED: &str =
        "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited";

    fn choose(accept: &str) -> Format {
        Format::accepted(Some(accept))
    }

    #[test]
    fn what_prometheus_2_sends() {
        let text = "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,\
                    text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
        assert_eq!(choose(text), OpenMetrics);
        let native = format!(
            "{DELIMITED},application/openmetrics-text;version=1.0.0;q=0.8,\
             application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
        );
        assert_eq!(choose(&native), Protobuf);
    }

    #[test]
    fn what_prometheus_3_sends() {
        let text = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
                    application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,\
                    text/plain;version=0.0.4;q=0.3,*/*;q=0.2";
        assert_eq!(choose(text), OpenMetrics);
        let native = format!(
            "{DELIMITED};q=0.6,application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,\
             application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,\
             text/plain;version=0.0.4;q=0.2,*/*;q=0.1"
        );
        assert_eq!(choose(&native), Protobuf);
        // scrape_protocols: [PrometheusText1.0.0], which is answered with what it falls back to.
        assert_eq!(choose("text/plain;version=1.0.0;escaping=allow-utf-8;q=0.6,*/*;q=0.5"), Prometheus);
        // [PrometheusText0.0.4, PrometheusProto]
        assert_eq!(choose(&format!("text/plain;version=0.0.4;q=0.6,{DELIMITED};q=0.5,*/*;q=0.4")), Prometheus);
    }

    #[test]
    fn who_names_nothing_gets_prometheus_text() {
        assert_eq!(Format::accepted(None), Prometheus);
        for accept in
            ["", "*/*", "text/*", "text/html,application/xhtml+xml,*/*;q=0.8", "image/png", "nonsense", "*/*;q=2"]
        {
            assert_eq!(choose(accept), Prometheus, "{accept}");
        }
    }

    #[test]
    fn weights_count_and_zero_excludes() {
        assert_eq!(choose("application/openmetrics-text;version=1.0.0,text/plain;q=0.5"), OpenMetrics);
        assert_eq!(choose("application/openmetrics-text;q=0.2,text/plain;q=0.5"), Prometheus);
        assert_eq!(choose("application/openmetrics-text;q=0"), Prometheus);
        assert_eq!(choose(&format!("{DELIMITED};q=0.4, application/openmetrics-text; q=0.41")), OpenMetrics);
        assert_eq!(choose(&format!("{DELIMITED};q=0,*/*")), Prometheus);
        assert_eq!(choose("text/plain;q=0, application/*;q=0.1"), OpenMetrics);
        assert_eq!(choose("*/*;q=0.1, text/plain;q=0, application/openmetrics-text;q=0"), Protobuf);
        assert_eq!(choose("application/openmetrics-text;q=0.5, */*;q=0.9"), Prometheus);
        assert_eq!(choose("application/openmetrics-text;q=1.5"), Prometheus, "no weight");
    }

    #[test]
    fn the_first_of_equals_is_chosen() {
        assert_eq!(choose("application/openmetrics-text, text/plain"), OpenMetrics);
        assert_eq!(choose("text/plain, application/openmetrics-text"), Prometheus);
        assert_eq!(choose("*/*, application/openmetrics-text"), OpenMetrics, "named more exactly");
    }

    #[test]
    fn parameters_say_which_format_is_meant() {
        assert_eq!(choose("application/vnd.google.protobuf"), Prometheus);
        assert_eq!(choose(&DELIMITED.replace("delimited", "text")), Prometheus);
        assert_eq!(
            choose(&DELIMITED.replace("=delimited", " = \"delimited\"").to_uppercase()),
            Prometheus,
            "values have case"
        );
        assert_eq!(choose(&DELIMITED.replace("=delimited", "=\"delimited\"")), Protobuf);
        assert_eq!(choose("Application/OpenMetrics-Text; Version=1.0.0; charset=utf-8"), OpenMetrics);
        assert_eq!(choose("application/openmetrics-text;version=0.0.1"), Prometheus);
    }
}

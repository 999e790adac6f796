//! Queries as Grafana sends them, read by a parser of PromQL. Knows the variables that Grafana puts in, and nothing of
//! dashboards or metrics.

use anyhow::{Result, anyhow};
use promql_parser::parser::{self, AggregateExpr, Expr, LabelModifier, VectorSelector};

/// Grafana's own durations, and what stands in for each: durations that nobody writes.
const DURATIONS: [(&str, &str, u64); 3] =
    [("$__rate_interval", "61007ms", 61_007), ("$__range", "3601007ms", 3_601_007), ("$__interval", "17007ms", 17_007)];

/// A range vector inside a function.
#[derive(Debug)]
pub(super) struct Ranged {
    /// The function.
    pub(super) function: String,
    /// The range as the query has it, if it is one of Grafana's variables.
    pub(super) range: Option<&'static str>,
}

/// What a query is made of.
#[derive(Debug, Default)]
pub(super) struct Parts {
    /// Every selector.
    pub(super) selectors: Vec<VectorSelector>,
    /// Every function over a range.
    pub(super) ranged: Vec<Ranged>,
    /// Labels that an aggregation groups by, each with the metrics that are aggregated.
    pub(super) grouped: Vec<(String, Vec<String>)>,
}

/// Reads a query; an error has what the parser says.
pub(super) fn parse(query: &str) -> Result<Parts> {
    let plain = DURATIONS.iter().fold(query.to_owned(), |text, (name, duration, _)| text.replace(name, duration));
    let expr = parser::parse(&plain).map_err(|error| anyhow!("{error}: {query}"))?;
    let mut parts = Parts::default();
    walk(&expr, None, &mut parts);
    Ok(parts)
}

fn walk(expr: &Expr, function: Option<&str>, parts: &mut Parts) {
    match expr {
        Expr::Aggregate(aggregate) => {
            walk(&aggregate.expr, None, parts);
            aggregate.param.iter().for_each(|param| walk(param, None, parts));
            group(aggregate, parts);
        }
        Expr::Unary(unary) => walk(&unary.expr, function, parts),
        Expr::Binary(binary) => {
            walk(&binary.lhs, function, parts);
            walk(&binary.rhs, function, parts);
        }
        Expr::Paren(paren) => walk(&paren.expr, function, parts),
        Expr::Subquery(subquery) => {
            range(function, subquery.range.as_millis(), parts);
            walk(&subquery.expr, None, parts);
        }
        Expr::VectorSelector(selector) => parts.selectors.push(selector.clone()),
        Expr::MatrixSelector(matrix) => {
            range(function, matrix.range.as_millis(), parts);
            parts.selectors.push(matrix.vs.clone());
        }
        Expr::Call(call) => call.args.args.iter().for_each(|arg| walk(arg, Some(call.func.name), parts)),
        Expr::NumberLiteral(_) | Expr::StringLiteral(_) | Expr::Extension(_) => {}
    }
}

fn range(function: Option<&str>, milliseconds: u128, parts: &mut Parts) {
    let known = DURATIONS.iter().find(|(_, _, stand_in)| u128::from(*stand_in) == milliseconds);
    let function = function.unwrap_or_default().to_owned();
    parts.ranged.push(Ranged { function, range: known.map(|(name, _, _)| *name) });
}

fn group(aggregate: &AggregateExpr, parts: &mut Parts) {
    let Some(LabelModifier::Include(labels)) = &aggregate.modifier else { return };
    let mut below = Parts::default();
    walk(&aggregate.expr, None, &mut below);
    let metrics: Vec<String> = below.selectors.into_iter().filter_map(|selector| selector.name).collect();
    parts.grouped.extend(labels.labels.iter().map(|label| (label.clone(), metrics.clone())));
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn a_query_is_taken_apart() {
        let parts = parse(
            "histogram_quantile(0.9, sum by (le, mode) (rate(a_bucket{job=~\"$job\"}[$__rate_interval]))) / b offset $__range",
        )
        .unwrap();
        let names: Vec<&str> = parts.selectors.iter().filter_map(|selector| selector.name.as_deref()).collect();
        assert_eq!(names, ["a_bucket", "b"]);
        assert_eq!(parts.selectors[0].matchers.matchers[0].value, "$job");
        assert_eq!((parts.ranged[0].function.as_str(), parts.ranged[0].range), ("rate", Some("$__rate_interval")));
        assert_eq!(parts.grouped[1], ("mode".to_owned(), vec!["a_bucket".to_owned()]));
    }

    #[test]
    fn a_range_of_ones_own_is_none_of_grafanas() {
        assert_eq!(parse("increase(a[5m])").unwrap().ranged[0].range, None);
        assert_eq!(parse("max_over_time(sum(a)[$__range:1m])").unwrap().ranged[0].range, Some("$__range"));
    }

    #[test]
    fn what_is_no_query_is_an_error_that_quotes_it() {
        assert!(
            parse("sum(rate(a[$__rate_interval])").unwrap_err().to_string().ends_with("sum(rate(a[$__rate_interval])")
        );
    }
}

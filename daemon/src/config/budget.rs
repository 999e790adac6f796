//! How much the probes may cost.

use std::{fmt, str::FromStr};

use serde::Deserialize;

/// A part of the host's CPU time, or no bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Budget {
    /// Millionths; none: no bound.
    millionths: Option<u32>,
}

/// The least that can be kept to: with less, looking at the cost would be most of it.
const LEAST: f64 = 0.01;

impl Budget {
    /// As a part of the whole; none: no bound.
    #[must_use]
    pub fn ratio(self) -> Option<f64> {
        self.millionths.map(|millionths| f64::from(millionths) / 1e6)
    }
}

impl Default for Budget {
    fn default() -> Self {
        Self { millionths: Some(10_000) }
    }
}

impl FromStr for Budget {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "off" {
            return Ok(Self { millionths: None });
        }
        let wrong = || format!("{text:?} is no share of CPU time: between {LEAST}% and 100%, or off");
        let percent: f64 = text.strip_suffix('%').ok_or_else(wrong)?.trim_end().parse().map_err(|_| wrong())?;
        if !(LEAST..=100.0).contains(&percent) {
            return Err(wrong());
        }
        Ok(Self { millionths: Some((percent * 10_000.0).round() as u32) })
    }
}

impl TryFrom<String> for Budget {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl fmt::Display for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.millionths {
            None => f.write_str("off"),
            Some(millionths) => write!(f, "{}%", f64::from(millionths) / 10_000.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_read_and_written() {
        for (text, ratio) in [("1%", 0.01), ("0.5%", 0.005), ("100 %", 1.0), ("0.01%", 0.0001)] {
            let budget: Budget = text.parse().unwrap();
            assert_eq!(budget.ratio(), Some(ratio), "{text}");
            assert_eq!(budget.to_string().parse::<Budget>().unwrap(), budget);
        }
        assert_eq!("off".parse::<Budget>().unwrap().ratio(), None);
        assert_eq!(Budget::default(), "1%".parse().unwrap());
        for text in ["1", "0%", "101%", "-1%", "a%", "NaN%", ""] {
            assert!(text.parse::<Budget>().unwrap_err().contains(text), "{text}");
        }
    }
}

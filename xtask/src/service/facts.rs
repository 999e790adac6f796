//! What the guest's script tells: lines of "fact NAME VALUE", texts between "begin NAME" and "end NAME".

use std::collections::BTreeMap;

/// All of it, by name.
#[derive(Debug, Default)]
pub(super) struct Facts(BTreeMap<String, String>);

impl Facts {
    pub(super) fn read(output: &str) -> Self {
        let mut facts = BTreeMap::new();
        let mut open: Option<(String, String)> = None;
        for line in output.lines() {
            match &mut open {
                Some((name, _)) if line == format!("end {name}") => facts.extend(open.take()),
                Some((_, text)) => {
                    text.push_str(line);
                    text.push('\n');
                }
                None => {
                    if let Some(name) = line.strip_prefix("begin ") {
                        open = Some((name.to_owned(), String::new()));
                    } else if let Some(fact) = line.strip_prefix("fact ") {
                        let (name, value) = fact.split_once(' ').unwrap_or((fact, ""));
                        facts.insert(name.to_owned(), value.trim().to_owned());
                    }
                }
            }
        }
        Self(facts)
    }

    /// A fact, or a text; none where the script did not come that far.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::Facts;

    #[test]
    fn facts_are_lines_and_texts() {
        let facts =
            Facts::read("step x\nfact code 0\nbegin log\nfact no fact\nend other\nend log\nfact empty\nbegin cut\nx\n");
        assert_eq!((facts.get("code"), facts.get("empty")), (Some("0"), Some("")));
        assert_eq!(facts.get("log"), Some("fact no fact\nend other\n"));
        assert_eq!((facts.get("no"), facts.get("cut")), (None, None));
    }
}

//! Pages of docs, whose text is written by hand, and each table between two marks by the command that measured it.

use std::fs;

use anyhow::{Context, Result, bail};

use crate::paths;

/// Puts a text between the marks of a name; the page is given from the checkout's root.
pub(crate) fn replace(page: &str, name: &str, text: &str) -> Result<()> {
    let path = paths::root().join(page);
    let page = fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
    let Some(page) = replaced(&page, name, text) else {
        bail!("{} has no lines <!-- {name} --> and <!-- end of {name} -->", path.display());
    };
    fs::write(&path, page).with_context(|| format!("write {}", path.display()))
}

fn replaced(page: &str, name: &str, text: &str) -> Option<String> {
    let (begin, end) = (format!("<!-- {name} -->\n"), format!("<!-- end of {name} -->"));
    let (before, rest) = page.split_once(&begin)?;
    let (_, after) = rest.split_once(&end)?;
    Some(format!("{before}{begin}{text}\n{end}{after}"))
}

#[cfg(test)]
mod tests {
    use super::replaced;

    #[test]
    fn only_what_is_between_the_marks_changes() {
        let page = "a\n<!-- x -->\nold\n<!-- end of x -->\nb\n";
        let new = "a\n<!-- x -->\nnew\n<!-- end of x -->\nb\n";
        assert_eq!(replaced(page, "x", "new").as_deref(), Some(new));
        assert_eq!(replaced(page, "y", "new"), None);
    }
}

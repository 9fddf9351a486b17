//! `explain`: what an error code means and how to fix it; the pages of `docs/reference/errors`.

use include_dir::{Dir, include_dir};

use crate::exit::{Exit, Failure};
use crate::output;

/// The pages that `cargo xtask gen` writes, one for each code.
static PAGES: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../../docs/reference/errors");

pub(crate) fn run(code: &str) -> Result<Exit, Failure> {
    let upper = code.to_uppercase();
    let number = upper.strip_prefix("TL").unwrap_or(&upper).parse::<u16>();
    let file = number.map_or_else(|_| upper.clone(), |number| format!("TL{number:04}"));
    let page = PAGES.get_file(format!("{file}.md")).and_then(|page| page.contents_utf8());
    let Some(page) = page.filter(|_| file.starts_with("TL")) else {
        let text = format!(
            "TL9016: there is no error code {code:?}; write it as the message has it, `TL0502`"
        );
        return Err(Failure::new(Exit::Usage, text));
    };
    output::line(page.trim_end())?;
    Ok(Exit::Ok)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_explained_as_it_is_written_and_nothing_else_is() {
        assert!(PAGES.files().count() > 100);
        for known in ["TL0502", "tl0502", "0502", "502", "TL502", "tl502"] {
            assert_eq!(run(known).unwrap(), Exit::Ok, "{known}");
        }
        for unknown in ["TL9999", "9999", "README", "../config", ""] {
            assert_eq!(run(unknown).unwrap_err().exit, Exit::Usage, "{unknown}");
        }
    }
}

//! The index of error codes, read from the sources.
//!
//! A code is defined by the text literal that starts with it (`"TL0201: topic ..."`), by a constant
//! with a comment (`/// A value is missing.`), or by the literal that is nothing but the code,
//! followed by the literal that says what is wrong. A code belongs to one crate and has one text.

use std::collections::BTreeMap;

use anyhow::{Result, bail};

use crate::repo::{Repo, is_test_file, without_tests};

/// Where a code stands, and what it says there.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Mention {
    code: String,
    /// The text behind the code in its own literal, or in the next one.
    text: Option<String>,
    /// Whether the text stands in the literal of the code itself.
    own: bool,
}

/// What is known about one code.
#[derive(Debug, Default)]
struct Entry {
    /// The folders of the crates that use it.
    crates: Vec<String>,
    /// The texts of literals that start with it.
    own: Vec<String>,
    /// The texts that follow it.
    following: Vec<String>,
}

/// `docs/reference/errors.md`.
pub(crate) fn page(repo: &Repo) -> Result<String> {
    let mut sources = Vec::new();
    for path in repo.rust_files()? {
        let ships = !path.starts_with("xtask/") && !path.starts_with("benches/");
        if ships && !is_test_file(&path) {
            sources.push((path.clone(), repo.read(&path)?));
        }
    }
    render(&index(&sources))
}

fn index(sources: &[(String, String)]) -> BTreeMap<String, Entry> {
    let mut index: BTreeMap<String, Entry> = BTreeMap::new();
    for (path, source) in sources {
        let folder: Vec<&str> = path.split('/').take(2).collect();
        let folder = folder.join("/");
        let source = without_tests(source);
        for mention in constants(source).into_iter().chain(mentions(source)) {
            let entry = index.entry(mention.code).or_default();
            if !entry.crates.contains(&folder) {
                entry.crates.push(folder.clone());
            }
            let texts = if mention.own { &mut entry.own } else { &mut entry.following };
            texts.extend(mention.text.filter(|text| !texts.contains(text)));
        }
    }
    index
}

fn render(index: &BTreeMap<String, Entry>) -> Result<String> {
    let mut problems = Vec::new();
    let mut page = String::from(
        "# Error codes\n\n\
         <!-- Written by `cargo xtask gen` from the sources. -->\n\n\
         Every error that an operator can meet carries a stable code. `{...}` stands for the value \
         of the case at hand; the message itself says where it happened and what to do.\n\n\
         | code | message | crate |\n| --- | --- | --- |\n",
    );
    for (code, entry) in index {
        if entry.crates.len() > 1 {
            problems.push(format!("{code} is used by {}", entry.crates.join(" and ")));
        }
        if entry.own.len() > 1 {
            problems.push(format!("{code} has two messages: {:?}", entry.own));
        }
        let Some(text) = entry.own.first().or(entry.following.first()) else {
            problems.push(format!("{code} has no message beside it"));
            continue;
        };
        let text = text.replace('|', "\\|").replace('<', "&lt;");
        page += &format!("| {code} | {text} | `{}` |\n", entry.crates.join(", "));
    }
    if !problems.is_empty() {
        bail!("error codes: {}", problems.join("; "));
    }
    Ok(page)
}

/// Every code in the text literals of a source, with what it says.
fn mentions(source: &str) -> Vec<Mention> {
    let literals = literals(source);
    let mut mentions = Vec::new();
    for (at, literal) in literals.iter().enumerate() {
        let Some(code) = code(literal) else { continue };
        let rest = &literal[code.len()..];
        let own = rest.strip_prefix(": ").map(str::to_owned);
        if own.is_none() && !rest.is_empty() {
            continue;
        }
        let next = literals.get(at + 1).filter(|next| self::code(next).is_none());
        let mention = Mention {
            code: code.to_owned(),
            own: own.is_some(),
            text: own.or_else(|| next.cloned()),
        };
        mentions.push(mention);
    }
    mentions
}

/// Every constant that is a code, with its comment.
fn constants(source: &str) -> Vec<Mention> {
    let mut mentions = Vec::new();
    let mut comment = String::new();
    for line in source.lines().map(str::trim) {
        if let Some(text) = line.strip_prefix("///") {
            comment = format!("{comment} {}", text.trim());
            continue;
        }
        let constant = line.split_once(": &str = \"").and_then(|(_, value)| code(value));
        if let Some(code) = constant.filter(|_| line.contains("const ") && !comment.is_empty()) {
            let text = Some(comment.trim().trim_end_matches('.').to_owned());
            mentions.push(Mention { code: code.to_owned(), text, own: true });
        }
        comment.clear();
    }
    mentions
}

/// The code at the start of a literal.
fn code(literal: &str) -> Option<&str> {
    let code = literal.get(..6)?;
    let digits = code.strip_prefix("TL")?;
    digits.bytes().all(|b| b.is_ascii_digit()).then_some(code)
}

/// The text literals of a Rust source in order. Comments are skipped; a line break that a `\` takes
/// out of a literal is taken out here too.
fn literals(source: &str) -> Vec<String> {
    let mut literals = Vec::new();
    let mut rest = source;
    while let Some(at) = rest.find(['"', '/', '\'']) {
        let found = &rest[at..];
        if found.starts_with("//") {
            rest = found.find('\n').map_or("", |end| &found[end..]);
        } else if let Some(inner) = found.strip_prefix('"') {
            let raw = rest[..at].trim_end_matches('#').ends_with('r');
            let (text, after) = if raw { raw_literal(rest, at) } else { literal(inner) };
            literals.push(text);
            rest = after;
        } else if found.starts_with("'\"'") || found.starts_with("'\\\"'") {
            rest = &found[if found.starts_with("'\"'") { 3 } else { 4 }..];
        } else {
            rest = &found[1..];
        }
    }
    literals
}

/// The literal whose opening quote was passed, and what follows its closing quote.
fn literal(rest: &str) -> (String, &str) {
    let mut text = String::new();
    // Behind a line break that is taken out, the indentation is taken out too.
    let mut indentation = false;
    let mut chars = rest.char_indices();
    while let Some((at, c)) = chars.next() {
        if indentation && c.is_whitespace() {
            continue;
        }
        indentation = false;
        match c {
            '"' => return (text, &rest[at + 1..]),
            '\\' => match chars.next() {
                Some((_, '\n')) => indentation = true,
                Some((_, 'n')) => text.push(' '),
                Some((_, escaped)) => text.push(escaped),
                None => break,
            },
            c => text.push(c),
        }
    }
    (text, "")
}

/// The raw literal whose opening quote stands at `at`, and what follows it.
fn raw_literal(rest: &str, at: usize) -> (String, &str) {
    let hashes = rest[..at].len() - rest[..at].trim_end_matches('#').len();
    let close = format!("\"{}", "#".repeat(hashes));
    let inner = &rest[at + 1..];
    match inner.find(&close) {
        Some(end) => (inner[..end].to_owned(), &inner[end + close.len()..]),
        None => (inner.to_owned(), ""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(source: &str) -> Vec<(String, Option<String>, bool)> {
        mentions(source).into_iter().map(|m| (m.code, m.text, m.own)).collect()
    }

    #[test]
    fn a_code_is_read_with_its_message() {
        assert_eq!(
            found("#[error(\"TL0201: topic {topic:?} is bad; \\\n            use a-z\")]"),
            [("TL0201".into(), Some("topic {topic:?} is bad; use a-z".into()), true)]
        );
        assert_eq!(
            found("UNREADABLE = \"TL0101\", \"The file cannot be read\";"),
            [("TL0101".into(), Some("The file cannot be read".into()), false)]
        );
        assert_eq!(
            found("Self::A => \"TL0502\",\nSelf::B => \"TL0503\","),
            [("TL0502".into(), None, false), ("TL0503".into(), None, false)]
        );
    }

    #[test]
    fn the_comment_of_a_constant_is_its_message() {
        let source = "/// A value\n/// is missing.\npub(crate) const EMPTY: &str = \"TL1015\";\n";
        let found: Vec<_> = constants(source).into_iter().map(|m| (m.code, m.text)).collect();
        assert_eq!(found, [("TL1015".into(), Some("A value is missing".into()))]);
    }

    #[test]
    fn comments_and_other_texts_are_no_definitions() {
        assert_eq!(found("/// The code, \"TL0110\".\nlet a = \"see TL0110\"; // \"TL0111\"\n"), []);
        assert_eq!(
            found("let q = '\"'; let a = \"TL01\"; let b = r#\"x\"y\"#; let c = '\\\"';"),
            []
        );
    }

    #[test]
    fn a_code_of_two_crates_or_with_two_texts_is_refused() {
        let source =
            |path: &str, text: &str| (format!("crates/{path}/src/error.rs"), text.to_owned());
        let page =
            |sources: &[(String, String)]| render(&index(sources)).map_err(|e| e.to_string());
        let good = [source("log", "\"TL0201: a\""), source("bus", "\"TL0501: b | c\"")];
        assert!(page(&good).unwrap().contains("| TL0501 | b \\| c | `crates/bus` |"));
        let two_crates = [source("log", "\"TL0201: a\""), source("bus", "\"TL0201: a\"")];
        assert!(page(&two_crates).unwrap_err().contains("TL0201 is used by"));
        let two_texts = [source("log", "\"TL0201: a\" \"TL0201: b\"")];
        assert!(page(&two_texts).unwrap_err().contains("two messages"));
        let silent = [source("log", "\"TL0201\"")];
        assert!(page(&silent).unwrap_err().contains("no message"));
    }
}

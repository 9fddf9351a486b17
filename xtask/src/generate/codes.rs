//! The pages of error codes: the message from the sources, and the text beside them.
//!
//! A code is defined by the text literal that starts with it (`"TL0201: topic ..."`), by a constant
//! with a comment (`/// A value is missing.`), or by the literal that is nothing but the code,
//! followed by the literal that says what is wrong. A code belongs to one crate and has one text.
//! What it means, how to fix it and an example stand in the `errors.md` of that crate: a code
//! without its section, and a section without its code, are errors.

use std::collections::BTreeMap;

use anyhow::{Result, bail};

use super::{Page, texts};
use crate::repo::{Repo, is_test_file, without_tests};

/// Where the pages stand.
pub(super) const FOLDER: &str = "docs/reference/errors";

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

/// One page per code, and their index.
pub(super) fn pages(repo: &Repo) -> Result<Vec<Page>> {
    let mut sources = Vec::new();
    for path in repo.rust_files()? {
        let ships = !path.starts_with("xtask/") && !path.starts_with("benches/");
        if ships && !is_test_file(&path) {
            sources.push((path.clone(), repo.read(&path)?));
        }
    }
    let index = index(&sources);
    let mut texts = Vec::new();
    for member in repo.members()? {
        let path = format!("{}/errors.md", member.folder);
        if repo.root.join(&path).is_file() {
            texts.push((member.folder, repo.read(&path)?));
        }
    }
    render(&index, &texts)
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

const INDEX: &str = "# Error codes\n\n\
    <!-- Written by `cargo xtask gen` from the sources and the errors.md of each crate. -->\n\n\
    Every error that an operator can meet carries a stable code; `throughline explain CODE` prints \
    its page. `{...}` stands for the value of the case at hand; the message itself says where it \
    happened.\n\n\
    | code | what | where |\n| --- | --- | --- |\n";

fn render(index: &BTreeMap<String, Entry>, files: &[(String, String)]) -> Result<Vec<Page>> {
    let mut problems = Vec::new();
    let mut texts = BTreeMap::new();
    for (folder, file) in files {
        for (code, text) in texts::parse(&format!("{folder}/errors.md"), file, &mut problems) {
            let known = index.get(&code).is_some_and(|entry| entry.crates.contains(folder));
            if !known {
                problems.push(format!("{folder}/errors.md: {code} is not used in {folder}"));
            }
            texts.insert(code, text);
        }
    }
    let mut list = INDEX.to_owned();
    let mut pages = Vec::new();
    for (code, entry) in index {
        let place = entry.crates.join(" and ");
        if entry.crates.len() > 1 {
            problems.push(format!("{code} is used by {place}"));
        }
        if entry.own.len() > 1 {
            problems.push(format!("{code} has two messages: {:?}", entry.own));
        }
        let Some(text) = texts.get(code) else {
            problems.push(format!("{code} has no section in {place}/errors.md"));
            continue;
        };
        let message = entry.own.first().or(entry.following.first());
        let Some(title) = text.title.as_ref().or(message) else {
            problems.push(format!("{code} has no message beside it and no title"));
            continue;
        };
        let cell = title.replace('|', "\\|").replace('<', "&lt;");
        list += &format!("| [{code}]({code}.md) | {cell} | `{place}` |\n");
        pages.push(Page { path: format!("{FOLDER}/{code}.md"), text: text.page(code, title) });
    }
    if !problems.is_empty() {
        bail!("error codes:\n  {}", problems.join("\n  "));
    }
    pages.push(Page { path: format!("{FOLDER}/README.md"), text: list });
    Ok(pages)
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

    fn source(path: &str, text: &str) -> (String, String) {
        (format!("crates/{path}/src/error.rs"), text.to_owned())
    }

    fn rendered(sources: &[(String, String)], texts: &[(&str, &str)]) -> Result<Vec<Page>, String> {
        let texts: Vec<_> = texts
            .iter()
            .map(|(folder, text)| (format!("crates/{folder}"), (*text).into()))
            .collect();
        render(&index(sources), &texts).map_err(|error| error.to_string())
    }

    const LOG: &str = "# Log\n\n## TL0201\n\nWhy: w.\n\nFix: f.\n\nExample: e.\n";
    const BUS: &str = "## TL0501: A title\nWhy: w.\nFix: f.\nExample: e.\n";

    #[test]
    fn every_code_has_a_page_and_a_row() {
        let good = [source("log", "\"TL0201: a | b\""), source("bus", "\"TL0501: c\"")];
        let pages = rendered(&good, &[("log", LOG), ("bus", BUS)]).unwrap();
        let paths: Vec<&str> = pages.iter().map(|page| page.path.as_str()).collect();
        assert_eq!(paths, ["TL0201.md", "TL0501.md", "README.md"].map(|p| format!("{FOLDER}/{p}")));
        assert!(pages[0].text.starts_with("# TL0201\n\na | b\n"), "{}", pages[0].text);
        assert!(pages[1].text.contains("A title"));
        assert!(pages[2].text.contains("| [TL0201](TL0201.md) | a \\| b | `crates/log` |"));
    }

    #[test]
    fn a_code_without_its_text_and_a_text_without_its_code_are_refused() {
        let log = [source("log", "\"TL0201: a\"")];
        assert!(rendered(&log, &[]).unwrap_err().contains("TL0201 has no section in crates/log"));
        let stale = rendered(&log, &[("log", LOG), ("bus", BUS)]).unwrap_err();
        assert!(stale.contains("TL0501 is not used in crates/bus"), "{stale}");
    }

    #[test]
    fn a_code_of_two_crates_or_with_two_texts_is_refused() {
        let two_crates = [source("log", "\"TL0201: a\""), source("bus", "\"TL0201: a\"")];
        let error = rendered(&two_crates, &[("log", LOG)]).unwrap_err();
        assert!(error.contains("TL0201 is used by"), "{error}");
        let two_texts = [source("log", "\"TL0201: a\" \"TL0201: b\"")];
        assert!(rendered(&two_texts, &[("log", LOG)]).unwrap_err().contains("two messages"));
        let silent = [source("log", "\"TL0201\"")];
        assert!(rendered(&silent, &[("log", LOG)]).unwrap_err().contains("no message"));
    }
}

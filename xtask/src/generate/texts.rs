//! `errors.md` of a crate: why each of its errors happens, how to fix it, and an example.
//!
//! ```text
//! ## TL0201: an optional title, where the message in the sources does not say enough
//!
//! Why: ...
//!
//! Fix: ...
//!
//! Example: ...
//! ```

/// What a person wrote about one code.
#[derive(Debug, Default)]
pub(super) struct Text {
    /// What to show in place of the message of the sources.
    pub(super) title: Option<String>,
    parts: [String; 3],
}

const LABELS: [&str; 3] = ["Why: ", "Fix: ", "Example: "];
const HEADINGS: [&str; 3] = ["Why", "What to do", "Example"];

impl Text {
    /// The page of a code.
    pub(super) fn page(&self, code: &str, title: &str) -> String {
        let mut page = format!("# {code}\n\n{}\n", title.replace('<', "&lt;"));
        for (heading, part) in HEADINGS.iter().zip(&self.parts) {
            page += &format!("\n## {heading}\n\n{}\n", part.trim());
        }
        page
    }
}

/// The sections of a file; what is out of order is added to `problems`.
pub(super) fn parse(path: &str, file: &str, problems: &mut Vec<String>) -> Vec<(String, Text)> {
    let mut sections: Vec<(String, Text)> = Vec::new();
    let mut part = None;
    for line in file.lines() {
        if let Some(heading) = line.strip_prefix("## ") {
            let (code, title) =
                heading.split_once(": ").map_or((heading, None), |(c, t)| (c, Some(t)));
            if sections.iter().any(|(known, _)| known == code) {
                problems.push(format!("{path}: {code} stands twice"));
            }
            let title = title.map(str::to_owned);
            sections.push((code.to_owned(), Text { title, ..Text::default() }));
            part = None;
            continue;
        }
        let Some((_, text)) = sections.last_mut() else { continue };
        let labeled = LABELS.iter().position(|label| line.starts_with(label));
        part = labeled.or(part);
        let Some(part) = part else { continue };
        let line = labeled.map_or(line, |at| &line[LABELS[at].len()..]);
        text.parts[part] += line;
        text.parts[part].push('\n');
    }
    for (code, text) in &sections {
        for (label, part) in LABELS.iter().zip(&text.parts) {
            if part.trim().is_empty() {
                problems.push(format!("{path}: {code} has no `{}`", label.trim()));
            }
        }
    }
    sections
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_has_a_title_and_three_parts() {
        let mut problems = Vec::new();
        let file = "# Log\n\nIntroduction.\n\n## TL0201: Title\n\nWhy: a\nb\n\nFix: c\n\n\
                    Example: d\n\n```\ne\n```\n";
        let sections = parse("x", file, &mut problems);
        assert_eq!(problems, [""; 0]);
        let (code, text) = &sections[0];
        assert_eq!((code.as_str(), text.title.as_deref()), ("TL0201", Some("Title")));
        assert_eq!(
            text.page("TL0201", "Title"),
            "# TL0201\n\nTitle\n\n## Why\n\na\nb\n\n## What to do\n\nc\n\n## Example\n\nd\n\n```\ne\n```\n"
        );
    }

    #[test]
    fn a_missing_part_and_a_code_twice_are_told() {
        let mut problems = Vec::new();
        parse("x", "## TL0201\n\nWhy: a\n\nFix: b\n\n## TL0201\nFix: c\n", &mut problems);
        assert!(problems.contains(&"x: TL0201 stands twice".to_owned()), "{problems:?}");
        assert!(problems.contains(&"x: TL0201 has no `Example:`".to_owned()), "{problems:?}");
        assert!(problems.contains(&"x: TL0201 has no `Why:`".to_owned()), "{problems:?}");
    }
}

//! How long files are, and what they may not contain.

use anyhow::Result;

use crate::repo::{Repo, is_test_file, without_tests};

/// A file holds one idea; beyond this length it holds two.
const LINES: usize = 500;
/// `lib.rs` is the table of contents of a crate.
const LIB_LINES: usize = 120;

/// Longer files, each with the reason.
const EXCEPTIONS: [(&str, &str); 0] = [];

/// Everything that is out of order in one file.
pub(crate) fn check(path: &str, source: &str) -> Vec<String> {
    let mut problems = Vec::new();
    if path.ends_with("/mod.rs") {
        problems.push(format!("{path}: name it after its module and move it beside the folder"));
    }
    for (number, line) in source.lines().enumerate() {
        let line = line.trim_start();
        if line.starts_with("#[allow(") || line.starts_with("#![allow(") {
            let place = format!("{path}:{}", number + 1);
            problems
                .push(format!("{place}: write `#[expect(lint, reason = \"...\")]`, not `allow`"));
        }
        if line == "#[ignore]" {
            problems.push(format!("{path}:{}: say why: `#[ignore = \"...\"]`", number + 1));
        }
    }
    if is_test_file(path) {
        return problems;
    }
    let lines = without_tests(source).lines().count();
    let limit = if path.ends_with("/src/lib.rs") { LIB_LINES } else { LINES };
    let excepted = EXCEPTIONS.iter().any(|(exception, _)| *exception == path);
    if lines > limit && !excepted {
        problems.push(format!("{path}: {lines} lines without tests, allowed are {limit}"));
    }
    problems
}

/// Exceptions whose file is gone or short enough.
pub(crate) fn unused_exceptions(repo: &Repo) -> Result<Vec<String>> {
    let mut problems = Vec::new();
    for (path, _) in EXCEPTIONS {
        if !repo.root.join(path).is_file()
            || without_tests(&repo.read(path)?).lines().count() <= LINES
        {
            problems.push(format!("{path}: needs no exception any more"));
        }
    }
    Ok(problems)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_file_is_found_and_its_tests_do_not_count() {
        let long = "a\n".repeat(LINES + 1);
        let tested = format!("a\n#[cfg(test)]\nmod tests {{\n{long}}}\n");
        assert_eq!(check("crates/x/src/a.rs", &long).len(), 1);
        assert!(check("crates/x/src/a.rs", &tested).is_empty());
        assert!(check("crates/x/src/a/tests.rs", &long).is_empty());
        assert_eq!(check("crates/x/src/lib.rs", &"a\n".repeat(LIB_LINES + 1)).len(), 1);
    }

    #[test]
    fn what_may_not_stand_in_a_file_is_found_with_its_line() {
        let allow = concat!("fn a() {}\n#[al", "low(dead_code)]\n");
        assert!(check("crates/x/src/a.rs", allow)[0].starts_with("crates/x/src/a.rs:2:"));
        let ignore = concat!("#[ign", "ore]\n");
        assert_eq!(check("crates/x/tests/main.rs", ignore).len(), 1);
        assert_eq!(check("crates/x/src/a/mod.rs", "").len(), 1);
    }
}

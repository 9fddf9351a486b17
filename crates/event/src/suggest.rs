//! The name that was probably meant.

/// The fix for a name that does not exist: the nearest known one, or all of them under the heading
/// `what`.
pub fn instead_of<'a>(
    written: &str,
    known: impl IntoIterator<Item = &'a str>,
    what: &str,
) -> String {
    let known: Vec<&str> = known.into_iter().collect();
    match nearest(written, &known) {
        Some(name) => format!("did you mean `{name}`?"),
        None if known.is_empty() => format!("there are no {what}"),
        None => format!("{what}: {}", known.join(", ")),
    }
}

/// More slips than this make another word, however long the word is.
const SLIPS: usize = 3;

/// The known name that a few slips turn into the written one.
pub fn nearest<'a>(written: &str, known: &[&'a str]) -> Option<&'a str> {
    let plain = |name: &str| name.to_lowercase().replace(['-', '_', ' '], "");
    let wanted = plain(written);
    known
        .iter()
        .map(|name| (strsim::damerau_levenshtein(&wanted, &plain(name)), *name))
        // A third of the letters may be wrong: enough for slips, too few for another word.
        .filter(|(distance, name)| *distance <= (name.chars().count().max(3) / 3).min(SLIPS))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_suggests_the_name_and_another_word_lists_all() {
        let known = ["folder", "format", "system"];
        assert_eq!(instead_of("foldr", known, "keys"), "did you mean `folder`?");
        assert_eq!(instead_of("Folder", known, "keys"), "did you mean `folder`?");
        assert_eq!(instead_of("password", known, "keys"), "keys: folder, format, system");
        assert_eq!(instead_of("x", [], "packs"), "there are no packs");
        let topics = ["observed.shop-1.order", "canonical.order"];
        assert_eq!(
            instead_of("canonical.ordre", topics, "topics"),
            "did you mean `canonical.order`?"
        );
        assert!(instead_of("canonical.nothing", topics, "topics").starts_with("topics: "));
    }
}

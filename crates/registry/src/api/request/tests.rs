use super::{Query, decoded};

#[test]
fn percent_encoding_is_undone_once() {
    assert_eq!(decoded("a%2Fb%20%C3%BC+%2525", false).as_deref(), Some("a/b ü+%25"));
    assert_eq!(decoded("a+b", true).as_deref(), Some("a b"));
}

#[test]
fn broken_escapes_and_bytes_that_are_no_text_are_refused() {
    for written in ["%", "%2", "%zz", "%ff", "a%c3", "%+1"] {
        assert_eq!(decoded(written, false), None, "{written}");
    }
    assert_eq!(Query::parse("a=%ff"), None);
}

#[test]
fn flags_are_true_in_any_case_and_otherwise_false() {
    let query = Query::parse("a=True&b=false&c&d=1&&e=true").unwrap();
    let flags: Vec<bool> = ["a", "b", "c", "d", "e", "f"].map(|name| query.flag(name)).into();
    assert_eq!(flags, [true, false, false, false, true, false]);
}

#[test]
fn a_page_has_an_offset_and_a_limit_and_negative_means_none() {
    let page = |query: &str| {
        let query = Query::parse(query).unwrap();
        query.page(0..5).map(|page| page.collect::<Vec<_>>())
    };
    assert_eq!(page("").unwrap(), [0, 1, 2, 3, 4]);
    assert_eq!(page("offset=1&limit=2").unwrap(), [1, 2]);
    assert_eq!(page("offset=-1&limit=-1").unwrap(), [0, 1, 2, 3, 4]);
    assert_eq!(page("offset=9").unwrap(), Vec::<i32>::new());
    assert!(page("limit=many").is_err());
}

//! What a new schema changes, in the words of whoever wrote it: fields and types, no JSON pointers.

use throughline_avro::{Field, Node, Record};

/// More would not be read.
const TOLD: usize = 3;

/// Long types (an enum of all countries) are cut.
const TYPE: usize = 60;

/// The fields whose change makes records of the one unreadable for the other; `None` where the
/// difference lies elsewhere, in a name of a type.
pub(super) fn difference(old: &Node, new: &Node) -> Option<String> {
    let mut found = Vec::new();
    compare(old, new, "", &mut found);
    let all = found.len();
    found.truncate(TOLD);
    if all > TOLD {
        found.push(format!("and {} more", all - TOLD));
    }
    (all > 0).then(|| found.join("; "))
}

fn compare(old: &Node, new: &Node, at: &str, found: &mut Vec<String>) {
    match (old, new) {
        (Node::Record(old), Node::Record(new)) => fields(old, new, at, found),
        (Node::Array(old), Node::Array(new)) | (Node::Map(old), Node::Map(new)) => {
            compare(old, new, at, found);
        }
        // The same alternatives but for what is inside of one record.
        (Node::Union(old), Node::Union(new))
            if let (Some(old), Some(new)) = (record(old), record(new)) =>
        {
            fields(old, new, at, found);
        }
        (Node::Recursive(_), Node::Recursive(_)) => {}
        _ => {
            let (old, new) = (old.type_text(), new.type_text());
            if old != new {
                add(found, format!("`{at}` was {} and is {}", cut(&old), cut(&new)));
            }
        }
    }
}

fn fields(old: &Record, new: &Record, at: &str, found: &mut Vec<String>) {
    let place = |field: &Field| match at {
        // Both sides of a change event hold the same document.
        "" | "before" | "after" => field.name.clone(),
        at => format!("{at}.{}", field.name),
    };
    for field in &new.fields {
        match old.field(&field.name) {
            Some((_, known)) => compare(&known.node, &field.node, &place(field), found),
            None if field.default.is_none() => {
                add(found, format!("`{}` is new and has no default", place(field)));
            }
            None => {}
        }
    }
    for field in old.fields.iter().filter(|field| new.field(&field.name).is_none()) {
        add(found, format!("`{}` is gone", place(field)));
    }
}

/// The record of an optional one.
fn record(branches: &[std::sync::Arc<Node>]) -> Option<&Record> {
    match branches {
        [one, other] => match (&**one, &**other) {
            (Node::Null, Node::Record(record)) | (Node::Record(record), Node::Null) => Some(record),
            _ => None,
        },
        _ => None,
    }
}

fn add(found: &mut Vec<String>, text: String) {
    if !found.contains(&text) {
        found.push(text);
    }
}

/// The beginning of a text, as far as it is read in one line.
pub(super) fn cut(text: &str) -> String {
    match text.char_indices().nth(TYPE) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use throughline_avro::Schema;

    use super::*;

    fn told(old: &str, new: &str) -> Option<String> {
        let schema = |fields: &str| {
            let text = format!(r#"{{"type": "record", "name": "R", "fields": [{fields}]}}"#);
            Schema::parse(&text).unwrap()
        };
        difference(schema(old).root(), schema(new).root())
    }

    fn field(name: &str, kind: &str) -> String {
        format!(r#"{{"name": "{name}", "type": {kind}}}"#)
    }

    #[test]
    fn a_changed_type_is_told_with_both_types() {
        let (old, new) = (field("active", "\"boolean\""), field("active", "\"string\""));
        assert_eq!(told(&old, &new).unwrap(), "`active` was boolean and is string");
        assert_eq!(told(&old, &old), None);
    }

    #[test]
    fn a_document_in_a_change_event_is_told_once() {
        let event = |kind: &str| {
            let document = format!(
                r#"{{"type": "record", "name": "D", "fields": [{}]}}"#,
                field("active", kind)
            );
            let before = field("before", &format!("[\"null\", {document}]"));
            format!("{before}, {}", field("after", "[\"null\", \"D\"]"))
        };
        let found = told(&event("\"boolean\""), &event("\"string\"")).unwrap();
        assert_eq!(found, "`active` was boolean and is string");
    }

    #[test]
    fn new_fields_without_default_and_fields_that_are_gone_are_told_up_to_three() {
        let fields = |names: [&str; 4]| names.map(|name| field(name, "\"long\"")).join(", ");
        let found = told(&fields(["a", "b", "c", "d"]), &fields(["a", "x", "y", "z"])).unwrap();
        assert_eq!(
            found,
            "`x` is new and has no default; `y` is new and has no default; \
             `z` is new and has no default; and 3 more"
        );
    }

    #[test]
    fn fields_inside_of_lists_have_their_place() {
        let rows = |kind: &str| {
            let row =
                format!(r#"{{"type": "record", "name": "Row", "fields": [{}]}}"#, field("n", kind));
            field("rows", &format!(r#"{{"type": "array", "items": {row}}}"#))
        };
        let found = told(&rows("\"long\""), &rows("\"string\"")).unwrap();
        assert_eq!(found, "`rows.n` was long and is string");
    }
}

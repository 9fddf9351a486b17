use std::path::Path;

use tempfile::TempDir;
use throughline_avro::Schema;
use throughline_event::{EntityName, PartitionId, TopicName};

use super::*;
use crate::{EntityShape, Store};

struct Fixture {
    folder: TempDir,
    store: Store,
    entity: EntityId,
}

fn shape(ignore: &[&str]) -> EntityShape {
    EntityShape {
        entity: EntityName::new("stock").unwrap(),
        topic: topic().topic,
        document: Schema::parse(
            r#"{"type":"record","name":"Stock","fields":[{"name":"sku","type":"string"},
                {"name":"on_hand","type":"long"},{"name":"updated_at","type":"long"}]}"#,
        )
        .unwrap(),
        ignore: ignore.iter().map(|&field| field.to_owned()).collect(),
    }
}

fn topic() -> TopicPartition {
    let topic = TopicName::new("cdc.shop.stock").unwrap();
    TopicPartition { topic, partition: PartitionId(0) }
}

fn open(path: &Path) -> (Store, EntityId) {
    let mut store = Store::open(path.join("state.sqlite")).unwrap();
    let entity = store.entity(&shape(&[])).unwrap();
    (store, entity)
}

fn fixture() -> Fixture {
    let folder = tempfile::tempdir().unwrap();
    let (store, entity) = open(folder.path());
    Fixture { folder, store, entity }
}

impl Fixture {
    fn reopened(self) -> Self {
        drop(self.store);
        let (store, entity) = open(self.folder.path());
        Self { folder: self.folder, store, entity }
    }

    /// Runs one transaction and commits it.
    fn commit<T>(&mut self, run: impl FnOnce(&mut Differ<'_>, EntityId) -> T) -> T {
        let mut differ = self.store.transaction().unwrap();
        let value = run(&mut differ, self.entity);
        differ.commit(&[]).unwrap();
        value
    }

    fn document(&mut self, key: &str, version: i64, after: &str) -> Option<Change> {
        self.commit(|differ, entity| {
            let document = differ.document(entity, key.as_bytes(), version, after.as_bytes(), None);
            document.unwrap()
        })
    }

    /// A whole dump of one scope: what it changes and what it deletes.
    fn dump(&mut self, scope: &str, version: i64, rows: &[(&str, &str)]) -> (usize, Vec<String>) {
        self.commit(|differ, entity| {
            differ.sweep_begin(entity, scope).unwrap();
            let mut changes = 0;
            for (key, after) in rows {
                let change = differ
                    .document(entity, key.as_bytes(), version, after.as_bytes(), Some(scope))
                    .unwrap();
                changes += usize::from(change.is_some());
            }
            (changes, delete(differ, entity, scope, version))
        })
    }
}

fn delete(differ: &mut Differ<'_>, entity: EntityId, scope: &str, version: i64) -> Vec<String> {
    let gone = differ.sweep_end(entity, scope, 1_000).unwrap();
    gone.into_iter()
        .map(|gone| {
            let change = differ.gone(entity, &gone.key, version).unwrap().unwrap();
            assert_eq!(change.op, Op::Delete);
            String::from_utf8(gone.key).unwrap()
        })
        .collect()
}

fn change(op: Op, before: Option<&str>, after: Option<&str>) -> Option<Change> {
    let bytes = |text: &str| text.as_bytes().to_vec();
    Some(Change { op, before: before.map(bytes), after: after.map(bytes) })
}

#[test]
fn document_is_published_when_it_is_new_or_different() {
    let mut f = fixture();
    assert_eq!(f.document("a", 1, "one"), change(Op::Create, None, Some("one")));
    assert_eq!(f.document("a", 2, "one"), None);
    assert_eq!(f.document("a", 3, "two"), change(Op::Update, Some("one"), Some("two")));
    let mut f = f.reopened();
    assert_eq!(f.document("a", 4, "two"), None);
    assert_eq!(f.document("b", 4, "two"), change(Op::Create, None, Some("two")));
}

#[test]
fn document_older_than_what_was_published_is_dropped() {
    let mut f = fixture();
    f.document("a", 5, "new");
    assert_eq!(f.document("a", 4, "old"), None);
    assert_eq!(
        f.document("a", 5, "same version"),
        change(Op::Update, Some("new"), Some("same version"))
    );
}

#[test]
fn deleted_key_stays_deleted_for_documents_that_arrive_late() {
    let mut f = fixture();
    f.document("a", 5, "x");
    let gone = |f: &mut Fixture, key: &str, version| {
        f.commit(|differ, entity| differ.gone(entity, key.as_bytes(), version).unwrap())
    };
    assert_eq!(gone(&mut f, "a", 4), None, "older than the document");
    assert_eq!(gone(&mut f, "a", 7), change(Op::Delete, Some("x"), None));
    assert_eq!(gone(&mut f, "a", 8), None, "already gone");
    assert_eq!(f.document("a", 7, "late"), None);
    assert_eq!(gone(&mut f, "b", 8), None, "never there");
    assert_eq!(f.document("b", 7, "late"), None);
    assert_eq!(f.document("a", 9, "again"), change(Op::Create, None, Some("again")));
}

#[test]
fn transaction_reads_its_own_writes_and_is_taken_back_when_dropped() {
    let mut f = fixture();
    f.document("a", 1, "one");
    {
        let mut differ = f.store.transaction().unwrap();
        assert!(differ.document(f.entity, b"a", 2, b"two", None).unwrap().is_some());
        assert!(differ.document(f.entity, b"a", 2, b"two", None).unwrap().is_none());
        assert!(differ.gone(f.entity, b"a", 3).unwrap().is_some());
    }
    assert_eq!(f.document("a", 2, "two"), change(Op::Update, Some("one"), Some("two")));
}

#[test]
fn ignored_fields_are_no_change_but_travel_with_one() {
    let mut f = fixture();
    f.entity = f.store.entity(&shape(&["updated_at"])).unwrap();
    assert!(f.document("a", 1, "\x02a\x02\x02").is_some());
    assert!(f.document("a", 2, "\x02a\x02\x08").is_none());
    assert_eq!(
        f.document("a", 3, "\x02a\x04\x0a"),
        change(Op::Update, Some("\x02a\x02\x02"), Some("\x02a\x04\x0a")),
        "before is what was published"
    );
    let mut differ = f.store.transaction().unwrap();
    let error = differ.document(f.entity, b"a", 4, b"\x08a", None).unwrap_err();
    assert!(matches!(error, StoreError::Document { .. }), "{error}");
}

#[test]
fn rows_join_the_document_of_their_key() {
    let mut f = fixture();
    let append = |f: &mut Fixture, rows: &[&[u8]], version| {
        f.commit(|differ, entity| differ.append_rows(entity, b"k", version, rows).unwrap())
    };
    let (one, three) = (group::build(b"k", &[b"1"]), group::build(b"k", &[b"1", b"2", b"3"]));
    let created = append(&mut f, &[b"1"], 1).unwrap();
    assert_eq!((created.op, created.after.as_ref()), (Op::Create, Some(&one)));
    let updated = append(&mut f, &[b"2", b"3"], 2).unwrap();
    assert_eq!((updated.before, updated.after), (Some(one), Some(three)));
    assert_eq!(append(&mut f, &[], 3), None);
    f.commit(|differ, entity| differ.gone(entity, b"k", 4).unwrap());
    let again = append(&mut f, &[b"9"], 5).unwrap();
    assert_eq!(again.after, Some(group::build(b"k", &[b"9"])), "after a delete it begins anew");
}

#[test]
fn rows_that_cannot_join_are_an_error_and_not_lost() {
    let mut f = fixture();
    f.document("k", 5, "other");
    let mut differ = f.store.transaction().unwrap();
    let error = differ.append_rows(f.entity, b"k", 6, &[b"1"]).unwrap_err();
    assert!(matches!(error, StoreError::Group { source: crate::GroupError::Key, .. }), "{error}");
    let error = differ.append_rows(f.entity, b"k", 4, &[b"1"]).unwrap_err();
    assert!(
        matches!(error, StoreError::RowsOutOfOrder { version: 4, published: 5, .. }),
        "{error}"
    );
}

#[test]
fn dump_deletes_the_keys_it_no_longer_shows() {
    let mut f = fixture();
    assert_eq!(f.dump("eu", 1, &[("a", "1"), ("b", "1"), ("c", "1")]), (3, vec![]));
    assert_eq!(f.dump("eu", 2, &[("a", "1"), ("b", "1"), ("c", "1")]), (0, vec![]));
    assert_eq!(f.dump("eu", 3, &[("c", "1"), ("b", "2")]), (1, vec!["a".to_owned()]));
    assert_eq!(f.dump("eu", 4, &[("a", "1"), ("b", "2")]), (1, vec!["c".to_owned()]));
    let mut f = f.reopened();
    assert_eq!(f.dump("eu", 5, &[]), (0, vec!["a".to_owned(), "b".to_owned()]));
    assert_eq!(f.dump("eu", 6, &[]), (0, vec![]));
}

#[test]
fn dumps_of_one_entity_do_not_delete_each_others_keys() {
    let mut f = fixture();
    f.document("own", 1, "1");
    f.dump("eu", 2, &[("a", "1"), ("b", "1")]);
    f.dump("us", 3, &[("c", "1")]);
    assert_eq!(f.dump("us", 4, &[]), (0, vec!["c".to_owned()]));
    assert_eq!(f.dump("eu", 5, &[("a", "1")]), (0, vec!["b".to_owned()]));
    assert_eq!(f.document("own", 6, "1"), None);
}

#[test]
fn key_belongs_to_the_last_dump_that_showed_it() {
    let mut f = fixture();
    f.document("a", 1, "1");
    f.dump("eu", 2, &[("a", "1")]);
    f.dump("us", 3, &[("a", "1")]);
    assert_eq!(f.dump("eu", 4, &[]), (0, vec![]));
    assert_eq!(f.dump("us", 5, &[]), (0, vec!["a".to_owned()]));
}

#[test]
fn dump_that_is_given_up_or_begun_anew_deletes_nothing() {
    let mut f = fixture();
    f.dump("eu", 1, &[("a", "1"), ("b", "1")]);
    f.commit(|differ, entity| {
        differ.sweep_begin(entity, "eu").unwrap();
        differ.sweep_cancel(entity, "eu").unwrap();
        let error = differ.sweep_end(entity, "eu", 10).unwrap_err();
        assert!(matches!(error, StoreError::NoSweep { ref scope, .. } if scope == "eu"), "{error}");
        differ.sweep_begin(entity, "eu").unwrap();
        differ.document(entity, b"a", 2, b"1", Some("eu")).unwrap();
        differ.sweep_begin(entity, "eu").unwrap();
        differ.document(entity, b"b", 2, b"1", Some("eu")).unwrap();
        assert_eq!(delete(differ, entity, "eu", 3), ["a"], "seen only before it began anew");
    });
}

#[test]
fn key_that_is_kept_survives_the_dump() {
    let mut f = fixture();
    f.dump("eu", 1, &[("a", "1"), ("b", "1")]);
    let gone = f.commit(|differ, entity| {
        differ.sweep_begin(entity, "eu").unwrap();
        differ.kept(entity, b"a", "eu").unwrap();
        differ.kept(entity, b"unknown", "eu").unwrap();
        delete(differ, entity, "eu", 2)
    });
    assert_eq!(gone, ["b"]);
}

#[test]
fn older_document_in_a_dump_still_counts_as_seen() {
    let mut f = fixture();
    f.dump("eu", 9, &[("a", "new")]);
    assert_eq!(f.dump("eu", 8, &[("a", "old")]), (0, vec![]));
}

#[test]
fn sweep_spans_transactions_and_its_deletes_come_in_pieces() {
    let mut f = fixture();
    let rows: Vec<_> = (0..100).map(|n| format!("{n:03}")).collect();
    f.dump("eu", 1, &rows.iter().map(|key| (&key[..], "1")).collect::<Vec<_>>());
    f.commit(|differ, entity| differ.sweep_begin(entity, "eu").unwrap());
    for key in &rows[..50] {
        f.commit(|differ, entity| {
            differ.document(entity, key.as_bytes(), 2, b"1", Some("eu")).unwrap()
        });
    }
    let mut gone = Vec::new();
    for round in 0.. {
        if round == 2 {
            // Taken back: the same piece comes again.
            let mut differ = f.store.transaction().unwrap();
            assert_eq!(differ.sweep_end(f.entity, "eu", 20).unwrap().len(), 10);
        }
        let piece = f.commit(|differ, entity| {
            let piece = differ.sweep_end(entity, "eu", 20).unwrap();
            for key in &piece {
                assert!(differ.gone(entity, &key.key, 3).unwrap().is_some());
            }
            piece
        });
        let last = piece.len() < 20;
        gone.extend(piece.into_iter().map(|gone| String::from_utf8(gone.key).unwrap()));
        if last {
            break;
        }
    }
    assert_eq!(gone, rows[50..]);
    let mut differ = f.store.transaction().unwrap();
    assert!(matches!(differ.sweep_end(f.entity, "eu", 1), Err(StoreError::NoSweep { .. })));
}

#[test]
fn key_added_after_a_rollback_does_not_inherit_a_mark() {
    let mut f = fixture();
    f.commit(|differ, entity| differ.sweep_begin(entity, "eu").unwrap());
    {
        let mut differ = f.store.transaction().unwrap();
        differ.document(f.entity, b"rolled back", 1, b"1", Some("eu")).unwrap();
    }
    // A replaced dump, read on: the key of the rollback is not in it, another one came otherwise.
    let published = (&topic(), Offset(0));
    let gone = f.commit(|differ, entity| {
        differ.apply_published(entity, b"other", Some(b"1"), 1, Some("eu"), published).unwrap();
        delete(differ, entity, "eu", 2)
    });
    assert_eq!(gone, ["other"]);
}

#[test]
fn scope_of_a_rolled_back_transaction_can_be_used_again() {
    let mut f = fixture();
    {
        let mut differ = f.store.transaction().unwrap();
        differ.document(f.entity, b"a", 1, b"1", Some("eu")).unwrap();
    }
    f.dump("us", 2, &[("a", "1")]);
    f.dump("eu", 3, &[("b", "1")]);
    let mut f = f.reopened();
    assert_eq!(f.dump("eu", 4, &[]), (0, vec!["b".to_owned()]));
    assert_eq!(f.dump("us", 5, &[]), (0, vec!["a".to_owned()]));
}

#[test]
fn catching_up_makes_the_store_know_what_was_published() {
    let mut f = fixture();
    let at = topic();
    let apply = |f: &mut Fixture, offset, key: &str, after: Option<&str>, version| {
        let mut differ = f.store.transaction().unwrap();
        let after = after.map(str::as_bytes);
        let position = (&at, Offset(offset));
        differ
            .apply_published(f.entity, key.as_bytes(), after, version, Some("eu"), position)
            .unwrap();
        differ.commit(&[(at.clone(), Offset(offset + 1))]).unwrap();
    };
    apply(&mut f, 0, "a", Some("1"), 1);
    apply(&mut f, 1, "a", Some("2"), 2);
    apply(&mut f, 2, "b", Some("1"), 3);
    apply(&mut f, 3, "b", None, 4);
    apply(&mut f, 1, "a", Some("old"), 9);
    assert_eq!(f.store.next_offset(&at), Offset(2), "the offset is the caller's");
    f.store.transaction().unwrap().commit(&[(at.clone(), Offset(4))]).unwrap();
    apply(&mut f, 3, "a", Some("old"), 9);
    let mut f = f.reopened();
    assert_eq!(f.store.next_offset(&at), Offset(4));
    assert_eq!(f.document("b", 3, "late"), None, "the delete was caught up too");
    assert_eq!(f.dump("eu", 5, &[]), (0, vec!["a".to_owned()]), "and the scope");
}

#[test]
fn offset_of_a_partition_that_was_never_seen_is_zero() {
    let mut f = fixture();
    assert_eq!(f.store.next_offset(&topic()), Offset(0));
    f.store.transaction().unwrap().commit(&[(topic(), Offset(7))]).unwrap();
    assert_eq!(f.store.next_offset(&topic()), Offset(7));
    assert_eq!(f.reopened().store.next_offset(&topic()), Offset(7));
}

#[test]
fn letters_of_other_readings_of_a_source_are_found_until_they_are_resolved() {
    let mut f = fixture();
    f.commit(|differ, _| {
        differ.letter("a", "stock.csv", 1).unwrap();
        differ.letter("b", "stock.csv", 1).unwrap();
        differ.letter("b", "stock.csv", u64::MAX).unwrap();
        differ.letter("c", "other.csv", 1).unwrap();
    });
    let mut f = f.reopened();
    {
        let mut differ = f.store.transaction().unwrap();
        assert_eq!(differ.letters_before("stock.csv", u64::MAX, 9).unwrap(), ["a"]);
        assert_eq!(differ.letters_before("stock.csv", 2, 1).unwrap(), ["a"], "in pieces");
        differ.letter_resolved("a").unwrap();
        assert_eq!(differ.letters_before("stock.csv", 2, 9).unwrap(), ["b"]);
    }
    let left = f.commit(|differ, _| differ.letters_before("stock.csv", 2, 9).unwrap());
    assert_eq!(left, ["a", "b"], "what was not committed was not resolved");
}

use throughline_avro::Schema;
use throughline_event::{EntityName, PartitionId, TopicName};

use super::*;

fn shape(entity: &str, ignore: &[&str], field: &str) -> EntityShape {
    let schema = format!(
        r#"{{"type":"record","name":"R","fields":[{{"name":"{field}","type":"string"}}]}}"#
    );
    EntityShape {
        entity: EntityName::new(entity).unwrap(),
        topic: TopicName::new(format!("cdc.shop.{entity}")).unwrap(),
        document: Schema::parse(&schema).unwrap(),
        ignore: ignore.iter().map(|&field| field.to_owned()).collect(),
    }
}

fn put(store: &mut Store, entity: EntityId, key: &[u8]) -> bool {
    let mut differ = store.transaction().unwrap();
    let change = differ.document(entity, key, 1, b"\x02x", None).unwrap();
    differ.commit(&[]).unwrap();
    change.is_some()
}

#[test]
fn entities_keep_their_numbers_whatever_their_order() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s");
    let mut store = Store::open(&path).unwrap();
    let stock = store.entity(&shape("stock", &[], "a")).unwrap();
    let price = store.entity(&shape("price", &[], "a")).unwrap();
    assert!(put(&mut store, stock, b"k"));
    assert!(put(&mut store, price, b"k"), "keys of another entity are other keys");
    drop(store);
    let mut store = Store::open(&path).unwrap();
    assert_eq!(store.entity(&shape("price", &[], "a")).unwrap(), price);
    assert_eq!(store.entity(&shape("stock", &[], "a")).unwrap(), stock);
    assert!(!put(&mut store, stock, b"k"));
}

#[test]
fn documents_of_an_old_schema_are_forgotten_and_read_from_the_topic_again() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = Store::open(folder.path().join("s")).unwrap();
    let (stock, price) = (shape("stock", &[], "a"), shape("price", &[], "a"));
    let at = |shape: &EntityShape| TopicPartition {
        topic: shape.topic.clone(),
        partition: PartitionId(0),
    };
    let ids = [store.entity(&stock).unwrap(), store.entity(&price).unwrap()];
    for id in ids {
        put(&mut store, id, b"k");
    }
    let offsets = [(at(&stock), Offset(5)), (at(&price), Offset(6))];
    store.transaction().unwrap().commit(&offsets).unwrap();
    assert_eq!(store.entity(&shape("stock", &["a"], "a")).unwrap(), ids[0]);
    assert!(!put(&mut store, ids[0], b"k"), "the ignore list is not part of a document");

    assert_eq!(store.entity(&shape("stock", &[], "b")).unwrap(), ids[0]);
    assert!(put(&mut store, ids[0], b"k"));
    assert!(!put(&mut store, ids[1], b"k"));
    assert_eq!(store.next_offset(&at(&stock)), Offset(0));
    assert_eq!(store.next_offset(&at(&price)), Offset(6));
    drop(store);
    let store = Store::open(folder.path().join("s")).unwrap();
    assert_eq!(store.next_offset(&at(&stock)), Offset(0));
}

#[test]
fn file_that_is_no_store_is_refused_and_rebuilt_on_request() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s");
    std::fs::write(&path, vec![7; 10_000]).unwrap();
    let error = Store::open(&path).unwrap_err();
    assert!(matches!(error, StoreError::Damaged { .. }), "{error}");
    assert!(error.to_string().starts_with("TL0651: "), "{error}");
    Store::open_or_rebuild(&path).unwrap();

    let foreign = folder.path().join("foreign");
    Connection::open(&foreign).unwrap().execute_batch("CREATE TABLE t(a)").unwrap();
    let error = Store::open(&foreign).unwrap_err();
    assert!(matches!(error, StoreError::Damaged { source: None, .. }), "{error}");
}

#[test]
fn damage_inside_the_file_is_an_error_and_not_a_wrong_answer() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s");
    let mut store = Store::open(&path).unwrap();
    let entity = store.entity(&shape("stock", &[], "a")).unwrap();
    for key in 0..2_000u32 {
        put(&mut store, entity, &key.to_be_bytes());
    }
    drop(store);
    let mut bytes = std::fs::read(&path).unwrap();
    let len = bytes.len();
    assert!(len > 10 * 8_192);
    // The headers of all pages but those of the schema.
    (7 * 8_192..len).step_by(8_192).for_each(|page| bytes[page..page + 12].fill(0xee));
    std::fs::write(&path, bytes).unwrap();
    let read = || -> Result<(), StoreError> {
        let mut store = Store::open(&path)?;
        let entity = store.entity(&shape("stock", &[], "a"))?;
        let mut differ = store.transaction()?;
        for key in 0..2_000u32 {
            differ.document(entity, &key.to_be_bytes(), 1, b"\x02x", None)?;
        }
        Ok(())
    };
    let error = read().unwrap_err();
    assert!(matches!(error, StoreError::Damaged { source: Some(_), .. }), "{error:?}");
    assert!(error.is_repaired_by_rebuild());
}

#[test]
fn file_of_a_later_version_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s");
    let store = Store::open(&path).unwrap();
    store.connection.pragma_update(None, "user_version", 9).unwrap();
    drop(store);
    let error = Store::open(&path).unwrap_err();
    assert!(matches!(error, StoreError::Newer { found: 9, known: 1, .. }), "{error}");
    assert_eq!(Store::open_or_rebuild(&path).unwrap().memory.offsets.len(), 0);
}

#[test]
fn second_process_is_refused_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s");
    let _first = Store::open(&path).unwrap();
    let error = Store::open_or_rebuild(&path).unwrap_err();
    assert!(matches!(error, StoreError::InUse { .. }), "{error:?}");
}

#[test]
fn folder_that_does_not_exist_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let error = Store::open_or_rebuild(folder.path().join("no/s")).unwrap_err();
    assert!(matches!(error, StoreError::Io { .. }), "{error:?}");
}

#[test]
fn file_that_cannot_be_removed_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s");
    std::fs::write(&path, vec![7; 10_000]).unwrap();
    std::fs::create_dir(folder.path().join("s-shm")).unwrap();
    let error = Store::open_or_rebuild(&path).unwrap_err();
    assert!(matches!(error, StoreError::Remove { .. }), "{error:?}");
}

#[test]
fn full_disk_takes_the_transaction_back_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = Store::open(folder.path().join("s")).unwrap();
    let entity = store.entity(&shape("stock", &[], "a")).unwrap();
    assert!(put(&mut store, entity, b"first"));
    store.connection.pragma_update_and_check(None, "max_page_count", 20, |_| Ok(())).unwrap();
    let fill = |store: &mut Store| -> Result<(), StoreError> {
        let mut differ = store.transaction()?;
        for key in 0..10_000u32 {
            differ.document(entity, &key.to_be_bytes(), 1, &[7; 500], None)?;
        }
        differ.commit(&[])
    };
    let error = fill(&mut store).unwrap_err();
    assert!(matches!(error, StoreError::Full { .. }), "{error:?}");
    assert!(!put(&mut store, entity, b"first"));
    assert!(put(&mut store, entity, &1u32.to_be_bytes()), "what failed was taken back");
    store.connection.pragma_update_and_check(None, "max_page_count", 100_000, |_| Ok(())).unwrap();
    fill(&mut store).unwrap();
}

#[test]
fn store_without_room_for_another_key_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = Store::open(folder.path().join("s")).unwrap();
    let entity = store.entity(&shape("stock", &[], "a")).unwrap();
    put(&mut store, entity, b"first");
    let group = store.memory.groups[&entity][""];
    store.memory.last_ids.insert(group, crate::sweep::last_id(group));
    let mut differ = store.transaction().unwrap();
    let error = differ.document(entity, b"second", 1, b"x", None).unwrap_err();
    assert!(matches!(error, StoreError::KeysExhausted { .. }), "{error}");
    assert!(differ.document(entity, b"first", 2, b"x", None).unwrap().is_some());
}

#[test]
fn the_cache_is_as_large_as_it_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path().join("store.sqlite")).unwrap();
    let size = || -> i64 {
        store.connection.query_row("PRAGMA cache_size", [], |row| row.get(0)).unwrap()
    };
    assert_eq!(size(), -65_536);
    store.limit_cache(8 << 20).unwrap();
    assert_eq!(size(), -8_192);
}

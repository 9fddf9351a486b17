//! A producer that is rolled back, killed and robbed of its store, against the model.
//!
//! It does what producers do: a transaction that is taken back is read again, a transaction that was
//! published before a crash is not, and a dump that a restart interrupts is read from its start.

use proptest::prelude::*;
use tempfile::TempDir;
use throughline_avro::Schema;
use throughline_document::{Differ, EntityId, EntityShape, Store};
use throughline_event::{Change, EntityName, Offset, PartitionId, TopicName, TopicPartition};

use crate::model::{GROUPED, IGNORING, Model, Record};

const SCOPES: [&str; 2] = ["eu", "us"];

#[derive(Debug, Clone)]
enum Item {
    Document { entity: usize, key: u8, late: bool, after: Vec<u8>, scope: Option<usize> },
    Append { key: u8, rows: Vec<Vec<u8>> },
    Gone { entity: usize, key: u8, late: bool },
    Kept { entity: usize, key: u8, scope: usize },
    SweepBegin { entity: usize, scope: usize },
    SweepEnd { entity: usize, scope: usize, seen: Vec<u8> },
}

/// What becomes of a transaction.
#[derive(Debug, Clone, Copy)]
enum Fate {
    Commit,
    Rollback,
    /// Published, and killed before the store was committed.
    Crash,
    /// Committed, and started again.
    Restart,
}

#[derive(Debug, Clone)]
enum Step {
    Read {
        items: Vec<Item>,
        chunk: usize,
        fates: Vec<Fate>,
    },
    /// The store's file is gone.
    Lose,
    /// The topic is read again from this many records before its end.
    Redeliver(usize),
}

fn documents() -> impl Strategy<Value = Vec<u8>> {
    (0u8..3, 0u8..3).prop_map(|(a, b)| vec![a * 2, b * 2])
}

fn plain_items() -> impl Strategy<Value = Vec<Item>> {
    let document = (0usize..2, 0u8..6, prop::bool::weighted(0.2), documents()).prop_map(
        |(entity, key, late, after)| Item::Document { entity, key, late, after, scope: None },
    );
    let append = (0u8..4, prop::collection::vec((0u8..50).prop_map(|row| vec![row * 2]), 0..4))
        .prop_map(|(key, rows)| Item::Append { key, rows });
    let gone = (0usize..3, 0u8..6, any::<bool>()).prop_map(|(entity, key, late)| Item::Gone {
        entity,
        key,
        late: late && entity != GROUPED,
    });
    prop::collection::vec(prop_oneof![4 => document, 2 => append, 1 => gone], 1..12)
}

fn dump() -> impl Strategy<Value = Vec<Item>> {
    let rows = prop::collection::btree_map(0u8..6, (prop::bool::weighted(0.8), documents()), 0..6);
    (0usize..2, 0usize..2, rows).prop_map(|(entity, scope, rows)| {
        let seen = rows.keys().copied().collect();
        let mut items = vec![Item::SweepBegin { entity, scope }];
        items.extend(rows.into_iter().map(|(key, (usable, after))| match usable {
            true => Item::Document { entity, key, late: false, after, scope: Some(scope) },
            false => Item::Kept { entity, key, scope },
        }));
        items.push(Item::SweepEnd { entity, scope, seen });
        items
    })
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let fate = prop_oneof![
        3 => Just(Fate::Commit),
        1 => Just(Fate::Rollback),
        1 => Just(Fate::Crash),
        1 => Just(Fate::Restart)
    ];
    let items = prop_oneof![plain_items(), dump()];
    let read = (items, 1usize..6, prop::collection::vec(fate, 0..5))
        .prop_map(|(items, chunk, fates)| Step::Read { items, chunk, fates });
    let step =
        prop_oneof![8 => read, 1 => Just(Step::Lose), 1 => (0usize..8).prop_map(Step::Redeliver)];
    prop::collection::vec(step, 1..10)
}

struct World {
    folder: TempDir,
    store: Option<(Store, [EntityId; 3])>,
    topic: Vec<Record>,
    model: Model,
    version: i64,
}

fn at() -> TopicPartition {
    let topic = TopicName::new("cdc.shop.all").unwrap();
    TopicPartition { topic, partition: PartitionId(0) }
}

impl World {
    fn new() -> Self {
        let mut world = Self {
            folder: tempfile::tempdir().unwrap(),
            store: None,
            topic: Vec::new(),
            model: Model::default(),
            version: 100,
        };
        world.start();
        world
    }

    /// Opens the store and catches it up.
    fn start(&mut self) {
        self.store = None;
        let mut store = Store::open(self.folder.path().join("state.sqlite")).unwrap();
        let schema = r#"{"type":"record","name":"R","fields":[{"name":"a","type":"int"},
            {"name":"b","type":"int"}]}"#;
        let entities =
            [("plain", false), ("ignoring", true), ("grouped", false)].map(|(name, ignores)| {
                let shape = EntityShape {
                    entity: EntityName::new(name).unwrap(),
                    topic: at().topic,
                    document: Schema::parse(schema).unwrap(),
                    ignore: ignores.then(|| "b".to_owned()).into_iter().collect(),
                };
                store.entity(&shape).unwrap()
            });
        self.store = Some((store, entities));
        let next = self.store().0.next_offset(&at()).0 as usize;
        self.deliver(next);
    }

    fn store(&mut self) -> (&mut Store, [EntityId; 3]) {
        let (store, entities) = self.store.as_mut().unwrap();
        (store, *entities)
    }

    /// Applies the topic from `from` to its end, in transactions of three records.
    fn deliver(&mut self, from: usize) {
        let topic = self.topic.clone();
        let (store, entities) = self.store();
        for (index, chunk) in topic[from..].chunks(3).enumerate() {
            let first = from + index * 3;
            let mut differ = store.transaction().unwrap();
            for (offset, record) in (first..).zip(chunk) {
                let offset = Offset(offset as i64);
                let after = record.after.as_deref();
                let scope = record.scope.as_deref();
                let (entity, key) = (entities[record.entity], [record.key]);
                differ
                    .apply_published(entity, &key, after, record.version, scope, (&at(), offset))
                    .unwrap();
            }
            differ.commit(&[(at(), Offset((first + chunk.len()) as i64))]).unwrap();
        }
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Read { items, chunk, fates } => self.read(items, *chunk, fates),
            Step::Lose => {
                self.store = None;
                std::fs::remove_file(self.folder.path().join("state.sqlite")).unwrap();
                self.model = Model::default();
                self.topic.iter().for_each(|record| self.model.apply(record));
                self.start();
            }
            Step::Redeliver(count) => {
                let from = self.topic.len().saturating_sub(*count);
                self.deliver(from);
            }
        }
    }

    fn read(&mut self, items: &[Item], chunk: usize, fates: &[Fate]) {
        let is_dump = matches!(items[0], Item::SweepBegin { .. });
        let mut fates = fates.iter().copied().chain(std::iter::repeat(Fate::Commit));
        let mut position = 0;
        while position < items.len() {
            let (model, published) = (self.model.clone(), self.topic.len());
            let read = self.transaction(&items[position..], chunk);
            let fate = fates.next().unwrap();
            match fate {
                Fate::Commit | Fate::Restart => position += read.commit(self),
                Fate::Rollback => {
                    self.model = model;
                    self.topic.truncate(published);
                    continue;
                }
                Fate::Crash => {
                    position += read.items;
                    self.model = model;
                    self.topic[published..].iter().for_each(|record| self.model.apply(record));
                }
            }
            if matches!(fate, Fate::Crash | Fate::Restart) {
                self.start();
                if is_dump && position < items.len() {
                    position = 0;
                }
            }
        }
    }

    /// Reads up to `chunk` items in a transaction that is left to its fate: dropped here, and
    /// repeated by `commit` when that is what should become of it.
    fn transaction(&mut self, items: &[Item], chunk: usize) -> Read {
        let version = self.version;
        let (topic, model) = (self.topic.clone(), self.model.clone());
        let items: Vec<_> = items.iter().take(chunk).cloned().collect();
        let read = self.run(&items, chunk, false);
        Read { items: read, taken: items, chunk, version, topic, model }
    }

    fn run(&mut self, items: &[Item], chunk: usize, commit: bool) -> usize {
        let Self { store, topic, model, version, .. } = self;
        let (store, entities) = store.as_mut().unwrap();
        let mut differ = store.transaction().unwrap();
        let mut read = 0;
        for item in items {
            let mut run = Run { differ: &mut differ, entities, topic, model, version };
            if !run.item(item, chunk) {
                break;
            }
            read += 1;
        }
        if commit {
            differ.commit(&[(at(), Offset(topic.len() as i64))]).unwrap();
        }
        read
    }
}

struct Read {
    items: usize,
    taken: Vec<Item>,
    chunk: usize,
    version: i64,
    topic: Vec<Record>,
    model: Model,
}

impl Read {
    /// The transaction was taken back when it was dropped; the same again must say the same.
    fn commit(self, world: &mut World) -> usize {
        world.version = self.version;
        let first = std::mem::replace(&mut world.topic, self.topic);
        world.model = self.model;
        let read = world.run(&self.taken, self.chunk, true);
        assert_eq!(read, self.items);
        assert_eq!(first.len(), world.topic.len());
        read
    }
}

/// One transaction, of the differ and of the model.
struct Run<'a, 's> {
    differ: &'a mut Differ<'s>,
    entities: &'a [EntityId; 3],
    topic: &'a mut Vec<Record>,
    model: &'a mut Model,
    version: &'a mut i64,
}

impl Run<'_, '_> {
    /// False when the item needs another transaction.
    fn item(&mut self, item: &Item, limit: usize) -> bool {
        *self.version += 1;
        let version = *self.version;
        let version = |late: bool| if late { version - 20 } else { version };
        match item {
            Item::Document { entity, key, late, after, scope } => {
                let (version, scope) = (version(*late), scope.map(|scope| SCOPES[scope]));
                let id = self.entities[*entity];
                let change = self.differ.document(id, &[*key], version, after, scope).unwrap();
                let expected = self.model.document(*entity, *key, version, after, scope);
                self.publish(*entity, *key, version, scope, change, expected);
            }
            Item::Append { key, rows } => {
                let version = version(false);
                let id = self.entities[GROUPED];
                let change = self.differ.append_rows(id, &[*key], version, rows).unwrap();
                let expected = self.model.append(GROUPED, *key, version, rows);
                self.publish(GROUPED, *key, version, None, change, expected);
            }
            Item::Gone { entity, key, late } => self.gone(*entity, *key, version(*late)),
            Item::Kept { entity, key, scope } => {
                self.differ.kept(self.entities[*entity], &[*key], SCOPES[*scope]).unwrap();
                self.model.kept(*entity, *key, SCOPES[*scope]);
            }
            Item::SweepBegin { entity, scope } => {
                self.differ.sweep_begin(self.entities[*entity], SCOPES[*scope]).unwrap();
            }
            Item::SweepEnd { entity, scope, seen } => {
                let (id, scope) = (self.entities[*entity], SCOPES[*scope]);
                let mut expected = self.model.unseen(*entity, scope, seen);
                let gone = self.differ.sweep_end(id, scope, limit).unwrap();
                assert_eq!(gone.len(), expected.len().min(limit));
                for gone in &gone {
                    let found = expected.iter().position(|key| gone.key == [*key]).unwrap();
                    let key = expected.swap_remove(found);
                    *self.version += 1;
                    self.gone(*entity, key, *self.version);
                }
                return gone.len() < limit;
            }
        }
        true
    }

    fn gone(&mut self, entity: usize, key: u8, version: i64) {
        let change = self.differ.gone(self.entities[entity], &[key], version).unwrap();
        let expected = self.model.gone(entity, key, version);
        self.publish(entity, key, version, None, change, expected);
    }

    fn publish(
        &mut self,
        entity: usize,
        key: u8,
        version: i64,
        scope: Option<&str>,
        change: Option<Change>,
        expected: Option<Change>,
    ) {
        assert_eq!(change, expected);
        if let Some(change) = change {
            let scope = scope.map(str::to_owned);
            self.topic.push(Record { entity, key, after: change.after, version, scope });
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(ProptestConfig::default().cases / 4))]

    #[test]
    fn store_tells_what_the_model_tells_whatever_happens(steps in steps()) {
        assert_ne!(IGNORING, GROUPED);
        let mut world = World::new();
        for step in &steps {
            world.step(step);
        }
        // The topic alone says the same.
        let mut told = Model::default();
        world.topic.iter().for_each(|record| told.apply(record));
        prop_assert_eq!(told.live(), world.model.live());
        // And the store has nothing to add to it.
        let live = world.model.live();
        let (store, entities) = world.store();
        let mut differ = store.transaction().unwrap();
        for ((entity, key), document) in live {
            let change = differ.document(entities[entity], &[key], i64::MAX, &document, None);
            prop_assert_eq!(change.unwrap(), None);
        }
    }
}

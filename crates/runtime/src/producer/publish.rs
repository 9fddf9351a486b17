//! Change events, dead letters and the position, as records of one transaction.

use std::io::Write as _;

use throughline_avro::Schema;
use throughline_bus::{Outgoing, Partitions, TransactionalProducer};
use throughline_connector::{CapturedEntity, ProducerContext, Reading, Rejection};
use throughline_document::{EntityId, EntityShape, Store};
use throughline_event::{
    Change, EntityName, Envelope, Micros, Offset, PartitionId, Role, Source, TopicName,
    TopicPartition, Version,
};

use crate::dead_letter::DeadLetter;
use crate::host::now;
use crate::needs::{self, RawTopic};
use crate::positions::{self, Committed};
use crate::target::Target;
use crate::{Host, WorkerError};

/// The header that tells the version of a document to those who do not read it.
const VERSION_HEADER: &str = "version";

/// The header that names the dump a document came from, for a state store that is rebuilt.
pub(super) const SCOPE_HEADER: &str = "scope";

/// The headers of a dead letter that tell which version of what it came from, for a state store that
/// is rebuilt.
pub(super) const SOURCE_HEADER: &str = "source";
pub(super) const READING_HEADER: &str = "reading";

/// Where a change came from, beside its document.
#[derive(Default)]
pub(super) struct Origin<'a> {
    pub(super) changed_at: Micros,
    pub(super) place: &'a str,
    pub(super) snapshot: bool,
    pub(super) scope: Option<&'a str>,
}

/// One topic of this producer.
pub(super) struct Published {
    pub(super) id: EntityId,
    pub(super) target: Target,
    /// The schema of its events.
    pub(super) envelope: Schema,
    pub(super) name: EntityName,
}

/// Writes everything that one producer writes.
pub(super) struct Publisher {
    cx: ProducerContext,
    entities: Vec<Published>,
    dead: Target,
    positions: Target,
    producer: TransactionalProducer,
    source: Source,
    /// Used again for every change event, as are the headers: the version and the dump.
    datum: Vec<u8>,
    headers: [(String, Vec<u8>); 2],
}

impl Publisher {
    /// Fences older instances, creates the topics and registers the schemas.
    pub(super) fn prepare(
        kind: &'static str,
        cx: &ProducerContext,
        entities: &[CapturedEntity],
        store: &mut Store,
        host: &Host,
    ) -> Result<Self, WorkerError> {
        // First of all: from here on an older instance of this producer cannot commit any more.
        let producer = host.bus.producer(&cx.name.in_role(Role::Producer))?;
        let entities = entities
            .iter()
            .map(|entity| published(entity, cx, store, host))
            .collect::<Result<_, _>>()?;
        let source = Source {
            connector: kind.to_owned(),
            system: cx.system.clone(),
            changed_at: Micros(0),
            snapshot: false,
            entity: String::new(),
            position: String::new(),
            version: Version(0),
            actor: None,
        };
        Ok(Self {
            entities,
            dead: Target::dead(&host.bus, &cx.name, Partitions::Exactly(1))?,
            positions: positions::target(&host.bus, &cx.name)?,
            producer,
            source,
            cx: cx.clone(),
            datum: Vec::new(),
            headers: [VERSION_HEADER, SCOPE_HEADER].map(|name| (name.to_owned(), Vec::new())),
        })
    }

    pub(super) fn entities(&self) -> &[Published] {
        &self.entities
    }

    pub(super) fn entity_id(&self, entity: usize) -> EntityId {
        self.entities[entity].id
    }

    pub(super) fn topic(&self, entity: usize) -> &TopicName {
        &self.entities[entity].target.topic
    }

    /// The topic of the dead letters.
    pub(super) fn dead(&self) -> &TopicName {
        &self.dead.topic
    }

    pub(super) fn name(&self, entity: usize) -> &EntityName {
        &self.entities[entity].name
    }

    pub(super) fn begin(&mut self) -> Result<(), WorkerError> {
        Ok(self.producer.begin()?)
    }

    pub(super) fn commit(&mut self) -> Result<Vec<(TopicPartition, Offset)>, WorkerError> {
        Ok(self.producer.commit()?)
    }

    /// One change event; a delete is followed by its tombstone.
    pub(super) fn change(
        &mut self,
        entity: usize,
        key: &[u8],
        change: &Change,
        version: i64,
        origin: &Origin<'_>,
    ) -> Result<(), WorkerError> {
        let published = &self.entities[entity];
        let captured_at = now();
        self.source.changed_at = origin.changed_at;
        self.source.snapshot = origin.snapshot;
        self.source.version = Version(version);
        self.source.entity.clear();
        self.source.entity.push_str(published.name.as_str());
        self.source.position.clear();
        self.source.position.push_str(origin.place);
        self.datum.clear();
        Envelope {
            before: change.before.as_deref(),
            after: change.after.as_deref(),
            source: &self.source,
            op: change.op,
            captured_at,
        }
        .write(&mut self.datum);
        let [(_, version_text), (_, scope)] = &mut self.headers;
        version_text.clear();
        write!(version_text, "{version}").expect("memory takes what is written to it");
        scope.clear();
        scope.extend_from_slice(origin.scope.unwrap_or_default().as_bytes());
        let headers = &self.headers[..1 + usize::from(origin.scope.is_some())];
        let record = Outgoing {
            headers,
            timestamp: Some(captured_at),
            ..published.target.outgoing(key, Some(&self.datum))
        };
        self.producer.send(&record)?;
        if change.after.is_none() {
            self.producer.send(&Outgoing { value: None, ..record })?;
        }
        Ok(())
    }

    /// Something that could not be published. Returns the id of its letter.
    pub(super) fn rejected(
        &mut self,
        rejection: &Rejection,
        at: Micros,
    ) -> Result<String, WorkerError> {
        let letter = DeadLetter::rejected(&self.cx.name, rejection, at);
        let (key, value) = (DeadLetter::key_datum(&letter.id), letter.to_datum());
        let headers = rejection.reading.as_ref().map(|Reading { source, version }| {
            let source = source_of(&rejection.entity, source).into_bytes();
            let reading = version.to_string().into_bytes();
            [(SOURCE_HEADER.to_owned(), source), (READING_HEADER.to_owned(), reading)]
        });
        let headers = headers.as_ref().map_or(&[][..], |headers| headers);
        let record = self.dead.outgoing_to(PartitionId(0), &key, Some(&value));
        self.producer.send(&Outgoing { headers, ..record })?;
        Ok(letter.id)
    }

    /// What a dead letter complained of is mended.
    pub(super) fn resolved(&mut self, id: &str) -> Result<(), WorkerError> {
        let key = DeadLetter::key_datum(id);
        Ok(self.producer.send(&self.dead.outgoing_to(PartitionId(0), &key, None))?)
    }

    /// The position of this transaction.
    pub(super) fn position(&mut self, committed: &Committed) -> Result<(), WorkerError> {
        positions::send(&mut self.producer, &self.positions, &self.cx.name, committed)
    }
}

/// What a letter came from: two entities may read files of one name.
pub(super) fn source_of(entity: &EntityName, source: &str) -> String {
    format!("{entity} {source}")
}

fn published(
    entity: &CapturedEntity,
    cx: &ProducerContext,
    store: &mut Store,
    host: &Host,
) -> Result<Published, WorkerError> {
    let RawTopic { topic, partitions, key, envelope } =
        needs::of_entity(&cx.system, entity, host.partitions)?;
    Ok(Published {
        id: store.entity(&EntityShape {
            entity: entity.name.clone(),
            topic: topic.clone(),
            document: entity.document.clone(),
            ignore: entity.ignore.clone(),
        })?,
        name: entity.name.clone(),
        target: Target::prepare(&host.bus, &topic, partitions, (&key, &envelope))?,
        envelope,
    })
}

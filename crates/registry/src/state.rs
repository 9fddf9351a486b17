//! The registry's content in memory: what applying every record of the log gives.
//!
//! Questions are answered here; [`plan`] decides what a request changes, as records that are
//! appended first and applied afterwards.

mod check;
mod plan;
mod prepare;

pub(crate) use check::Comparison;
pub(crate) use plan::{Registered, Setting};
pub(crate) use prepare::{Candidate, Prepared, Unusable};

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::ids::{SchemaId, Subject, Version};
use crate::level::CompatibilityLevel;
use crate::mode::Mode;
use crate::record::{Change, Config, SchemaValue, Scope};

/// Which versions a question is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Deleted {
    /// Without soft-deleted ones.
    #[default]
    Hidden,
    /// With soft-deleted ones.
    Shown,
    /// Soft-deleted ones only.
    Only,
}

impl Deleted {
    pub(crate) fn admits(self, value: &SchemaValue) -> bool {
        match self {
            Self::Hidden => !value.deleted,
            Self::Shown => true,
            Self::Only => value.deleted,
        }
    }
}

/// A version as a path names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum VersionSpec {
    Latest,
    Number(Version),
}

#[derive(Debug, Default)]
pub(crate) struct State {
    default_level: CompatibilityLevel,
    subjects: BTreeMap<Subject, BTreeMap<Version, SchemaValue>>,
    ids: BTreeMap<SchemaId, BTreeSet<(Subject, Version)>>,
    /// The id of everything that makes a schema what it is; see [`identity`].
    identities: HashMap<String, SchemaId>,
    configs: HashMap<Scope, Config>,
    modes: HashMap<Scope, Mode>,
    highest: i32,
}

/// Two registered schemas have the same id when their identities are equal.
fn identity(value: &SchemaValue) -> String {
    let references: Vec<_> = value.references.iter().map(|one| one.to_json()).collect();
    serde_json::json!([value.schema_type, value.schema, references, value.metadata, value.rule_set])
        .to_string()
}

impl State {
    pub(crate) fn new(default_level: CompatibilityLevel) -> Self {
        Self { default_level, ..Self::default() }
    }

    pub(crate) fn apply(&mut self, change: Change) {
        match change {
            Change::Put(value) => self.put(*value),
            Change::Forget(subject, version) => self.forget(&subject, version),
            Change::Config(scope, Some(config)) => _ = self.configs.insert(scope, config),
            Change::Config(scope, None) => _ = self.configs.remove(&scope),
            Change::Mode(scope, Some(mode)) => _ = self.modes.insert(scope, mode),
            Change::Mode(scope, None) => _ = self.modes.remove(&scope),
            Change::DeleteSubject(subject, last) => {
                let versions = self.subjects.get_mut(&subject).into_iter();
                for (_, value) in versions.flat_map(|versions| versions.range_mut(..=last)) {
                    value.deleted = true;
                }
            }
            Change::ClearSubject(subject) => {
                let versions = self.subjects.get(&subject).into_iter().flat_map(BTreeMap::keys);
                for version in versions.copied().collect::<Vec<_>>() {
                    self.forget(&subject, version);
                }
            }
            Change::HighestId(id) => self.highest = self.highest.max(id.0),
            Change::Nothing => {}
        }
    }

    fn put(&mut self, value: SchemaValue) {
        self.highest = self.highest.max(value.id.0);
        let place = (value.subject.clone(), value.version);
        if self.version(&place.0, place.1).is_some_and(|old| old.id != value.id) {
            self.forget(&place.0, place.1);
        }
        self.identities.entry(identity(&value)).or_insert(value.id);
        self.ids.entry(value.id).or_default().insert(place);
        self.subjects.entry(value.subject.clone()).or_default().insert(value.version, value);
    }

    fn forget(&mut self, subject: &Subject, version: Version) {
        let Some(versions) = self.subjects.get_mut(subject) else { return };
        let Some(value) = versions.remove(&version) else { return };
        if versions.is_empty() {
            self.subjects.remove(subject);
        }
        let Some(places) = self.ids.get_mut(&value.id) else { return };
        places.remove(&(subject.clone(), version));
        if places.is_empty() {
            self.ids.remove(&value.id);
            let identity = identity(&value);
            if self.identities.get(&identity) == Some(&value.id) {
                self.identities.remove(&identity);
            }
        }
    }

    /// A version, soft-deleted or not.
    fn version(&self, subject: &Subject, version: Version) -> Option<&SchemaValue> {
        self.subjects.get(subject)?.get(&version)
    }

    /// The versions of a subject, rising.
    pub(crate) fn versions(
        &self,
        subject: &Subject,
        deleted: Deleted,
    ) -> impl DoubleEndedIterator<Item = &SchemaValue> {
        let versions = self.subjects.get(subject).into_iter().flat_map(BTreeMap::values);
        versions.filter(move |value| deleted.admits(value))
    }

    /// Every version of every subject, by subject and number.
    pub(crate) fn all(&self, deleted: Deleted) -> impl Iterator<Item = &SchemaValue> {
        let all = self.subjects.values().flat_map(BTreeMap::values);
        all.filter(move |value| deleted.admits(value))
    }

    /// The subjects that have such a version.
    pub(crate) fn subjects(&self, deleted: Deleted) -> impl Iterator<Item = &Subject> {
        self.subjects
            .iter()
            .filter(move |(_, versions)| {
                let mut admitted = versions.values().filter(|value| deleted.admits(value));
                // A subject counts as deleted when nothing of it is left.
                let gone = versions.values().all(|value| value.deleted);
                admitted.next().is_some() && (deleted != Deleted::Only || gone)
            })
            .map(|(subject, _)| subject)
    }

    pub(crate) fn find(
        &self,
        subject: &Subject,
        version: VersionSpec,
        deleted: Deleted,
    ) -> Option<&SchemaValue> {
        match version {
            VersionSpec::Latest => self.versions(subject, deleted).next_back(),
            VersionSpec::Number(number) => {
                self.version(subject, number).filter(|value| deleted.admits(value))
            }
        }
    }

    /// One version with this id: the schema is the same in all of them.
    pub(crate) fn by_id(&self, id: SchemaId) -> Option<&SchemaValue> {
        self.places(id, Deleted::Shown).next()
    }

    /// The versions with this id, by subject.
    pub(crate) fn places(
        &self,
        id: SchemaId,
        deleted: Deleted,
    ) -> impl Iterator<Item = &SchemaValue> {
        let places = self.ids.get(&id).into_iter().flatten();
        places
            .filter_map(|(subject, version)| self.version(subject, *version))
            .filter(move |value| deleted.admits(value))
    }

    /// The versions that refer to this one.
    pub(crate) fn referrers(
        &self,
        subject: &Subject,
        version: Version,
        deleted: Deleted,
    ) -> impl Iterator<Item = &SchemaValue> {
        self.all(deleted).filter(move |value| {
            let mut references = value.references.iter();
            references.any(|one| one.subject == *subject && one.version == version)
        })
    }

    pub(crate) fn highest_id(&self) -> SchemaId {
        SchemaId(self.highest)
    }

    pub(crate) fn config(&self, scope: &Scope) -> Option<Config> {
        self.configs.get(scope).copied()
    }

    /// The registry's own settings; what was never set is the default.
    pub(crate) fn global_config(&self) -> Config {
        let config = self.config(&None).unwrap_or_default();
        Config { level: config.level.or(Some(self.default_level)), ..config }
    }

    pub(crate) fn level(&self, subject: &Subject) -> CompatibilityLevel {
        let own = self.config(&Some(subject.clone())).and_then(|config| config.level);
        own.or(self.global_config().level).unwrap_or_default()
    }

    /// Whether schemas of the subject are normalized even if a request does not ask for it.
    pub(crate) fn normalizes(&self, subject: &Subject) -> bool {
        let own = self.config(&Some(subject.clone())).and_then(|config| config.normalize);
        own.or(self.global_config().normalize).unwrap_or(false)
    }

    pub(crate) fn own_mode(&self, scope: &Scope) -> Option<Mode> {
        self.modes.get(scope).copied()
    }

    /// The mode that counts for a subject, or for the registry.
    pub(crate) fn mode(&self, scope: &Scope) -> Mode {
        let global = self.own_mode(&None).unwrap_or_default();
        if global == Mode::ReadOnlyOverride {
            return global;
        }
        self.own_mode(scope).unwrap_or(global)
    }

    pub(crate) fn subject_count(&self) -> usize {
        self.subjects(Deleted::Hidden).count()
    }
}

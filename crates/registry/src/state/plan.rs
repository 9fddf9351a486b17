//! What a request changes: pure decisions, as records to append.

use crate::api::ApiError;
use crate::ids::{SchemaId, Subject, Version};
use crate::mode::Mode;
use crate::record::{Change, Config, SchemaValue, Scope};

use super::{Comparison, Deleted, Prepared, State, VersionSpec, identity};

/// The answer to a registration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Registered {
    pub(crate) id: SchemaId,
    pub(crate) version: Version,
}

/// A plan: the records to append, and the answer once they are durable.
pub(crate) type Plan<T> = Result<(Vec<Change>, T), ApiError>;

/// A setting of the registry or of a subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Setting {
    Config(Config),
    Mode { mode: Mode, force: bool },
}

impl State {
    fn writable(&self, scope: &Scope) -> Result<(), ApiError> {
        if self.mode(scope).read_only() {
            return Err(ApiError::ReadOnly { subject: scope.clone() });
        }
        Ok(())
    }

    /// The version that `new` is registered as already. Asking writes nothing, so no mode forbids it.
    pub(crate) fn registered(
        &self,
        new: &Prepared,
        id: Option<SchemaId>,
        version: Option<Version>,
    ) -> Option<Registered> {
        let value = self.lookup(&new.value.subject, new, Deleted::Hidden)?;
        let meant = id.is_none_or(|id| id == value.id)
            && version.is_none_or(|version| version == value.version);
        meant.then_some(Registered { id: value.id, version: value.version })
    }

    /// Registers `new`, or finds it registered already.
    pub(crate) fn register(
        &self,
        new: &Prepared,
        id: Option<SchemaId>,
        version: Option<Version>,
    ) -> Plan<Registered> {
        if let Some(found) = self.registered(new, id, version) {
            return Ok((Vec::new(), found));
        }
        let subject = &new.value.subject;
        let scope = Some(subject.clone());
        self.writable(&scope)?;
        if self.mode(&scope) == Mode::Import {
            return self.import(new, id, version);
        }
        if id.is_some() {
            return Err(ApiError::NotInImportMode { subject: subject.clone() });
        }
        let messages = self.incompatibilities(subject, new, Comparison::ByLevel);
        if !messages.is_empty() {
            return Err(ApiError::Incompatible { subject: subject.clone(), messages });
        }
        let next = self.next_version(subject)?;
        if version.is_some_and(|version| version != next) {
            return Err(ApiError::NotNextVersion { subject: subject.clone(), next });
        }
        // A version that was soft-deleted keeps its number; its schema returns under its old id.
        let earlier = self.lookup(subject, new, Deleted::Shown).map(|value| value.id);
        let id = match earlier.or_else(|| self.identities.get(&identity(&new.value)).copied()) {
            Some(id) => id,
            None => SchemaId(self.highest.checked_add(1).ok_or(ApiError::IdsExhausted)?),
        };
        Ok(stored(new, id, next))
    }

    fn import(
        &self,
        new: &Prepared,
        id: Option<SchemaId>,
        version: Option<Version>,
    ) -> Plan<Registered> {
        let subject = &new.value.subject;
        let id = id.ok_or_else(|| ApiError::InImportMode { subject: subject.clone() })?;
        let taken = self.by_id(id).is_some_and(|old| identity(old) != identity(&new.value));
        let version = match version {
            Some(version) => version,
            None => self.next_version(subject)?,
        };
        let other = self.version(subject, version).is_some_and(|old| old.id != id);
        if taken || other {
            return Err(ApiError::OverwriteId { id });
        }
        Ok(stored(new, id, version))
    }

    /// One past every version there ever was, soft-deleted ones included.
    fn next_version(&self, subject: &Subject) -> Result<Version, ApiError> {
        let last = self.versions(subject, Deleted::Shown).next_back();
        let last = last.map_or(0, |value| value.version.0);
        Ok(Version(last.checked_add(1).ok_or(ApiError::IdsExhausted)?))
    }

    pub(crate) fn delete_version(
        &self,
        subject: &Subject,
        version: VersionSpec,
        permanent: bool,
    ) -> Plan<Version> {
        self.writable(&Some(subject.clone()))?;
        if self.versions(subject, Deleted::Shown).next().is_none() {
            return Err(ApiError::NoSubject { subject: subject.clone() });
        }
        let value = match (version, permanent) {
            (VersionSpec::Latest, false) => self.find(subject, version, Deleted::Hidden),
            _ => self.find(subject, version, Deleted::Shown),
        };
        let Some(value) = value else { return Err(ApiError::NoVersion { version }) };
        let number = value.version;
        match (permanent, value.deleted) {
            (false, true) => {
                let (subject, version) = (subject.clone(), number);
                return Err(ApiError::VersionSoftDeleted { subject, version });
            }
            (true, false) => {
                let (subject, version) = (subject.clone(), number);
                return Err(ApiError::VersionNotSoftDeleted { subject, version });
            }
            (false, false) | (true, true) => {}
        }
        self.unreferenced(&[value], permanent)?;
        let mut changes = Vec::new();
        if permanent {
            changes.extend(self.remembered([value]));
            changes.push(Change::Forget(subject.clone(), number));
        } else {
            changes.push(Change::Put(Box::new(SchemaValue { deleted: true, ..value.clone() })));
        }
        Ok((changes, number))
    }

    pub(crate) fn delete_subject(&self, subject: &Subject, permanent: bool) -> Plan<Vec<Version>> {
        let scope = Some(subject.clone());
        self.writable(&scope)?;
        let all: Vec<&SchemaValue> = self.versions(subject, Deleted::Shown).collect();
        let live: Vec<&SchemaValue> = self.versions(subject, Deleted::Hidden).collect();
        let Some(last) = all.last() else {
            return Err(ApiError::NoSubject { subject: subject.clone() });
        };
        if permanent && !live.is_empty() {
            return Err(ApiError::SubjectNotSoftDeleted { subject: subject.clone() });
        }
        if !permanent && live.is_empty() {
            return Err(ApiError::SubjectSoftDeleted { subject: subject.clone() });
        }
        let gone = if permanent { all.clone() } else { live };
        self.unreferenced(&gone, permanent)?;
        let versions: Vec<Version> = gone.iter().map(|value| value.version).collect();
        let mut changes = Vec::new();
        if permanent {
            changes.extend(self.remembered(gone));
            let forget = versions.iter().map(|version| Change::Forget(subject.clone(), *version));
            changes.extend(forget);
        } else {
            changes.push(Change::DeleteSubject(subject.clone(), last.version));
            // The subject's settings go with it, so that a new start is one.
            if self.own_mode(&scope).is_some() {
                changes.push(Change::Mode(scope.clone(), None));
            }
            if self.config(&scope).is_some() {
                changes.push(Change::Config(scope, None));
            }
        }
        Ok((changes, versions))
    }

    /// Refuses if another version needs one of `values`.
    ///
    /// A soft-deleted referrer still answers by its id and so still needs what it refers to: it
    /// stands against a permanent deletion. Versions that go together do not hold each other.
    fn unreferenced(&self, values: &[&SchemaValue], permanent: bool) -> Result<(), ApiError> {
        let deleted = if permanent { Deleted::Shown } else { Deleted::Hidden };
        let goes = |referrer: &SchemaValue| {
            let same = |value: &&SchemaValue| {
                value.subject == referrer.subject && value.version == referrer.version
            };
            values.iter().any(same)
        };
        for value in values {
            let mut referrers = self.referrers(&value.subject, value.version, deleted);
            if referrers.any(|referrer| !goes(referrer)) {
                let (subject, version) = (value.subject.clone(), value.version);
                return Err(ApiError::Referenced { subject, version });
            }
        }
        Ok(())
    }

    /// A record of the highest id, if its last version is about to be forgotten.
    fn remembered<'a>(&self, gone: impl IntoIterator<Item = &'a SchemaValue>) -> Option<Change> {
        let highest = self.highest_id();
        let mut gone = gone.into_iter();
        gone.any(|value| value.id == highest).then_some(Change::HighestId(highest))
    }

    pub(crate) fn set(&self, scope: Scope, setting: Setting) -> Plan<()> {
        let change = match setting {
            Setting::Config(config) => {
                self.writable(&scope)?;
                let old = self.config(&scope).unwrap_or_default();
                let level = config.level.or(old.level);
                let normalize = config.normalize.or(old.normalize);
                Change::Config(scope, Some(Config { level, normalize }))
            }
            Setting::Mode { mode, force } => {
                // Imported ids could collide with those that were given out here.
                let occupied = match &scope {
                    None => self.all(Deleted::Hidden).next().is_some(),
                    Some(subject) => self.versions(subject, Deleted::Hidden).next().is_some(),
                };
                if mode == Mode::Import && occupied && !force && self.mode(&scope) != mode {
                    return Err(ApiError::ImportOccupied);
                }
                Change::Mode(scope, Some(mode))
            }
        };
        Ok((vec![change], ()))
    }

    pub(crate) fn unset_config(&self, scope: Scope) -> Plan<Config> {
        self.writable(&scope)?;
        let old = match &scope {
            None => self.global_config(),
            Some(subject) => self
                .config(&scope)
                .ok_or_else(|| ApiError::NoSubject { subject: subject.clone() })?,
        };
        Ok((vec![Change::Config(scope, None)], old))
    }

    pub(crate) fn unset_mode(&self, scope: Scope) -> Plan<Mode> {
        let old = match &scope {
            None => self.mode(&None),
            Some(subject) => self
                .own_mode(&scope)
                .ok_or_else(|| ApiError::NoSubject { subject: subject.clone() })?,
        };
        Ok((vec![Change::Mode(scope, None)], old))
    }
}

fn stored(new: &Prepared, id: SchemaId, version: Version) -> (Vec<Change>, Registered) {
    let value = SchemaValue { id, version, ..new.value.clone() };
    (vec![Change::Put(Box::new(value))], Registered { id, version })
}

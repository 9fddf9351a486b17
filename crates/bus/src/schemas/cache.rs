//! Schemas by id: never forgotten, fetched once however many threads miss at the same time.

use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use throughline_avro::{Schema, SchemaId};

use crate::BusError;

/// How long an id stays unknown before the registry is asked again. A record is written after its
/// schema was registered, so only a replica that lags behind makes an unknown id known.
const UNKNOWN_FOR: Duration = Duration::from_secs(5);

/// Ids without a usable schema that are kept; hostile records could name two thousand million.
const MOST_BAD: usize = 4_096;

/// Why an id has no schema that can be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Bad {
    Unknown,
    Unusable(String),
}

#[derive(Debug)]
enum Slot {
    Fetching,
    Ready(Arc<Schema>),
    Bad(Bad, Instant),
}

#[derive(Debug)]
pub(super) struct Cache {
    slots: Mutex<HashMap<SchemaId, Slot>>,
    changed: Condvar,
}

/// Takes an abandoned `Fetching` back, so that a panic or error does not block the others forever.
struct Fetch<'a> {
    cache: &'a Cache,
    id: SchemaId,
    result: Option<Slot>,
}

impl Drop for Fetch<'_> {
    fn drop(&mut self) {
        let mut slots = self.cache.lock();
        match self.result.take() {
            Some(slot) => {
                if matches!(slot, Slot::Bad(..)) {
                    forget_bad_ones(&mut slots);
                }
                slots.insert(self.id, slot);
            }
            None => {
                slots.remove(&self.id);
            }
        }
        drop(slots);
        self.cache.changed.notify_all();
    }
}

impl Cache {
    pub(super) fn new() -> Self {
        Self { slots: Mutex::new(HashMap::new()), changed: Condvar::new() }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<SchemaId, Slot>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The id of a schema that this cache gave out.
    pub(super) fn id_of(&self, schema: &Arc<Schema>) -> Option<SchemaId> {
        let slots = self.lock();
        let same = |slot: &Slot| matches!(slot, Slot::Ready(ready) if Arc::ptr_eq(ready, schema));
        slots.iter().find(|(_, slot)| same(slot)).map(|(id, _)| *id)
    }

    /// The schema of an id, by `fetch` when it is not there. What `fetch` could not find out is not
    /// kept: the next caller tries again.
    pub(super) fn get(
        &self,
        id: SchemaId,
        fetch: impl FnOnce() -> Result<Result<Arc<Schema>, Bad>, BusError>,
    ) -> Result<Result<Arc<Schema>, Bad>, BusError> {
        let mut slots = self.lock();
        loop {
            match slots.get(&id) {
                Some(Slot::Ready(schema)) => return Ok(Ok(Arc::clone(schema))),
                Some(Slot::Bad(bad, since))
                    if *bad != Bad::Unknown || since.elapsed() < UNKNOWN_FOR =>
                {
                    return Ok(Err(bad.clone()));
                }
                Some(Slot::Fetching) => {
                    slots = self.changed.wait(slots).unwrap_or_else(PoisonError::into_inner);
                }
                Some(Slot::Bad(..)) | None => break,
            }
        }
        slots.insert(id, Slot::Fetching);
        drop(slots);
        let mut fetching = Fetch { cache: self, id, result: None };
        let found = fetch()?;
        fetching.result = Some(match &found {
            Ok(schema) => Slot::Ready(Arc::clone(schema)),
            Err(bad) => Slot::Bad(bad.clone(), Instant::now()),
        });
        Ok(found)
    }
}

fn forget_bad_ones(slots: &mut HashMap<SchemaId, Slot>) {
    if slots.values().filter(|slot| matches!(slot, Slot::Bad(..))).count() >= MOST_BAD {
        slots.retain(|_, slot| !matches!(slot, Slot::Bad(..)));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    fn schema() -> Arc<Schema> {
        Arc::new(Schema::parse("\"string\"").unwrap())
    }

    #[test]
    fn threads_that_miss_together_fetch_once() {
        let (cache, fetched, start) = (Cache::new(), AtomicUsize::new(0), Barrier::new(8));
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    start.wait();
                    let found = cache.get(SchemaId(1), || {
                        fetched.fetch_add(1, Ordering::SeqCst);
                        Ok(Ok(schema()))
                    });
                    assert_eq!(*found.unwrap().unwrap(), *schema());
                });
            }
        });
        assert_eq!(fetched.into_inner(), 1);
    }

    #[test]
    fn a_registry_that_was_down_is_asked_again() {
        let cache = Cache::new();
        let down = || BusError::RegistryUnreachable { url: String::new(), reason: String::new() };
        assert!(cache.get(SchemaId(1), || Err(down())).is_err());
        assert!(cache.get(SchemaId(1), || Ok(Ok(schema()))).unwrap().is_ok());
    }

    #[test]
    fn an_id_without_a_schema_is_not_asked_for_with_every_record() {
        let cache = Cache::new();
        let unknown = cache.get(SchemaId(1), || Ok(Err(Bad::Unknown))).unwrap();
        assert_eq!(unknown.unwrap_err(), Bad::Unknown);
        let again = cache.get(SchemaId(1), || panic!("asked again")).unwrap();
        assert_eq!(again.unwrap_err(), Bad::Unknown);
    }

    #[test]
    fn ids_without_schemas_do_not_fill_the_memory() {
        let cache = Cache::new();
        cache.get(SchemaId(-1), || Ok(Ok(schema()))).unwrap().unwrap();
        for id in 0..=MOST_BAD {
            let id = SchemaId(i32::try_from(id).unwrap());
            cache.get(id, || Ok(Err(Bad::Unknown))).unwrap().unwrap_err();
        }
        assert!(cache.lock().len() <= 2);
        cache.get(SchemaId(-1), || panic!("forgotten")).unwrap().unwrap();
    }
}

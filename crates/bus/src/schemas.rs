//! Schemas: a blocking client of the registry, and a cache by id that keeps what it has.
//!
//! The registry's client is async, the workers are not: calls run on one small runtime of the bus,
//! and the caller's thread waits for the answer. A hit in the cache touches neither.

mod cache;
mod difference;

use std::error::Error as _;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::{collections::HashMap, sync::mpsc};

use schema_registry_converter::async_impl::schema_registry as client;
use schema_registry_converter::async_impl::schema_registry::SrSettings;
use schema_registry_converter::error::SRCError;
use schema_registry_converter::schema_registry_common::{
    RawError, RegisteredSchema, SchemaType, SuppliedSchema,
};
use throughline_avro::{Schema, SchemaId};
use tokio::runtime::Runtime;

use crate::BusError;
use crate::error::Cause;
use crate::options::{BusOptions, base_url};
use cache::{Bad, Cache};

/// One version of a subject, as the registry has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubjectVersion {
    /// The subject.
    pub subject: String,
    /// Its version, counted from 1; absent when the registry did not say.
    pub version: Option<u32>,
    /// The schema's id, unique in the registry.
    pub id: SchemaId,
    /// The schema as text.
    pub text: String,
}

/// The registry's client with its cache.
#[derive(Debug)]
pub(crate) struct Schemas {
    url: String,
    settings: Arc<SrSettings>,
    /// Absent only while it is dropped.
    runtime: Option<Runtime>,
    cache: Cache,
    registered: Mutex<HashMap<(String, String), SchemaId>>,
}

impl Schemas {
    pub(crate) fn new(options: &BusOptions) -> Result<Self, BusError> {
        let failed = |cause: Cause| BusError::Client { name: "registry".to_owned(), cause };
        let url = base_url(&options.registry);
        let settings = SrSettings::new_builder(url.clone())
            .set_timeout(options.timeout)
            .no_proxy()
            .build()
            .map_err(|error| failed(Box::new(error)))?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("bus-registry")
            .enable_all()
            .build()
            .map_err(|error| failed(Box::new(error)))?;
        Ok(Self {
            url,
            settings: Arc::new(settings),
            runtime: Some(runtime),
            cache: Cache::new(),
            registered: Mutex::new(HashMap::new()),
        })
    }

    /// Asks for a schema that no registry has: any registry's answer will do.
    pub(crate) fn probe(&self) -> Result<(), BusError> {
        let answer = self.call(|registry| async move {
            client::get_all_versions(&registry, "throughline-probe".to_owned()).await
        });
        match answer {
            Ok(_) => Ok(()),
            Err(error) => match self.error("list the versions of a subject", &error) {
                BusError::RegistryRefused { code: 40401, .. } => Ok(()),
                other => Err(other),
            },
        }
    }

    pub(crate) fn register(&self, subject: &str, schema: &Schema) -> Result<SchemaId, BusError> {
        let key = (subject.to_owned(), schema.text().to_owned());
        if let Some(id) = self.registered.lock().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return Ok(*id);
        }
        let answer = self.call(|registry| {
            let (subject, supplied) = (subject.to_owned(), supplied(schema));
            async move { client::post_schema(&registry, subject, supplied).await }
        });
        let answer = answer.map_err(|error| {
            match self.error(&format!("register a schema for {subject}"), &error) {
                BusError::RegistryRefused { code: 409 | 40901, message, .. } => {
                    // The registry answers with both schemas whole, escaped, and a JSON pointer.
                    let told = self.difference(subject, schema).ok().flatten();
                    let message = told.unwrap_or_else(|| difference::cut(&message));
                    BusError::Incompatible { subject: subject.to_owned(), message }
                }
                other => other,
            }
        })?;
        let id = schema_id(answer.id);
        self.registered.lock().unwrap_or_else(PoisonError::into_inner).insert(key, id);
        Ok(id)
    }

    /// The schema of this id; the first caller fetches it, others wait for it.
    pub(crate) fn get(&self, id: SchemaId) -> Result<Arc<Schema>, BusError> {
        let found = self.cache.get(id, || self.fetch(id))?;
        found.map_err(|bad| match bad {
            Bad::Unknown => BusError::UnknownSchema { id, url: self.url.clone() },
            Bad::Unusable(reason) => BusError::UnusableSchema { id, reason },
        })
    }

    /// The id under which [`Schemas::get`] gave out this schema.
    pub(crate) fn id_of(&self, schema: &Arc<Schema>) -> Option<SchemaId> {
        self.cache.id_of(schema)
    }

    fn fetch(&self, id: SchemaId) -> Result<Result<Arc<Schema>, Bad>, BusError> {
        let Ok(number) = u32::try_from(id.0) else { return Ok(Err(Bad::Unknown)) };
        let answer =
            self.call(|registry| async move { client::get_schema_by_id(number, &registry).await });
        match answer {
            Ok(registered) => Ok(usable(&registered)),
            Err(error) => match self.error(&format!("give schema {id}"), &error) {
                // Nothing else means that there is no such schema: what stands before a registry
                // answers 404 as well.
                BusError::RegistryRefused { code: 40403, .. } => Ok(Err(Bad::Unknown)),
                other => Err(other),
            },
        }
    }

    pub(crate) fn subjects(&self) -> Result<Vec<String>, BusError> {
        let answer = self.call(|registry| async move { client::get_all_subjects(&registry).await });
        let mut subjects = answer.map_err(|error| self.error("list subjects", &error))?;
        subjects.sort_unstable();
        Ok(subjects)
    }

    pub(crate) fn versions(&self, subject: &str) -> Result<Vec<u32>, BusError> {
        let answer = self.call(|registry| {
            let subject = subject.to_owned();
            async move { client::get_all_versions(&registry, subject).await }
        });
        answer.map_err(|error| self.error(&format!("list the versions of {subject}"), &error))
    }

    pub(crate) fn version(
        &self,
        subject: &str,
        version: Option<u32>,
    ) -> Result<SubjectVersion, BusError> {
        let answer =
            self.call(|registry| {
                let subject = subject.to_owned();
                async move {
                    client::get_schema_by_subject_and_version(&registry, &subject, version).await
                }
            });
        let found =
            answer.map_err(|error| self.error(&format!("give a version of {subject}"), &error))?;
        Ok(SubjectVersion {
            subject: subject.to_owned(),
            version: found.version.or(version),
            id: schema_id(found.id),
            text: found.schema,
        })
    }

    /// What a schema changes against the newest version of a subject.
    pub(crate) fn difference(
        &self,
        subject: &str,
        schema: &Schema,
    ) -> Result<Option<String>, BusError> {
        let newest = self.version(subject, None)?;
        let old = Schema::parse(&newest.text).ok();
        Ok(old.and_then(|old| difference::difference(old.root(), schema.root())))
    }

    pub(crate) fn compatible(&self, subject: &str, schema: &Schema) -> Result<bool, BusError> {
        let answer = self.call(|registry| {
            let (subject, supplied) = (subject.to_owned(), supplied(schema));
            async move { client::is_compatible_schema(&registry, subject, supplied).await }
        });
        match answer {
            Ok(compatible) => Ok(compatible),
            Err(error) => match self.error(&format!("check a schema for {subject}"), &error) {
                // A subject without versions takes every schema.
                BusError::RegistryRefused { code: 40401 | 40402, .. } => Ok(true),
                other => Err(other),
            },
        }
    }

    /// Runs a call on the bus's runtime, a second time when the first met a dead connection: a
    /// registry that was restarted leaves closed connections in the client's pool.
    fn call<T, F>(&self, call: impl Fn(Arc<SrSettings>) -> F) -> Result<T, SRCError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, SRCError>> + Send + 'static,
    {
        match self.call_once(call(Arc::clone(&self.settings))) {
            Err(error) if error.retriable => self.call_once(call(Arc::clone(&self.settings))),
            answer => answer,
        }
    }

    fn call_once<T, F>(&self, call: F) -> Result<T, SRCError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, SRCError>> + Send + 'static,
    {
        let stopped = || SRCError::new("the bus is being closed", None, true);
        let runtime = self.runtime.as_ref().ok_or_else(stopped)?;
        let (answer, wait) = mpsc::sync_channel(1);
        // Not `block_on`: that panics when the caller is itself a thread of some runtime.
        runtime.spawn(async move {
            // The caller waits for the answer; it is only gone when its thread is.
            drop(answer.send(call.await));
        });
        wait.recv().map_err(|_| stopped())?
    }

    /// Only the registry's own word that the request is wrong is an answer. Whatever else comes
    /// back, half an answer, a failure of its own or the error page of something before it, says
    /// nothing about the request: it is asked again.
    fn error(&self, action: &str, error: &SRCError) -> BusError {
        let reason = match error.source().and_then(|cause| cause.downcast_ref::<RawError>()) {
            Some(raw) if !error.retriable && is_refusal(raw.error_code) => {
                return BusError::RegistryRefused {
                    action: action.to_owned(),
                    code: raw.error_code,
                    message: raw.message.clone(),
                };
            }
            Some(raw) if raw.error_code == 0 => {
                format!("it does not answer like a schema registry: {}", error.error)
            }
            Some(raw) => raw.message.clone(),
            None => root_cause(error),
        };
        BusError::RegistryUnreachable { url: self.url.clone(), reason }
    }
}

/// Whether a code, an HTTP status with or without two digits of the registry's own, blames the
/// request. A timeout and too many requests pass by themselves.
fn is_refusal(code: u32) -> bool {
    let status = if code < 1_000 { code } else { code / 100 };
    (400..500).contains(&status) && !matches!(status, 408 | 425 | 429)
}

impl Drop for Schemas {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // A runtime must not wait for its threads inside another one's.
            runtime.shutdown_background();
        }
    }
}

fn supplied(schema: &Schema) -> SuppliedSchema {
    SuppliedSchema::new(None, SchemaType::Avro, schema.text().to_owned())
}

fn usable(registered: &RegisteredSchema) -> Result<Arc<Schema>, Bad> {
    if registered.schema_type != SchemaType::Avro {
        return Err(Bad::Unusable(format!("it is not Avro but {:?}", registered.schema_type)));
    }
    if !registered.references.is_empty() {
        return Err(Bad::Unusable("it refers to schemas of other subjects".to_owned()));
    }
    Schema::parse(&registered.schema).map(Arc::new).map_err(|error| {
        let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
        Bad::Unusable(format!("{error}{cause}"))
    })
}

/// The registry's ids are Java's positive 32-bit integers.
fn schema_id(id: u32) -> SchemaId {
    SchemaId(i32::try_from(id).unwrap_or(i32::MAX))
}

/// The innermost cause: "connection refused" says more than "error sending request".
fn root_cause(error: &SRCError) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    if cause.is::<SRCError>() { error.error.clone() } else { cause.to_string() }
}

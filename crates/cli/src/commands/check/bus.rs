//! The bus, and what each worker needs on it.

use std::net::{SocketAddr, TcpListener};

use throughline_avro::Schema;
use throughline_bus::{Bus, BusError, Partitions, probe};
use throughline_config::{Bus as BusConfig, Config};
use throughline_event::TopicName;
use throughline_runtime::chain;
use throughline_runtime::needs::Need;

use super::Looked;
use crate::running::{self, Running};

/// Reaches brokers and registry. Nothing comes back when one of them does not answer, or when the
/// embedded bus does not run: then there is nothing to compare with.
pub(super) fn reach(config: &Config, looked: &mut Vec<Looked>) -> Option<Bus> {
    if let BusConfig::Embedded(options) = &config.bus
        && Running::read(&config.data).is_none_or(|running| !running.answers())
    {
        let metrics = taken("metrics", config.metrics, METRICS);
        looked.push(Looked::new("metrics", "can be served", metrics.into_iter().collect()));
        let addresses =
            [("bus.embedded.kafka", options.kafka), ("bus.embedded.registry", options.registry)];
        let problems = addresses.into_iter().filter_map(|(key, at)| taken(key, at, PORTS));
        let problems = problems.collect();
        looked.push(Looked::new(
            "embedded bus",
            "does not run, and can start; topics and schemas are checked while it runs",
            problems,
        ));
        return None;
    }
    let options = match running::bus_options(config) {
        Ok(options) => options,
        Err(failure) => {
            let problem = failure.error.map(|error| chain(error.as_ref()));
            looked.push(Looked::new("bus", "", problem.into_iter().collect()));
            return None;
        }
    };
    let probed = match probe(&options) {
        Ok(probed) => probed,
        Err(error) => {
            looked.push(Looked::new("bus", "", vec![chain(&error)]));
            return None;
        }
    };
    let told = |error: Option<&BusError>| error.map(|error| chain(error)).into_iter().collect();
    let brokers = probed.brokers.as_ref().err();
    let both = brokers.is_none() && probed.registry.is_ok();
    looked.push(Looked {
        absent: matches!(brokers, Some(BusError::BrokersUnreachable { .. })),
        ..Looked::new(
            format!("brokers {}", options.brokers),
            "answer, and serve what is needed",
            told(brokers),
        )
    });
    let (rule, unreachable) = match probed.registry {
        Ok(rule) => (rule, None),
        Err(error) => (None, Some(error)),
    };
    let seen = match &rule {
        Some(rule) => format!("answers, compatibility {rule}"),
        None => "answers".to_owned(),
    };
    let absent = matches!(unreachable, Some(BusError::RegistryUnreachable { .. }));
    let mut problems: Vec<String> = told(unreachable.as_ref());
    if rule.as_deref() == Some("NONE") {
        problems.push(
            "TL9014: the registry accepts any change of a schema (compatibility NONE), so a \
             consumer can break without warning; set its compatibility to BACKWARD"
                .to_owned(),
        );
    }
    let what = format!("registry {}", options.registry);
    looked.push(Looked { absent, ..Looked::new(what, seen, problems) });
    both.then(|| Bus::connect(options).ok()).flatten()
}

/// The lines that choose ports, for files that have none of them.
const PORTS: &str = r#"bus: {embedded: {kafka: "127.0.0.1:0", registry: "127.0.0.1:0"}}"#;
const METRICS: &str = r#"metrics: "127.0.0.1:0""#;

/// Why a listener could not start.
fn taken(key: &str, address: SocketAddr, lines: &str) -> Option<String> {
    let error = TcpListener::bind(address).err()?;
    Some(format!(
        "TL9013: `{key}` cannot listen on {address}: {error}; write a free port, or 0 for any: \
         `{lines}`"
    ))
}

/// The topics, schemas and group of one worker.
pub(super) fn needed(bus: &Bus, worker: &str, group: Option<&str>, needs: &[Need]) -> Looked {
    let mut problems = Vec::new();
    let (mut there, mut missing, mut schemas) = (Vec::new(), 0, 0);
    for Need { topic, schemas: registered } in needs {
        match bus.inspect_topic(topic) {
            Ok(Some(_)) => there.push(topic.topic.clone()),
            Ok(None) => missing += 1,
            Err(error) => problems.push(with_place(&error, topic.partitions)),
        }
        let Some((key, value)) = registered else { continue };
        for (subject, schema) in subjects(&topic.topic, key, value) {
            schemas += 1;
            problems.extend(refused(bus, &subject, schema));
        }
    }
    if let Some(group) = group
        && let Err(error) = bus.committed(group, &there)
    {
        problems.push(chain(&error));
    }
    let seen = format!(
        "{} topics are as they must be, {missing} will be created, {schemas} schemas fit",
        there.len()
    );
    Looked::new(format!("{worker}, topics and schemas"), seen, problems)
}

fn subjects<'s>(
    topic: &TopicName,
    key: &'s Schema,
    value: &'s Schema,
) -> [(String, &'s Schema); 2] {
    [(topic.key_subject(), key), (topic.value_subject(), value)]
}

/// Why a subject would not take a schema.
fn refused(bus: &Bus, subject: &str, schema: &Schema) -> Option<String> {
    match bus.compatible(subject, schema) {
        Ok(true) => None,
        Ok(false) => {
            let told = bus.difference(subject, schema).ok().flatten();
            let told = told.map(|text| format!(": {text}")).unwrap_or_default();
            Some(format!(
                "TL9015: subject {subject} refuses the schema that this worker writes{told}; keep \
                 old fields as they are and give new ones a default, or, where the change is \
                 meant, run `throughline schemas compatibility {subject} --set NONE`"
            ))
        }
        Err(error) => Some(chain(&error)),
    }
}

/// An error of a topic with the command that mends the number of its partitions.
fn with_place(error: &BusError, partitions: Partitions) -> String {
    match (error, partitions) {
        (BusError::TopicMismatch { setting: "cleanup.policy", topic, wanted, .. }, _) => format!(
            "{error}: `kafka-configs --alter --entity-type topics --entity-name {topic} \
             --add-config cleanup.policy={wanted}`"
        ),
        _ => chain(error),
    }
}

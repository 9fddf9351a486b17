//! Dead letters of files that were mended.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use throughline_avro::Schema;
use throughline_connector::{
    CaptureBatch, CaptureError, Captured, CapturedEntity, ConnectError, ConnectorOptions, Item,
    PartitionRule, Producer, ProducerContext, Reading, Rejection,
};
use throughline_event::{EntityName, Path, Position, SystemName, Violations};
use throughline_runtime::{ProducerRegistry, Shutdown};

use crate::capture::name;
use crate::support::{Flow, run_until};

/// Reads one version of a file, some lines of which are bad, once.
struct OneFile(Option<File>, Vec<CapturedEntity>);

#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct File {
    name: String,
    version: u64,
    bad: Vec<u64>,
    /// Whether it is read to its end.
    whole: bool,
}

impl ConnectorOptions for File {
    type Settings = Self;

    fn validate(self, _: &Path, _: &mut Violations) -> Option<Self> {
        Some(self)
    }
}

impl Producer for OneFile {
    const KIND: &'static str = "one-file";
    type Options = File;

    async fn connect(file: File, _: ProducerContext) -> Result<Self, ConnectError> {
        let text = r#"{"type":"record","name":"R","fields":[{"name":"id","type":"string"}]}"#;
        let entity = CapturedEntity {
            name: EntityName::new("thing").unwrap(),
            key: Schema::parse(text).unwrap(),
            document: Schema::parse(text).unwrap(),
            ignore: Vec::new(),
            partitions: PartitionRule::One,
        };
        Ok(Self(Some(file), vec![entity]))
    }

    fn entities(&self) -> &[CapturedEntity] {
        &self.1
    }

    fn resume(&mut self, _: Option<Position>) -> Result<(), CaptureError> {
        Ok(())
    }

    async fn capture(
        &mut self,
        batch: &mut CaptureBatch,
        _: usize,
    ) -> Result<Captured, CaptureError> {
        if let Some(File { name, version, bad, whole }) = self.0.take() {
            let reading = Reading { source: name.clone(), version };
            for line in bad {
                batch.items.push(Item::Rejected(Rejection {
                    entity: self.1[0].name.clone(),
                    code: "TL9999",
                    place: format!("{name} line {line}"),
                    reason: "it is bad".to_owned(),
                    input: Vec::new(),
                    reading: Some(reading.clone()),
                }));
            }
            if whole {
                batch.items.push(Item::ReadWhole { entity: 0, reading });
            }
            batch.position = Some(Position::new(version.to_string()));
        }
        Ok(Captured::Idle(Duration::from_secs(1)))
    }

    fn committed(&mut self, _: &Position) {}
}

/// Reads a version, and returns the places of the letters that are open then.
#[track_caller]
fn read(flow: &Flow, file: &str, version: u64, bad: &[u64], whole: bool, open: &[&str]) {
    let shutdown = Shutdown::new();
    let (system, base) = (SystemName::new("test").unwrap(), std::env::temp_dir());
    let cx = ProducerContext { name: name(), system, base };
    let kinds = ProducerRegistry::new().with::<OneFile>();
    let options = serde_json::json!({"name": file, "version": version, "bad": bad, "whole": whole});
    let worker = kinds.get("one-file").unwrap().worker(options, cx, flow.host(&shutdown));
    run_until(worker, &shutdown, &format!("version {version}: {open:?}"), || {
        let letters = flow.letters();
        letters.iter().map(|letter| letter.place.as_str()).collect::<Vec<_>>() == open
    });
}

#[test]
fn letters_of_a_file_are_resolved_when_a_later_version_of_it_is_read_whole() {
    let flow = Flow::start();
    read(&flow, "a", 1, &[2, 3], true, &["a line 2", "a line 3"]);
    read(&flow, "b", 1, &[9], true, &["a line 2", "a line 3", "b line 9"]);
    // A version that is refused in the middle mends nothing.
    read(&flow, "a", 2, &[3, 4], false, &["a line 2", "b line 9", "a line 3", "a line 4"]);
    // What is still bad stays open, and so does what is another file's.
    read(&flow, "a", 3, &[4], true, &["b line 9", "a line 4"]);
    // The store is a cache: a new one knows what the letters came from.
    std::fs::remove_file(flow.state().join("shop.sqlite")).unwrap();
    read(&flow, "a", 4, &[], true, &["b line 9"]);
    read(&flow, "b", 2, &[], true, &[]);
}

#[test]
fn letters_that_were_published_before_a_restart_stay_open_when_the_version_is_read_to_its_end() {
    let flow = Flow::start();
    read(&flow, "a", 1, &[2], false, &["a line 2"]);
    read(&flow, "a", 1, &[7], true, &["a line 2", "a line 7"]);
}

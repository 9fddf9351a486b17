use std::fs::{self, File};
use std::future::Future;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::json;
use throughline_connector::ConnectError;
use throughline_connector::conformance::sink::{Harness, all};
use throughline_event::{Offset, RecordBatch, TopicPartition};
use throughline_sink_files::FilesSink;

use crate::support::{Folder, Records, now, partition};

struct Files {
    folder: Folder,
    parquet: bool,
}

impl Harness for Files {
    type Sink = FilesSink;

    fn wait<F: Future>(&self, future: F) -> F::Output {
        now(future)
    }

    fn connect(&mut self) -> Result<FilesSink, ConnectError> {
        self.folder.connect()
    }

    fn partitions(&self) -> Vec<TopicPartition> {
        vec![
            partition("canonical.inventory", 0),
            partition("canonical.inventory", 11),
            partition("canonical.price", 0),
        ]
    }

    fn batch(&self, records: &[(TopicPartition, Offset, usize)]) -> RecordBatch {
        let mut batch = Records::new();
        for (partition, offset, number) in records {
            batch.upsert(partition, offset.0, &format!("sku-{number}"), *number as i64);
        }
        batch.batch
    }

    fn held(&mut self, partition: &TopicPartition) -> Vec<usize> {
        if !self.parquet {
            let lines = self.folder.lines(partition);
            return lines.iter().map(|line| line["on_hand"].as_u64().unwrap() as usize).collect();
        }
        let topic = partition.topic.as_str();
        let prefix = format!("{}-", partition.partition);
        let mut numbers = Vec::new();
        for name in self.folder.names(topic).iter().filter(|name| name.starts_with(&prefix)) {
            let file = File::open(self.folder.topic(topic).join(name)).unwrap();
            let reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap();
            for rows in reader {
                let rows = rows.unwrap();
                let column = rows.column_by_name("on_hand").unwrap().as_primitive::<Int64Type>();
                numbers.extend(column.values().iter().map(|&number| number as usize));
            }
        }
        numbers
    }

    /// A file stands where the folder was: neither a new file nor a rename can succeed.
    fn fail(&mut self) {
        fs::rename(self.folder.path(), self.folder.path().with_extension("away")).unwrap();
        fs::write(self.folder.path(), "").unwrap();
    }

    fn heal(&mut self) {
        fs::remove_file(self.folder.path()).unwrap();
        fs::rename(self.folder.path().with_extension("away"), self.folder.path()).unwrap();
    }
}

#[test]
fn json_lines_conform() {
    all(|| Files { folder: Folder::new("jsonl"), parquet: false });
}

#[test]
fn json_lines_conform_when_files_are_small() {
    let roll = json!({"max_age": "1h", "max_records": 3});
    all(|| Files { folder: Folder::new("jsonl").roll(roll.clone()), parquet: false });
}

#[test]
fn parquet_conforms() {
    all(|| Files { folder: Folder::new("parquet"), parquet: true });
}

#[test]
fn parquet_conforms_when_every_batch_is_a_file() {
    let roll = json!({"max_age": "0ms"});
    all(|| Files { folder: Folder::new("parquet").roll(roll.clone()), parquet: true });
}

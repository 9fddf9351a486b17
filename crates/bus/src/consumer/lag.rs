//! Lag, from the statistics that the client makes every few seconds.

use std::collections::HashMap;

use serde::Deserialize;
use throughline_event::{Offset, PartitionId, TopicName, TopicPartition};

/// How far a consumer is behind in one partition it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionLag {
    /// The partition.
    pub partition: TopicPartition,
    /// Offsets between what the worker was given and the last one that can be read: an upper bound
    /// of the records, since transaction markers and compacted records have offsets too.
    pub lag: u64,
    /// The last offset that can be read, plus one.
    pub end: Offset,
}

#[derive(Deserialize)]
struct Statistics {
    #[serde(default)]
    topics: HashMap<String, Topic>,
}

#[derive(Deserialize)]
struct Topic {
    #[serde(default)]
    partitions: HashMap<String, Partition>,
}

#[derive(Deserialize)]
struct Partition {
    partition: i32,
    fetch_state: String,
    fetchq_cnt: i64,
    next_offset: i64,
    app_offset: i64,
    ls_offset: i64,
}

/// The lag of every partition that is being read.
pub(super) fn from_statistics(json: &[u8]) -> Result<Vec<PartitionLag>, serde_json::Error> {
    let statistics: Statistics = serde_json::from_slice(json)?;
    let mut all = Vec::new();
    for (name, topic) in &statistics.topics {
        let Ok(topic_name) = TopicName::new(name.as_str()) else { continue };
        for partition in topic.partitions.values() {
            let active = partition.partition >= 0 && partition.fetch_state == "active";
            if !active || partition.ls_offset < 0 {
                continue;
            }
            // With nothing queued the worker is where the client fetches next. Its own position
            // would stay before the marker of the last transaction for as long as nothing follows.
            let position = match partition.fetchq_cnt {
                0 => partition.next_offset.max(partition.app_offset),
                _ => partition.app_offset,
            };
            let topic = topic_name.clone();
            all.push(PartitionLag {
                partition: TopicPartition { topic, partition: PartitionId(partition.partition) },
                lag: u64::try_from(partition.ls_offset - position.max(0)).unwrap_or(0),
                end: Offset(partition.ls_offset),
            });
        }
    }
    all.sort_by(|a, b| {
        let key = |lag: &PartitionLag| (lag.partition.topic.clone(), lag.partition.partition);
        key(a).cmp(&key(b))
    });
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lag(partition: &str) -> Vec<u64> {
        let json =
            format!(r#"{{"name":"c","topics":{{"t":{{"partitions":{{"0":{partition}}}}}}}}}"#);
        from_statistics(json.as_bytes()).unwrap().into_iter().map(|lag| lag.lag).collect()
    }

    #[test]
    fn a_worker_before_the_marker_of_the_last_transaction_has_no_lag() {
        let at_marker = r#"{"partition":0,"fetch_state":"active","fetchq_cnt":0,
            "next_offset":11,"app_offset":10,"ls_offset":11,"hi_offset":11}"#;
        assert_eq!(lag(at_marker), [0]);
    }

    #[test]
    fn records_that_are_queued_in_the_client_count() {
        let queued = r#"{"partition":0,"fetch_state":"active","fetchq_cnt":5,
            "next_offset":11,"app_offset":6,"ls_offset":20,"hi_offset":25}"#;
        assert_eq!(lag(queued), [14]);
    }

    #[test]
    fn partitions_that_are_not_read_are_left_out() {
        let idle = r#"{"partition":0,"fetch_state":"none","fetchq_cnt":0,
            "next_offset":0,"app_offset":-1001,"ls_offset":20,"hi_offset":20}"#;
        let internal =
            idle.replace("\"partition\":0", "\"partition\":-1").replace("none", "active");
        assert_eq!(lag(idle), [0; 0]);
        assert_eq!(lag(&internal), [0; 0]);
    }

    #[test]
    fn statistics_that_are_not_json_are_refused() {
        assert!(from_statistics(b"{").is_err());
    }
}

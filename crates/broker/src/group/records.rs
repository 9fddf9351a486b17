//! The records of `__consumer_offsets`, byte for byte as Kafka writes them, so that copying the
//! topic moves the groups.
//!
//! Keys: version 0 or 1 with group, topic and partition for an offset; version 2 with the group for
//! its generation. Values are written in version 3 and read in versions 0 to 4.

use bytes::Bytes;

use crate::wire::{Malformed, reader::Reader, writer::Writer};

const OFFSET_KEY: i16 = 1;
const GROUP_KEY: i16 = 2;
const VALUE: i16 = 3;
/// From this version on values have compact lengths and tagged fields.
const FLEXIBLE_VALUE: i16 = 4;

/// What a record is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Key {
    Offset { group: String, topic: String, partition: i32 },
    Group { group: String },
}

/// A committed offset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OffsetValue {
    pub(crate) offset: i64,
    /// Leader epoch of the last consumed record, or -1.
    pub(crate) leader_epoch: i32,
    pub(crate) metadata: String,
    /// Milliseconds since 1970.
    pub(crate) committed_ms: i64,
}

/// A generation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct GroupValue {
    pub(crate) protocol_type: String,
    pub(crate) generation: i32,
    pub(crate) protocol: Option<String>,
    pub(crate) leader: Option<String>,
    /// Milliseconds since 1970 of the last change of state, or -1.
    pub(crate) changed_ms: i64,
    pub(crate) members: Vec<MemberValue>,
}

/// A member of a generation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MemberValue {
    pub(crate) id: String,
    pub(crate) instance_id: Option<String>,
    pub(crate) client_id: String,
    pub(crate) client_host: String,
    /// Milliseconds.
    pub(crate) rebalance_timeout: i32,
    /// Milliseconds.
    pub(crate) session_timeout: i32,
    pub(crate) subscription: Bytes,
    pub(crate) assignment: Bytes,
}

impl Key {
    pub(crate) fn encode(&self) -> Bytes {
        match self {
            Key::Offset { group, topic, partition } => {
                let mut key = Writer::versioned(OFFSET_KEY);
                key.string(group);
                key.string(topic);
                key.i32(*partition);
                key.finish()
            }
            Key::Group { group } => {
                let mut key = Writer::versioned(GROUP_KEY);
                key.string(group);
                key.finish()
            }
        }
    }

    /// Reads a key; `None` for kinds that belong to other group protocols.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Option<Key>, Malformed> {
        let mut reader = Reader::new(bytes);
        let version = reader.i16()?;
        if !(0..=GROUP_KEY).contains(&version) {
            return Ok(None);
        }
        let group = reader.string(false)?.to_owned();
        if version == GROUP_KEY {
            return Ok(Some(Key::Group { group }));
        }
        let topic = reader.string(false)?.to_owned();
        Ok(Some(Key::Offset { group, topic, partition: reader.i32()? }))
    }
}

impl OffsetValue {
    pub(crate) fn encode(&self) -> Bytes {
        let mut value = Writer::versioned(VALUE);
        value.i64(self.offset);
        value.i32(self.leader_epoch);
        value.string(&self.metadata);
        value.i64(self.committed_ms);
        value.finish()
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<OffsetValue, Malformed> {
        let mut reader = Reader::new(bytes);
        let version = supported(reader.i16()?)?;
        let flexible = version >= FLEXIBLE_VALUE;
        let offset = reader.i64()?;
        let leader_epoch = if version >= 3 { reader.i32()? } else { -1 };
        let metadata = reader.string(flexible)?.to_owned();
        let committed_ms = reader.i64()?;
        Ok(OffsetValue { offset, leader_epoch, metadata, committed_ms })
    }
}

impl GroupValue {
    pub(crate) fn encode(&self) -> Bytes {
        let mut value = Writer::versioned(VALUE);
        value.string(&self.protocol_type);
        value.i32(self.generation);
        value.nullable_string(self.protocol.as_deref());
        value.nullable_string(self.leader.as_deref());
        value.i64(self.changed_ms);
        value.count(self.members.len());
        for member in &self.members {
            value.string(&member.id);
            value.nullable_string(member.instance_id.as_deref());
            value.string(&member.client_id);
            value.string(&member.client_host);
            value.i32(member.rebalance_timeout);
            value.i32(member.session_timeout);
            value.bytes(&member.subscription);
            value.bytes(&member.assignment);
        }
        value.finish()
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<GroupValue, Malformed> {
        let mut reader = Reader::new(bytes);
        let version = supported(reader.i16()?)?;
        let flexible = version >= FLEXIBLE_VALUE;
        let protocol_type = reader.string(flexible)?.to_owned();
        let generation = reader.i32()?;
        let protocol = reader.nullable_string(flexible)?.map(str::to_owned);
        let leader = reader.nullable_string(flexible)?.map(str::to_owned);
        let changed_ms = if version >= 2 { reader.i64()? } else { -1 };
        let mut members = Vec::new();
        for _ in 0..reader.long_length(flexible)?.unwrap_or(0) {
            members.push(MemberValue::decode(&mut reader, version)?);
        }
        Ok(GroupValue { protocol_type, generation, protocol, leader, changed_ms, members })
    }
}

impl MemberValue {
    fn decode(reader: &mut Reader<'_>, version: i16) -> Result<MemberValue, Malformed> {
        let flexible = version >= FLEXIBLE_VALUE;
        let id = reader.string(flexible)?.to_owned();
        let instance_id = match version >= 3 {
            true => reader.nullable_string(flexible)?.map(str::to_owned),
            false => None,
        };
        let client_id = reader.string(flexible)?.to_owned();
        let client_host = reader.string(flexible)?.to_owned();
        let rebalance_timeout = if version >= 1 { Some(reader.i32()?) } else { None };
        let session_timeout = reader.i32()?;
        let subscription = Bytes::copy_from_slice(reader.bytes(flexible)?);
        let assignment = Bytes::copy_from_slice(reader.bytes(flexible)?);
        if flexible {
            reader.skip_tags()?;
        }
        Ok(MemberValue {
            id,
            instance_id,
            client_id,
            client_host,
            rebalance_timeout: rebalance_timeout.unwrap_or(session_timeout),
            session_timeout,
            subscription,
            assignment,
        })
    }
}

fn supported(version: i16) -> Result<i16, Malformed> {
    if (0..=FLEXIBLE_VALUE).contains(&version) {
        Ok(version)
    } else {
        Err(Malformed::Version(version))
    }
}

/// The topics in a consumer's subscription, for the protocol type `consumer`.
pub(crate) fn subscribed_topics(subscription: &[u8]) -> Vec<String> {
    let read = || {
        let mut reader = Reader::new(subscription);
        reader.i16()?;
        let mut topics = Vec::new();
        for _ in 0..reader.long_length(false)?.unwrap_or(0) {
            topics.push(reader.string(false)?.to_owned());
        }
        Ok::<_, Malformed>(topics)
    };
    read().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn generation() -> GroupValue {
        GroupValue {
            protocol_type: "consumer".into(),
            generation: 4,
            protocol: Some("range".into()),
            leader: Some("a-1".into()),
            changed_ms: 1_700_000_000_000,
            members: vec![MemberValue {
                id: "a-1".into(),
                instance_id: Some("a".into()),
                client_id: "client".into(),
                client_host: "/127.0.0.1".into(),
                rebalance_timeout: 300_000,
                session_timeout: 45_000,
                subscription: Bytes::from_static(&[1, 2]),
                assignment: Bytes::from_static(&[3]),
            }],
        }
    }

    #[test]
    fn records_read_back_as_they_were_written() {
        let offset = OffsetValue {
            offset: 42,
            leader_epoch: 0,
            metadata: "note".into(),
            committed_ms: 1_700_000_000_000,
        };
        assert_eq!(OffsetValue::decode(&offset.encode()), Ok(offset));
        assert_eq!(GroupValue::decode(&generation().encode()), Ok(generation()));
        let group = "g".to_owned();
        for key in [
            Key::Offset { group: group.clone(), topic: "t".into(), partition: 7 },
            Key::Group { group },
        ] {
            assert_eq!(Key::decode(&key.encode()), Ok(Some(key)));
        }
    }

    #[test]
    fn an_offset_is_written_byte_for_byte_as_kafka_does() {
        let key = Key::Offset { group: "g".into(), topic: "t".into(), partition: 7 };
        assert_eq!(&key.encode()[..], b"\0\x01\0\x01g\0\x01t\0\0\0\x07");
        let value =
            OffsetValue { offset: 1, leader_epoch: -1, metadata: "m".into(), committed_ms: 2 };
        let expected = b"\0\x03\0\0\0\0\0\0\0\x01\xff\xff\xff\xff\0\x01m\0\0\0\0\0\0\0\x02";
        assert_eq!(&value.encode()[..], expected);
    }

    #[test]
    fn older_and_newer_values_are_read() {
        let v1 = b"\0\x01\0\0\0\0\0\0\0\x09\0\0\0\0\0\0\0\0\0\x05\0\0\0\0\0\0\0\x08";
        let read = OffsetValue::decode(v1).unwrap();
        assert_eq!((read.offset, read.leader_epoch, read.committed_ms), (9, -1, 5));
        let v4 = b"\0\x04\0\0\0\0\0\0\0\x09\0\0\0\0\x02m\0\0\0\0\0\0\0\x05\0";
        let read = OffsetValue::decode(v4).unwrap();
        assert_eq!((read.offset, read.leader_epoch, read.metadata.as_str()), (9, 0, "m"));
        assert_eq!(OffsetValue::decode(b"\0\x05"), Err(Malformed::Version(5)));
    }

    #[test]
    fn keys_of_other_protocols_are_passed_over_and_damaged_ones_refused() {
        assert_eq!(Key::decode(b"\0\x03\0\x01g"), Ok(None));
        assert!(Key::decode(b"\0\x01\0\x09g").is_err());
        let whole = generation().encode();
        for cut in 0..whole.len() {
            assert!(GroupValue::decode(&whole[..cut]).is_err());
        }
    }

    #[test]
    fn subscriptions_name_their_topics_and_nonsense_names_none() {
        assert_eq!(subscribed_topics(b"\0\x01\0\0\0\x01\0\x01t\xff\xff\xff\xff"), ["t"]);
        assert!(subscribed_topics(b"\0\x01\x7f\xff\xff\xff").is_empty());
    }
}

//! The header in front of every request.

use kafka_protocol::messages::ApiKey;

use super::{Malformed, reader::Reader};

/// What a request says about itself before its body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) api_key: i16,
    pub(crate) version: i16,
    pub(crate) correlation_id: i32,
    pub(crate) client_id: Option<String>,
    /// Where the body starts in the frame.
    pub(crate) body: usize,
}

impl Header {
    /// Reads the header of `frame`, without its length prefix.
    ///
    /// For an API key or version that is not in `known` the header version cannot be told, so
    /// only the fixed part is read; the caller refuses such requests anyway.
    pub(crate) fn read(
        frame: &[u8],
        known: impl Fn(i16, i16) -> bool,
    ) -> Result<Header, Malformed> {
        let mut reader = Reader::new(frame);
        let (api_key, version) = (reader.i16()?, reader.i16()?);
        let correlation_id = reader.i32()?;
        let mut client_id = None;
        if let Ok(key) = ApiKey::try_from(api_key)
            && known(api_key, version)
        {
            client_id = reader.nullable_string(false)?.map(str::to_owned);
            if key.request_header_version(version) >= 2 {
                reader.skip_tags()?;
            }
        }
        let body = frame.len() - reader.remaining();
        Ok(Header { api_key, version, correlation_id, client_id, body })
    }
}

//! The stable codes of this crate, TL0101 to TL0199.

/// A stable error code and what it means, for the reference pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Code {
    /// `TL0110`.
    pub id: &'static str,
    /// What is wrong, in a few words.
    pub title: &'static str,
}

macro_rules! codes {
    ($($name:ident = $id:literal, $title:literal;)*) => {
        $(#[doc = $title] pub const $name: &str = $id;)*

        /// Every code of this crate, in order.
        pub const ALL: &[Code] = &[$(Code { id: $id, title: $title }),*];
    };
}

codes! {
    UNREADABLE = "TL0101", "The file cannot be read";
    NOT_TEXT = "TL0102", "The file is not UTF-8 text";
    TOO_LARGE = "TL0103", "The file is larger than any configuration";
    EMPTY = "TL0104", "The file has no content";
    SYNTAX = "TL0105", "The file is not valid YAML";
    NOT_SUPPORTED = "TL0106", "The file uses a part of YAML that is not supported, or too much of it";
    DUPLICATE_KEY = "TL0107", "A key stands twice in one map";
    UNKNOWN_KEY = "TL0110", "The key does not exist";
    MISSING_KEY = "TL0111", "A required key is missing";
    WRONG_TYPE = "TL0112", "The value has the wrong type";
    NOT_ALLOWED = "TL0113", "The value is not one of the allowed ones";
    BAD_UNIT = "TL0114", "The size or duration has no unit, or an unknown one";
    OUT_OF_RANGE = "TL0115", "The value is too small, too large, too short or too long";
    BAD_NAME = "TL0116", "The name contains characters that names cannot have";
    BAD_ADDRESS = "TL0117", "The address or URL is malformed";
    NOT_LOOPBACK = "TL0118", "The address is reachable from other machines, which needs TLS and authentication";
    BAD_FORMAT = "TL0119", "The text does not have the required form";
    UNKNOWN_PACK = "TL0120", "There is no such system pack";
    UNKNOWN_SYSTEM = "TL0121", "There is no such system in the file";
    UNKNOWN_ENTITY = "TL0122", "There is no such entity";
    UNKNOWN_KIND = "TL0123", "There is no such kind of connector";
    UNKNOWN_TOPIC = "TL0124", "The topic does not exist, or nothing in the file writes it";
    NO_OWNER = "TL0125", "A canonical entity has no owner";
    WRONG_OWNER = "TL0126", "The owner of an entity does not have that entity";
    NAME_TAKEN = "TL0127", "Two workers have the same name";
    NO_CAPTURE = "TL0128", "The pack does not say how this kind of producer captures the system";
    SETTING = "TL0129", "A setting of a system is unknown, missing, or not what the pack takes";
    SECRET_LITERAL = "TL0130", "A secret is written into the file";
    PACK_FILE = "TL0140", "A file that the pack names is missing or cannot be read";
    PACK_SCHEMA = "TL0141", "An Avro schema of the pack is not valid JSON";
    CAPTURE_SCHEMA = "TL0142", "The columns of a capture do not give the documents of the pack's Avro schema";
    MISMATCH = "TL0199", "The file passed every check and still could not be read; this is a defect of the program";
}

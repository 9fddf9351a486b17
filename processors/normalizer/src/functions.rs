//! The functions a mapping may call.
//!
//! A mapping is a pure function of the document and the settings, so nothing here reads a clock, the
//! environment, the network or a source of randomness, and nothing makes a float: [`ALLOWED`] names
//! every function taken from VRL's own library, with the reason, and [`ours`] adds the exact
//! numbers and codes of the canonical model.

mod codes;
mod each;
mod exact;
mod numbers;

use vrl::compiler::Function;

pub(crate) use codes::gtin_check_digit;
pub(crate) use exact::{Arguments, Exact, MAX_ARGUMENTS};

/// VRL functions that mappings may call, by the reason why they may.
const ALLOWED: &[(&str, &[&str])] = &[
    (
        "asserting the type of a value the schema leaves open",
        &["array", "bool", "int", "object", "string", "timestamp"],
    ),
    (
        "asking what a value is",
        &[
            "exists",
            "is_array",
            "is_boolean",
            "is_empty",
            "is_integer",
            "is_null",
            "is_nullish",
            "is_object",
            "is_string",
            "is_timestamp",
        ],
    ),
    (
        "text: pure, by Unicode, without locale",
        &[
            "camelcase",
            "contains",
            "contains_all",
            "downcase",
            "ends_with",
            "join",
            "kebabcase",
            "length",
            "match",
            "match_any",
            "parse_regex",
            "parse_regex_all",
            "replace",
            "slice",
            "snakecase",
            "split",
            "starts_with",
            "strip_whitespace",
            "strlen",
            "truncate",
            "upcase",
        ],
    ),
    (
        "lists and objects: pure; iteration is in key order",
        &[
            "append",
            "compact",
            "filter",
            "flatten",
            "for_each",
            "from_entries",
            "get",
            "includes",
            "keys",
            "map_keys",
            "merge",
            "push",
            "remove",
            "set",
            "to_entries",
            "unique",
            "values",
            "zip",
        ],
    ),
    (
        "whole numbers and booleans",
        &["abs", "format_int", "mod", "parse_int", "to_bool", "to_int", "to_string"],
    ),
    (
        "times: the zone is an argument or UTC, never the machine's",
        &["format_timestamp", "from_unix_timestamp", "parse_timestamp", "to_unix_timestamp"],
    ),
    (
        "encodings: bytes in, the same bytes out",
        &["decode_base16", "decode_base64", "decode_percent", "encode_base16", "encode_base64"],
    ),
];

/// VRL functions that a person may look for and that mappings must not have, with the reason that
/// the error message gives.
const REFUSED: &[(&str, &str)] = &[
    ("now", "a mapping has no clock: the same input must give the same output"),
    ("random_bool", "a mapping has no randomness"),
    ("random_bytes", "a mapping has no randomness"),
    ("random_float", "a mapping has no randomness"),
    ("random_int", "a mapping has no randomness"),
    ("uuid_v4", "a mapping has no randomness; ids come from the source"),
    ("uuid_v7", "a mapping has no clock and no randomness; ids come from the source"),
    ("get_env_var", "a mapping reads no environment; use a setting"),
    ("get_hostname", "a mapping does not know where it runs"),
    ("get_timezone_name", "a mapping does not know where it runs"),
    ("dns_lookup", "a mapping has no network"),
    ("reverse_dns", "a mapping has no network"),
    ("http_request", "a mapping has no network"),
    ("log", "a mapping has no side effects"),
    ("to_float", "numbers are exact; use to_money or to_quantity"),
    ("float", "numbers are exact; use to_money or to_quantity"),
    ("parse_float", "numbers are exact; use to_money or to_quantity"),
    ("is_float", "no value is a float"),
    ("round", "numbers are exact; to_money and to_quantity take a rounding"),
    ("ceil", "numbers are exact; to_money and to_quantity take a rounding"),
    ("floor", "numbers are exact; to_money and to_quantity take a rounding"),
    ("format_number", "numbers are exact"),
    ("parse_json", "its numbers are floats; give the field the type json in capture.yaml"),
    ("map_values", "use each, whose result has a type of its own"),
    ("del", "the document is read-only"),
];

/// Everything a mapping may call.
pub(crate) fn all() -> Vec<Box<dyn Function>> {
    let allowed = |name: &str| ALLOWED.iter().any(|(_, names)| names.contains(&name));
    let mut functions = vrl::stdlib::all();
    functions.retain(|function| allowed(function.identifier()));
    functions.extend(ours());
    functions
}

/// An exact function of the canonical model.
pub(crate) fn exact(name: &str) -> Option<&'static Exact> {
    exacts().find(|function| function.identifier == name)
}

fn exacts() -> impl Iterator<Item = &'static Exact> {
    numbers::FUNCTIONS.iter().chain(codes::FUNCTIONS)
}

/// The functions of the canonical model.
fn ours() -> Vec<Box<dyn Function>> {
    let mut functions: Vec<Box<dyn Function>> =
        exacts().map(|function| Box::new(exact::Callable(function)) as Box<dyn Function>).collect();
    functions.push(Box::new(each::Each));
    functions
}

/// Why a function that VRL has is not there, when it is not.
pub(crate) fn refusal(name: &str) -> Option<&'static str> {
    if let Some((_, reason)) = REFUSED.iter().find(|(refused, _)| *refused == name) {
        return Some(reason);
    }
    let known = vrl::stdlib::all().iter().any(|function| function.identifier() == name);
    let allowed = ALLOWED.iter().any(|(_, names)| names.contains(&name));
    (known && !allowed).then_some("it is not among the functions that mappings may call")
}

#[cfg(test)]
mod tests;

//! Conformance suites: what every connector must do, as functions that panic with the broken rule.

pub mod sink;

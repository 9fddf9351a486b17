//! Rules for sinks.

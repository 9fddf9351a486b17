//! The binary, end to end: real processes, real files, real signals.

mod clients;
mod commands;
mod crash;
mod flow;
mod oracle;
mod sandbox;

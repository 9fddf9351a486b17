//! The binary, end to end: real processes, real files, real signals.

mod clients;
mod commands;
mod crash;
mod faults;
mod flow;
mod oracle;
mod sandbox;

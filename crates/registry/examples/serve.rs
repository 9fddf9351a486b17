//! Runs a registry over a log in memory until it is interrupted.
//!
//! `cargo run -p throughline-registry --example serve -- 127.0.0.1:8081`

use std::sync::Arc;

use throughline_registry::{MemorySchemaLog, Registry, RegistryOptions};

#[tokio::main(flavor = "current_thread")]
#[expect(clippy::print_stdout, reason = "an example tells its user where to connect")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let listen = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:8081".to_owned()).parse()?;
    let options = RegistryOptions::new(listen, Arc::new(MemorySchemaLog::new()));
    let registry = Registry::start(options).await?;
    println!("{}", registry.url());
    tokio::signal::ctrl_c().await?;
    registry.shutdown().await;
    Ok(())
}

//! Serves a data folder until Ctrl-C, to try clients by hand.
//!
//! `cargo run -p throughline-broker --example serve -- FOLDER [PORT]`

use std::{env, error::Error, net::SocketAddr};

use throughline_broker::{Broker, BrokerOptions};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    tracing_subscriber::fmt().with_env_filter("info").with_writer(std::io::stderr).init();
    let mut arguments = env::args().skip(1);
    let folder = arguments.next().ok_or("the first argument is the data folder")?;
    let port: u16 = arguments.next().map_or(Ok(9092), |port| port.parse())?;
    let listen = SocketAddr::from(([127, 0, 0, 1], port));
    let options = BrokerOptions { listen, ..BrokerOptions::new(folder) };
    let broker = Broker::start(options).await?;
    tokio::signal::ctrl_c().await?;
    broker.shutdown().await;
    Ok(())
}

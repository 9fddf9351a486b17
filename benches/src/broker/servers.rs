//! The brokers that are compared, each a process of its own.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::SocketAddr,
    path::Path,
    process::{Command, Stdio},
};

use anyhow::{Context, Result};
use rdkafka::mocking::MockCluster;
use tempfile::TempDir;
use throughline_broker::{Broker, BrokerOptions};

use super::kafka::Kafka;
use crate::process::Process;

/// One of the brokers that are compared.
pub(crate) struct Server {
    pub(crate) address: String,
    pub(crate) process: Process,
    // Removed after the process has ended: fields are dropped in their order.
    _data: Option<TempDir>,
}

impl Server {
    /// The embedded broker with its defaults: fsync before every acknowledgement.
    pub(crate) fn embedded() -> Result<Self> {
        let data = data_folder()?;
        let folder = data.path().join("data");
        let mut server =
            Self::spawn(Command::new(std::env::current_exe()?).arg("serve").arg(folder))?;
        server._data = Some(data);
        Ok(server)
    }

    /// librdkafka's mock broker.
    pub(crate) fn mock() -> Result<Self> {
        Self::spawn(Command::new(std::env::current_exe()?).arg("serve-mock"))
    }

    /// Apache Kafka with its defaults: no fsync.
    pub(crate) fn kafka() -> Result<Self> {
        let data = data_folder()?;
        let Kafka { address, process } = Kafka::start(data.path())?;
        Ok(Self { address: address.to_string(), process, _data: Some(data) })
    }

    /// Starts a broker that says its address in its first line and ends with its input.
    fn spawn(command: &mut Command) -> Result<Self> {
        let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let mut process = Process::new(child);
        let output = process.child().stdout.take().context("the broker has no output")?;
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line)?;
        let address = line.trim().to_owned();
        let parsed: Result<SocketAddr, _> = address.parse();
        parsed.with_context(|| format!("the broker did not say its address but {address:?}"))?;
        Ok(Self { address, process, _data: None })
    }
}

/// A new folder on the disk of the target folder: a temporary folder may be memory.
fn data_folder() -> Result<TempDir> {
    let parent = super::kafka::target_folder().join("benches");
    std::fs::create_dir_all(&parent)
        .with_context(|| format!("could not create {}", parent.display()))?;
    tempfile::Builder::new()
        .prefix("data-")
        .tempdir_in(&parent)
        .context("could not create a folder")
}

/// The child process that is the embedded broker.
pub(crate) fn serve_embedded(folder: &Path) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let broker = runtime.block_on(Broker::start(BrokerOptions::new(folder)))?;
    say(&broker.address().to_string())?;
    wait_for_the_end_of_input()?;
    runtime.block_on(broker.shutdown());
    Ok(())
}

/// The child process that is the mock broker.
pub(crate) fn serve_mock() -> Result<()> {
    let cluster = MockCluster::new(1)?;
    for (topic, partitions) in super::mock_topics() {
        cluster.create_topic(&topic, partitions, 1)?;
    }
    say(&cluster.bootstrap_servers().replace("localhost", "127.0.0.1"))?;
    wait_for_the_end_of_input()
}

fn say(address: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{address}")?;
    Ok(out.flush()?)
}

fn wait_for_the_end_of_input() -> Result<()> {
    std::io::stdin().lock().read_to_end(&mut Vec::new())?;
    Ok(())
}

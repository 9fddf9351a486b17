//! Tests of the bus on Apache Kafka: one node from its jars, on loopback, for as long as they run.
//!
//! Needs Java 17 or newer and Maven. The jars are fetched once, into `kafka` under the target
//! folder; the node's data lives in a temporary folder, and the node is stopped however the tests
//! end.

#[path = "../kafka/node.rs"]
mod node;

use std::{
    fs::{self, File},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command},
    time::{Duration, Instant},
};

use anyhow::{Context, Result};

use crate::{
    repo::Repo,
    tools::{NEXTEST, run},
};
use node::{VERSION, free_addresses, tail};

/// The id of the cluster; any 16 bytes in URL-safe base64.
const CLUSTER: &str = "dGhyb3VnaGxpbmUtdGVzdA";

/// How long the node may take to stop before it is killed.
const STOP_TIMEOUT: Duration = Duration::from_secs(30);

/// Runs the tests of the bus on a node of Apache Kafka.
pub(crate) fn test(repo: &Repo, arguments: &[&str]) -> Result<()> {
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| "target".into(), PathBuf::from);
    let jars = node::jars(&repo.root, &repo.root.join(target))?;
    let node = Node::start(&jars)?;
    println!("Apache Kafka {VERSION} answers on {}", node.address);
    // The whole workspace is named, so that the libraries are those of the other steps: for one
    // package alone they are built again with fewer features.
    let only = ["--locked", "--workspace", "--test", "main", "-E", "package(throughline-bus)"];
    let mut tests = match NEXTEST.find(repo) {
        Ok(program) => {
            let mut nextest = Command::new(program);
            nextest.args(["nextest", "run", "--no-fail-fast", "--status-level", "fail"]).args(only);
            nextest
        }
        Err(error) => {
            println!("nextest is not available, so cargo test runs the tests: {error:#}");
            let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or("cargo".into()));
            cargo.args(["test", "--locked", "--package", "throughline-bus", "--test", "main"]);
            cargo
        }
    };
    tests
        .current_dir(&repo.root)
        .args(arguments)
        .env("CARGO_INCREMENTAL", "0")
        .env("THROUGHLINE_TEST_KAFKA", node.address.to_string())
        .env_remove("THROUGHLINE_TEST_REGISTRY");
    run(&mut tests)
}

/// A running node. Dropping it stops it and removes its folder.
struct Node {
    address: SocketAddr,
    folder: PathBuf,
    process: Child,
}

impl Node {
    fn start(jars: &Path) -> Result<Self> {
        let folder = std::env::temp_dir().join(format!("throughline-kafka-{}", std::process::id()));
        fs::create_dir_all(&folder).with_context(|| format!("could not create {folder:?}"))?;
        let (address, controller) = free_addresses()?;
        let settings = folder.join("server.properties");
        let properties = node::properties(address, controller, &folder.join("data"));
        fs::write(&settings, properties + FOR_TESTS)?;
        let log = folder.join("log");
        let java = |class: &str| -> Result<Command> {
            let mut java = Command::new("java");
            java.args(["-Xmx512m", "-XX:TieredStopAtLevel=1", "-cp"]);
            java.arg(jars.join("*")).arg(class);
            let out = File::options().create(true).append(true).open(&log)?;
            java.stdout(out.try_clone()?).stderr(out);
            Ok(java)
        };
        let mut format = java("kafka.tools.StorageTool")?;
        let formatted = run(format.args(["format", "-t", CLUSTER, "-c"]).arg(&settings));
        formatted.with_context(|| tail(&log))?;
        let process = java("kafka.Kafka")?
            .arg(&settings)
            .spawn()
            .context("could not start java; install a Java runtime of version 17 or newer")?;
        let mut node = Self { address, folder, process };
        node::wait(&mut node.process, address, &log)?;
        Ok(node)
    }

    /// Asks the node to stop, so that it removes its own temporary files, and kills it when it
    /// does not.
    fn stop(&mut self) -> Result<()> {
        let asked = Command::new("kill").arg(self.process.id().to_string()).status()?.success();
        let deadline = Instant::now() + STOP_TIMEOUT;
        while asked && Instant::now() < deadline {
            if self.process.try_wait()?.is_some() {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        self.process.kill()?;
        self.process.wait()?;
        Ok(())
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Err(error) = self.stop() {
            eprintln!("could not stop Apache Kafka, process {}: {error}", self.process.id());
        }
        if let Err(error) = fs::remove_dir_all(&self.folder) {
            eprintln!("could not remove {}: {error}", self.folder.display());
        }
    }
}

/// Topics are created by the tests, compaction works at once instead of after hours, and internal
/// topics have few partitions.
const FOR_TESTS: &str = "offsets.topic.num.partitions=2
transaction.state.log.num.partitions=2
log.cleaner.dedupe.buffer.size=8388608
log.cleaner.backoff.ms=1000
";

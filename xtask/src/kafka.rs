//! Tests of the bus on Apache Kafka: one node from its jars, on loopback, for as long as they run.
//!
//! Needs Java 17 or newer and Maven. The jars are fetched once, into `kafka` under the target
//! folder; the node's data lives in a temporary folder, and the node is stopped however the tests
//! end.

use std::{
    fs::{self, File},
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};

use crate::{
    repo::Repo,
    tools::{NEXTEST, run},
};

/// The version in `xtask/kafka/pom.xml`.
const VERSION: &str = "4.3.1";

/// The id of the cluster; any 16 bytes in URL-safe base64.
const CLUSTER: &str = "dGhyb3VnaGxpbmUtdGVzdA";

/// How long the node may take to answer. It takes 6 seconds on a quiet machine of two cores.
const START_TIMEOUT: Duration = Duration::from_secs(180);

/// How long the node may take to stop before it is killed.
const STOP_TIMEOUT: Duration = Duration::from_secs(30);

/// ApiVersions version 0, correlation id 1, no client id, with its length in front.
const API_VERSIONS: [u8; 14] = [0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 1, 0xff, 0xff];

/// Runs the tests of the bus on a node of Apache Kafka.
pub(crate) fn test(repo: &Repo, arguments: &[&str]) -> Result<()> {
    let jars = jars(repo)?;
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

/// The folder of the jars, which are fetched where they are missing.
fn jars(repo: &Repo) -> Result<PathBuf> {
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| "target".into(), PathBuf::from);
    let folder = repo.root.join(target).join("kafka").join(VERSION);
    // Written last: a fetch that was broken off is done again.
    let complete = folder.join("complete");
    if !complete.is_file() {
        run(Command::new("mvn")
            .current_dir(&repo.root)
            .args(["--batch-mode", "--quiet", "--file", "xtask/kafka/pom.xml"])
            .args(["dependency:copy-dependencies", "-DincludeScope=runtime"])
            .arg(format!("-DoutputDirectory={}", folder.display())))
        .context("Maven fetches the jars of Apache Kafka; install the packages maven and java")?;
        File::create(&complete).with_context(|| format!("could not write {complete:?}"))?;
    }
    Ok(folder)
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
        fs::write(&settings, properties(address, controller, &folder.join("data")))?;
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
        node.wait(&log)?;
        Ok(node)
    }

    /// Waits until the node answers a request; its port is open long before.
    fn wait(&mut self, log: &Path) -> Result<()> {
        let deadline = Instant::now() + START_TIMEOUT;
        while !answers(self.address) {
            if let Some(status) = self.process.try_wait()? {
                bail!("Apache Kafka ended at its start, {status}:\n{}", tail(log));
            }
            if Instant::now() >= deadline {
                bail!("Apache Kafka did not answer within {START_TIMEOUT:?}:\n{}", tail(log));
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        Ok(())
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

/// One node that is broker and controller. Topics are created by the tests, and compaction works
/// at once instead of after hours.
fn properties(address: SocketAddr, controller: SocketAddr, data: &Path) -> String {
    format!(
        "node.id=1
process.roles=broker,controller
controller.quorum.voters=1@{controller}
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
listeners=PLAINTEXT://{address},CONTROLLER://{controller}
advertised.listeners=PLAINTEXT://{address}
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
log.dirs={data}
auto.create.topics.enable=false
offsets.topic.replication.factor=1
offsets.topic.num.partitions=2
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=2
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
log.cleaner.dedupe.buffer.size=8388608
log.cleaner.backoff.ms=1000
",
        data = data.display()
    )
}

/// Two addresses that nobody uses at this moment.
fn free_addresses() -> Result<(SocketAddr, SocketAddr)> {
    let listeners = (TcpListener::bind("127.0.0.1:0")?, TcpListener::bind("127.0.0.1:0")?);
    Ok((listeners.0.local_addr()?, listeners.1.local_addr()?))
}

/// Whether a broker answers there.
fn answers(address: SocketAddr) -> bool {
    let wait = Duration::from_secs(2);
    let ask = || -> std::io::Result<[u8; 8]> {
        let mut stream = TcpStream::connect_timeout(&address, wait)?;
        stream.set_read_timeout(Some(wait))?;
        stream.write_all(&API_VERSIONS)?;
        let mut start = [0; 8];
        stream.read_exact(&mut start)?;
        Ok(start)
    };
    // A length, and our correlation id.
    ask().is_ok_and(|start| start[4..] == [0, 0, 0, 1])
}

/// The end of the node's log, for a message.
fn tail(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(20)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_that_of_the_jars() {
        let pom = Repo::here().unwrap().read("xtask/kafka/pom.xml").unwrap();
        assert!(pom.contains(&format!("<version>{VERSION}</version>")));
    }

    #[test]
    fn the_settings_name_both_addresses_and_the_folder() {
        let (address, controller) = free_addresses().unwrap();
        assert_ne!(address, controller);
        let settings = properties(address, controller, Path::new("/x/data"));
        let listeners = format!("listeners=PLAINTEXT://{address},CONTROLLER://{controller}\n");
        assert!(settings.contains(&listeners) && settings.contains("log.dirs=/x/data\n"));
    }

    #[test]
    fn only_an_answer_to_our_request_is_one() {
        for (bytes, expected) in [(&[0, 0, 0, 9, 0, 0, 0, 1][..], true), (b"HTTP/1.1", false)] {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let address = listener.local_addr().unwrap();
            let server = std::thread::spawn(move || {
                let (mut stream, _) = listener.accept().unwrap();
                let mut request = [0; API_VERSIONS.len()];
                stream.read_exact(&mut request).unwrap();
                stream.write_all(bytes).unwrap();
                request
            });
            assert_eq!(answers(address), expected);
            assert_eq!(server.join().unwrap(), API_VERSIONS);
        }
        let (nobody, _) = free_addresses().unwrap();
        assert!(!answers(nobody));
    }
}

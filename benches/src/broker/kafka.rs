//! One node of Apache Kafka from its jars, on loopback.
//!
//! It has the settings that its own start script gives it, a heap of 512 MB, and no fsync: what an
//! operator gets who starts it. The jars are those that `cargo xtask test kafka` fetches.

use std::{
    fs::{self, File},
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};

use crate::{process::Process, report::progress};

/// The version in `xtask/kafka/pom.xml`.
pub(crate) const VERSION: &str = "4.3.1";

/// What to do about a machine without Java or Maven.
const REMEDY: &str = "Apache Kafka is started from its jars; install Java 17 or newer and Maven, \
                      or leave Kafka out with --without-kafka";

/// What `kafka-server-start.sh` passes to the JVM, with a heap of 512 MB.
const JVM: [&str; 7] = [
    "-Xms512m",
    "-Xmx512m",
    "-server",
    "-XX:+UseG1GC",
    "-XX:MaxGCPauseMillis=20",
    "-XX:InitiatingHeapOccupancyPercent=35",
    "-XX:+ExplicitGCInvokesConcurrent",
];

/// The id of the cluster; any 16 bytes in URL-safe base64.
const CLUSTER: &str = "dGhyb3VnaGxpbmUtYmVuYw";

/// How long the node may take to answer. It takes 6 seconds on a quiet machine of two cores.
const START_TIMEOUT: Duration = Duration::from_secs(180);

/// ApiVersions version 0, correlation id 1, no client id, with its length in front.
const API_VERSIONS: [u8; 14] = [0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 1, 0xff, 0xff];

/// A running node.
pub(crate) struct Kafka {
    pub(crate) address: SocketAddr,
    pub(crate) process: Process,
}

impl Kafka {
    /// Starts a node whose files all lie in `folder`, and waits until it answers.
    pub(crate) fn start(folder: &Path) -> Result<Self> {
        let jars = jars()?;
        let (address, controller) = free_addresses()?;
        let settings = folder.join("server.properties");
        fs::write(&settings, properties(address, controller, &folder.join("data")))?;
        let log = folder.join("log");
        let java = |options: &[&str], class: &str| -> Result<Command> {
            let out = File::options().create(true).append(true).open(&log)?;
            let mut java = Command::new("java");
            java.args(options).arg("-cp").arg(jars.join("*")).arg(class);
            java.stdin(Stdio::null()).stdout(out.try_clone()?).stderr(out);
            Ok(java)
        };
        progress(&format!("Apache Kafka {VERSION} starts"));
        let mut format = java(&["-Xmx128m"], "kafka.tools.StorageTool")?;
        format.args(["format", "-t", CLUSTER, "-c"]).arg(&settings);
        let status = format.status().context(REMEDY)?;
        ensure!(status.success(), "could not format Kafka's storage, {status}:\n{}", tail(&log));
        let node = java(&JVM, "kafka.Kafka")?.arg(&settings).spawn().context(REMEDY)?;
        let mut process = Process::new(node);
        let deadline = Instant::now() + START_TIMEOUT;
        while !answers(address) {
            if let Some(status) = process.child().try_wait()? {
                bail!("Apache Kafka ended at its start, {status}:\n{}", tail(&log));
            }
            if Instant::now() >= deadline {
                bail!("Apache Kafka did not answer within {START_TIMEOUT:?}:\n{}", tail(&log));
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        Ok(Self { address, process })
    }
}

/// Where the build and everything that is fetched lies.
pub(crate) fn target_folder() -> PathBuf {
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| "target".into(), PathBuf::from);
    root().join(target)
}

fn root() -> &'static Path {
    // The package lies directly under the root.
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("."))
}

/// The folder of the jars, which are fetched where they are missing.
fn jars() -> Result<PathBuf> {
    let folder = target_folder().join("kafka").join(VERSION);
    // Written last: a fetch that was broken off is done again.
    let complete = folder.join("complete");
    if !complete.is_file() {
        progress("Maven fetches the jars of Apache Kafka");
        let status = Command::new("mvn")
            .current_dir(root())
            .args(["--batch-mode", "--quiet", "--file", "xtask/kafka/pom.xml"])
            .args(["dependency:copy-dependencies", "-DincludeScope=runtime"])
            .arg(format!("-DoutputDirectory={}", folder.display()))
            .status()
            .context(REMEDY)?;
        ensure!(status.success(), "Maven could not fetch the jars, {status}. {REMEDY}");
        File::create(&complete).with_context(|| format!("could not write {complete:?}"))?;
    }
    Ok(folder)
}

/// One node that is broker and controller. Beyond what a single node needs, only what would delay
/// the measurement is changed: the wait for further members of a group.
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
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
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
        let pom = fs::read_to_string(root().join("xtask/kafka/pom.xml")).unwrap();
        assert!(pom.contains(&format!("<version>{VERSION}</version>")));
    }
}

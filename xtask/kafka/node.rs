//! What every use of a node of Apache Kafka needs: its jars, its settings, and when it answers.
//!
//! `cargo xtask test kafka` and the bench of the broker both include this file; neither builds the
//! other.

use std::{
    fs::{self, File},
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};

/// The version in `xtask/kafka/pom.xml`.
pub(crate) const VERSION: &str = "4.3.1";

/// How long the node may take to answer. It takes 6 seconds on a quiet machine of two cores.
const START_TIMEOUT: Duration = Duration::from_secs(180);

/// ApiVersions version 0, correlation id 1, no client id, with its length in front.
const API_VERSIONS: [u8; 14] = [0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 1, 0xff, 0xff];

/// The folder of the jars below the target folder; they are fetched where they are missing.
pub(crate) fn jars(root: &Path, target: &Path) -> Result<PathBuf> {
    let folder = target.join("kafka").join(VERSION);
    // Written last: a fetch that was broken off is done again.
    let complete = folder.join("complete");
    if !complete.is_file() {
        let remedy = "Maven fetches the jars of Apache Kafka; install Maven and Java 17 or newer";
        let status = Command::new("mvn")
            .current_dir(root)
            .args(["--batch-mode", "--quiet", "--file", "xtask/kafka/pom.xml"])
            .args(["dependency:copy-dependencies", "-DincludeScope=runtime"])
            .arg(format!("-DoutputDirectory={}", folder.display()))
            .status()
            .context(remedy)?;
        ensure!(status.success(), "could not fetch the jars, {status}. {remedy}");
        File::create(&complete).with_context(|| format!("could not write {complete:?}"))?;
    }
    Ok(folder)
}

/// The settings that one node needs which is broker and controller.
pub(crate) fn properties(address: SocketAddr, controller: SocketAddr, data: &Path) -> String {
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
pub(crate) fn free_addresses() -> Result<(SocketAddr, SocketAddr)> {
    let listeners = (TcpListener::bind("127.0.0.1:0")?, TcpListener::bind("127.0.0.1:0")?);
    Ok((listeners.0.local_addr()?, listeners.1.local_addr()?))
}

/// Waits until the node answers a request; its port is open long before.
pub(crate) fn wait(process: &mut Child, address: SocketAddr, log: &Path) -> Result<()> {
    let deadline = Instant::now() + START_TIMEOUT;
    while !answers(address) {
        if let Some(status) = process.try_wait()? {
            bail!("Apache Kafka ended at its start, {status}:\n{}", tail(log));
        }
        if Instant::now() >= deadline {
            bail!("Apache Kafka did not answer within {START_TIMEOUT:?}:\n{}", tail(log));
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    Ok(())
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
pub(crate) fn tail(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(20)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_that_of_the_jars() {
        let pom = include_str!("pom.xml");
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

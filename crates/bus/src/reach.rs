//! Why brokers are not reached.

use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

/// How long a TCP connection may take when a broker did not answer and the reason is looked for.
const PROBE_TIMEOUT: Duration = Duration::from_secs(1);

/// Why the first address that fails does; the client only says that time ran out.
pub(crate) fn why_not(brokers: &str) -> Option<String> {
    brokers.split(',').map(str::trim).find_map(|broker| match broker.to_socket_addrs() {
        Err(error) => Some(format!("{broker}: {error}")),
        Ok(mut addresses) => {
            let address = addresses.next()?;
            let failed = TcpStream::connect_timeout(&address, PROBE_TIMEOUT).err();
            Some(match failed {
                Some(error) => format!("{broker}: {error}"),
                None => format!("{broker} takes connections but does not answer like a broker"),
            })
        }
    })
}

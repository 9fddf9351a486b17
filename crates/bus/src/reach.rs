//! Reaching an address, and why brokers are not reached.

use std::io;
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

/// How long a TCP connection may take when a broker did not answer and the reason is looked for.
const PROBE_TIMEOUT: Duration = Duration::from_secs(1);

/// Connects to the first address of a name that takes connections, with this time for each. Many
/// machines name the IPv6 address of `localhost` first, where nobody listens.
pub(crate) fn connect(name: impl ToSocketAddrs, timeout: Duration) -> io::Result<TcpStream> {
    let mut failed = io::Error::from(io::ErrorKind::NotFound);
    for address in name.to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, timeout) {
            Ok(stream) => {
                stream.set_read_timeout(Some(timeout))?;
                stream.set_write_timeout(Some(timeout))?;
                return Ok(stream);
            }
            Err(error) => failed = error,
        }
    }
    Err(failed)
}

/// Why the first broker that takes no connection does not; nothing when all do.
pub(crate) fn why_not(brokers: &str) -> Option<String> {
    brokers.split(',').map(str::trim).find_map(|broker| {
        connect(broker, PROBE_TIMEOUT).err().map(|error| format!("{broker}: {error}"))
    })
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn every_address_of_a_name_is_tried() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let open = listener.local_addr().unwrap();
        // Its port is free again at once.
        let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let timeout = Duration::from_secs(10);
        let stream = connect(&[closed, open][..], timeout).unwrap();
        assert_eq!(stream.peer_addr().unwrap(), open);
        let error = connect(&[closed, closed][..], timeout).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
        assert_eq!(connect(&[][..], timeout).unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn the_broker_that_fails_is_named() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let open = listener.local_addr().unwrap();
        let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let told = why_not(&format!("{open}, {closed}")).unwrap();
        assert!(told.starts_with(&format!("{closed}: ")), "{told}");
        assert_eq!(why_not(&open.to_string()), None);
    }
}

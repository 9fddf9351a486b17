//! The bus, the memory and the addresses.

use std::net::SocketAddr;

use serde_json::Value;
use throughline_event::{ByteSize, Path};

use super::Check;
use crate::{codes, config};

/// Reads `127.0.0.1:9092`, `[::1]:9092` or `localhost:9092`.
pub(super) fn address(text: &str) -> Option<SocketAddr> {
    match text.strip_prefix("localhost:") {
        Some(port) => port.parse().ok().map(|port| SocketAddr::from(([127, 0, 0, 1], port))),
        None => text.parse().ok(),
    }
}

/// Whether a text is `host:port` with a port that can be connected to.
fn is_broker(text: &str) -> bool {
    let Some((host, port)) = text.rsplit_once(':') else { return false };
    let host_fits = !host.is_empty() && !host.contains(['/', ' ', ',', '@']);
    host_fits && port.parse::<u16>().is_ok_and(|port| port > 0)
}

/// Whether a text is a URL that the registry's client can use; it speaks plain HTTP only.
fn is_url(text: &str) -> bool {
    text.strip_prefix("http://").is_some_and(|rest| {
        let host = rest.split('/').next().unwrap_or_default();
        !host.is_empty() && !text.contains(char::is_whitespace)
    })
}

/// An address without what stands before an `@`, which may be a password.
fn shown_address(text: &str) -> String {
    match text.rsplit_once('@') {
        Some((_, host)) => format!("...@{host}"),
        None => text.to_owned(),
    }
}

impl Check<'_> {
    pub(super) fn addresses(&mut self) {
        self.memory();
        let metrics = self.listens(Path::from("metrics"), config::METRICS);
        let bus = self.value.get("bus").unwrap_or(&Value::Null);
        let at = Path::from("bus");
        if !self.sound(&at) {
            return;
        }
        let has = |key: &str| bus.get(key).is_some_and(|value| !value.is_null());
        let embedded = bus.get("embedded").is_some();
        match bus {
            Value::Object(_) if embedded && (has("brokers") || has("registry")) => self.found.add(
                codes::NOT_ALLOWED,
                at,
                "the bus is the embedded one and a cluster at the same time",
                "keep `embedded`, or keep `brokers` and `registry`",
            ),
            Value::Object(_) if !embedded => self.cluster(bus),
            _ => {
                let kafka = self.listens(at.key("embedded").key("kafka"), config::KAFKA);
                let registry = self.listens(at.key("embedded").key("registry"), config::REGISTRY);
                self.distinct([
                    (at.key("embedded").key("kafka"), kafka),
                    (at.key("embedded").key("registry"), registry),
                    (Path::from("metrics"), metrics),
                ]);
            }
        }
    }

    fn memory(&mut self) {
        let at = Path::from("memory");
        let written = self.value.get("memory").and_then(Value::as_str);
        let size = written.and_then(|text| text.parse::<ByteSize>().ok());
        if size.is_some_and(|size| size < config::MEMORY_MIN) {
            let least = config::MEMORY_MIN;
            let message = format!("this must be at least {least}");
            self.found.add(codes::OUT_OF_RANGE, at, message, format!("write {least} or more"));
        }
    }

    /// Both halves of a cluster must be there, and both must be addresses.
    fn cluster(&mut self, bus: &Value) {
        let at = Path::from("bus");
        for (key, example) in
            [("brokers", "brokers: [kafka-1:9092]"), ("registry", "registry: http://registry:8081")]
        {
            if bus.get(key).is_none_or(Value::is_null) {
                let message =
                    format!("`{key}` is missing; a cluster needs brokers and a schema registry");
                self.found.add(
                    codes::MISSING_KEY,
                    &at,
                    message,
                    format!("add it, for example `{example}`"),
                );
            }
        }
        let brokers = bus.get("brokers").and_then(Value::as_array);
        for (index, broker) in brokers.into_iter().flatten().enumerate() {
            let text = broker.as_str().unwrap_or_default();
            let at = at.key("brokers").index(index);
            if text.contains('@') {
                self.login(at, "host:port");
            } else if !is_broker(text) {
                let message = format!("`{text}` is not the address of a broker");
                self.found.add(codes::BAD_ADDRESS, at, message, "write `host:port`");
            }
        }
        let registry = bus.get("registry").and_then(Value::as_str);
        if registry.is_some_and(|text| text.contains('@')) {
            self.login(at.key("registry"), "http://host:port");
        } else if let Some(text) = registry.filter(|text| !is_url(text)) {
            let message = format!("`{text}` is not the URL of a registry");
            let fix = "write `http://host:port`; a registry behind TLS needs a proxy for now";
            self.found.add(codes::BAD_ADDRESS, at.key("registry"), message, fix);
        }
    }

    /// A user or a password in an address. No part of it is repeated, since it may be malformed.
    fn login(&mut self, at: Path, form: &str) {
        self.found.add(
            codes::SECRET_LITERAL,
            at,
            "a user name or password stands in the address",
            format!("write `{form}` without what stands before the `@`; a password that was real is known by now, so replace it"),
        );
    }

    /// The address at a path, checked; the default where nothing is written.
    fn listens(&mut self, at: Path, default: SocketAddr) -> Option<SocketAddr> {
        let pointer: String =
            at.segments().iter().fold(String::new(), |pointer, segment| match segment {
                throughline_event::Segment::Key(key) => pointer + "/" + key,
                throughline_event::Segment::Index(index) => format!("{pointer}/{index}"),
            });
        let Some(text) = self.value.pointer(&pointer).and_then(Value::as_str) else {
            return Some(default);
        };
        match address(text) {
            Some(address) if address.ip().is_loopback() => Some(address),
            Some(address) => {
                self.found.add(
                    codes::NOT_LOOPBACK,
                    at,
                    format!("`{address}` can be reached from other machines, and this listener has no TLS and no authentication"),
                    format!("write `127.0.0.1:{}`", address.port()),
                );
                None
            }
            None => {
                let text = shown_address(text);
                let message = format!("`{text}` is not an address with a port");
                self.found.add(codes::BAD_ADDRESS, at, message, format!("write `{default}`"));
                None
            }
        }
    }

    /// Two listeners cannot share a port; port 0 is a different one each time.
    fn distinct(&mut self, listeners: [(Path, Option<SocketAddr>); 3]) {
        for (index, (at, address)) in listeners.iter().enumerate() {
            let Some(address) = address.filter(|address| address.port() != 0) else { continue };
            let earlier = listeners[..index].iter().find(|(_, other)| *other == Some(address));
            if let Some((other, _)) = earlier {
                let message = format!("`{address}` is also the address of `{other}`");
                self.found.add(codes::BAD_ADDRESS, at, message, "write another port");
            }
        }
    }
}

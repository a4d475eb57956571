//! Where a broker is.

use std::fmt;

/// Scheme, host and port of a broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// `mqtts://`
    pub tls: bool,
    pub host: String,
    pub port: u16,
}

impl Address {
    /// Reads `mqtt://HOST[:PORT]` (1883) or `mqtts://HOST[:PORT]` (8883). An IPv6 address stands in
    /// brackets.
    pub fn parse(text: &str) -> Option<Self> {
        let (scheme, rest) = text.split_once("://")?;
        let (tls, usual) = match scheme {
            "mqtt" => (false, 1883),
            "mqtts" => (true, 8883),
            _ => return None,
        };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        // A colon inside of brackets is the address's own.
        let split = rest.rfind(':').filter(|at| !rest[*at..].contains(']'));
        let (host, port) = match split {
            Some(at) => (&rest[..at], rest[at + 1..].parse().ok()?),
            None => (rest, usual),
        };
        let bare = host.strip_prefix('[').and_then(|h| h.strip_suffix(']'));
        let known = match bare {
            // Certificates for those are rare, and the TLS client takes no brackets.
            Some(address) => !tls && address.parse::<std::net::Ipv6Addr>().is_ok(),
            None => {
                let letter = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
                (1..=253).contains(&host.len()) && host.chars().all(letter)
            }
        };
        (known && port > 0).then(|| Self {
            tls,
            host: host.into(),
            port,
        })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "mqtts" } else { "mqtt" };
        write!(f, "{scheme}://{}:{}", self.host, self.port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_have_a_scheme_a_host_and_perhaps_a_port() {
        for (text, full) in [
            ("mqtt://broker", "mqtt://broker:1883"),
            ("mqtts://broker.example/", "mqtts://broker.example:8883"),
            ("mqtt://10.0.0.1:1884", "mqtt://10.0.0.1:1884"),
            ("mqtt://[::1]", "mqtt://[::1]:1883"),
            ("mqtt://[::1]:99", "mqtt://[::1]:99"),
        ] {
            let address = Address::parse(text).map(|a| a.to_string());
            assert_eq!(address.as_deref(), Some(full));
        }
        for wrong in [
            "broker:1883",
            "http://broker",
            "mqtt://",
            "mqtt://broker:0",
            "mqtt://broker:70000",
            "mqtt://me:secret@broker",
            "mqtt://bro ker",
            "mqtt://[nonsense]",
            "mqtt://broker/path",
        ] {
            assert_eq!(Address::parse(wrong), None, "{wrong}");
        }
    }
}

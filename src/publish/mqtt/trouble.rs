//! Why there is no connection, and what to do.

use std::io::{self, ErrorKind};
use std::time::Duration;

use rumqttc::{ConnectReturnCode, ConnectionError, StateError, TlsError};
use rustls::CertificateError;

use super::{ANSWER, Mqtt};

/// A connection that ends so soon after it was made was not wanted.
const SOON: Duration = Duration::from_secs(5);

/// What an error means, in a line. `stood` is how long the connection stood, if there was one.
pub fn words(error: &ConnectionError, mqtt: &Mqtt, stood: Option<Duration>) -> String {
    let broker = &mqtt.address;
    match error {
        ConnectionError::NetworkTimeout | ConnectionError::FlushTimeout => no_answer(mqtt),
        ConnectionError::ConnectionRefused(code) => refused(*code, mqtt),
        ConnectionError::Tls(TlsError::Io(error)) => tls(error, mqtt),
        ConnectionError::Io(error) => io(error, mqtt),
        ConnectionError::MqttState(StateError::AwaitPingResp) => {
            format!("{broker} has stopped answering")
        }
        ConnectionError::MqttState(StateError::Deserialization(
            rumqttc::mqttbytes::Error::PayloadSizeLimitExceeded(bytes),
        )) => format!("{broker} sent a message of {bytes} bytes, which is too long"),
        // What the crate makes of an end of the stream.
        ConnectionError::MqttState(
            StateError::ConnectionAborted
            | StateError::Io(_)
            | StateError::Deserialization(rumqttc::mqttbytes::Error::Io(_)),
        ) => match stood {
            None => format!(
                "{broker} closed the connection without an answer; if that is a port for TLS, \
                 write mqtts://"
            ),
            Some(stood) if stood < SOON => format!(
                "{broker} closed the connection at once; does another client call itself {:?} too?",
                mqtt.params.client_id()
            ),
            Some(_) => format!("{broker} closed the connection"),
        },
        other => format!("{broker}: {other}"),
    }
}

/// Nothing came back.
pub fn no_answer(mqtt: &Mqtt) -> String {
    format!(
        "no answer from {} within {ANSWER:?}; check address, port and firewall",
        mqtt.address
    )
}

fn refused(code: ConnectReturnCode, mqtt: &Mqtt) -> String {
    let broker = &mqtt.address;
    let user = mqtt.params.user.as_str();
    match code {
        ConnectReturnCode::BadUserNamePassword | ConnectReturnCode::NotAuthorized => match user {
            "" => format!("{broker} lets nobody in without a user; set outputs.mqtt.user"),
            user => {
                format!("{broker} refused user {user:?}; check outputs.mqtt.user and the password")
            }
        },
        ConnectReturnCode::BadClientId => format!(
            "{broker} refused the client's name {:?}; set outputs.mqtt.client-id",
            mqtt.params.client_id()
        ),
        other => format!("{broker} refused the connection: {other:?}"),
    }
}

fn tls(error: &io::Error, mqtt: &Mqtt) -> String {
    let broker = &mqtt.address;
    let inner = error.get_ref().and_then(|e| e.downcast_ref());
    let why = match inner {
        Some(rustls::Error::InvalidCertificate(certificate)) => match certificate {
            CertificateError::UnknownIssuer => {
                "is from an authority that palmd doesn't know; name the authority's own \
                 certificate in outputs.mqtt.ca-file"
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                "is for another name; write the broker's name in outputs.mqtt.broker as its \
                 certificate does"
            }
            CertificateError::Expired
            | CertificateError::ExpiredContext { .. }
            | CertificateError::NotValidYet
            | CertificateError::NotValidYetContext { .. } => {
                "is not valid at this time; check this machine's clock, then the certificate"
            }
            other => return format!("{broker}: its certificate can't be used: {other}"),
        },
        Some(rustls::Error::InvalidMessage(_)) => {
            return format!("{broker} doesn't speak TLS; without it, write mqtt://");
        }
        Some(other) => return format!("{broker}: {other}"),
        None if error.kind() == ErrorKind::UnexpectedEof => {
            return format!("{broker} ended the TLS handshake; is that its port for TLS?");
        }
        None => return io(error, mqtt),
    };
    format!("the certificate of {broker} {why}")
}

fn io(error: &io::Error, mqtt: &Mqtt) -> String {
    let broker = &mqtt.address;
    let closed = match std::env::var_os("INVOCATION_ID") {
        Some(_) => " (a service may use the network only with its drop-in network.conf)",
        None => "",
    };
    match error.kind() {
        ErrorKind::ConnectionRefused => {
            format!("{broker}: connection refused; does a broker run there?{closed}")
        }
        ErrorKind::ConnectionReset | ErrorKind::UnexpectedEof => {
            format!("{broker} closed the connection without an answer")
        }
        // Names that can't be looked up have no code.
        _ if error.raw_os_error().is_none() => {
            format!("{broker}: {error}; check the name in outputs.mqtt.broker{closed}")
        }
        _ => format!("{broker}: {error}{closed}"),
    }
}

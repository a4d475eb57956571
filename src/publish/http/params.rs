//! What is configured of the HTTP server.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use axum::http::uri::Authority;
use jiff::fmt::serde::unsigned_duration::friendly::compact::required as duration;
use serde::{Deserialize, Serialize};

use crate::publish::BadValue;

/// `[outputs.http]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct HttpParams {
    /// Whether there is a server.
    pub enabled: bool,
    /// Address and port.
    pub listen: SocketAddr,
    /// Origins (`http://kiosk.example:8000`) whose pages may read what palmd says.
    pub allowed_origins: Vec<String>,
    /// Names by which this machine may be asked, beside its addresses and `localhost`.
    pub allowed_hosts: Vec<String>,
    /// The file with the token that everyone needs who doesn't ask from this machine.
    pub token_file: PathBuf,
    /// Connections at once.
    pub max_connections: usize,
    /// The camera's picture is shown for so long; zero never shows it.
    #[serde(with = "duration")]
    pub set_up_time: Duration,
}

impl Default for HttpParams {
    fn default() -> Self {
        Self {
            enabled: false,
            listen: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8095),
            allowed_origins: Vec::new(),
            allowed_hosts: Vec::new(),
            token_file: PathBuf::new(),
            max_connections: 32,
            set_up_time: Duration::from_secs(5 * 60),
        }
    }
}

impl HttpParams {
    /// Checks what types alone can't.
    ///
    /// # Errors
    /// The first value that can't work.
    pub fn check(&self) -> Result<(), BadValue> {
        let rule =
            |ok: bool, key, value: String, rule| if ok { Ok(()) } else { Err((key, value, rule)) };
        rule(
            self.listen.port() != 0,
            "outputs.http.listen",
            self.listen.to_string(),
            "the port must be from 1 to 65535",
        )?;
        rule(
            !self.enabled || self.listen.ip().is_loopback() || self.token_file != Path::new(""),
            "outputs.http.listen",
            self.listen.to_string(),
            "others than this machine need a token: set outputs.http.token-file, or listen on 127.0.0.1",
        )?;
        for origin in &self.allowed_origins {
            rule(
                is_origin(origin),
                "outputs.http.allowed-origins",
                format!("{origin:?}"),
                "it must be a scheme and a host without a path, such as \"http://localhost:8000\"",
            )?;
        }
        for host in &self.allowed_hosts {
            let plain = |host: &Authority| host.as_str() == host.host();
            rule(
                host.parse().is_ok_and(|host| plain(&host)),
                "outputs.http.allowed-hosts",
                format!("{host:?}"),
                "it must be a name alone, such as \"kiosk.local\"",
            )?;
        }
        rule(
            (4..=1024).contains(&self.max_connections),
            "outputs.http.max-connections",
            self.max_connections.to_string(),
            "it must be from 4 to 1024",
        )?;
        rule(
            self.set_up_time <= Duration::from_secs(3600),
            "outputs.http.set-up-time",
            format!("{:?}", self.set_up_time),
            "it must be at most 1h",
        )
    }

    /// Reads the token, if there is to be one.
    ///
    /// # Errors
    /// [`TokenError`].
    pub fn token(&self) -> Result<Option<String>, TokenError> {
        if self.token_file == Path::new("") {
            return Ok(None);
        }
        // A credential that systemd hands over has a folder that only it knows.
        let credentials = std::env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from);
        let path = credentials.unwrap_or_default().join(&self.token_file);
        read_token(path).map(Some)
    }
}

/// A scheme and a host, perhaps with a port.
fn is_origin(text: &str) -> bool {
    let rest = text
        .strip_prefix("http://")
        .or_else(|| text.strip_prefix("https://"));
    let host = rest.and_then(|rest| rest.parse::<Authority>().ok());
    host.is_some_and(|host| !host.as_str().contains('@'))
}

/// A token is at least so long.
const SHORTEST_TOKEN: usize = 16;

/// Why there is no token. The text says what to do.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The file can't be read.
    #[error("token-file {path}: {error}{hint}")]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        error: io::Error,
        /// What to do, or nothing.
        hint: &'static str,
    },
    /// Everyone on this machine may read it.
    #[error("token-file {0} may be read by every user: `chmod o= {0}`")]
    Open(PathBuf),
    /// What is in it is no token.
    #[error(
        "token-file {0} must hold one line of at least {SHORTEST_TOKEN} letters and digits: \
         `openssl rand -hex 16` makes one"
    )]
    Content(PathBuf),
}

fn read_token(path: PathBuf) -> Result<String, TokenError> {
    let read = || -> io::Result<_> {
        let mode = path.metadata()?.permissions().mode();
        Ok((mode, std::fs::read_to_string(&path)?))
    };
    let (mode, text) = match read() {
        Ok(read) => read,
        Err(error) => {
            let hint = match error.kind() {
                io::ErrorKind::NotFound => "; make one with `openssl rand -hex 16`",
                io::ErrorKind::PermissionDenied => {
                    "; hand it over with LoadCredential= in palmd.service"
                }
                _ => "",
            };
            return Err(TokenError::Read { path, error, hint });
        }
    };
    if mode & 0o007 != 0 {
        return Err(TokenError::Open(path));
    }
    let token = text.trim();
    if token.len() < SHORTEST_TOKEN || !token.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(TokenError::Content(path));
    }
    Ok(token.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_open_to_others_or_malformed_is_refused_by_key() {
        let good = HttpParams {
            enabled: true,
            allowed_origins: vec![
                "http://localhost:8000".into(),
                "https://kiosk.example".into(),
            ],
            allowed_hosts: vec!["kiosk.local".into()],
            ..HttpParams::default()
        };
        assert_eq!(good.check(), Ok(()));
        let refused = |params: HttpParams| params.check().expect_err("a bad value").0;
        for listen in ["0.0.0.0:8095", "[::]:8095", "192.168.1.2:80"] {
            let open = HttpParams {
                listen: listen.parse().expect("an address"),
                ..good.clone()
            };
            assert_eq!(refused(open.clone()), "outputs.http.listen");
            let token_file = "/etc/palmd/token".into();
            assert_eq!(HttpParams { token_file, ..open }.check(), Ok(()));
        }
        for origin in [
            "*",
            "null",
            "localhost:8000",
            "http://a/b",
            "http://a/",
            "http://a@b",
        ] {
            let allowed_origins = vec![origin.into()];
            let key = refused(HttpParams {
                allowed_origins,
                ..good.clone()
            });
            assert_eq!(key, "outputs.http.allowed-origins", "{origin}");
        }
        for host in ["kiosk.local:80", "", "a b", "http://a"] {
            let allowed_hosts = vec![host.into()];
            let key = refused(HttpParams {
                allowed_hosts,
                ..good.clone()
            });
            assert_eq!(key, "outputs.http.allowed-hosts", "{host}");
        }
    }

    #[test]
    fn a_token_is_one_long_line_that_others_cannot_read() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("token");
        let params = HttpParams {
            token_file: path.clone(),
            ..HttpParams::default()
        };
        let write = |text: &str, mode| {
            std::fs::write(&path, text).expect("a file");
            let mode = std::fs::Permissions::from_mode(mode);
            std::fs::set_permissions(&path, mode).expect("my file");
        };
        let error = || params.token().expect_err("no token").to_string();
        assert!(error().contains("openssl"), "{}", error());
        write("0123456789abcdef\n", 0o644);
        assert!(error().contains("every user: `chmod o="), "{}", error());
        write("short\n", 0o600);
        assert!(error().contains("at least 16"), "{}", error());
        write("0123456789abcdef\nanother line\n", 0o600);
        assert!(error().contains("one line"), "{}", error());
        write("0123456789abcdef\n", 0o640);
        assert_eq!(
            params.token().expect("a token").as_deref(),
            Some("0123456789abcdef")
        );
        assert_eq!(HttpParams::default().token().expect("none"), None);
    }
}

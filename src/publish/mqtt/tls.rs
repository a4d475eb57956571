//! Whom a connection trusts.

use std::path::Path;
use std::sync::Arc;

use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

/// TLS with the authorities in `ca_file` (PEM), or with the system's if the path is empty.
///
/// # Errors
/// Why there are none, in a line that names the file.
pub fn client_config(ca_file: &Path) -> Result<ClientConfig, String> {
    let roots = if ca_file == Path::new("") {
        system()
    } else {
        from_file(ca_file).map_err(|e| format!("{}: {e}", ca_file.display()))
    }?;
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|e| e.to_string())?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

fn system() -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        return Err(
            "this system has no certificates of authorities; install ca-certificates, \
                    or name the broker's in outputs.mqtt.ca-file"
                .into(),
        );
    }
    Ok(roots)
}

fn from_file(path: &Path) -> Result<RootCertStore, String> {
    let pem = std::fs::read(path).map_err(|e| e.to_string())?;
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        let certificate = certificate.map_err(|e| e.to_string())?;
        roots.add(certificate).map_err(|e| e.to_string())?;
    }
    if roots.is_empty() {
        return Err("holds no certificate (PEM, `BEGIN CERTIFICATE`)".into());
    }
    Ok(roots)
}

//! TLS: the trusted authorities and the client's identity, from PEM files.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use mc_files::regular::read;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore, crypto};
use ureq::tls::{Certificate, ClientCert, PrivateKey, RootCerts, TlsConfig};

use crate::error::FetchError;

/// Limit on the size of a certificate file. The whole list of a system takes a few hundred kilobytes.
const MAX_PEM: u64 = 16 << 20;

/// Certificates and keys in PEM.
#[derive(Clone, Default)]
pub struct Pem {
    /// The trusted authorities; the well-known ones if `None`.
    pub authority: Option<Vec<u8>>,
    /// The client certificate, with the chain up to its authority, and its key.
    pub identity: Option<(Vec<u8>, Vec<u8>)>,
}

impl fmt::Debug for Pem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pem(authority: {}, identity: {})", self.authority.is_some(), self.identity.is_some())
    }
}

impl Pem {
    /// Reads files and checks their content.
    ///
    /// # Errors
    /// Fails if a file cannot be read or used; the message repeats nothing of its content.
    pub fn read(authority: Option<&Path>, identity: Option<(&Path, &Path)>) -> Result<Self, FetchError> {
        let bytes = |path: &Path| read(path, MAX_PEM).map_err(|error| FetchError::io("read", path, error));
        let authority_path = authority;
        let authority = authority.map(bytes).transpose()?;
        if let (Some(pem), Some(path)) = (&authority, authority_path)
            && certificates(pem).is_empty()
        {
            return Err(wrong(path, "it holds no certificate in PEM"));
        }
        let Some((certificate_path, key_path)) = identity else {
            return Ok(Self { authority, identity: None });
        };
        let (certificate, key) = (bytes(certificate_path)?, bytes(key_path)?);
        let chain = certificates(&certificate);
        if chain.is_empty() {
            return Err(wrong(certificate_path, "it holds no certificate in PEM"));
        }
        let private = PrivateKeyDer::from_pem_slice(&key);
        let private = private.map_err(|_| wrong(key_path, "it holds no private key in PEM"))?;
        if !fit(chain, private) {
            let what = format!("it is not the key of the certificate in `{}`", certificate_path.display());
            return Err(wrong(key_path, &what));
        }
        Ok(Self { authority, identity: Some((certificate, key)) })
    }

    /// The configuration of the HTTP client.
    pub(crate) fn config(&self) -> TlsConfig {
        let mut config = TlsConfig::builder();
        let theirs = |pem: &[u8]| -> Vec<Certificate<'static>> {
            certificates(pem).iter().map(|found| Certificate::from_der(found).to_owned()).collect()
        };
        if let Some(pem) = &self.authority {
            config = config.root_certs(RootCerts::Specific(Arc::new(theirs(pem))));
        }
        if let Some((certificate, key)) = &self.identity
            && let (Ok(checked), Ok(key)) = (PrivateKeyDer::from_pem_slice(key), PrivateKey::from_pem(key))
            // Otherwise the HTTP client would panic.
            && fit(certificates(certificate), checked)
        {
            config = config.client_cert(Some(ClientCert::new_with_certs(&theirs(certificate), key)));
        }
        config.build()
    }
}

fn wrong(path: &Path, what: &str) -> FetchError {
    FetchError::Listing { origin: format!("`{}`", path.display()), what: what.to_owned() }
}

fn certificates(pem: &[u8]) -> Vec<CertificateDer<'static>> {
    CertificateDer::pem_slice_iter(pem).filter_map(Result::ok).collect()
}

/// Returns true if the key belongs to the first certificate.
fn fit(chain: Vec<CertificateDer<'static>>, key: PrivateKeyDer<'static>) -> bool {
    ClientConfig::builder_with_provider(Arc::new(crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .is_ok_and(|builder| {
            builder.with_root_certificates(RootCertStore::empty()).with_client_auth_cert(chain, key).is_ok()
        })
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::prelude::BASE64_STANDARD;
    use ring::rand::SystemRandom;
    use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair};

    use super::*;

    /// A certificate whose key was discarded.
    const CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----\n\
        MIIBdjCCARugAwIBAgIUEtDm5WVbyMMLNJRFRFjAxP7pSfQwCgYIKoZIzj0EAwIw\n\
        DzENMAsGA1UEAwwEdGVhbTAgFw0yNjExMjEyMDA1MDhaGA8yMTI2MTAyODIwMDUw\n\
        OFowDzENMAsGA1UEAwwEdGVhbTBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABPKr\n\
        BRYqBx8t8Bz+ETNVQJm8TyDRmFi0ejIpIniLNy/BEpFxMCVTkaEa/W4Nh6awOPIc\n\
        mH1Mwc8cXIYA2kfxTxyjUzBRMB0GA1UdDgQWBBSVNSXYMRypjx6mvMPEG1xUBImA\n\
        WDAfBgNVHSMEGDAWgBSVNSXYMRypjx6mvMPEG1xUBImAWDAPBgNVHRMBAf8EBTAD\n\
        AQH/MAoGCCqGSM49BAMCA0kAMEYCIQCRJfXD+xO5AZpvXErXe/0zCDpT9xtALSEp\n\
        16h5LM3sAAIhALDzzx1E+UXpMY9URRkwPvVvtO6hZeP5L/Sg+cptvPLe\n\
        -----END CERTIFICATE-----\n";

    #[test]
    fn invalid_files_are_reported_without_their_content() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let pkcs8 =
            EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &SystemRandom::new()).unwrap();
        let encoded = BASE64_STANDARD.encode(&pkcs8);
        let key =
            write("key", &format!("-----BEGIN PRIVATE KEY-----\n{encoded}\n-----END PRIVATE KEY-----\n"));
        let (certificate, none) = (write("certificate", CERTIFICATE), write("none", "hush"));
        let reported = |authority: Option<&Path>, identity| {
            let reported = Pem::read(authority, identity).unwrap_err().to_string();
            assert!(!reported.contains("hush") && !reported.contains(&encoded[..20]), "{reported}");
            reported
        };
        assert!(reported(Some(&none), None).ends_with("none`: it holds no certificate in PEM"));
        assert!(reported(None, Some((&none, &key))).ends_with("none`: it holds no certificate in PEM"));
        assert!(
            reported(None, Some((&certificate, &none))).ends_with("none`: it holds no private key in PEM")
        );
        assert!(
            reported(None, Some((&certificate, &key)))
                .contains("key`: it is not the key of the certificate in `")
        );
        assert!(reported(Some(&folder.path().join("gone")), None).starts_with("Could not read"));
        let pem = Pem::read(Some(&certificate), None).unwrap();
        assert!(matches!(pem.config().root_certs(), RootCerts::Specific(found) if found.len() == 1));
        assert_eq!(format!("{pem:?}"), "Pem(authority: true, identity: false)");
    }
}

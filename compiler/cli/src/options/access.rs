//! Options for credentials: headers, the Google account, TLS.

use std::path::PathBuf;

use clap::Args;
use mc_driver::settings::connection::{Connection, TlsFiles};
use mc_fetch::secret::header::SecretHeader;

use crate::report::Report;

/// Options for credentials.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Credential options")]
pub(crate) struct AccessOptions {
    /// HTTP header for the remote cache and the workers; repeatable
    #[arg(long, global = true, value_name = "NAME=VALUE")]
    pub(crate) remote_header: Vec<String>,

    /// HTTP header for the remote cache only; repeatable
    #[arg(long, global = true, value_name = "NAME=VALUE")]
    pub(crate) remote_cache_header: Vec<String>,

    /// HTTP header for the remote executor only; repeatable
    #[arg(long, global = true, value_name = "NAME=VALUE")]
    pub(crate) remote_exec_header: Vec<String>,

    /// Authenticate with Google's Application Default Credentials [default: false]
    #[arg(long, global = true, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub(crate) google_default_credentials: Option<bool>,

    /// Certificate authority of the server, in PEM [default: the well-known authorities]
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) tls_certificate: Option<PathBuf>,

    /// Client certificate with its chain, in PEM; needs --tls-client-key
    #[arg(long, global = true, value_name = "FILE", requires = "tls_client_key")]
    pub(crate) tls_client_certificate: Option<PathBuf>,

    /// Private key of the client certificate, in PEM
    #[arg(long, global = true, value_name = "FILE", requires = "tls_client_certificate")]
    pub(crate) tls_client_key: Option<PathBuf>,
}

impl AccessOptions {
    /// Adds credentials to a connection.
    ///
    /// * `has_executor`: true if a server runs actions
    ///
    /// # Errors
    /// If a header cannot be sent.
    pub(crate) fn add_to(&self, connection: &mut Connection, has_executor: bool) -> Result<(), Report> {
        connection.cache_headers = self.headers("--remote-cache-header", &self.remote_cache_header)?;
        if has_executor {
            connection.executor_headers = self.headers("--remote-exec-header", &self.remote_exec_header)?;
        }
        connection.google = self.google_default_credentials == Some(true);
        connection.tls = TlsFiles {
            authority: self.tls_certificate.clone(),
            identity: self.tls_client_certificate.clone().zip(self.tls_client_key.clone()),
        };
        Ok(())
    }

    /// The headers for all servers, and those for this server.
    fn headers(&self, option: &str, own: &[String]) -> Result<Vec<SecretHeader>, Report> {
        let common = self.remote_header.iter().map(|text| ("--remote-header", text));
        let read = |(option, text): (&str, &String)| {
            // The message must not show any part of the value.
            SecretHeader::parse(text).ok_or_else(|| {
                Report::usage("Cannot use the remote cache")
                    .because(format!("`{option}` takes NAME=VALUE in ASCII"))
            })
        };
        common.chain(own.iter().map(|text| (option, text))).map(read).collect()
    }
}

//! The way to the server that an address names.
//!
//! Who it is that asks and how long anybody waits is decided here; what is asked is `team_cache`'s.

use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use mc_fetch::client::Client;
use mc_fetch::credentials::Credentials;
use mc_fetch::origins::hugging_face;
use mc_fetch::origins::oci;
use mc_fetch::patience::Patience;
use mc_fetch::secret::header::SecretHeader;
use mc_fetch::tls::Pem;
use mc_fetch::url::Url;
use mc_remote::address::Address;
use mc_remote::aws::Account;
use mc_remote::error::RemoteError;
use mc_remote::function::DigestFunction;
use mc_remote::transport::Transport;
use mc_remote::transports::absent::Absent;
use mc_remote::transports::folder::Folder;
use mc_remote::transports::grpc::call_log::CallLog;
use mc_remote::transports::grpc::settings::{Place, Settings};
use mc_remote::transports::grpc::transport::Grpc;
use mc_remote::transports::http::Http;
use mc_remote::transports::oci::Oci;
use mc_remote::transports::s3::S3;

use crate::invocation::Invocation;
use crate::options::{DigestName, GlobalOptions};
use crate::report::Report;
use crate::wire::credentials::{aws_files, credentials, google, proxies, variable};
use crate::wire::team_settings::TeamSettings;

/// What a server is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// To keep blobs and results.
    Cache,
    /// To run steps.
    Executor,
}

/// What is smaller goes into one packet of a network, compressed or not.
const COMPRESS_FROM: u64 = 1 << 10;

/// The way to a server. One that cannot be used, where the build may go on without it, is as good as absent.
pub(crate) fn open(invocation: &Invocation, settings: &TeamSettings) -> Result<Box<dyn Transport>, Report> {
    let options = &invocation.options;
    let address = Address::parse(&settings.address).map_err(unusable)?;
    if !settings.instance.is_empty() && !matches!(address, Address::Grpc(_)) {
        let reason = format!("only servers that speak gRPC keep instances such as `{}`", settings.instance);
        return Err(unusable(reason));
    }
    if options.offline && !matches!(address, Address::Folder(_)) {
        if settings.required {
            return Err(Report::usage("`--offline` asks no server, and `--remote-cache-required` needs one"));
        }
        return Ok(absent("no server may be asked".to_owned()));
    }
    let headers = headers(options, Role::Cache, &address)?;
    let opened: Result<Box<dyn Transport>, RemoteError> = match address {
        Address::Folder(path) => Folder::open(&path).map(|folder| Box::new(folder) as _),
        Address::Http(url) => {
            let credentials = Credentials { headers: meant_for(&url, headers), ..who(options, Some(&url))? };
            Ok(Box::new(Http::new(client(options, credentials)?, url)))
        }
        Address::Grpc(place) => Ok(Box::new(grpc(options, settings, Role::Cache, place)?)),
        Address::Oci { registry, repository } => {
            let url = oci::root(&registry).map_err(unusable)?;
            let credentials = Credentials { headers: meant_for(&url, headers), ..who(options, Some(&url))? };
            let client = client(options, credentials)?;
            Oci::new(client, &registry, &repository).map(|repository| Box::new(repository) as _)
        }
        Address::S3 { bucket, prefix } => {
            // A request that is signed must not say in another way, too, who asks.
            let client = client(options, Credentials::default())?;
            account(&bucket, &prefix)
                .and_then(|account| S3::new(client, &bucket, &prefix, account))
                .map(|bucket| Box::new(bucket) as _)
        }
    };
    match opened {
        Ok(transport) => Ok(transport),
        Err(error) if settings.required => Err(unusable(error)),
        Err(error) => {
            invocation.warn(&format!("The remote cache is left out: {error}"));
            Ok(absent(error.to_string()))
        }
    }
}

fn absent(reason: String) -> Box<dyn Transport> {
    Box::new(Absent { name: "(not asked)".to_owned(), reason })
}

/// A server that speaks the Remote Execution API.
pub(crate) fn grpc(
    options: &GlobalOptions,
    settings: &TeamSettings,
    role: Role,
    place: Place,
) -> Result<Grpc, Report> {
    let settings = Settings {
        instance: settings.instance.clone(),
        credentials: who(options, place.url())?,
        headers: headers(options, role, &Address::Grpc(place.clone()))?,
        pem: pem(options)?,
        place,
        connect: options.remote_connect_timeout(),
        idle: options.remote_timeout(),
        n_retries: options.remote_retries(),
        function: options.remote_digest_function.map(|name| match name {
            DigestName::Sha256 => DigestFunction::Sha256,
            DigestName::Blake3 => DigestFunction::Blake3,
        }),
        compress: settings.compression,
        compress_from: options.remote_cache_compression_threshold.unwrap_or(COMPRESS_FROM),
        chunk: settings.chunking,
        keep_alive: options.grpc_keepalive_time(),
        log: call_log(options)?,
        version: env!("CARGO_PKG_VERSION"),
    };
    Grpc::new(settings).map_err(unusable)
}

fn call_log(options: &GlobalOptions) -> Result<Option<Arc<CallLog>>, Report> {
    let Some(path) = &options.remote_grpc_log else { return Ok(None) };
    let log = CallLog::open(path).map_err(|error| {
        Report::usage("Cannot write the log of `--remote-grpc-log`").at(path.display()).because(error)
    })?;
    Ok(Some(Arc::new(log)))
}

/// The headers that the user wrote, where the server is one that may be told them.
fn headers(options: &GlobalOptions, role: Role, address: &Address) -> Result<Vec<SecretHeader>, Report> {
    let (option, own) = match role {
        Role::Cache => ("--remote-cache-header", &options.remote_cache_header),
        Role::Executor => ("--remote-exec-header", &options.remote_exec_header),
    };
    let common = options.remote_header.iter().map(|text| ("--remote-header", text));
    let read = |(option, text): (&str, &String)| {
        // The value must not be seen, wherever it begins.
        SecretHeader::parse(text).ok_or_else(|| unusable(format!("`{option}` takes NAME=VALUE in ASCII")))
    };
    let own = own.iter().map(|text| (option, text));
    let headers = common.chain(own).map(read).collect::<Result<Vec<_>, _>>()?;
    let may_be_told = match address {
        Address::Http(url) | Address::Grpc(Place::Plain(url)) => url.is_private(),
        Address::Grpc(Place::Tls(_) | Place::Unix(_)) | Address::Oci { .. } => true,
        Address::Folder(_) | Address::S3 { .. } => false,
    };
    if !headers.is_empty() && !may_be_told {
        return Err(unusable(format!(
            "`--remote-header` and `{option}` are sent over TLS or to this machine alone, and never to buckets or \
             folders"
        )));
    }
    Ok(headers)
}

fn meant_for(url: &Url, headers: Vec<SecretHeader>) -> Vec<(Url, SecretHeader)> {
    headers.into_iter().map(|header| (url.clone(), header)).collect()
}

fn pem(options: &GlobalOptions) -> Result<Pem, Report> {
    let identity = options.tls_client_certificate.as_deref().zip(options.tls_client_key.as_deref());
    Pem::read(options.tls_certificate.as_deref(), identity)
        .map_err(|error| Report::usage("Cannot use the TLS options").because(error))
}

/// Who asks. The token of Hugging Face is for no other server, and one of Google's for none but this.
///
/// * `server`: where it is; none for a socket of this machine
fn who(options: &GlobalOptions, server: Option<&Url>) -> Result<Credentials, Report> {
    let known = credentials(options, &Url::parse(hugging_face::ENDPOINT).map_err(unusable)?);
    let Some(server) = server.filter(|_| options.google_default_credentials == Some(true)) else {
        return Ok(known);
    };
    if !server.is_private() {
        let reason = "`--google-default-credentials` is for servers over TLS or on this machine";
        return Err(unusable(reason));
    }
    let google = google(&proxies())
        .map_err(|error| Report::usage("Cannot use `--google-default-credentials`").because(error))?;
    Ok(Credentials { google: Some((server.clone(), google)), ..known })
}

/// Who asks a bucket.
fn account(bucket: &str, prefix: &str) -> Result<Account, RemoteError> {
    let (keys, config) = aws_files();
    Account::read(&variable, &keys, &config).map_err(|error| RemoteError::Address {
        address: format!("s3://{bucket}/{prefix}"),
        reason: error.to_string(),
    })
}

fn client(options: &GlobalOptions, credentials: Credentials) -> Result<Client, Report> {
    let patience = Patience {
        connect: options.remote_connect_timeout(),
        idle: options.remote_timeout(),
        n_retries: options.remote_retries(),
        // The build goes on without it, and must not wait for that several times.
        asks_silent: false,
        first_delay: Duration::from_millis(100),
        longest_delay: Duration::from_secs(5),
    };
    Client::over(credentials, patience, &proxies(), &pem(options)?)
        .map_err(|error| Report::usage("Cannot use the proxy").because(error))
}

fn unusable(error: impl Display) -> Report {
    Report::usage("Cannot use the remote cache").because(error)
}

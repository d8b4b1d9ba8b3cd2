//! The way to the server that an address names.
//!
//! Who it is that asks and how long anybody waits is decided here; what is asked is `team_cache`'s.

use std::fmt::Display;
use std::time::Duration;

use mc_fetch::client::Client;
use mc_fetch::credentials::Credentials;
use mc_fetch::hugging_face;
use mc_fetch::patience::Patience;
use mc_fetch::url::Url;
use mc_remote::absent::Absent;
use mc_remote::address::Address;
use mc_remote::aws::Account;
use mc_remote::error::RemoteError;
use mc_remote::folder::Folder;
use mc_remote::function::DigestFunction;
use mc_remote::grpc::settings::{Pem, Place, Settings};
use mc_remote::grpc::transport::Grpc;
use mc_remote::http::Http;
use mc_remote::oci::Oci;
use mc_remote::s3::S3;
use mc_remote::transport::Transport;

use crate::invocation::Invocation;
use crate::options::{DigestName, GlobalOptions};
use crate::report::Report;
use crate::wire::credentials::{aws_files, credentials, variable};
use crate::wire::team_settings::TeamSettings;

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
    let opened: Result<Box<dyn Transport>, RemoteError> = match address {
        Address::Folder(path) => Folder::open(&path).map(|folder| Box::new(folder) as _),
        Address::Http(url) => Ok(Box::new(Http::new(client(options, who(options)?)?, url))),
        Address::Grpc(place) => Ok(Box::new(grpc(options, settings, place)?)),
        Address::Oci { registry, repository } => {
            let client = client(options, who(options)?)?;
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
pub(crate) fn grpc(options: &GlobalOptions, settings: &TeamSettings, place: Place) -> Result<Grpc, Report> {
    let settings = Settings {
        place,
        instance: settings.instance.clone(),
        credentials: who(options)?,
        headers: Vec::new(),
        pem: Pem::default(),
        connect: Duration::from_secs(options.remote_connect_timeout()),
        idle: Duration::from_secs(options.remote_timeout()),
        n_retries: options.remote_retries(),
        function: options.remote_digest_function.map(|name| match name {
            DigestName::Sha256 => DigestFunction::Sha256,
            DigestName::Blake3 => DigestFunction::Blake3,
        }),
        compress: settings.compression,
        version: env!("CARGO_PKG_VERSION"),
    };
    Grpc::new(settings).map_err(unusable)
}

/// Who asks. The token of Hugging Face is for no other server.
fn who(options: &GlobalOptions) -> Result<Credentials, Report> {
    Ok(credentials(options, &Url::parse(hugging_face::ENDPOINT).map_err(unusable)?))
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
        idle: Duration::from_secs(options.remote_timeout()),
        n_retries: options.remote_retries(),
        first_delay: Duration::from_millis(100),
        longest_delay: Duration::from_secs(5),
    };
    let proxies = ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];
    let proxy = proxies.into_iter().find_map(variable);
    Client::new(credentials, patience, proxy.as_deref())
        .map_err(|error| Report::usage("Cannot use the proxy").because(error))
}

fn unusable(error: impl Display) -> Report {
    Report::usage("Cannot use the remote cache").because(error)
}

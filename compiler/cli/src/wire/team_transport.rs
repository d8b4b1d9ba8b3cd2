//! The way to the server that an address names.
//!
//! Who it is that asks and how long anybody waits is decided here; what is asked is `team_cache`'s.

use std::fmt::Display;
use std::path::Path;
use std::time::Duration;

use mc_fetch::client::Client;
use mc_fetch::hugging_face;
use mc_fetch::patience::Patience;
use mc_fetch::url::Url;
use mc_remote::address::Address;
use mc_remote::folder::Folder;
use mc_remote::http::Http;
use mc_remote::transport::Transport;

use crate::invocation::Invocation;
use crate::options::GlobalOptions;
use crate::report::Report;
use crate::wire::credentials::{credentials, variable};

/// The way to a server; none where it cannot be used, or asks a server offline, and the build may go on without.
pub(crate) fn open(invocation: &Invocation, address: &str) -> Result<Option<Box<dyn Transport>>, Report> {
    let options = &invocation.options;
    let address = Address::parse(address).map_err(unusable)?;
    if options.offline && !matches!(address, Address::Folder(_)) {
        if options.remote_cache_required {
            return Err(Report::usage("`--offline` asks no server, and `--remote-cache-required` needs one"));
        }
        return Ok(None);
    }
    match address {
        Address::Folder(path) => folder(invocation, &path),
        Address::Http(url) => Ok(Some(Box::new(Http::new(client(options)?, url)))),
    }
}

fn folder(invocation: &Invocation, path: &Path) -> Result<Option<Box<dyn Transport>>, Report> {
    match Folder::open(path) {
        Ok(folder) => Ok(Some(Box::new(folder))),
        Err(error) if invocation.options.remote_cache_required => Err(unusable(error)),
        Err(error) => {
            invocation.warn(&format!("The remote cache is left out: {error}"));
            Ok(None)
        }
    }
}

fn client(options: &GlobalOptions) -> Result<Client, Report> {
    let patience = Patience {
        idle: Duration::from_secs(options.remote_timeout()),
        n_retries: 2,
        first_delay: Duration::from_millis(100),
        longest_delay: Duration::from_secs(5),
    };
    let proxies = ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];
    let proxy = proxies.into_iter().find_map(variable);
    // Its token is for no other server.
    let hugging_face = Url::parse(hugging_face::ENDPOINT).map_err(unusable)?;
    Client::new(credentials(options, &hugging_face), patience, proxy.as_deref())
        .map_err(|error| Report::usage("Cannot use the proxy").because(error))
}

fn unusable(error: impl Display) -> Report {
    Report::usage("Cannot use the remote cache").because(error)
}

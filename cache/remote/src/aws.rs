//! Keys and location of a bucket, from the variables and files of AWS's tools.
//!
//! | value | source |
//! |---|---|
//! | keys | `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN`, else the profile |
//! | region | `AWS_REGION`, `AWS_DEFAULT_REGION`, else the profile |
//! | endpoint | `AWS_ENDPOINT_URL_S3`, `AWS_ENDPOINT_URL`, else the profile |
//! | profile | `AWS_PROFILE`, else `default`, in `~/.aws/credentials` and `~/.aws/config` |
//!
//! The caller reads the environment and the files. Roles of machines and browser logins are not supported directly:
//! `aws configure export-credentials --format env` prints variables for both.

pub(crate) mod bucket;
pub(crate) mod signature;

use std::collections::BTreeMap;

use mc_fetch::secret::Secret;

/// Keys that sign requests.
#[derive(Clone, Debug)]
pub struct Keys {
    /// The public identifier of the key.
    pub id: String,
    /// The secret key.
    pub secret: Secret,
    /// The session token of temporary keys.
    pub token: Option<Secret>,
}

/// Keys, and the location of the buckets that they are for.
#[derive(Clone, Debug)]
pub struct Account {
    /// The keys.
    pub keys: Keys,
    /// The region of the bucket.
    pub region: Option<String>,
    /// Address of a server other than AWS's.
    pub endpoint: Option<String>,
}

/// There are no keys.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "There are no keys for it; set `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`, or put them into the profile \
     `{profile}` of `~/.aws/credentials`"
)]
pub struct NoKeys {
    profile: String,
}

impl Account {
    /// Reads the same settings as AWS's tools.
    ///
    /// * `variable`: looks up an environment variable
    /// * `credentials`, `config`: the text of the two files; empty for a missing file
    ///
    /// # Errors
    /// Fails if there are no keys.
    pub fn read(
        variable: &dyn Fn(&str) -> Option<String>,
        credentials: &str,
        config: &str,
    ) -> Result<Self, NoKeys> {
        let profile = variable("AWS_PROFILE").unwrap_or_else(|| "default".to_owned());
        // In this file every profile except the default has this prefix.
        let mut section = section(config, &format!("profile {profile}"));
        if profile == "default" {
            section.extend(self::section(config, &profile));
        }
        section.extend(self::section(credentials, &profile));
        let first = |names: &[&str], key: &str| {
            names.iter().find_map(|name| variable(name)).or_else(|| section.get(key).cloned())
        };
        let keys = |id: Option<String>, secret: Option<String>, token: Option<String>| {
            Some(Keys { id: id?, secret: Secret::new(&secret?), token: token.as_deref().map(Secret::new) })
        };
        let [id, secret, token] =
            ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"].map(variable);
        // Key parts from two sources would not fit together.
        let keys = keys(id, secret, token).or_else(|| {
            let [id, secret, token] = ["aws_access_key_id", "aws_secret_access_key", "aws_session_token"]
                .map(|key| section.get(key).cloned());
            keys(id, secret, token)
        });
        Ok(Self {
            region: first(&["AWS_REGION", "AWS_DEFAULT_REGION"], "region"),
            endpoint: first(&["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"], "endpoint_url"),
            keys: keys.ok_or(NoKeys { profile })?,
        })
    }
}

/// The values below `[name]`. Indented lines belong to the setting above them and are skipped.
fn section(text: &str, name: &str) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut is_wanted = false;
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix('[') {
            let header = rest.split_once(']').map_or("", |(header, _)| header);
            is_wanted = header.split_whitespace().eq(name.split_whitespace());
        } else if is_wanted
            && !line.starts_with([' ', '\t', '#', ';'])
            && let Some((key, value)) = line.split_once('=')
        {
            // A comment after a value starts with white space.
            let value = value.split_once(" #").map_or(value, |(value, _)| value).trim();
            if !value.is_empty() {
                found.insert(key.trim().to_ascii_lowercase(), value.to_owned());
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "# keys\n[default]\naws_access_key_id = AK1\naws_secret_access_key=s3cret/+=\n\n[ci]\n\
                        aws_access_key_id=AK2 # of the robot\naws_secret_access_key = other\naws_session_token = tok\n";
    const CONFIG: &str = "[default]\nregion = eu-west-1\n[profile ci]\nregion = us-east-2\ns3 =\n  region = no\n\
                          endpoint_url = http://127.0.0.1:9000\n";

    fn read(variables: &[(&str, &str)], file: &str) -> Result<Account, NoKeys> {
        let variable = |name: &str| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        };
        Account::read(&variable, file, CONFIG)
    }

    #[test]
    fn a_profile_is_read_from_both_files() {
        let account = read(&[], FILE).unwrap();
        assert_eq!((account.keys.id.as_str(), account.keys.secret.open()), ("AK1", "s3cret/+="));
        assert_eq!((account.region.as_deref(), account.endpoint), (Some("eu-west-1"), None));
        let account = read(&[("AWS_PROFILE", "ci")], FILE).unwrap();
        assert_eq!(
            (account.keys.id.as_str(), account.keys.token.as_ref().map(Secret::open)),
            ("AK2", Some("tok"))
        );
        assert_eq!(account.region.as_deref(), Some("us-east-2"));
        assert_eq!(account.endpoint.as_deref(), Some("http://127.0.0.1:9000"));
    }

    #[test]
    fn variables_come_first_and_keys_are_never_mixed() {
        let variables =
            [("AWS_ACCESS_KEY_ID", "AK3"), ("AWS_SECRET_ACCESS_KEY", "x"), ("AWS_REGION", "eu-north-1")];
        let account = read(&variables, FILE).unwrap();
        assert_eq!((account.keys.id.as_str(), account.region.as_deref()), ("AK3", Some("eu-north-1")));
        assert_eq!(read(&variables[..1], FILE).unwrap().keys.id, "AK1");
        let shown = format!("{:?}", read(&[], FILE).unwrap());
        assert!(!shown.contains("s3cret"), "{shown}");
    }

    #[test]
    fn without_keys_the_message_names_their_sources() {
        let reported = read(&[("AWS_PROFILE", "nobody")], FILE).unwrap_err().to_string();
        assert!(
            reported.contains("profile `nobody`") && reported.contains("AWS_ACCESS_KEY_ID"),
            "{reported}"
        );
    }
}

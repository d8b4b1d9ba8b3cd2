//! Help topics: groups of options, and subjects that several verbs share. To add one, add a row to [`TOPICS`].

use clap::Command;
use clap::builder::StyledStr;
use mc_syntax::terminal::{Markup, Paint};

use crate::help::form::{MAX_WIDTH, markup};

/// A page of `mc help`.
pub(crate) struct Topic {
    /// The word after `mc help`.
    pub(crate) name: &'static str,
    /// The subject in a few words.
    pub(crate) title: &'static str,
    /// Headings of the options that belong to it.
    pub(crate) headings: &'static [&'static str],
    /// Text before the options.
    pub(crate) text: &'static str,
}

const BOOL: &str = "<BOOL> is `true` or `false`; an option without it means `true`.\n";

/// Every topic.
pub(crate) const TOPICS: &[Topic] = &[
    Topic {
        name: "labels",
        title: "Labels and patterns of targets",
        headings: &[],
        text: "\
//models:app    the target `app` of the package `models`
//models         short for //models:models
:app            the target `app` of the package in the current folder
//models:all    every target of the package `models`
:all            every target of the package in the current folder
//models/...    every target of the package `models` and of the packages below it
//...            every target of the workspace

A package is a folder with a `package.kdl`; its name is its path from the folder
that holds `workspace.kdl`.
",
    },
    Topic { name: "build", title: "Options for builds", headings: &["Build options"], text: "" },
    Topic {
        name: "output",
        title: "Options for results and messages",
        headings: &["Output options"],
        text: "\
Results go to stdout; progress, warnings and errors go to stderr. --quiet hides
progress, --verbose adds details, --output json writes one JSON document.
",
    },
    Topic {
        name: "fetch",
        title: "Options for downloads of checkpoints",
        headings: &["Fetch options"],
        text: "",
    },
    Topic {
        name: "remote",
        title: "Options for the remote cache",
        headings: &["Remote cache options", "Connection options"],
        text: "A remote cache shares results between machines.\n",
    },
    Topic {
        name: "workers",
        title: "Options for remote execution",
        headings: &["Worker options"],
        text: "Workers run actions on other machines.\n",
    },
    Topic {
        name: "credentials",
        title: "Options for credentials",
        headings: &["Credential options"],
        text: "The values of headers and the contents of keys are never printed.\n",
    },
    Topic {
        name: "environment",
        title: "Environment variables",
        headings: &[],
        text: "\
MC_CACHE_DIR             folder of the local store
MC_CREDENTIAL_HELPER     program that prints HTTP headers for a server
MC_REMOTE_SIGNING_KEY    private key that signs results, or the path of its file
HF_TOKEN, HF_TOKEN_PATH  token for Hugging Face, or the path of its file
HF_HOME, HF_ENDPOINT     folder of Hugging Face's tools; address of its server
NETRC, DOCKER_CONFIG     files with passwords for servers and registries
HTTPS_PROXY, HTTP_PROXY, ALL_PROXY, NO_PROXY   proxies
NO_COLOR, CLICOLOR=0     turn colors off
CLICOLOR_FORCE=1         turn colors on, also in files and pipes
COLUMNS                  width of results in columns, unless stdout is a terminal
",
    },
    Topic {
        name: "exit-codes",
        title: "Exit codes",
        headings: &[],
        text: "\
0    everything is done
1    an action failed, or a file or the store could not be used
2    a declaration or the command line is wrong
3    everything was built, but a gate failed
4    `mc test` found no gates
8    interrupted
37   a bug in mc; the message says what to report
",
    },
];

/// The topic with this name.
pub(crate) fn by_name(name: &str) -> Option<&'static Topic> {
    TOPICS.iter().find(|topic| topic.name == name)
}

impl Topic {
    /// The page of this topic.
    ///
    /// * `command`: the command with the options
    pub(crate) fn page(&self, command: &Command) -> Markup {
        let mut page = Markup::default();
        page.painted(Paint::Bold, self.title);
        page.text("\n");
        if !self.text.is_empty() {
            page.text(format!("\n{}", self.text));
        }
        let options: Vec<StyledStr> = self.headings.iter().map(|heading| options(command, heading)).collect();
        if options.iter().any(|options| options.to_string().contains("<BOOL>")) {
            page.text(format!("\n{BOOL}"));
        }
        for options in options {
            page.text("\n");
            page.append(markup(&options));
        }
        page
    }
}

/// The options under a heading.
fn options(command: &Command, heading: &str) -> StyledStr {
    let chosen = command.get_arguments().filter(|arg| arg.get_help_heading() == Some(heading));
    let chosen = chosen.cloned().map(|arg| arg.hide_short_help(false).global(false));
    Command::new("mc")
        .disable_help_flag(true)
        .disable_version_flag(true)
        .args(chosen)
        .help_template("{all-args}\n")
        .max_term_width(MAX_WIDTH)
        .render_help()
}

//! Stability of action keys when Rust types change: an absent option, a renamed field and reordered fields keep the
//! key; an option with a value changes it.

use mc_digest::content_hash::ContentHash;
use mc_digest::digest::ActionDigest;
use mc_ir::action::{Action, ActionContext, ActionError, ActionKind, ActionNode};
use mc_ir::label::{Label, PackageId};
use mc_ir::output::Outputs;
use mc_ir::parameters::Parameters;
use mc_ir::reapi::encode_action;

/// The limit of an action, as first written.
#[derive(ContentHash)]
#[content("limit")]
struct Limit {
    #[content("on")]
    on: String,
    #[content("max-increase")]
    max_increase: f64,
}

/// The same limit after renames.
#[derive(ContentHash)]
#[content("limit")]
struct RenamedLimit {
    #[content("max-increase")]
    largest_increase: f64,
    #[content("on")]
    dataset: String,
    #[content("interval")]
    interval: Option<f64>,
}

struct Judge(Vec<(String, String)>);

impl Action for Judge {
    fn kind(&self) -> ActionKind {
        ActionKind { name: "judge", version: 1 }
    }

    fn parameters(&self) -> Vec<(String, String)> {
        self.0.clone()
    }

    fn outputs(&self) -> Vec<String> {
        vec!["verdict".to_owned()]
    }

    fn describe(&self) -> String {
        "judge".to_owned()
    }

    fn run(&self, _: &dyn ActionContext) -> Result<Outputs, ActionError> {
        Ok(Outputs::new())
    }
}

fn key(parameters: Parameters) -> ActionDigest {
    let label = Label::new(PackageId(String::new()), "gate");
    let node = ActionNode::new(label, Box::new(Judge(parameters.into_pairs())), Vec::new());
    encode_action(&node, &[]).digest
}

fn renamed(interval: Option<f64>) -> RenamedLimit {
    RenamedLimit { largest_increase: 0.02, dataset: "text".to_owned(), interval }
}

#[test]
fn renamed_and_moved_fields_and_absent_options_keep_the_key() {
    let before = Limit { on: "text".to_owned(), max_increase: 0.02 };
    let before = Parameters::new().text("context", 512).content("limit", &before);
    let after =
        Parameters::new().text("context", 512).content("limit", &renamed(None)).option("seed", None::<u64>);
    assert_eq!(key(before), key(after));
}

#[test]
fn options_that_are_given_change_the_key() {
    let plain = || Parameters::new().content("limit", &renamed(None));
    assert_ne!(key(plain()), key(Parameters::new().content("limit", &renamed(Some(0.5)))));
    assert_ne!(key(plain()), key(plain().option("seed", Some(0))));
}

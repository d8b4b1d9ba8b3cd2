//! `mc diff`: compares two models, tensor by tensor and key by key.

use clap::Args;
use mc_driver::inspect::diff::{Comparison, Difference, KeyPair};
use mc_driver::inspect::listing::Tensor;
use mc_driver::inspect::side::sides;
use mc_syntax::terminal::printable;
use serde_json::{Value, json};

use crate::exit::Exit;
use crate::failure::Failure;
use crate::invocation::Invocation;
use crate::render::fidelity;
use crate::render::plural::plural;
use crate::render::printable::abbreviated;
use crate::render::table::{Align, table};
use crate::verb::Run;
use crate::verbs::model::operand;

/// Compare two models, key by key and tensor by tensor
#[derive(Args)]
#[command(
    before_help = "Examples:\n  mc diff //models:app-f16 //models:app-q4km   errors of the quantization\n  mc diff before.gguf after.gguf               two files\n  mc diff models/base //models:app-q4km        a checkpoint and the file made of it\n  mc diff //models:app-mlx //models:app-onnx   the weights in two formats"
)]
pub(crate) struct Diff {
    /// First model: a file (such as .gguf or .litertlm), a folder, a label, or a hash
    #[arg(value_name = "A")]
    reference: String,

    /// Second model, which is measured against the first
    #[arg(value_name = "B")]
    other: String,

    /// Also list tensors that are equal
    #[arg(long)]
    all: bool,

    /// End with exit code 1 if anything differs
    #[arg(long)]
    exit_code: bool,
}

impl Run for Diff {
    fn run(&self, invocation: &Invocation) -> Result<Exit, Failure> {
        let (reference, other) = (operand(invocation, &self.reference)?, operand(invocation, &self.other)?);
        let [reference, other] = sides(reference, other)?;
        let comparison = Comparison::new(&reference, &other)?;
        let names = [self.reference.as_str(), self.other.as_str()];
        if invocation.is_json() {
            invocation.json(&json(&comparison, names));
        } else {
            invocation.streams.result(&text(&comparison, names, self.all));
        }
        Ok(if self.exit_code && !comparison.is_equal() { Exit::Failed } else { Exit::Done })
    }
}

fn text(comparison: &Comparison<'_>, names: [&str; 2], is_all: bool) -> String {
    let mut text = String::new();
    let mut rows = vec![["tensor", "type", "", "bytes", ""].map(str::to_owned).to_vec()];
    rows[0].extend(fidelity::HEADINGS.map(str::to_owned));
    for ((a, b), difference) in comparison.pairs.iter().zip(&comparison.differences) {
        let mut row = vec![
            a.name.clone(),
            a.kind.to_owned(),
            b.kind.to_owned(),
            a.n_bytes.to_string(),
            b.n_bytes.to_string(),
        ];
        row.extend(match difference {
            Difference::Equal if is_all => ["equal".to_owned(), String::new(), String::new()],
            Difference::Equal => continue,
            Difference::Numbers(fidelity) => fidelity::cells(fidelity),
            Difference::Shape => {
                [format!("shapes {:?} and {:?}", a.shape, b.shape), String::new(), String::new()]
            }
            Difference::Unreadable => ["not decoded".to_owned(), String::new(), String::new()],
        });
        rows.push(row);
    }
    if rows.len() > 1 {
        let mut columns = [Align::Right; 8];
        columns[..3].fill(Align::Left);
        text.push_str(&table(&columns, &rows));
        text.push('\n');
    }
    for (name, only) in names.iter().zip(&comparison.only) {
        for tensor in only {
            text.push_str(&format!(
                "only in {}: {} ({}, {} bytes)\n",
                printable(name),
                printable(&tensor.name),
                tensor.kind,
                tensor.n_bytes
            ));
        }
    }
    for (name, a, b) in &comparison.keys {
        let shown = |value: &Option<Value>| value.as_ref().map_or("absent".to_owned(), short);
        text.push_str(&format!("key {}: {} | {}\n", printable(name), shown(a), shown(b)));
    }
    let n_equal =
        comparison.differences.iter().filter(|difference| matches!(difference, Difference::Equal)).count();
    let n_keys = comparison.keys.len();
    let keys = match comparison.is_mapped {
        true => "keys are not compared".to_owned(),
        false => format!("{n_keys} key{} differ", plural(n_keys)),
    };
    text.push_str(&format!(
        "{} tensor{}: {n_equal} equal, {} differ; {keys}; {} and {} bytes\n",
        comparison.pairs.len(),
        plural(comparison.pairs.len()),
        comparison.pairs.len() - n_equal,
        comparison.sides[0].n_bytes,
        comparison.sides[1].n_bytes,
    ));
    text
}

fn json(comparison: &Comparison<'_>, names: [&str; 2]) -> Value {
    let tensor = |((a, b), difference): (&(&Tensor, &Tensor), &Difference)| {
        let mut object = json!({
            "name": a.name, "types": [a.kind, b.kind], "bytes": [a.n_bytes, b.n_bytes],
            "shapes": [a.shape, b.shape],
            "equal": matches!(difference, Difference::Equal),
        });
        if let Difference::Numbers(fidelity) = difference {
            object["fidelity"] = fidelity::json(fidelity);
        }
        object
    };
    let only = |tensors: &[&Tensor]| tensors.iter().map(|tensor| tensor.name.clone()).collect::<Vec<_>>();
    let key = |(name, a, b): &KeyPair| json!({ "name": name, "values": [a, b] });
    json!({
        "sources": names,
        "equal": comparison.is_equal(),
        "mapped": comparison.is_mapped,
        "bytes": [comparison.sides[0].n_bytes, comparison.sides[1].n_bytes],
        "tensors": comparison.pairs.iter().zip(&comparison.differences).map(tensor).collect::<Vec<_>>(),
        "only": [only(&comparison.only[0]), only(&comparison.only[1])],
        "keys": comparison.keys.iter().map(key).collect::<Vec<_>>(),
    })
}

/// A value, shortened to one line.
fn short(value: &Value) -> String {
    abbreviated(&value.to_string(), 60)
}

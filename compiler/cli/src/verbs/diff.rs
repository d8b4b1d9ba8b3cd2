//! `mc diff`: how two models differ, tensor by tensor and key by key.

use clap::Args;
use mc_codec::codecs;
use mc_codec::loss::Loss;
use mc_format::gguf::reader::Gguf;
use mc_format::gguf::value::Value as GgufValue;
use mc_ir::action::Content;
use mc_syntax::terminal::printable;
use rayon::prelude::*;
use serde_json::{Value, json};

use crate::exit::Exit;
use crate::failure::Failure;
use crate::invocation::Invocation;
use crate::render::fidelity::Fidelity;
use crate::render::listing::{Listing, Tensor};
use crate::render::summary::plural;
use crate::render::table::{Align, table};
use crate::report::Report;
use crate::verbs::Run;
use crate::verbs::inspect::{head, list};
use crate::wire::model::gguf;

/// Compare two models: types, bytes and what differs in every tensor
#[derive(Args)]
#[command(after_help = "Examples:\n  mc diff //models:app-f16 //models:app-q4km   what quantizing lost\n  \
                        mc diff before.gguf after.gguf               two files")]
pub(crate) struct Diff {
    /// The model to compare with: a .gguf or .safetensors file, or a label
    #[arg(value_name = "A")]
    reference: String,

    /// The model that is compared, as A
    #[arg(value_name = "B")]
    other: String,

    /// Show tensors with equal bytes too
    #[arg(long)]
    all: bool,
}

/// Numbers that are compared at a time; a whole number of every block.
const TILE: usize = 1 << 18;

/// One of the two models.
struct Side {
    content: Content,
    listing: Listing,
    /// A listing cuts long arrays; to compare them, their values are needed whole.
    values: Vec<GgufValue>,
}

/// What is to say of a tensor.
enum Difference {
    Equal,
    /// The bytes differ, or the types do.
    Numbers(Fidelity),
    Shape,
    /// No codec reads one of the types.
    Unreadable,
}

impl Run for Diff {
    fn run(&self, invocation: &Invocation) -> Result<Exit, Failure> {
        let reference = Side::open(invocation, &self.reference)?;
        let other = Side::open(invocation, &self.other)?;
        let mut pairs = Vec::new();
        let mut only_reference = Vec::new();
        for tensor in &reference.listing.tensors {
            match other.tensor(&tensor.name) {
                Some(found) => pairs.push((tensor, found)),
                None => only_reference.push(tensor),
            }
        }
        let only_other: Vec<&Tensor> =
            other.listing.tensors.iter().filter(|tensor| reference.tensor(&tensor.name).is_none()).collect();
        let differences: Vec<Difference> =
            pairs.iter().map(|(a, b)| compare(&reference, a, &other, b)).collect::<Result<_, Report>>()?;
        let comparison = Comparison {
            names: [&self.reference, &self.other],
            sides: [&reference.listing, &other.listing],
            pairs,
            differences,
            only: [only_reference, only_other],
            keys: different_keys(&reference, &other),
        };
        if invocation.is_json() {
            invocation.json(&comparison.json());
        } else {
            invocation.streams.result(&comparison.text(self.all));
        }
        Ok(Exit::Done)
    }
}

impl Side {
    fn open(invocation: &Invocation, source: &str) -> Result<Self, Failure> {
        let content = gguf(invocation, source)?;
        let listing = list(source, &head(&content), content.n_bytes());
        match listing {
            Ok(Some(listing)) => {
                let whole = Gguf::parse(&head(&content), content.n_bytes());
                let values = whole.map(|gguf| gguf.to_keys().into_iter().map(|(_, value)| value).collect());
                Ok(Self { content, listing, values: values.unwrap_or_default() })
            }
            Ok(None) => Err(Report::failed(format!("Cannot tell what `{source}` is"))
                .because("Expected a GGUF or a safetensors file")
                .into()),
            Err(reason) => Err(Report::failed(format!("Cannot read `{source}`")).because(reason).into()),
        }
    }

    fn tensor(&self, name: &str) -> Option<&Tensor> {
        self.listing.tensors.iter().find(|tensor| tensor.name == name)
    }

    /// A key's value as it is shown and, in a GGUF, as it is.
    fn key(&self, name: &str) -> Option<(&Value, Option<&GgufValue>)> {
        let index = self.listing.keys.iter().position(|key| key.name == name)?;
        Some((&self.listing.keys[index].value, self.values.get(index)))
    }

    /// The shape with the fastest dimension first, as GGUF writes it.
    fn dims(&self, tensor: &Tensor) -> Vec<u64> {
        let mut dims = tensor.shape.clone();
        if self.listing.format == "safetensors" {
            dims.reverse();
        }
        dims
    }

    fn bytes(&self, tensor: &Tensor) -> Result<std::borrow::Cow<'_, [u8]>, Report> {
        let range = tensor.offset..tensor.offset + tensor.n_bytes;
        match self.content.parts.as_slice() {
            [part] => {
                let range = range.start as usize..range.end as usize;
                part.as_slice().get(range).map(Into::into)
            }
            _ => self.content.piece(range).map(|piece| piece.as_slice().to_vec().into()),
        }
        .ok_or_else(|| Report::failed(format!("Tensor `{}` lies outside its file", tensor.name)))
    }
}

fn compare(reference: &Side, a: &Tensor, other: &Side, b: &Tensor) -> Result<Difference, Report> {
    let dims = reference.dims(a);
    if dims != other.dims(b) {
        return Ok(Difference::Shape);
    }
    let (a_bytes, b_bytes) = (reference.bytes(a)?, other.bytes(b)?);
    if a.kind == b.kind && a_bytes == b_bytes {
        return Ok(Difference::Equal);
    }
    let (Some(a_codec), Some(b_codec)) = (codecs::by_name(a.kind), codecs::by_name(b.kind)) else {
        return Ok(Difference::Unreadable);
    };
    let n_elements = usize::try_from(dims.iter().product::<u64>()).unwrap_or(usize::MAX);
    // A file may lie about what its rows hold.
    if [(a_codec, &a_bytes), (b_codec, &b_bytes)]
        .iter()
        .any(|(codec, bytes)| !codec.fits(n_elements) || codec.row_bytes(n_elements) != bytes.len())
    {
        return Ok(Difference::Unreadable);
    }
    let tile_loss = |start: usize| {
        let n = TILE.min(n_elements - start);
        let mut numbers = [(a_codec, &a_bytes), (b_codec, &b_bytes)].map(|(codec, bytes)| {
            let mut numbers = vec![0.0; n];
            let first = codec.row_bytes(start);
            codec.decode(&bytes[first..][..codec.row_bytes(n)], &mut numbers);
            numbers
        });
        let [a_numbers, b_numbers] = &mut numbers;
        Loss::of(a_numbers, b_numbers, b_codec.block_len)
    };
    let starts: Vec<usize> = (0..n_elements).step_by(TILE).collect();
    let tiles: Vec<Loss> = starts.into_par_iter().map(tile_loss).collect();
    let mut loss = Loss::default();
    for tile in &tiles {
        loss.add(tile);
    }
    Ok(Difference::Numbers(Fidelity {
        rmse: loss.rmse(),
        max_error: loss.max_error.into(),
        snr_db: loss.snr_db(),
    }))
}

/// A key, and its value in either file.
type KeyPair = (String, Option<Value>, Option<Value>);

/// Keys whose values differ, with both, as far as they are shown.
fn different_keys(a: &Side, b: &Side) -> Vec<KeyPair> {
    let mut names: Vec<&str> =
        a.listing.keys.iter().chain(&b.listing.keys).map(|key| key.name.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    let differs = |name: &&str| a.key(name) != b.key(name);
    let shown = |side: &Side, name: &str| side.key(name).map(|(shown, _)| shown.clone());
    names.into_iter().filter(differs).map(|name| (name.to_owned(), shown(a, name), shown(b, name))).collect()
}

struct Comparison<'a> {
    names: [&'a str; 2],
    sides: [&'a Listing; 2],
    pairs: Vec<(&'a Tensor, &'a Tensor)>,
    differences: Vec<Difference>,
    only: [Vec<&'a Tensor>; 2],
    keys: Vec<KeyPair>,
}

impl Comparison<'_> {
    fn text(&self, is_all: bool) -> String {
        let mut text = String::new();
        let mut rows = vec![["tensor", "type", "", "bytes", ""].map(str::to_owned).to_vec()];
        rows[0].extend(Fidelity::HEADINGS.map(str::to_owned));
        for ((a, b), difference) in self.pairs.iter().zip(&self.differences) {
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
                Difference::Numbers(fidelity) => fidelity.cells(),
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
        for (name, only) in self.names.iter().zip(&self.only) {
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
        for (name, a, b) in &self.keys {
            let shown = |value: &Option<Value>| value.as_ref().map_or("absent".to_owned(), short);
            text.push_str(&format!("key {}: {} | {}\n", printable(name), shown(a), shown(b)));
        }
        let n_equal =
            self.differences.iter().filter(|difference| matches!(difference, Difference::Equal)).count();
        text.push_str(&format!(
            "{} tensor{}: {n_equal} equal, {} differ; {} key{} differ; {} and {} bytes\n",
            self.pairs.len(),
            plural(self.pairs.len()),
            self.pairs.len() - n_equal,
            self.keys.len(),
            plural(self.keys.len()),
            self.sides[0].n_bytes,
            self.sides[1].n_bytes,
        ));
        text
    }

    fn json(&self) -> Value {
        let tensor = |((a, b), difference): (&(&Tensor, &Tensor), &Difference)| {
            let mut object = json!({
                "name": a.name, "types": [a.kind, b.kind], "bytes": [a.n_bytes, b.n_bytes],
                "shapes": [a.shape, b.shape],
                "equal": matches!(difference, Difference::Equal),
            });
            if let Difference::Numbers(fidelity) = difference {
                object["fidelity"] = fidelity.json();
            }
            object
        };
        let only = |tensors: &[&Tensor]| tensors.iter().map(|tensor| tensor.name.clone()).collect::<Vec<_>>();
        let key = |(name, a, b): &KeyPair| json!({ "name": name, "values": [a, b] });
        json!({
            "sources": self.names,
            "bytes": [self.sides[0].n_bytes, self.sides[1].n_bytes],
            "tensors": self.pairs.iter().zip(&self.differences).map(tensor).collect::<Vec<_>>(),
            "only": [only(&self.only[0]), only(&self.only[1])],
            "keys": self.keys.iter().map(key).collect::<Vec<_>>(),
        })
    }
}

/// A value in one line that is not too long.
fn short(value: &Value) -> String {
    crate::render::printable::abbreviated(&value.to_string(), 60)
}

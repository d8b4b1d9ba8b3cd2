//! A format that holds a model's graph as it is: a safetensors file with the graph's JSON in its metadata, and the planes
//! of every tensor under `ROLE.BLOCK.PLANE`.

use mc_decoder::lower::lower;
use mc_exporter::exporter::{Exporter, Release};
use mc_exporter::format_error::FormatError;
use mc_exporter::model_description::ModelDescription;
use mc_exporter::plane::{EncodedTensor, Part, Plane};
use mc_exporter::refusal::Refusal;
use mc_exporter::written_file::WrittenFile;
use mc_graph::json;
use mc_safetensors::write::header_with;
use mc_tensor::dtype::DType;
use mc_tensor::model_tensor::ModelTensor;

/// The key of the graph in the metadata.
pub const GRAPH: &str = "graph";

/// The only file.
const FILE: &str = "model.graph.safetensors";

/// Writes a model's graph.
#[derive(Debug)]
pub struct GraphExporter;

/// The name of a plane in the file.
pub fn plane_name(tensor: ModelTensor, role: &str) -> String {
    let block = tensor.block().map(|block| format!(".{block}")).unwrap_or_default();
    format!("{}{block}.{role}", tensor.role())
}

impl Exporter for GraphExporter {
    fn name(&self) -> &'static str {
        "graph-json"
    }

    fn title(&self) -> &'static str {
        "graph JSON"
    }

    fn version(&self) -> u32 {
        1
    }

    fn accepts(&self, model: &ModelDescription<'_>) -> Vec<Refusal> {
        // Every operator has a name and attributes, so there is nothing that the format cannot say.
        lower(model.decoder).err().map(|error| Refusal::new(error.to_string())).into_iter().collect()
    }

    fn layout(&self, _: &ModelDescription<'_>, tensors: &[EncodedTensor]) -> Result<Vec<Plane>, Refusal> {
        let mut planes = Vec::new();
        for (number, tensor) in tensors.iter().enumerate() {
            for (plane, encoded) in tensor.planes.iter().enumerate() {
                let dtype: DType = encoded
                    .kind
                    .parse()
                    .map_err(|_| Refusal::new(format!("safetensors has no type `{}`", encoded.kind)))?;
                planes.push(Plane {
                    tensor: number,
                    plane,
                    name: plane_name(tensor.tensor, encoded.role),
                    kind: encoded.kind,
                    dims: encoded.shape.clone(),
                    n_bytes: encoded.shape.iter().product::<u64>() * dtype.n_bytes() as u64,
                });
            }
        }
        Ok(planes)
    }

    fn files(&self, _: &ModelDescription<'_>, _: &[Plane]) -> Vec<String> {
        vec![FILE.to_owned()]
    }

    fn write(
        &self,
        model: &ModelDescription<'_>,
        _: &[EncodedTensor],
        planes: &[Plane],
    ) -> Result<Vec<WrittenFile>, FormatError> {
        let graph = lower(model.decoder).map_err(FormatError::new)?;
        let entry = |plane: &Plane| {
            let dtype = plane.kind.parse().map_err(|_| FormatError::new(format!("no type `{}`", plane.kind)))?;
            Ok((plane.name.clone(), dtype, plane.dims.clone()))
        };
        let entries = planes.iter().map(entry).collect::<Result<Vec<_>, FormatError>>()?;
        let header = header_with(&[(GRAPH, json::write(&graph).to_string())], &entries);
        let parts = std::iter::once(Part::Bytes(header)).chain((0..planes.len()).map(Part::Plane)).collect();
        Ok(vec![WrittenFile { name: FILE.to_owned(), parts }])
    }

    fn file_names(&self, release: &Release<'_>, _: usize) -> Option<Vec<String>> {
        Some(vec![format!("{}.graph.safetensors", release.name)])
    }
}

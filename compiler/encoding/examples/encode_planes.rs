//! Stores every matrix of a safetensors file in the planes of an encoding, a tile of rows at a time:
//! `cargo run -p mc-encoding --example encode_planes -- model.safetensors affine-4-g64 planes.safetensors`.
//!
//! The resulting tensors are named `NAME/PLANE`.

use std::error::Error;

use mc_encoding::codec::Rows;
use mc_encoding::encoding::Encoding;
use mc_tensor::convert;
use mc_tensor::dtype::DType;
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};

/// Number of rows widened at a time.
const TILE_ROWS: usize = 16;

type Stored = (String, Dtype, Vec<usize>, Vec<u8>);

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [input, encoding, output] = arguments.as_slice() else {
        return Err("Expected a safetensors file, an encoding and a file to write".into());
    };
    let (encoding, bytes): (Encoding, _) = (encoding.parse()?, std::fs::read(input)?);
    let tensors = SafeTensors::deserialize(&bytes)?;
    let mut planes = Vec::new();
    for (name, tensor) in tensors.iter().filter(|(_, tensor)| tensor.shape().len() == 2) {
        planes.extend(encode(&encoding, name, &tensor)?);
    }
    let views = planes.iter().map(|(name, dtype, shape, bytes)| {
        Ok((name.as_str(), TensorView::new(*dtype, shape.clone(), bytes)?))
    });
    let views: Vec<(&str, TensorView<'_>)> = views.collect::<Result<_, safetensors::SafeTensorError>>()?;
    safetensors::serialize_to_file(views, None, output.as_ref())?;
    Ok(())
}

fn encode(encoding: &Encoding, name: &str, tensor: &TensorView<'_>) -> Result<Vec<Stored>, Box<dyn Error>> {
    let dtype = tensor.dtype().to_string().parse::<DType>()?;
    let shape: Vec<u64> = tensor.shape().iter().map(|n| *n as u64).collect();
    let planes = encoding.planes(&shape, dtype)?;
    let n_cols = tensor.shape()[1];
    let mut bytes = vec![Vec::new(); planes.len()];
    for tile in tensor.data().chunks(TILE_ROWS * n_cols * dtype.n_bytes()) {
        let mut x = vec![0.0; tile.len() / dtype.n_bytes()];
        convert::to_f32(dtype, tile, &mut x);
        let importance = vec![1.0; n_cols];
        encoding.encode(&Rows { x: &x, n_cols, importance: Some(&importance) }, dtype, &mut bytes);
    }
    let stored = planes.into_iter().zip(bytes).map(|(plane, bytes)| {
        let dtype = match plane.dtype {
            DType::U32 => Dtype::U32,
            DType::F32 => Dtype::F32,
            DType::F16 => Dtype::F16,
            DType::BF16 => Dtype::BF16,
            DType::I8 => Dtype::I8,
            _ => Dtype::U8,
        };
        let shape = plane.shape.iter().map(|n| *n as usize).collect();
        (format!("{name}/{}", plane.name), dtype, shape, bytes)
    });
    Ok(stored.collect())
}

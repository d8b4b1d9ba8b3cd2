//! Encoding a long text takes memory for its ids and for a window of it.

use mc_family::tokenizer::Tokenizer;
use mc_family::tokenizer::parse_special::ParseSpecial;
use mc_hostile::allocations::{Watched, peak};

#[global_allocator]
static ALLOCATOR: Watched = Watched;

/// Bytes of memory per byte of text: four for each id, doubled while their list grows.
const MAX_FACTOR: usize = 8;

/// Bytes of memory for the window, for texts of any length.
const MAX_WINDOW: usize = 64 << 20;

#[test]
fn the_memory_of_encoding_is_linear_with_a_small_factor() {
    let json = include_bytes!("../../../compiler/family/tests/data/tokenizer.json");
    let tokenizer = Tokenizer::from_json(json).unwrap();
    // Data that is created on first use does not count.
    tokenizer.encode("warm", ParseSpecial::No).unwrap();
    let words = "A line of a calibration text, as long as nobody writes one, and with some 12345 digits. ";
    for n_bytes in [1 << 20, 10 << 20] {
        let text = words.repeat(n_bytes / words.len());
        let mut n_ids = 0;
        let taken = peak(|| n_ids = tokenizer.encode(&text, ParseSpecial::No).unwrap().len());
        assert!(n_ids > text.len() / 10);
        let allowed = MAX_WINDOW + MAX_FACTOR * text.len();
        assert!(taken <= allowed, "{taken} bytes for {} bytes of text", text.len());
    }
}

//! What the engine's build script does, for this package.

#[path = "../build.rs"]
mod shared;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    shared::main()
}

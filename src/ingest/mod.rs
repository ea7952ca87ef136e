//! Ingest: reads the sources, cuts their bytes into lines, and judges each line.

pub mod framer;
pub mod parser;
pub mod rejected;

#[cfg(test)]
mod stream_tests;

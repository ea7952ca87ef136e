//! Ingest: reads the sources, cuts their bytes into lines, and judges each line.

pub mod framer;
pub mod parser;

#[cfg(test)]
mod stream_tests;

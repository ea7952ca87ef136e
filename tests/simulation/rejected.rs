//! What the engine kept of rejected lines: the one thing of it that is on a real disk.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

/// The lines that `rejected.ndjson` and its numbered predecessors in `home` hold.
pub fn kept(home: &Path) -> Vec<Vec<u8>> {
    let mut lines = Vec::new();
    for entry in std::fs::read_dir(home).expect("the world's directory") {
        let text = std::fs::read_to_string(entry.expect("an entry").path()).expect("text");
        for entry in text.lines() {
            let entry: Value = serde_json::from_str(entry).expect("JSON");
            let line = match (entry["line"].as_str(), entry["line_base64"].as_str()) {
                (Some(line), _) => line.as_bytes().to_vec(),
                (_, Some(base64)) => STANDARD.decode(base64).expect("base64"),
                _ => panic!("an entry without its line: {entry}"),
            };
            lines.push(line);
        }
    }
    lines
}

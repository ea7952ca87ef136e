#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| flipped_lb::fuzzing::cluster_records(input));
